//! The policies with which a bucket is given into careful hands: what each of
//! the three roles needs, and what the bucket itself refuses whoever asks.
//!
//! They hold exactly what the code calls; a test records the calls and holds
//! the two against each other.

use serde_json::{Value, json};

/// What the policies are written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket's name.
    pub bucket: String,
    /// The prefixes of all databases, each ending with a slash.
    pub prefixes: Vec<String>,
    /// The ARN of the KMS key, where objects are encrypted with a key of one's own.
    pub kms_key: Option<String>,
    /// As in `us-east-1`.
    pub region: String,
}

/// Questions to the bucket about itself; the audit asks them. The account's
/// own, which has no resource, stands apart.
const QUESTIONS: [&str; 9] = [
    "s3:GetBucketAcl",
    "s3:GetBucketLogging",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
];

/// What none of the three roles may ever do, whatever else is attached to it.
const TAMPERING: [&str; 20] = [
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:PutAccelerateConfiguration",
    "s3:PutBucketAcl",
    "s3:PutBucketLogging",
    "s3:PutBucketNotification",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectAcl",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:PutObjectVersionAcl",
    "s3:PutReplicationConfiguration",
];

/// Files in which verify writes down what it found; a new verdict takes the
/// other one's place.
const VERDICTS: [&str; 2] = ["*.verified.json", "*.damaged.json"];

