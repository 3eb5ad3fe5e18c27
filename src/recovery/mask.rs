//! Takes secrets out of what people write, and of the commands that they ran.
//!
//! What the settings hold is known and is taken out by whoever calls; this finds
//! what only looks like a secret: the password in a URL, the value after
//! `password=`, `PASSWORD '` or `--password`.

use std::ops::Range;

/// What stands in place of a secret.
const MASK: &str = "********";

/// What a secret's name ends with, in lower case; what stands behind it and an
/// equals sign or a colon is the secret.
const NAMES: [&str; 12] = [
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
    // Of a URL that is a secret as a whole.
    "signature",
];
/// The same, where these are all of a word of it.
const WORDS: [&str; 4] = ["pw", "pwd", "sig", "authorization"];
/// Words that stand before the secret of an `Authorization:`.
const SCHEMES: [&str; 3] = ["bearer", "basic", "token"];
/// Options that take a user with a password: `-u me:secret`.
const LOGINS: [&str; 3] = ["-u", "--user", "--proxy-user"];
/// What a text may stand in, so that it ends there and not at a space.
const QUOTES: [&str; 5] = ["$$", "\\'", "\\\"", "'", "\""];

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
    found.extend(values_of_options(text));
    found.sort_by_key(|range| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        // What begins inside another one may end behind it.
        if range.start >= at {
            out.push_str(&text[at..range.start]);
            out.push_str(MASK);
        }
        at = at.max(range.end);
    }
    out.push_str(&text[at..]);
    out
}

/// Between `://user:` and the last `@` of the same word; on the web, a user is a
/// token as often as not, and goes too. `end` says where a URL ends, by where it
/// begins and where its host does.
fn passwords_of_urls(text: &str, end: impl Fn(&str, usize, usize) -> usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let from = at + 3;
        let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let start = text[..at].trim_end_matches(scheme).len();
        let scheme = text[start..at].to_ascii_lowercase();
        let word = &text[from..];
        let word = &word[..end(text, start, from)];
        let authority = &word[..word.find(['/', '?', '#']).unwrap_or(word.len())];
        let user = authority.rfind('@').filter(|_| scheme.contains("http"));
        // A parameter may hold an `@` too; a password that is not encoded may
        // hold a `?`. The longer one is taken.
        let Some(end) = word.rfind('@') else { continue };
        let password = match (user, word[..end].find(':')) {
            (Some(user), Some(colon)) if colon < user => 0..end,
            (Some(user), _) => 0..user,
            (None, Some(colon)) => colon + 1..end,
            (None, None) => continue,
        };
        if !password.is_empty() {
            found.push(from + password.start..from + password.end);
        }
    }
    found
}

/// What stands behind `password=`, `pw:` or `Authorization: Bearer` and the like,
/// and what stands in quotes behind `PASSWORD`.
fn values_of_names(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, _) in lower.match_indices(['=', ':']) {
        if !is_name(lower[..at].trim_end_matches([' ', '\t'])) {
            continue;
        }
        // Prose: "the password: see the vault" holds none, and loses a word.
        let value = text[at + 1..].trim_start_matches([' ', '\t', '=', '>']);
        found.extend(value_at(text, text.len() - behind_a_scheme(value).len()));
    }
    for (at, space) in lower.match_indices(char::is_whitespace) {
        let from = at + space.len();
        let is_quoted = QUOTES.iter().any(|quote| text[from..].starts_with(quote));
        if is_quoted && is_name(lower[..at].trim_end()) {
            found.extend(value_at(text, from));
        }
    }
    found
}

/// What stands behind `--password`, and behind the colon of `-u me:secret`.
fn values_of_options(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, space) in lower.match_indices([' ', '\t', '=']) {
        let before = lower[..at].trim_end_matches([' ', '\t']);
        let begins = |c: char| c.is_whitespace() || "'\"`(".contains(c);
        let option = before.rsplit(begins).next().unwrap_or_default();
        let Some(value) = value_at(text, at + space.len()) else { continue };
        if LOGINS.contains(&option) {
            let colon = text[value.clone()].find(':').map(|colon| value.start + colon + 1);
            found.extend(colon.map(|colon| colon..value.end).filter(|range| !range.is_empty()));
        } else if option.starts_with("--")
            && !option.starts_with("--no-")
            && is_name(option)
            && !text[value.clone()].starts_with('-')
        {
            found.push(value);
        }
    }
    found
}

