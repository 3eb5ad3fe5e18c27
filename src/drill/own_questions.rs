//! Questions that need no settings, where the database is of a kind that we know.

use super::{ask::Question, expect::Expectation};
use crate::{archive::manifest::Table, postgres::quote};

/// Prisma's list of the migrations that it has made.
const PRISMA: &str = "_prisma_migrations";

/// How one of ours is turned off, where what it finds is right after all.
const TURN_IT_OFF: &str = "; where that is as it should be, a check of this name in \
     [[drill.checks]] with sql = 'SELECT' and expect = \"rows >= 0\" turns the question off; what \
     looks back to the last drill needs that for one drill that passes";

/// All questions for a database that holds these tables: what the settings ask under
/// the name of one of ours stands in its place.
#[must_use]
pub fn questions<'a>(
    tables: impl IntoIterator<Item = (&'a str, &'a str)>,
    asked: impl IntoIterator<Item = Question>,
) -> Vec<Question> {
    let mut asked: Vec<Question> = asked.into_iter().collect();
    let mut questions = own(tables);
    questions.retain(|own| !asked.iter().any(|asked| asked.name == own.name));
    questions.append(&mut asked);
    questions
}

fn own<'a>(tables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Question> {
    let mut questions = Vec::new();
    for (schema, name) in tables {
        if name != PRISMA {
            continue;
        }
        let table = format!("{}.{}", quote(schema), quote(name));
        for (what, sql, expect) in [
            (
                "no Prisma migration is unfinished or rolled back",
                // One that was rolled back stays there when it is applied after all.
                format!(
                    "SELECT migration_name FROM {table} AS m
                     WHERE rolled_back_at IS NULL AND finished_at IS NULL
                        OR rolled_back_at IS NOT NULL AND NOT EXISTS (
                           SELECT FROM {table} AS later
                           WHERE later.migration_name = m.migration_name
                             AND later.finished_at >= m.rolled_back_at
                             AND later.rolled_back_at IS NULL)"
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
                let (name, otherwise) = (format!("{schema}: {what}"), TURN_IT_OFF);
                questions.push(Question { name, sql, expect, otherwise });
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
        assert_eq!(questions([("public", "Church")], []), []);
        let questions = questions([("public", "Church"), ("public", "_prisma_migrations")], []);
        assert_eq!(questions.len(), 2);
        assert!(
            questions.iter().all(|question| question.sql.contains("public._prisma_migrations"))
        );
        for question in questions {
            let says = "a check of this name in [[drill.checks]] with sql = 'SELECT'";
            assert!(question.otherwise.contains(says), "who has fewer on purpose can go on");
        }
    }

    #[test]
    fn what_the_settings_ask_by_the_name_of_ours_stands_in_its_place() {
        let name = "public: no Prisma migration is unfinished or rolled back";
        let ask = |name: &str| Question {
            name: name.to_owned(),
            sql: "select 1".to_owned(),
            expect: "= 1".parse().unwrap(),
            otherwise: "",
        };
        let asked = questions([("public", "_prisma_migrations")], [ask(name), ask("another")]);
        let of = |name: &str| {
            let sql = asked.iter().filter(|asked| asked.name == name).map(|asked| &asked.sql);
            sql.cloned().collect::<Vec<_>>()
        };
        assert_eq!(of(name), ["select 1"]);
        assert_eq!(of("another"), ["select 1"]);
        assert_eq!(asked.len(), 3, "the other one of ours is still asked");
    }
}
