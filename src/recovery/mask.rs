//! Takes secrets out of what people write, and of the commands that they ran.
//!
//! What the settings hold is known and is taken out by whoever calls; this finds
//! what only looks like a secret: the password in a URL, the value after
//! `password=`.

use std::ops::Range;

/// What stands in place of a secret.
const MASK: &str = "********";

/// What a secret's name ends with, in lower case; what stands behind it and an
/// equals sign or a colon is the secret.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secret_access_key",
    "token",
    "secret_key",
    "private_key",
    "api_key",
    "api-key",
    "apikey",
];
/// The same, where these are all of a word of it.
const WORDS: [&str; 3] = ["pw", "pwd", "authorization"];
/// Words that stand before the secret of an `Authorization:`.
const SCHEMES: [&str; 3] = ["bearer", "basic", "token"];

/// The text without what looks like a secret.
#[must_use]
pub fn masked(text: &str) -> String {
    without(text, passwords_of_urls(text, end_of_url))
}

/// Where a URL in a text ends that begins at `start`, counted from `from` on: at
/// the quote or bracket that stands before it, and else at the next space. A
/// password may hold any other.
fn end_of_url(text: &str, start: usize, from: usize) -> usize {
    let rest = &text[from..];
    let closes = match text[..start].chars().next_back() {
        Some(quote @ ('\'' | '"' | '`')) => Some(quote),
        Some('<') => Some('>'),
        _ => None,
    };
    let ends = |c: char| c.is_whitespace() || Some(c) == closes;
    rest.find(ends).unwrap_or(rest.len())
}

/// The same with further things to be masked.
fn without(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.extend(values_of_names(text));
    found.sort_by_key(|range| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        if range.start < at {
            continue;
        }
        out.push_str(&text[at..range.start]);
        out.push_str(MASK);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Between `://user:` and the last `@` of the same word. `end` says where a URL
/// ends, by where it begins and where its host does.
fn passwords_of_urls(text: &str, end: impl Fn(&str, usize, usize) -> usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let from = at + 3;
        let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let start = text[..at].trim_end_matches(scheme).len();
        let word = &text[from..];
        let word = &word[..end(text, start, from)];
        // A parameter may hold an `@` too; a password that is not encoded may
        // hold a `?`. The longer one is taken.
        let Some(end) = word.rfind('@') else { continue };
        let Some(colon) = word[..end].find(':') else { continue };
        if colon + 1 < end {
            found.push(from + colon + 1..from + end);
        }
    }
    found
}

/// What stands behind `password=`, `pw:` or `Authorization: Bearer` and the like.
fn values_of_names(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, _) in lower.match_indices(['=', ':']) {
        if !is_name(lower[..at].trim_end_matches([' ', '\t'])) {
            continue;
        }
        // Prose: "the password: see the vault" holds none, and loses a word.
        let value = text[at + 1..].trim_start_matches([' ', '\t', '=', '>']);
        let value = behind_a_scheme(value);
        let (quote, value) = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => (Some(quote), &value[1..]),
            _ => (None, value),
        };
        let ends = |c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || matches!(c, '&' | '\'' | '"' | '`' | ',' | ';'),
        };
        let length = value.find(ends).unwrap_or(value.len());
        // A file's or a variable's name behind it is none.
        if length > 0 && !value.starts_with('$') {
            let start = text.len() - value.len();
            found.push(start..start + length);
        }
    }
    found
}

/// Whether a text, in lower case, ends with the name of a secret.
fn is_name(before: &str) -> bool {
    let name = before.trim_end_matches(['"', '\'']);
    let is_word = |word: &&str| {
        let rest = name.strip_suffix(*word);
        rest.is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()))
    };
    NAMES.iter().any(|known| name.ends_with(known)) || WORDS.iter().any(is_word)
}

/// What stands behind `Bearer`.
fn behind_a_scheme(value: &str) -> &str {
    let Some((scheme, rest)) = value.split_once(' ') else { return value };
    let is_scheme = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if is_scheme { rest.trim_start_matches(' ') } else { value }
}

/// A command as it can be typed again, with what looks like a secret masked.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    // An argument is one word, whatever it holds.
    let mask =
        |word: &String| without(word, passwords_of_urls(word, |text, _, from| text.len() - from));
    words.iter().map(|word| quoted(&mask(word))).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+*".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked_and_the_rest_stays() {
        for (text, shown) in [
            ("postgresql://me:s3cret@db/app", "postgresql://me:********@db/app"),
            ("p://me:a/b@c?d@db/app now", "p://me:********@db/app now"),
            (
                "at 'postgres://me:x@h/d?password=y&sslmode=require'",
                "at 'postgres://me:********@h/d?password=********&sslmode=require'",
            ),
            ("PGPASSWORD=hunter2 psql", "PGPASSWORD=******** psql"),
            ("AWS_SECRET_ACCESS_KEY='a b' aws", "AWS_SECRET_ACCESS_KEY='********' aws"),
            ("{\"password\": \"hunter2\"}", "{\"password\": \"********\"}"),
            ("host=h password=hunter2 user=me", "host=h password=******** user=me"),
            ("export TOKEN=\"$OTHER\"", "export TOKEN=\"$OTHER\""),
            (
                "postgres://me@db/app and https://a.b/c:d",
                "postgres://me@db/app and https://a.b/c:d",
            ),
            ("nothing: to see", "nothing: to see"),
            ("password = hunter2 and", "password = ******** and"),
            ("password => 'hunter 2'", "password => '********'"),
            ("pw: hunter2, pwd=x", "pw: ********, pwd=********"),
            ("DB_PW=hunter2", "DB_PW=********"),
            ("STRIPE_API_KEY=sk_1 api-key: k", "STRIPE_API_KEY=******** api-key: ********"),
            (
                "curl -H \"Authorization: Bearer abc.def\" x",
                "curl -H \"Authorization: Bearer ********\" x",
            ),
            ("Authorization: basic dTpw", "Authorization: basic ********"),
            ("it stopped: stuff, bypass: no", "it stopped: stuff, bypass: no"),
            ("AWS_ACCESS_KEY_ID=AKIA", "AWS_ACCESS_KEY_ID=AKIA"),
            ("to postgres://me:pa'ss\"w>d@h/d now", "to postgres://me:********@h/d now"),
            ("<postgres://me:x@h/d>, a@b", "<postgres://me:********@h/d>, a@b"),
            (
                "{\"url\":\"p://me:x@h/d\",\"to\":\"a@b\"}",
                "{\"url\":\"p://me:********@h/d\",\"to\":\"a@b\"}",
            ),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_command_can_be_typed_again() {
        let words = [
            "reliquary",
            "restore",
            "--to",
            "postgres://me:a b@h/d",
            "--table",
            "public.\"Church\"",
            "it's",
        ];
        let words = words.map(str::to_owned);
        assert_eq!(
            command_line(&words),
            "reliquary restore --to postgres://me:********@h/d --table 'public.\"Church\"' 'it'\\''s'"
        );
    }
}