/// The value that begins somewhere: what its quotes hold, or all until the next
/// space, the next parameter of a URL, or the end of the quotes around it. A
/// password may hold any other character.
fn value_at(text: &str, start: usize) -> Option<Range<usize>> {
    let value = &text[start..];
    if let Some(quote) = QUOTES.iter().find(|quote| value.starts_with(**quote)) {
        let from = start + quote.len();
        let length = end_of_quoted(&text[from..], quote);
        let is_variable = *quote == "\"" && text[from..].starts_with('$');
        return (length > 0 && !is_variable).then(|| from..from + length);
    }
    let closes = open_quote(&text[..start]);
    let ends = |c: char| c.is_whitespace() || c == '&' || Some(c) == closes;
    let length = value.find(ends).unwrap_or(value.len());
    // A file's or a variable's name is none.
    (length > 0 && !value.starts_with('$')).then(|| start..start + length)
}

/// How long a quoted text is. SQL doubles a quote that does not end it.
fn end_of_quoted(text: &str, quote: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find(quote).map(|at| from + at) {
        let after = at + quote.len();
        if quote != "'" || !text[after..].starts_with(quote) {
            return at;
        }
        from = after + quote.len();
    }
    text.len()
}

/// The quote that is open at the end of a text, on its last line. An apostrophe
/// opens none.
fn open_quote(text: &str) -> Option<char> {
    let line = &text[text.rfind('\n').map_or(0, |at| at + 1)..];
    let (mut open, mut before) = (None, ' ');
    for c in line.chars() {
        if matches!(c, '\'' | '"' | '`') && before != '\\' {
            open = match open {
                Some(quote) if quote == c => None,
                None if !before.is_alphanumeric() => Some(c),
                _ => open,
            };
        }
        before = c;
    }
    open
}

/// Whether a text, in lower case, ends with the name of a secret.
fn is_name(before: &str) -> bool {
    let name = before.trim_end_matches(['"', '\'', '\\']);
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
            ("pw: hunter2, pwd=x", "pw: ******** pwd=********"),
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
    fn a_secret_behind_a_space_is_masked() {
        for (text, shown) in [
            ("ALTER ROLE app PASSWORD 'hunter2xyz';", "ALTER ROLE app PASSWORD '********';"),
            ("with encrypted password\n 'hun''ter2' x", "with encrypted password\n '********' x"),
            ("PASSWORD $$hunter2$$", "PASSWORD $$********$$"),
            ("mysql --password hunter3 now", "mysql --password ******** now"),
            ("x --api-key 'a b' y --token=z", "x --api-key '********' y --token=********"),
            ("curl -u bob:hunter4 h", "curl -u bob:******** h"),
            ("curl --user 'bob:hun ter4' h", "curl --user 'bob:********' h"),
            ("sh -c 'curl --user=bob:x h'", "sh -c 'curl --user=bob:******** h'"),
            ("pg_dump --no-password app -u me", "pg_dump --no-password app -u me"),
            ("psql --password -h db", "psql --password -h db"),
            ("the password was rotated, at 10:30", "the password was rotated, at 10:30"),
            ("so we don't -u: it's the user bob:x", "so we don't -u: it's the user bob:x"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_secret_that_is_not_a_password_s_is_masked() {
        for (text, shown) in [
            ("https://ghp_tok3n@github.com/a/b", "https://********@github.com/a/b"),
            ("git+https://ghp_tok3n:x@github.com", "git+https://********@github.com"),
            ("https://ghp_tok3n:@github.com/@me", "https://********@me"),
            ("https://a.b/@me and ssh://git@h/x", "https://a.b/@me and ssh://git@h/x"),
            ("https://b/k?X-Amz-Signature=0af&x=y", "https://b/k?X-Amz-Signature=********&x=y"),
            ("https://b/k?sv=1&sig=a%2Fb", "https://b/k?sv=1&sig=********"),
            ("https://me@h/?token=a@b&x=1 y", "https://********@h/?token=********&x=1 y"),
            ("p://h:1/?token=a@b&x=1 y", "p://h:********&x=1 y"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_value_ends_at_a_space_or_where_its_quotes_end() {
        for (text, shown) in [
            ("password=hun,ter6;x now", "password=******** now"),
            ("it's password=hun'ter\"6` now", "it's password=******** now"),
            ("psql \"host=h password=hunter2\", then", "psql \"host=h password=********\", then"),
            ("-d \"{\\\"password\\\": \\\"x\\\"}\"", "-d \"{\\\"password\\\": \\\"********\\\"}\""),
            ("password='hun''ter6'", "password='********'"),
            ("password='cut off", "password='********"),
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
