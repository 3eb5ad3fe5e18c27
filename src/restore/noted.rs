//! A statement, as the failure of it is told.
//!
//! What a server says of a name that nothing has may be of the statement or of a row
//! that it reads: `CREATE INDEX … ((name::regclass))` reads each name as a table's. So
//! such a name is said where no row is read, and where the statement has it itself.

use super::{kind::Kind, statement::Statement};
use crate::postgres::QUOTES;

/// The longest text that is kept to look for names in, in bytes.
const KEPT: usize = 8 * 1024;

/// What stands between two names that belong together.
const BETWEEN: &str = " does not exist for access method ";

/// A statement that may fail.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    /// What it is, and of which object.
    pub(super) at: String,
    /// The kind of what it defines, where it does.
    pub(super) defines: Option<Kind>,
    reads: Reads,
}

/// What a statement reads of rows.
#[derive(Clone, Debug)]
enum Reads {
    /// None, or those that are sent to it, of which a context tells.
    Nothing,
    /// Maybe those that are there; its names, where it is not too long.
    Stored(Vec<String>),
    /// It is made of rows: an INSERT, say.
    Itself,
}

impl From<&Statement> for Noted {
    fn from(statement: &Statement) -> Self {
        let defines = statement.defines();
        let reads = match statement.kind {
            Kind::Other if defines.is_none() => Reads::Itself,
            Kind::LargeObjectData => Reads::Itself,
            kind if may_read_rows(kind) => Reads::Stored(names(statement)),
            _ => Reads::Nothing,
        };
        Self { at: statement.to_string(), defines, reads }
    }
}

impl Noted {
    /// Statements of our own that read no row.
    pub(super) fn own(at: &str) -> Self {
        Self { at: at.to_owned(), defines: None, reads: Reads::Nothing }
    }

    /// A COPY.
    pub(super) fn copy(at: String) -> Self {
        Self { at, defines: None, reads: Reads::Nothing }
    }

    /// What a server said of it: `message`, or with more names `named`, where no row can
    /// have brought them.
    pub(super) fn said(&self, message: &str, named: Option<&str>) -> String {
        let named = named.filter(|named| match &self.reads {
            Reads::Nothing => true,
            Reads::Stored(known) => has(known, named),
            Reads::Itself => false,
        });
        named.unwrap_or(message).to_owned()
    }
}

/// What a statement names, as messages do: with and without its schema.
fn names(statement: &Statement) -> Vec<String> {
    if statement.text.len() > KEPT {
        return Vec::new();
    }
    let mentions = statement.mentions();
    let qualified = mentions.iter().map(|name| format!("{}.{}", name.schema, name.name));
    qualified.chain(statement.words()).collect()
}

/// Whether a message quotes one name, or two that belong together, and each is one of
/// these. A value may have quotation marks of its own.
fn has(names: &[String], message: &str) -> bool {
    let parts: Vec<&str> = message.split(QUOTES).collect();
    let is_known = |name: &str| names.iter().any(|known| known == name);
    match parts[..] {
        [_, name, _] => is_known(name),
        [_, one, BETWEEN, other, _] => is_known(one) && is_known(other),
        _ => false,
    }
}

/// Whether such a statement may read rows, of which code of the database then makes
/// something.
fn may_read_rows(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Index
            | Kind::Key
            | Kind::Constraint
            | Kind::ForeignKey
            | Kind::Refresh
            | Kind::MaterializedView
            | Kind::AlterTable
            | Kind::AttachTable
            | Kind::Default
            | Kind::Identity
            | Kind::Type
            | Kind::Statistics
            | Kind::Other
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn noted(sql: &'static str) -> Noted {
        Noted::from(&Statement::read(&Bytes::from_static(sql.as_bytes())))
    }

    #[test]
    fn a_name_is_said_where_no_row_can_have_brought_it() {
        let (index, hidden) =
            ("CREATE INDEX i ON public.\"Gift\" USING hnsw (a public.vector_l2_ops);", "hidden");
        for (noted, named, is_said) in [
            (noted(index), "access method \"hnsw\" does not exist", true),
            (noted(index), "relation \"public.Gift\" does not exist", true),
            (noted(index), "relation \"jane\" does not exist", false),
            (
                noted(index),
                "operator class \"public.vector_l2_ops\" does not exist for access method \"hnsw\"",
                true,
            ),
            (noted(index), "operator class \"hnsw\" of \"jane\" does not exist", false),
            (noted(index), "operator does not exist: jane", false),
            (noted(index), "role \"\"jane\"\" does not exist", false),
            (noted(index), "relation \"hnsw\" jane \"hnsw\" does not exist", false),
            (noted(index), "relation \"a\" does not exist", true),
            (noted(index), "relation \"Gif\" does not exist", false),
            (noted("INSERT INTO a.t VALUES ('x');"), "role \"x\" does not exist", false),
            (noted("CREATE TABLE a.t (x a.type);"), "type \"a.type\" does not exist", true),
            (noted("REFRESH MATERIALIZED VIEW a.m;"), "relation \"jane\" does not exist", false),
            (noted("ALTER TABLE a.t OWNER TO x;"), "role \"x\" does not exist", true),
            (noted("GRANT ALL ON a.t TO x;"), "role \"x\" does not exist", true),
            (noted("ALTER FUNCTION a.f() OWNER TO x;"), "role \"y\" does not exist", false),
            (noted("ALTER FUNCTION a.f() OWNER TO x;"), "role \"x\" does not exist", true),
            (Noted::own("a setting"), "role \"x\" does not exist", true),
            (Noted::copy("rows".into()), "column \"x\" does not exist", true),
        ] {
            let said = noted.said(hidden, Some(named));
            assert_eq!(said, if is_said { named } else { hidden }, "{noted:?}");
            assert_eq!(noted.said(hidden, None), hidden);
        }
    }

    #[test]
    fn names_of_a_long_statement_are_not_kept() {
        let named = "relation \"a.t\" does not exist";
        for (length, said) in [(10, named), (KEPT, "hidden")] {
            let sql = format!("CREATE INDEX i ON a.t USING btree (({}));", "x".repeat(length));
            let noted = Noted::from(&Statement::read(&Bytes::from(sql)));
            assert_eq!(noted.said("hidden", Some(named)), said);
        }
    }
}
