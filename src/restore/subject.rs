//! What a statement is said of, or stands on, so that what is skipped takes
//! along what is said of it: a comment, a membership, a setting.

use super::{
    kind::Kind,
    statement::Statement,
    tokens::{Cursor, tokens},
};
use crate::archive::TableName;

/// What tells an object from all others that could be skipped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    /// What it is; all relations are a [`Kind::Table`].
    kind: Kind,
    name: TableName,
    /// The table that it belongs to: two may have policies of one name.
    relation: Option<TableName>,
}

/// How comments name what they are about.
const COMMENTED: [(&str, Kind); 15] = [
    ("event trigger", Kind::EventTrigger),
    ("subscription", Kind::Subscription),
    ("access method", Kind::AccessMethod),
    ("foreign data wrapper", Kind::ForeignDataWrapper),
    ("procedural language", Kind::Language),
    ("language", Kind::Language),
    ("publication", Kind::Publication),
    ("extension", Kind::Extension),
    ("server", Kind::Server),
    ("policy", Kind::Policy),
    ("trigger", Kind::Trigger),
    ("foreign table", Kind::Table),
    ("table", Kind::Table),
    ("materialized view", Kind::Table),
    ("view", Kind::Table),
];

/// Kinds of what others mention by name; all relations are a [`Kind::Table`].
const MENTIONED: [Kind; 3] = [Kind::Table, Kind::Routine, Kind::Type];

fn is_relation(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView)
}

impl Subject {
    fn plain(kind: Kind, name: String) -> Self {
        Self { kind, name: TableName { schema: String::new(), name }, relation: None }
    }

    fn relation(name: &TableName) -> Self {
        Self { kind: Kind::Table, name: name.clone(), relation: None }
    }

    /// Tables, views, functions, types and the like that a statement mentions.
    pub(super) fn mentioned_by(statement: &Statement) -> impl Iterator<Item = Self> {
        statement.mentions().into_iter().flat_map(|name| {
            MENTIONED.map(|kind| Self { kind, name: name.clone(), relation: None })
        })
    }

    /// Whether it is something that others mention by its name: a table, a view,
    /// a function, a type.
    pub(super) fn is_mentioned(&self) -> bool {
        MENTIONED.contains(&self.kind)
    }

    /// What a statement makes.
    pub(super) fn made_by(statement: &Statement) -> Option<Self> {
        let object = statement.object.as_ref()?;
        if is_relation(statement.kind) {
            return Some(Self::relation(object));
        }
        let belongs = matches!(statement.kind, Kind::Policy | Kind::Trigger);
        let relation = statement.relation.clone().filter(|_| belongs);
        Some(Self { kind: statement.kind, name: object.clone(), relation })
    }

