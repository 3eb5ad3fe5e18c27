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
const NAMES: [&str; 7] =
    ["password", "passwd", "pgpassword", "secret", "secret_access_key", "token", "secret_key"];

/// The text without what looks like a secret.
#[must_use]
pub fn masked(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '<' | '>');
    without(text, passwords_of_urls(text, ends))
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

/// Between `://user:` and the last `@` of the same word.
fn passwords_of_urls(text: &str, ends: impl Fn(char) -> bool + Copy) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let word = &text[start..];
        let word = &word[..word.find(ends).unwrap_or(word.len())];
        // A parameter may hold an `@` too; a password that is not encoded may
        // hold a `?`. The longer one is taken.
        let Some(end) = word.rfind('@') else { continue };
        let Some(colon) = word[..end].find(':') else { continue };
        if colon + 1 < end {
            found.push(start + colon + 1..start + end);
        }
    }
    found
}

/// What stands behind `password=` and the like.
fn values_of_names(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, sign) in lower.match_indices(['=', ':']) {
        let name = lower[..at].trim_end_matches(['"', '\'']);
        if !NAMES.iter().any(|known| name.ends_with(known)) {
            continue;
        }
        let rest = &text[at + 1..];
        // Prose: "the password: see the vault" holds none, and loses a word.
        let space = if sign == ":" { rest.len() - rest.trim_start_matches(' ').len() } else { 0 };
        let value = &rest[space..];
        let (open, value) = match value.strip_prefix(['\'', '"']) {
            Some(inner) => (1, inner),
            None => (0, value),
        };
        let quote = rest[space..].chars().next().filter(|_| open == 1);
        let ends = |c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || matches!(c, '&' | '\'' | '"' | '`' | ',' | ';'),
        };
        let length = value.find(ends).unwrap_or(value.len());
        // A file's or a variable's name behind it is none.
        if length > 0 && !value.starts_with('$') {
            let start = at + 1 + space + open;
            found.push(start..start + length);
        }
    }
    found
}

/// A command as it can be typed again, with what looks like a secret masked.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    // An argument is one word, whatever it holds.
    let mask = |word: &String| without(word, passwords_of_urls(word, |_| false));
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
