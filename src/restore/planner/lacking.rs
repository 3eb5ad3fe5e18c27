//! What hangs on a table in the archive, and does not in the target.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::{kind::Kind, plan::Contents, statement::Statement};
use crate::{archive::TableName, postgres::TargetFacts};

/// Keys, indexes, triggers and rules of row-level security that the target's
/// tables lack, with why they do not come: a table that is there is only filled.
pub(super) fn lacking(
    contents: &Contents,
    filled: &BTreeSet<TableName>,
    facts: &TargetFacts,
) -> Vec<(String, String)> {
    let parts: HashMap<TableName, HashSet<&str>> = facts
        .relations
        .iter()
        .map(|r| {
            let name = TableName { schema: r.schema.clone(), name: r.name.clone() };
            (name, r.parts.iter().map(String::as_str).collect())
        })
        .collect();
    let lacks = |statement: &&Statement| {
        let Some(relation) = statement.relation.as_ref().filter(|r| filled.contains(r)) else {
            return false;
        };
        part(statement)
            .zip(parts.get(relation))
            .is_some_and(|(part, found)| !found.contains(part.as_str()))
    };
    let reason = "the target's table has none of this name, and is only filled";
    // What forces row-level security upon owners is the only one that rows do not wait for.
    let forcing = contents.pre_data.iter().filter(|s| s.kind == Kind::RowSecurity);
    forcing
        .chain(&contents.post_data)
        .filter(lacks)
        .map(|s| (s.to_string(), reason.to_owned()))
        .collect()
}

/// What a statement puts on its table, in the words of the target's facts.
pub(super) fn part(statement: &Statement) -> Option<String> {
    let kind = match statement.kind {
        Kind::Index => "index",
        Kind::Key | Kind::ForeignKey | Kind::Constraint => "constraint",
        Kind::Trigger => "trigger",
        Kind::Policy => "policy",
        Kind::Rule => "rule",
        Kind::RowSecurity if statement.enables_row_security() => {
            return Some("row security".into());
        }
        Kind::RowSecurity => return Some("forced row security".into()),
        _ => return None,
    };
    Some(format!("{kind} {}", statement.object.as_ref()?.name))
}
