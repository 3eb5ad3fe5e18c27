//! A statement, as the failure of it is told.
//!
//! What a server says of a name that nothing has may be of the statement or of a row
//! that it reads: `CREATE INDEX … ((name::regclass))` reads each name as a table's. So
//! such a name is said where no row is read, and where the statement has it itself.

use super::{kind::Kind, statement::Statement};
use crate::postgres::QUOTES;

/// The longest text that is kept to look for names in, in bytes.
const KEPT: usize = 1024;

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
    Nothing,
    /// Those that are sent to it, after it has begun.
    Sent,
    /// Maybe those that are there; its text without quotation marks, where it is kept.
    Stored(Option<Box<str>>),
}

impl From<&Statement> for Noted {
    fn from(statement: &Statement) -> Self {
        let text = || {
            let text = std::str::from_utf8(&statement.text).ok()?;
            (text.len() <= KEPT).then(|| text.replace('"', "").into())
        };
        let reads =
            if may_read_rows(statement.kind) { Reads::Stored(text()) } else { Reads::Nothing };
        Self { at: statement.to_string(), defines: statement.defines(), reads }
    }
}

impl Noted {
    /// Statements of our own that read no row.
    pub(super) fn own(at: &str) -> Self {
        Self { at: at.to_owned(), defines: None, reads: Reads::Nothing }
    }

    /// A COPY.
    pub(super) fn copy(at: String) -> Self {
        Self { at, defines: None, reads: Reads::Sent }
    }

    /// What a server said of it: `message`, or with more names `named`, where no row can
    /// have brought them. `of_code` says whether code of the database met with it.
    pub(super) fn said(&self, message: &str, named: Option<&str>, of_code: bool) -> String {
        let named = named.filter(|named| {
            !of_code
                && match &self.reads {
                    Reads::Nothing | Reads::Sent => true,
                    Reads::Stored(text) => text.as_deref().is_some_and(|text| has(text, named)),
                }
        });
        named.unwrap_or(message).to_owned()
    }
}

/// Whether a text has every name that a message quotes, and it quotes one.
fn has(text: &str, message: &str) -> bool {
    let mut names = message.split(QUOTES).skip(1).step_by(2).peekable();
    names.peek().is_some() && names.all(|name| text.contains(name))
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
            | Kind::Table
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
            (noted("REFRESH MATERIALIZED VIEW a.m;"), "relation \"jane\" does not exist", false),
            (noted("ALTER TABLE a.t OWNER TO x;"), "role \"x\" does not exist", true),
            (noted("GRANT ALL ON a.t TO x;"), "role \"x\" does not exist", true),
            (noted("ALTER FUNCTION a.f() OWNER TO x;"), "role \"y\" does not exist", false),
            (noted("ALTER FUNCTION a.f() OWNER TO x;"), "role \"x\" does not exist", true),
            (Noted::own("a setting"), "role \"x\" does not exist", true),
            (Noted::copy("rows".into()), "column \"x\" does not exist", true),
        ] {
            let said = noted.said(hidden, Some(named), false);
            assert_eq!(said, if is_said { named } else { hidden }, "{noted:?}");
            assert_eq!(noted.said(hidden, Some(named), true), hidden, "met by code");
            assert_eq!(noted.said(hidden, None, false), hidden);
        }
    }

    #[test]
    fn a_long_statement_that_may_read_rows_is_not_kept() {
        let long = format!("CREATE INDEX i ON a.t USING btree (({}));", "x".repeat(KEPT));
        let noted = Noted::from(&Statement::read(&Bytes::from(long)));
        assert_eq!(noted.said("hidden", Some("relation \"a.t\" does not exist"), false), "hidden");
    }
}
