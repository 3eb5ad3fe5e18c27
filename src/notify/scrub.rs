//! Takes out of a text what no channel may get: secrets, and rows of data.

use secrecy::{ExposeSecret, SecretString};

/// What stands in place of a secret.
const MASK: &str = "********";
/// Shorter texts are parts of other words.
const SHORTEST: usize = 4;
/// PostgreSQL puts values of rows and statements behind these words.
const BEFORE_ROWS: [&str; 4] = ["DETAIL:", "CONTEXT:", "STATEMENT:", "QUERY:"];
/// More of one line is no help, in characters.
const LONGEST_LINE: usize = 600;

/// Knows the process's secrets. The last guard, not the only one: what is told
/// was made without them.
#[derive(Debug)]
pub struct Scrub(Vec<SecretString>);

impl Scrub {
    /// One that knows these secrets.
    #[must_use]
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self(Vec::new()).and(secrets)
    }

    /// The same, with further ones.
    #[must_use]
    pub fn and(self, others: Vec<SecretString>) -> Self {
        let secrets = self.0.into_iter().chain(others);
        let long = |secret: &SecretString| secret.expose_secret().len() >= SHORTEST;
        let mut secrets: Vec<_> = secrets.filter(long).collect();
        // A secret may be a part of another one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Self(secrets)
    }

    /// The text without the secrets, and otherwise as it is.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mask = |text: String, secret: &SecretString| text.replace(secret.expose_secret(), MASK);
        self.0.iter().fold(text.to_owned(), mask)
    }

    /// The text without secrets and rows.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let text = self.mask(text);
        let lines = text.lines().map(|line| {
            let ends = BEFORE_ROWS.iter().filter_map(|word| line.find(word)).min();
            let line = ends.map_or(line, |end| line[..end].trim_end());
            line.chars().take(LONGEST_LINE).collect::<String>()
        });
        // `LINE 1: …` repeats a statement.
        let told = |line: &String| !line.is_empty() && !line.starts_with("LINE ");
        let lines: Vec<_> = lines.filter(told).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_secret_nor_a_row_gets_through() {
        let scrub = Scrub::new(vec!["hunter2".into(), "hunter2hunter2".into(), "x".into()]);
        assert_eq!(
            scrub.clean("with hunter2hunter2 and hunter2, x"),
            "with ******** and ********, x"
        );
        let error = "pg_dump: error: duplicate key\nDETAIL:  Key (email)=(a@b.c) exists.\n\
                     CONTEXT:  COPY people, line 3: \"7\tAnna\"\nand more";
        assert_eq!(scrub.clean(error), "pg_dump: error: duplicate key\nand more");
        let flat = "failed: duplicate key DETAIL: Key (email)=(a@b.c) exists.";
        assert_eq!(scrub.clean(flat), "failed: duplicate key");
        assert_eq!(scrub.clean(&"é".repeat(700)).chars().count(), LONGEST_LINE);
    }
}
