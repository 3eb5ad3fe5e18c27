//! Takes out of a text whose it is: what a store or a mail server answers may
//! name the account that asked, and the address that it was asked at. Pages that
//! anybody may open show such texts.

/// Services whose resources are people and roles.
const OF_PEOPLE: [&str; 5] = ["iam", "sts", "organizations", "sso", "identitystore"];

/// What stands in place of the store's host.
const STORE: &str = "<endpoint>";
/// What stands in place of the number of an account.
const ACCOUNT: &str = "<account>";
/// What stands in place of the name of a person or a role.
const NAME: &str = "<name>";
/// What stands in place of a mail address.
const ADDRESS: &str = "<address>";

/// The text without account numbers, names of people and roles, mail addresses
/// and the store's host; `None` where it holds none of these. Giving it what it
/// gave changes nothing.
#[must_use]
pub fn anonymous(text: &str, host: Option<&str>) -> Option<String> {
    let hostless = host.map(|host| without_host(text, host));
    let text_of = hostless.as_deref().unwrap_or(text);
    let shown = if text_of.contains("arn:") || text_of.contains('@') {
        by_word(text_of)
    } else {
        text_of.to_owned()
    };
    (shown != text).then_some(shown)
}

/// Masks word by word; what stands between words stays as it is.
fn by_word(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'`,;()<>[]{}|".contains(c);
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends) {
        let word = piece.strip_suffix(ends).unwrap_or(piece);
        match word.find("arn:") {
            Some(at) => {
                out.push_str(&word[..at]);
                out.push_str(&without_account(&word[at..]));
            }
            None => out.push_str(&without_mail(word)),
        }
        out.push_str(&piece[word.len()..]);
    }
    out
}

/// `arn:partition:service:region:account:resource` without the account's number
/// and, where the resource is somebody, without the name. A bucket has neither.
fn without_account(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &[_, partition, service, region, account, ref rest @ ..] = parts.as_slice() else {
        return arn.to_owned();
    };
    // A message that is too long was cut, within the number it may be.
    if !account.starts_with(|c: char| c.is_ascii_digit()) {
        return arn.to_owned();
    }
    let resource = rest.first().map(|resource| match resource.split_once(['/', ':']) {
        Some((kind, name)) if OF_PEOPLE.contains(&service) => {
            // What ends the sentence is no part of the name.
            let stop = name.trim_start_matches(|c| !matches!(c, '.' | ':'));
            let stop = if stop.len() == 1 { stop } else { "" };
            format!(":{kind}/{NAME}{stop}")
        }
        _ => format!(":{resource}"),
    });
    format!("arn:{partition}:{service}:{region}:{ACCOUNT}{}", resource.unwrap_or_default())
}

fn without_mail(word: &str) -> String {
    let is_local = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || ".-".contains(c);
    let (mut out, mut rest) = (String::with_capacity(word.len()), word);
    while let Some(at) = rest.find('@') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let local = before.trim_end_matches(is_local);
        let domain = &after[..after.find(|c| !is_domain(c)).unwrap_or(after.len())];
        let domain = domain.trim_end_matches(['.', '-']);
        if local.len() < before.len() && domain.contains('.') {
            out.push_str(local);
            out.push_str(ADDRESS);
            rest = &after[domain.len()..];
        } else {
            out.push_str(&rest[..=at]);
            rest = after;
        }
    }
    out + rest
}

/// Replaces the host where it is not a part of another word, and not a scheme
/// or a service either: a host may be called `s3`. A bucket may stand before it.
fn without_host(text: &str, host: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(host).filter(|_| !host.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + host.len()..]);
        let begins = !before.chars().next_back().or(out.chars().next_back()).is_some_and(is_part);
        let mut next = after.chars();
        let ends = match (next.next(), next.next()) {
            (Some('.'), then) => !then.is_some_and(char::is_alphanumeric),
            (Some(':'), then) => then.is_none_or(|c| c.is_ascii_digit() || c == ' '),
            (then, _) => !then.is_some_and(is_part),
        };
        out.push_str(before);
        out.push_str(if begins && ends { STORE } else { host });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let shown = anonymous(text, Some("s3")).unwrap_or_else(|| text.to_owned());
        assert_eq!(anonymous(&shown, Some("s3")), None, "once is enough");
        shown
    }

    #[test]
    fn whoever_asked_the_store_is_not_named() {
        for (text, says) in [
            (
                "AccessDenied: User: arn:aws:iam::111122223333:user/ada is not authorized to \
                 perform: s3:ListBucket on resource: \"arn:aws:s3:::altarflow-backups\"",
                "AccessDenied: User: arn:aws:iam::<account>:user/<name> is not authorized to \
                 perform: s3:ListBucket on resource: \"arn:aws:s3:::altarflow-backups\"",
            ),
            (
                "(User: arn:aws:sts::111122223333:assumed-role/backup/ada@example.com)",
                "(User: arn:aws:sts::<account>:assumed-role/<name>)",
            ),
            ("arn:aws-cn:iam::111122223333:root.", "arn:aws-cn:iam::<account>:root."),
            ("it was cut: arn:aws:iam::1111222\u{2026}", "it was cut: arn:aws:iam::<account>"),
            (
                "with an explicit deny in arn:aws:organizations::111122223333:policy/o-x/p-y.",
                "with an explicit deny in arn:aws:organizations::<account>:policy/<name>.",
            ),
            (
                "on the key arn:aws:kms:us-east-1:111122223333:key/k",
                "on the key arn:aws:kms:us-east-1:<account>:key/k",
            ),
            (
                "backup@altarflow.iam.gserviceaccount.com does not have storage.objects.list",
                "<address> does not have storage.objects.list",
            ),
            ("550 5.1.1 <ops+db@example.com>: unknown.", "550 5.1.1 <<address>>: unknown."),
        ] {
            assert_eq!(shown(text), says);
        }
    }

    #[test]
    fn the_store_s_host_is_not_told_and_what_only_sounds_like_it_is() {
        for (text, says) in [
            ("connect to s3:9000: refused", "connect to <endpoint>:9000: refused"),
            ("http://backups.s3/x", "http://backups.<endpoint>/x"),
            ("no route to s3.", "no route to <endpoint>."),
        ] {
            assert_eq!(shown(text), says);
        }
        let host = "a1b2.r2.cloudflarestorage.com";
        let said = anonymous("dns: backups.a1b2.r2.cloudflarestorage.com: unknown", Some(host));
        assert_eq!(said.as_deref(), Some("dns: backups.<endpoint>: unknown"));
    }

    #[test]
    fn what_names_nobody_stays_as_it_is() {
        for text in [
            "list s3://bucket/database/: the credentials need s3:ListBucket on arn:aws:s3:::bucket",
            "the AWS policy arn:aws:iam::aws:policy/AdministratorAccess is too wide",
            "user @ host, a@b and @here; 111122223333 bytes of s3-like text in my-s3",
            "barn: nothing",
        ] {
            assert_eq!(anonymous(text, Some("s3")), None, "{text}");
        }
    }
}
