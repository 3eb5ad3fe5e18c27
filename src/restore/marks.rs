//! What a part makes says of itself that it is not whole, until it is.
//!
//! A process that is killed says nothing, and a table that it leaves is like any other
//! that has no keys and no indexes: it would be filled, and stay bare. So every relation
//! that a part makes has a comment that says so, from the very transaction that makes
//! it; when everything else is done, it gets the archive's comment, or none.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::{
    kind::Kind,
    statement::{Statement, name_of},
};
use crate::{archive::TableName, postgres::UNFINISHED};

/// The comments of relations that are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// What says that a relation is not whole.
    put: BTreeMap<TableName, String>,
    /// What takes that away again. Whatever goes with a relation when that is dropped comes
    /// later than it, so that whoever is killed in between leaves nothing that is whole on
    /// what is not.
    last: Vec<Statement>,
}

/// What SQL calls a sequence.
const SEQUENCE: &str = "SEQUENCE";

/// What SQL calls a relation of this kind.
pub(super) fn noun(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Table => Some("TABLE"),
        Kind::ForeignTable => Some("FOREIGN TABLE"),
        Kind::View => Some("VIEW"),
        Kind::MaterializedView => Some("MATERIALIZED VIEW"),
        Kind::Sequence => Some(SEQUENCE),
        _ => None,
    }
}

/// Takes marks out of an archive: the source had them when it was backed up, and they
/// would say of what is whole that it is not. Returns the relations that had one, as SQL
/// writes them.
pub(super) fn wipe(statements: &mut Vec<Statement>) -> impl Iterator<Item = String> {
    let end = format!(" IS '{UNFINISHED}';");
    let is_mark = move |statement: &mut Statement| {
        is_of_relation(statement) && statement.text.trim_ascii_end().ends_with(end.as_bytes())
    };
    let taken: Vec<Statement> = statements.extract_if(.., is_mark).collect();
    taken.into_iter().filter_map(|statement| statement.relation.as_ref().map(name_of))
}

/// Whether a statement is a relation's comment; a column's has another object than its
/// table.
fn is_of_relation(statement: &Statement) -> bool {
    statement.kind == Kind::Comment && statement.object == statement.relation
}

impl Marks {
    /// Marks every relation that `pre_data` makes; comments on them are taken out of
    /// both, to come last.
    pub(super) fn take(pre_data: &mut Vec<Statement>, post_data: &mut Vec<Statement>) -> Self {
        let made: Vec<(TableName, &str)> = pre_data
            .iter()
            .filter_map(|made| Some((made.object.clone()?, noun(made.kind)?)))
            .collect();
        let mut put: BTreeMap<TableName, String> = made
            .iter()
            .map(|(name, noun)| (name.clone(), format!("COMMENT ON {noun} {}", name_of(name))))
            .collect();
        let is_theirs = |statement: &mut Statement| {
            is_of_relation(statement)
                && statement.relation.as_ref().is_some_and(|name| put.contains_key(name))
        };
        let mut said: Vec<Statement> = pre_data.extract_if(.., is_theirs).collect();
        said.extend(post_data.extract_if(.., is_theirs));
        let mut said: HashMap<TableName, Statement> =
            said.into_iter().filter_map(|s| Some((s.object.clone()?, s))).collect();
        // What goes with a relation when that is dropped is made after it; but the default
        // that a sequence gives is of a table that is made before.
        let (first, then): (Vec<_>, Vec<_>) =
            made.into_iter().partition(|(_, noun)| *noun == SEQUENCE);
        let last = first
            .into_iter()
            .chain(then)
            .map(|(name, _)| {
                let none = || Bytes::from(format!("{} IS NULL;", put[&name]));
                said.remove(&name).unwrap_or_else(|| Statement::read(&none()))
            })
            .collect();
        for comment in put.values_mut() {
            *comment += &format!(" IS '{UNFINISHED}';");
        }
        Self { put, last }
    }

    /// Whether anything is marked.
    pub(super) fn is_empty(&self) -> bool {
        self.put.is_empty()
    }

    /// What marks the relation that a statement makes.
    pub(super) fn of(&self, statement: &Statement) -> Option<&str> {
        noun(statement.kind)?;
        self.put.get(statement.object.as_ref()?).map(String::as_str)
    }

    /// What takes the marks away, when all else is done.
    pub(super) fn last(&self) -> &[Statement] {
        &self.last
    }

    /// How many of these are comments of the archive.
    #[must_use]
    pub fn comments(&self) -> usize {
        self.last.iter().filter(|statement| !statement.text.ends_with(b" IS NULL;")).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(statements: &[Statement]) -> Vec<String> {
        statements.iter().map(|s| String::from_utf8_lossy(&s.text).into_owned()).collect()
    }

    #[test]
    fn what_is_made_is_marked_and_its_own_comment_comes_last() {
        let read = |sql: &'static str| Statement::read(&Bytes::from_static(sql.as_bytes()));
        let mut pre_data = [
            "CREATE TYPE a.t AS ENUM ('x');",
            "CREATE TABLE a.\"T t\" (x int);",
            "COMMENT ON TABLE a.\"T t\" IS 'mine';",
            "COMMENT ON COLUMN a.\"T t\".x IS 'stays';",
            "CREATE VIEW a.v AS SELECT 1;",
            "CREATE SEQUENCE a.s;",
            "COMMENT ON TABLE a.other IS 'stays';",
        ]
        .map(read)
        .to_vec();
        let mut post_data = vec![read("COMMENT ON INDEX a.i IS 'stays';")];
        let made = pre_data.clone();
        let marks = Marks::take(&mut pre_data, &mut post_data);
        assert_eq!(
            said(marks.last()),
            [
                "COMMENT ON SEQUENCE a.s IS NULL;",
                "COMMENT ON TABLE a.\"T t\" IS 'mine';",
                "COMMENT ON VIEW a.v IS NULL;"
            ]
        );
        assert_eq!((marks.comments(), pre_data.len(), post_data.len()), (1, 6, 1));
        let mark = format!("COMMENT ON TABLE a.\"T t\" IS '{UNFINISHED}';");
        assert_eq!(marks.of(&made[1]), Some(mark.as_str()));
        assert!(marks.of(&made[4]).is_some_and(|mark| mark.starts_with("COMMENT ON VIEW a.v")));
        assert!([0, 2, 3, 6].iter().all(|&at| marks.of(&made[at]).is_none()));
    }

    /// The source had it when it was backed up.
    #[test]
    fn a_mark_is_nobody_s_comment() {
        let mark = format!("COMMENT ON TABLE a.t IS '{UNFINISHED}';");
        let column = format!("COMMENT ON COLUMN a.t.c IS '{UNFINISHED}';");
        let mut statements = [&mark[..], &column, "COMMENT ON VIEW a.v IS 'mine';"]
            .map(|sql| Statement::read(&Bytes::copy_from_slice(sql.as_bytes())))
            .to_vec();
        assert_eq!(wipe(&mut statements).collect::<Vec<_>>(), ["a.t"]);
        assert_eq!(said(&statements), [&column[..], "COMMENT ON VIEW a.v IS 'mine';"]);
    }
}
