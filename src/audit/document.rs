//! A bucket's policy, read as far as it decides who may do what here.
//!
//! This is no policy engine: it finds statements that let somebody in or keep
//! somebody out, and where a statement is narrowed by conditions it says so
//! instead of judging them.

use serde_json::Value;

/// A policy's statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// In the order in which they stand.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub sid: String,
    /// Whether it lets in or keeps out.
    pub allows: bool,
    /// Whom it is about; `NotPrincipal` counts as everybody.
    pub principals: Vec<Principal>,
    /// The actions, as they are written, in lower case.
    pub actions: Vec<String>,
    /// Whether the actions are those that it is *not* about.
    pub not_actions: bool,
    /// The resources, as they are written.
    pub resources: Vec<String>,
    /// Whether the resources are those that it is *not* about.
    pub not_resources: bool,
    /// Operator, key in lower case, values.
    pub conditions: Vec<(String, String, Vec<String>)>,
}

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// Everybody on the internet.
    Everybody,
    /// All of an account, by its number.
    Account(String),
    /// A user or a role, by its ARN.
    Arn(String),
    /// A service of AWS, such as `logging.s3.amazonaws.com`.
    Service(String),
    /// Something else: a federated or canonical user.
    Other(String),
}

impl Principal {
    /// As a person reads it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Everybody => "everybody",
            Self::Account(name) | Self::Arn(name) | Self::Service(name) | Self::Other(name) => name,
        }
    }

    /// The account that it belongs to.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account(account) => Some(account),
            Self::Arn(arn) => arn.split(':').nth(4),
            _ => None,
        }
    }
}

/// Actions that change objects or the bucket.
const READ_ONLY: [&str; 3] = ["s3:get", "s3:list", "s3:head"];

impl Document {
    /// Reads a policy; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let statements = match value.get("Statement")? {
            Value::Array(statements) => statements.iter().map(statement).collect::<Option<_>>()?,
            one => vec![statement(one)?],
        };
        Some(Self { statements })
    }
}

impl Statement {
    /// Whether it is about an action, which is given in lower case.
    #[must_use]
    pub fn covers_action(&self, action: &str) -> bool {
        self.actions.iter().any(|pattern| matches(pattern, action)) != self.not_actions
    }

    /// Whether it is about a resource.
    #[must_use]
    pub fn covers_resource(&self, resource: &str) -> bool {
        self.resources.iter().any(|pattern| matches(pattern, resource)) != self.not_resources
    }

    /// Whether it is about a principal.
    #[must_use]
    pub fn covers_principal(&self, arn: &str) -> bool {
        let account = arn.split(':').nth(4).unwrap_or_default();
        self.principals.iter().any(|principal| match principal {
            Principal::Everybody => true,
            Principal::Account(number) => number == account,
            Principal::Arn(pattern) => pattern == arn,
            Principal::Service(_) | Principal::Other(_) => false,
        })
    }

    /// Whether anything that it is about changes something.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.not_actions
            || self
                .actions
                .iter()
                .any(|action| !READ_ONLY.iter().any(|start| action.starts_with(start)))
    }

    /// Whether it keeps everybody out who comes without TLS, from the bucket
    /// and from all that is in it.
    #[must_use]
    pub fn refuses_plain_http(&self, bucket: &str) -> bool {
        let insecure = |(operator, key, values): &(String, String, Vec<String>)| {
            operator.eq_ignore_ascii_case("Bool")
                && key == "aws:securetransport"
                && values.iter().all(|value| value.eq_ignore_ascii_case("false"))
        };
        !self.allows
            && self.principals.contains(&Principal::Everybody)
            && self.conditions.len() == 1
            && self.conditions.iter().all(insecure)
            && ["s3:getobject", "s3:putobject", "s3:listbucket", "s3:deleteobject"]
                .iter()
                .all(|action| self.covers_action(action))
            && ["", "/x"].iter().all(|end| {
                // Of any partition: `aws`, `aws-cn`, `aws-us-gov`.
                ["aws", "aws-cn", "aws-us-gov"]
                    .iter()
                    .any(|name| self.covers_resource(&format!("arn:{name}:s3:::{bucket}{end}")))
            })
    }
}

fn statement(value: &Value) -> Option<Statement> {
    let strings = |name: &str| value.get(name).map(list);
    let (actions, not_actions) = match (strings("Action"), strings("NotAction")) {
        (Some(actions), _) => (actions, false),
        (None, Some(actions)) => (actions, true),
        (None, None) => return None,
    };
    let (resources, not_resources) = match (strings("Resource"), strings("NotResource")) {
        (Some(resources), _) => (resources, false),
        (None, Some(resources)) => (resources, true),
        (None, None) => return None,
    };
    Some(Statement {
        sid: value.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned(),
        allows: match value.get("Effect")?.as_str()? {
            "Allow" => true,
            "Deny" => false,
            _ => return None,
        },
        principals: match (value.get("Principal"), value.get("NotPrincipal")) {
            (Some(principal), _) => principals(principal),
            (None, Some(_)) => vec![Principal::Everybody],
            (None, None) => return None,
        },
        actions: actions.into_iter().map(|action| action.to_ascii_lowercase()).collect(),
        not_actions,
        resources,
        not_resources,
        conditions: conditions(value.get("Condition")),
    })
}

