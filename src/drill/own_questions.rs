//! Questions that need no settings, where the database is of a kind that we know.

use super::{ask::Question, expect::Expectation};
use crate::{archive::manifest::Table, postgres::quote};

/// Prisma's list of the migrations that it has made.
const PRISMA: &str = "_prisma_migrations";

/// Questions for a database that holds these tables.
#[must_use]
pub fn questions<'a>(tables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Question> {
    let mut questions = Vec::new();
    for (schema, name) in tables {
        if name != PRISMA {
            continue;
        }
        let table = format!("{}.{}", quote(schema), quote(name));
        for (what, sql, expect) in [
            (
                "no Prisma migration is unfinished or rolled back",
                format!(
                    "SELECT migration_name FROM {table}
                     WHERE finished_at IS NULL OR rolled_back_at IS NOT NULL"
                ),
                "no rows",
            ),
            (
                "no Prisma migration is gone since the last drill",
                format!("SELECT count(*) FROM {table}"),
                ">= last",
            ),
        ] {
            if let Ok(expect) = expect.parse::<Expectation>() {
                questions.push(Question { name: format!("{schema}: {what}"), sql, expect });
            }
        }
    }
    questions
}

impl Table {
    /// Schema and name.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        (&self.schema, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prisma_database_is_asked_about_its_migrations_and_others_are_not() {
        assert_eq!(questions([("public", "Church")]), []);
        let questions = questions([("public", "Church"), ("public", "_prisma_migrations")]);
        assert_eq!(questions.len(), 2);
        assert!(
            questions.iter().all(|question| question.sql.contains("public._prisma_migrations"))
        );
    }
}