impl Place {
    /// For the daemon that sweeps nothing: write and read, delete no backup.
    #[must_use]
    pub fn writer(&self) -> Value {
        let verdicts: Vec<String> = VERDICTS.iter().flat_map(|end| self.objects(end)).collect();
        self.identity_policy(
            vec![
                self.look(&["s3:ListBucket"]),
                self.ask(),
                account_question(),
                self.use_objects(
                    "ReadAndWriteBackups",
                    &["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                ),
                statement("ReplaceVerdicts", &["s3:DeleteObject"], &verdicts),
            ],
            &["kms:Decrypt", "kms:GenerateDataKey"],
        )
    }

    /// For the daemon that sweeps: the same, and delete.
    #[must_use]
    pub fn keeper(&self) -> Value {
        self.identity_policy(
            vec![
                self.look(&["s3:ListBucket", "s3:ListBucketMultipartUploads"]),
                self.ask(),
                account_question(),
                self.use_objects(
                    "ReadWriteAndRemoveBackups",
                    &["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                ),
            ],
            &["kms:Decrypt", "kms:GenerateDataKey"],
        )
    }

    /// For whoever gets a backup back: read, write down what was done, and no more.
    #[must_use]
    pub fn restorer(&self) -> Value {
        self.identity_policy(
            vec![
                self.look(&["s3:ListBucket"]),
                self.use_objects("ReadBackups", &["s3:GetObject"]),
                statement("KeepLogsOfIncidents", &["s3:PutObject"], &self.objects("incidents/*")),
            ],
            &["kms:Decrypt", "kms:GenerateDataKey"],
        )
    }

    /// For the bucket. `principals` are the ARNs of the three roles, as far as
    /// they are known; those are kept from changing what protects the bucket,
    /// and other accounts are kept out altogether.
    #[must_use]
    pub fn bucket(&self, principals: &[String]) -> Value {
        let all = [self.bucket_arn(), format!("{}/*", self.bucket_arn())];
        let deny = |sid: &str, principal: Value, actions: Value, condition: Value| {
            let mut statement = json!({
                "Sid": sid,
                "Effect": "Deny",
                "Principal": principal,
                "Action": actions,
                "Resource": all,
            });
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            statement
        };
        let mut statements = vec![
            deny(
                "DenyPlainHttp",
                json!("*"),
                json!("s3:*"),
                json!({ "Bool": { "aws:SecureTransport": "false" } }),
            ),
            deny(
                "DenyOldTls",
                json!("*"),
                json!("s3:*"),
                json!({ "NumericLessThan": { "s3:TlsVersion": "1.2" } }),
            ),
        ];
        let mut accounts: Vec<&str> =
            principals.iter().filter_map(|arn| arn.split(':').nth(4)).collect();
        accounts.sort_unstable();
        accounts.dedup();
        if !accounts.is_empty() {
            statements.push(deny(
                "DenyOtherAccounts",
                json!("*"),
                json!("s3:*"),
                json!({
                    "StringNotEquals": { "aws:PrincipalAccount": accounts },
                    "Bool": { "aws:PrincipalIsAWSService": "false" },
                }),
            ));
            statements.push(deny(
                "DenyTampering",
                json!({ "AWS": principals }),
                json!(TAMPERING),
                Value::Null,
            ));
        }
        json!({ "Version": "2012-10-17", "Statement": statements })
    }

    fn partition(&self) -> &'static str {
        match self.region.split('-').next() {
            Some("cn") => "aws-cn",
            _ if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", self.partition(), self.bucket)
    }

    /// The ARNs of what ends like this under each prefix.
    fn objects(&self, end: &str) -> Vec<String> {
        let bucket = self.bucket_arn();
        self.prefixes.iter().map(|prefix| format!("{bucket}/{prefix}{end}")).collect()
    }

    /// Not narrowed to a prefix: without the right to list the bucket, S3
    /// answers a question for an object that is not there with a refusal, and
    /// "not there" could not be told from "not allowed".
    fn look(&self, actions: &[&str]) -> Value {
        statement("List", actions, &[self.bucket_arn()])
    }

    fn ask(&self) -> Value {
        statement("AuditTheBucket", &QUESTIONS, &[self.bucket_arn()])
    }

    fn use_objects(&self, sid: &str, actions: &[&str]) -> Value {
        statement(sid, actions, &self.objects("*"))
    }

    fn identity_policy(&self, mut statements: Vec<Value>, kms: &[&str]) -> Value {
        if let Some(key) = &self.kms_key {
            statements.push(statement("UseTheKey", kms, std::slice::from_ref(key)));
        }
        json!({ "Version": "2012-10-17", "Statement": statements })
    }
}

/// The account's own block has no resource to narrow it to.
fn account_question() -> Value {
    statement("AuditTheAccount", &["s3:GetAccountPublicAccessBlock"], &["*".to_owned()])
}

fn statement(sid: &str, actions: &[&str], resources: &[String]) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::document::Document;

    fn place() -> Place {
        Place {
            bucket: "backups".to_owned(),
            prefixes: vec!["app/".to_owned(), "billing/".to_owned()],
            kms_key: Some("arn:aws:kms:us-east-1:1:key/k".to_owned()),
            region: "us-east-1".to_owned(),
        }
    }

    /// Whether a policy of an identity lets it do that.
    fn allows(policy: &Value, action: &str, resource: &str) -> bool {
        let mut policy = policy.clone();
        for statement in policy["Statement"].as_array_mut().unwrap() {
            statement["Principal"] = json!("*");
        }
        let document = Document::parse(&policy.to_string()).unwrap();
        let action = action.to_ascii_lowercase();
        document.statements.iter().any(|statement| {
            statement.allows
                && statement.covers_action(&action)
                && statement.covers_resource(resource)
        })
    }

    #[test]
    fn nobody_reaches_beyond_the_prefixes() {
        for policy in [place().writer(), place().keeper(), place().restorer()] {
            let read =
                |key: &str| allows(&policy, "s3:GetObject", &format!("arn:aws:s3:::backups/{key}"));
            assert!(read("app/2026/11/x.sql.gz") && read("billing/LATEST.txt"));
            assert!(!read("other/x") && !read("appendix/x"));
            assert!(!allows(&policy, "s3:GetObject", "arn:aws:s3:::other/app/x"));
            assert!(!allows(&policy, "s3:DeleteObjectVersion", "arn:aws:s3:::backups/app/x"));
            assert!(!allows(&policy, "s3:PutBucketPolicy", "arn:aws:s3:::backups"));
            assert!(allows(&policy, "kms:Decrypt", "arn:aws:kms:us-east-1:1:key/k"));
        }
    }

    #[test]
    fn only_the_keeper_deletes_backups_and_the_restorer_writes_logs_of_incidents_alone() {
        let log = "arn:aws:s3:::backups/app/incidents/2026-11-23T15-00-00Z.md";
        let archive = "arn:aws:s3:::backups/app/2026/11/2026-11-23T14-00-00Z.sql.gz";
        let verdict = "arn:aws:s3:::backups/app/2026/11/2026-11-23T14-00-00Z.damaged.json";
        let may = |policy: &Value, action, key| allows(policy, action, key);
        let (writer, keeper, restorer) = (place().writer(), place().keeper(), place().restorer());
        assert!(!may(&writer, "s3:DeleteObject", archive));
        assert!(may(&writer, "s3:DeleteObject", verdict));
        assert!(may(&keeper, "s3:DeleteObject", archive));
        assert!(!may(&restorer, "s3:DeleteObject", verdict));
        assert!(may(&writer, "s3:PutObject", archive) && may(&keeper, "s3:PutObject", archive));
        assert!(!may(&restorer, "s3:PutObject", archive));
        assert!(!may(&restorer, "s3:PutObject", verdict));
        assert!(may(&restorer, "s3:PutObject", log) && !may(&restorer, "s3:DeleteObject", log));
        assert!(may(&restorer, "kms:GenerateDataKey", "arn:aws:kms:us-east-1:1:key/k"));
    }

    #[test]
    fn the_bucket_s_policy_passes_the_audit_s_own_checks() {
        let role = "arn:aws:iam::111122223333:role/writer".to_owned();
        let policy = place().bucket(std::slice::from_ref(&role)).to_string();
        let document = Document::parse(&policy).unwrap();
        assert!(document.statements.iter().any(|s| s.refuses_plain_http("backups")));
        assert!(document.statements.iter().all(|statement| !statement.allows));
        let keeps_us_out = document.statements.iter().any(|statement| {
            statement.conditions.is_empty()
                && statement.covers_principal(&role)
                && statement.covers_action("s3:putbucketpolicy")
                && !statement.covers_action("s3:putobject")
                && !statement.covers_action("s3:deleteobject")
        });
        assert!(keeps_us_out);
        let bare = Document::parse(&place().bucket(&[]).to_string()).unwrap();
        assert_eq!(bare.statements.len(), 2, "nobody is named where nobody is known");
    }

    #[test]
    fn other_partitions_have_other_names() {
        let china = Place { region: "cn-north-1".to_owned(), ..place() };
        assert!(china.restorer().to_string().contains("arn:aws-cn:s3:::backups/app/*"));
        let gov = Place { region: "us-gov-west-1".to_owned(), ..place() };
        assert!(gov.restorer().to_string().contains("arn:aws-us-gov:s3:::backups"));
    }
}