fn principals(value: &Value) -> Vec<Principal> {
    let Value::Object(kinds) = value else {
        return list(value).iter().map(|name| aws_principal(name)).collect();
    };
    kinds
        .iter()
        .flat_map(|(kind, names)| {
            list(names).into_iter().map(move |name| match kind.as_str() {
                "AWS" => aws_principal(&name),
                "Service" => Principal::Service(name),
                _ => Principal::Other(name),
            })
        })
        .collect()
}

fn aws_principal(name: &str) -> Principal {
    if name == "*" {
        return Principal::Everybody;
    }
    if name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Principal::Account(name.to_owned());
    }
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", _, account, "root"] => Principal::Account(account.to_owned()),
        ["arn", ..] => Principal::Arn(name.to_owned()),
        _ => Principal::Other(name.to_owned()),
    }
}

fn conditions(value: Option<&Value>) -> Vec<(String, String, Vec<String>)> {
    let Some(Value::Object(operators)) = value else { return Vec::new() };
    operators
        .iter()
        .filter_map(|(operator, keys)| Some((operator, keys.as_object()?)))
        .flat_map(|(operator, keys)| {
            keys.iter()
                .map(|(key, values)| (operator.clone(), key.to_ascii_lowercase(), list(values)))
        })
        .collect()
}

/// One text, or several. Booleans are written as texts or as booleans.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(list).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(value) => vec![value.to_string()],
        other => vec![other.to_string()],
    }
}

/// `*` is any text, `?` any one character.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star, mut mark) = (0, 0, None, 0);
    while t < text.len() {
        if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*' {
            (p, t) = (p + 1, t + 1);
        } else if pattern.get(p) == Some(&'*') {
            (star, mark, p) = (Some(p), t, p + 1);
        } else if let Some(at) = star {
            mark += 1;
            (p, t) = (at + 1, mark);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(statement: &Value) -> Statement {
        let policy = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        Document::parse(&policy).unwrap().statements.remove(0)
    }

    #[test]
    fn patterns_match_as_policies_do() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("s3:get*", "s3:getobject", true),
            ("s3:*object", "s3:putobject", true),
            ("s3:*object", "s3:putobjects", false),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/a/b", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn principals_are_told_apart() {
        let principals = one(&json!({
            "Effect": "Allow",
            "Principal": { "AWS": ["*", "111122223333", "arn:aws:iam::1:root",
                                   "arn:aws:iam::1:role/r"], "Service": "logging.s3.amazonaws.com" },
            "Action": "s3:GetObject", "Resource": "*"
        }))
        .principals;
        assert!(principals.contains(&Principal::Everybody));
        assert!(principals.contains(&Principal::Account("111122223333".to_owned())));
        assert!(principals.contains(&Principal::Account("1".to_owned())));
        assert!(principals.contains(&Principal::Arn("arn:aws:iam::1:role/r".to_owned())));
        let service = Principal::Service("logging.s3.amazonaws.com".to_owned());
        assert!(principals.contains(&service));
    }

    #[test]
    fn only_a_whole_refusal_of_plain_http_counts() {
        let deny = |resource: Value, action: &str, condition: Value| {
            one(&json!({ "Effect": "Deny", "Principal": "*", "Action": action,
                        "Resource": resource, "Condition": condition }))
            .refuses_plain_http("b")
        };
        let both = json!(["arn:aws:s3:::b", "arn:aws:s3:::b/*"]);
        let plain = json!({ "Bool": { "aws:SecureTransport": "false" } });
        assert!(deny(both.clone(), "s3:*", plain.clone()));
        assert!(!deny(json!("arn:aws:s3:::b/*"), "s3:*", plain.clone()), "not of the bucket");
        assert!(!deny(both.clone(), "s3:GetObject", plain.clone()), "not of writes");
        let narrowed = json!({ "Bool": { "aws:SecureTransport": "false" },
                               "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
        assert!(!deny(both, "s3:*", narrowed), "not of every address");
    }

    #[test]
    fn what_is_no_policy_is_none() {
        for text in ["", "{}", "[]", r#"{"Statement":[{"Effect":"Maybe"}]}"#] {
            assert_eq!(Document::parse(text), None, "{text}");
        }
    }
}