    /// What a statement needs to be there, of all that could be skipped.
    pub(super) fn needed_by(statement: &Statement) -> Vec<Self> {
        let mut needed = Vec::new();
        if let Some(relation) = statement.relation.as_ref().filter(|_| !is_relation(statement.kind))
        {
            needed.push(Self::relation(relation));
        }
        // A function's body may be long, and nothing of it matters here.
        let tokens = match statement.kind {
            Kind::Routine | Kind::Table | Kind::View => Vec::new(),
            _ => tokens(&statement.text),
        };
        let mut sql = Cursor::new(&tokens);
        let object = statement.object.as_ref();
        match statement.kind {
            Kind::Comment if sql.words("comment on") => {
                let kind = COMMENTED.iter().find(|(words, _)| sql.words(words));
                needed.extend(kind.zip(object).map(|((_, kind), object)| Self {
                    kind: *kind,
                    name: object.clone(),
                    relation: statement.relation.clone().filter(|_| !is_relation(*kind)),
                }));
            }
            Kind::PublicationMember => {
                needed.extend(object.map(|o| Self::plain(Kind::Publication, o.name.clone())));
            }
            Kind::AlterTable if sql.skip_to("trigger") => {
                needed.extend(object.map(|object| Self {
                    kind: Kind::Trigger,
                    name: object.clone(),
                    relation: statement.relation.clone(),
                }));
            }
            Kind::Server if sql.skip_to("foreign data wrapper") => {
                // That of an extension mostly has its name.
                if let Some(name) = sql.identifier() {
                    needed.push(Self::plain(Kind::Extension, name.clone()));
                    needed.push(Self::plain(Kind::ForeignDataWrapper, name));
                }
            }
            Kind::UserMapping => {
                needed.extend(object.map(|o| Self::plain(Kind::Server, o.name.clone())));
            }
            Kind::ForeignTable if sql.skip_to("server") => {
                needed.extend(sql.identifier().map(|name| Self::plain(Kind::Server, name)));
            }
            Kind::Setting if object.is_some_and(|o| o.name == "default_table_access_method") => {
                let last = statement.words().pop();
                needed.extend(last.map(|name| Self::plain(Kind::AccessMethod, name)));
            }
            _ => {}
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(sql: &'static str) -> Statement {
        Statement::read(&Bytes::from_static(sql.as_bytes()))
    }

    #[test]
    fn what_is_said_of_an_object_leads_to_it() {
        for (made, said) in [
            (
                "CREATE EVENT TRIGGER w ON ddl_command_end EXECUTE FUNCTION a.f();",
                "COMMENT ON EVENT TRIGGER w IS 'x';",
            ),
            ("CREATE PUBLICATION p WITH (publish = 'insert');", "COMMENT ON PUBLICATION p IS 'x';"),
            (
                "CREATE PUBLICATION \"P p\" WITH (publish = 'insert');",
                "ALTER PUBLICATION \"P p\" ADD TABLE ONLY a.t;",
            ),
            (
                "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p;",
                "COMMENT ON SUBSCRIPTION s IS 'x';",
            ),
            ("CREATE POLICY p ON a.t USING (true);", "COMMENT ON POLICY p ON a.t IS 'x';"),
            (
                "CREATE TRIGGER g AFTER INSERT ON a.t FOR EACH ROW EXECUTE FUNCTION a.f();",
                "COMMENT ON TRIGGER g ON a.t IS 'x';",
            ),
            (
                "CREATE TRIGGER g AFTER INSERT ON a.t FOR EACH ROW EXECUTE FUNCTION a.f();",
                "ALTER TABLE a.t ENABLE ALWAYS TRIGGER g;",
            ),
            ("CREATE ACCESS METHOD m TYPE TABLE HANDLER h;", "COMMENT ON ACCESS METHOD m IS 'x';"),
            (
                "CREATE ACCESS METHOD m TYPE TABLE HANDLER h;",
                "SET default_table_access_method = m;",
            ),
            ("CREATE PROCEDURAL LANGUAGE l;", "COMMENT ON LANGUAGE l IS 'x';"),
            ("CREATE FOREIGN DATA WRAPPER w;", "COMMENT ON FOREIGN DATA WRAPPER w IS 'x';"),
            (
                "CREATE FOREIGN DATA WRAPPER w;",
                "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (a 'b');",
            ),
            (
                "CREATE EXTENSION IF NOT EXISTS w WITH SCHEMA public;",
                "CREATE SERVER s FOREIGN DATA WRAPPER w;",
            ),
            (
                "CREATE EXTENSION IF NOT EXISTS w WITH SCHEMA public;",
                "COMMENT ON EXTENSION w IS 'x';",
            ),
            ("CREATE SERVER s FOREIGN DATA WRAPPER w;", "CREATE USER MAPPING FOR me SERVER s;"),
            ("CREATE SERVER s FOREIGN DATA WRAPPER w;", "COMMENT ON SERVER s IS 'x';"),
            (
                "CREATE SERVER s FOREIGN DATA WRAPPER w;",
                "CREATE FOREIGN TABLE a.f (x int) SERVER s OPTIONS (a 'b');",
            ),
            ("CREATE FOREIGN TABLE a.f (x int) SERVER s;", "COMMENT ON FOREIGN TABLE a.f IS 'x';"),
            ("CREATE FOREIGN TABLE a.f (x int) SERVER s;", "COMMENT ON COLUMN a.f.x IS 'x';"),
            (
                "CREATE FOREIGN TABLE a.f (x int) SERVER s;",
                "ALTER FOREIGN TABLE ONLY a.f ALTER COLUMN x SET DEFAULT 1;",
            ),
        ] {
            let made = Subject::made_by(&read(made)).unwrap();
            assert!(Subject::needed_by(&read(said)).contains(&made), "{said}: {made:?}");
        }
        // The same name on another table is something else.
        let made = Subject::made_by(&read("CREATE POLICY p ON a.t USING (true);")).unwrap();
        for said in ["COMMENT ON POLICY p ON a.u IS 'x';", "COMMENT ON TABLE a.p IS 'x';"] {
            assert!(!Subject::needed_by(&read(said)).contains(&made), "{said}");
        }
    }
}
