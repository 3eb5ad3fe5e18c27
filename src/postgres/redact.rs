//! Takes what must not be said out of a text: a program's stderr, an error
//! that goes onto a page.

use secrecy::ExposeSecret;

use super::url::{ConnectionUrl, Host};

/// What stands before the user's name where a message says whose name it is.
const BEFORE_A_USER: [&str; 4] = ["user ", "role ", "ROLE ", "TO "];

impl ConnectionUrl {
    /// Takes the password out of a text of somebody else's making, such as what
    /// a program wrote to stderr. Where it is the user's name as well, it stays
    /// where a message says whose name it is: advice without it is of no use,
    /// and nothing there says that it is the password.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        match self.password.as_ref().map(ExposeSecret::expose_secret) {
            Some(password) if password == self.user && !password.is_empty() => {
                mask_but_for_the_user(text, password)
            }
            Some(password) if !password.is_empty() => text.replace(password, "********"),
            _ => text.to_owned(),
        }
    }

    /// Takes host and user out as well, for a text that goes onto a page.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = self.mask(text);
        if let Host::Network(host) = &self.host {
            text = replace_word(&text, host, "<host>");
        }
        // Only where it is said to be a user, or stands in quotes: one called
        // `postgres` is part of many other words.
        text = text.replace(&format!("\"{}\"", self.user), "\"<user>\"");
        for before in BEFORE_A_USER {
            text =
                replace_word(&text, &format!("{before}{}", self.user), &format!("{before}<user>"));
        }
        text
    }
}

/// Masks a password that is the user's name too, but where it stands as the name.
fn mask_but_for_the_user(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let after = &rest[at + name.len()..];
        out.push_str(&rest[..at]);
        let before = out.strip_suffix('"').unwrap_or(&out);
        let is_name = BEFORE_A_USER.iter().any(|role| before.ends_with(role))
            && !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
        out.push_str(if is_name { name } else { "********" });
        rest = after;
    }
    out + rest
}

/// Replaces a word where it is not a part of a longer one.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word).filter(|_| !word.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let begins = !before
            .chars()
            .next_back()
            .or(out.chars().next_back())
            .is_some_and(|c| c == '.' || is_part(c));
        // A full stop ends a sentence, or goes on with a name: `db` in `db.example.com`.
        let ends = match after.chars().next() {
            Some('.') => !after.chars().nth(1).is_some_and(char::is_alphanumeric),
            next => !next.is_some_and(is_part),
        };
        out.push_str(before);
        out.push_str(if begins && ends { by } else { word });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn redacted(url: &str, text: &str) -> String {
        ConnectionUrl::parse(&SecretString::from(url)).unwrap().redact(text)
    }

    #[test]
    fn host_user_and_password_are_taken_out_wherever_they_are_said() {
        let url = "postgres://keeper:s3cret@db/app";
        for (text, says) in [
            ("connect to db:5432: refused", "connect to <host>:5432: refused"),
            ("the password of user keeper is wrong", "the password of user <user> is wrong"),
            ("role \"keeper\" does not exist", "role \"<user>\" does not exist"),
            ("GRANT SELECT ON t TO keeper, or", "GRANT SELECT ON t TO <user>, or"),
            ("ALTER ROLE keeper BYPASSRLS", "ALTER ROLE <user> BYPASSRLS"),
            ("PGPASSWORD=s3cret", "PGPASSWORD=********"),
        ] {
            assert_eq!(redacted(url, text), says);
        }
    }

    #[test]
    fn a_password_that_is_the_user_s_name_is_masked_but_where_it_is_the_name() {
        let url = ConnectionUrl::parse(&SecretString::from("postgres://bk:bk@db/app")).unwrap();
        for (text, masked, redacted) in [
            (
                "role bk may not SELECT table t; GRANT SELECT ON t TO bk, or exclude",
                "role bk may not SELECT table t; GRANT SELECT ON t TO bk, or exclude",
                "role <user> may not SELECT table t; GRANT SELECT ON t TO <user>, or exclude",
            ),
            ("failed for user \"bk\"", "failed for user \"bk\"", "failed for user \"<user>\""),
            ("PGPASSWORD=bk", "PGPASSWORD=********", "PGPASSWORD=********"),
            ("role bkx", "role ********x", "role ********x"),
        ] {
            assert_eq!(url.mask(text), masked);
            assert_eq!(url.redact(text), redacted);
        }
    }

    #[test]
    fn what_only_looks_like_host_or_user_stays() {
        let url = "postgres://postgres@db/app";
        for text in [
            "take the snapshot of dbase, a database; db.example.com, my-db and my.db are others",
            "user postgresql and the schema postgres",
        ] {
            assert_eq!(redacted(url, text), text);
        }
    }

    #[test]
    fn a_host_at_the_end_of_a_sentence_is_taken_out() {
        assert_eq!(redacted("postgres://u@db/app", "no route to db."), "no route to <host>.");
        assert_eq!(redacted("postgres://u@10.0.0.1/a", "to 10.0.0.1:5432"), "to <host>:5432");
    }
}
