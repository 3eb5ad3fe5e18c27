//! What a part makes says of itself that it is not whole, until it is.
//!
//! A process that is killed says nothing, and a table that it leaves is like any other
//! that has no keys and no indexes: it would be filled, and stay bare. So every relation
//! that a part makes has a comment that says so, from the very transaction that makes
//! it; when everything else is done, it gets the archive's comment, or none.

use std::collections::BTreeMap;

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
    /// What takes that away again.
    last: Vec<Statement>,
}

/// What SQL calls a relation of this kind.
pub(super) fn noun(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Table => Some("TABLE"),
        Kind::ForeignTable => Some("FOREIGN TABLE"),
        Kind::View => Some("VIEW"),
        Kind::MaterializedView => Some("MATERIALIZED VIEW"),
        Kind::Sequence => Some("SEQUENCE"),
        _ => None,
    }
}

impl Marks {
    /// Marks every relation that `pre_data` makes; comments on them are taken out of
    /// both, to come last.
    pub(super) fn take(pre_data: &mut Vec<Statement>, post_data: &mut Vec<Statement>) -> Self {
        let made: BTreeMap<TableName, String> = pre_data
            .iter()
            .filter_map(|made| Some((noun(made.kind)?, made.object.as_ref()?)))
            .map(|(noun, name)| (name.clone(), format!("{noun} {}", name_of(name))))
            .collect();
        // A column's comment has another object than its table.
        let is_theirs = |statement: &mut Statement| {
            statement.kind == Kind::Comment
                && statement.object == statement.relation
                && statement.relation.as_ref().is_some_and(|name| made.contains_key(name))
        };
        let mut last: Vec<Statement> = pre_data.extract_if(.., is_theirs).collect();
        last.extend(post_data.extract_if(.., is_theirs));
        let bare = |name: &&TableName| !last.iter().any(|said| said.object.as_ref() == Some(name));
        let none: Vec<Statement> = made
            .keys()
            .filter(bare)
            .map(|name| {
                Statement::read(&Bytes::from(format!("COMMENT ON {} IS NULL;", made[name])))
            })
            .collect();
        last.extend(none);
        let put = made
            .into_iter()
            .map(|(name, what)| (name, format!("COMMENT ON {what} IS '{UNFINISHED}';")))
            .collect();
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
            "COMMENT ON TABLE a.other IS 'stays';",
        ]
        .map(read)
        .to_vec();
        let mut post_data = vec![read("COMMENT ON INDEX a.i IS 'stays';")];
        let made = pre_data.clone();
        let marks = Marks::take(&mut pre_data, &mut post_data);
        assert_eq!(
            said(marks.last()),
            ["COMMENT ON TABLE a.\"T t\" IS 'mine';", "COMMENT ON VIEW a.v IS NULL;"]
        );
        assert_eq!((marks.comments(), pre_data.len(), post_data.len()), (1, 5, 1));
        let mark = format!("COMMENT ON TABLE a.\"T t\" IS '{UNFINISHED}';");
        assert_eq!(marks.of(&made[1]), Some(mark.as_str()));
        assert!(marks.of(&made[4]).is_some_and(|mark| mark.starts_with("COMMENT ON VIEW a.v")));
        assert!([0, 2, 3, 5].iter().all(|&at| marks.of(&made[at]).is_none()));
    }
}
