//! In which order tables that have foreign keys are filled: first those that
//! others point at.

use std::collections::BTreeSet;

use crate::{archive::TableName, postgres::TargetFacts};

/// Sorts tables so that each comes after those it points at. Tables that point
/// at each other keep their order, and their keys are put off (see [`super::defer`]).
pub(super) fn order<T>(
    tables: Vec<T>,
    name: impl Fn(&T) -> TableName,
    facts: &TargetFacts,
) -> Vec<T> {
    let mut waiting: Vec<(TableName, T)> =
        tables.into_iter().map(|table| (name(&table), table)).collect();
    let points_at = |from: &TableName, to: &TableName| {
        let to = facts.relations.iter().find(|r| r.schema == to.schema && r.name == to.name);
        to.is_some_and(|to| {
            let by = to.referenced_by.iter().filter_map(|by| super::tokens::qualified(&by.table));
            from != &TableName { schema: to.schema.clone(), name: to.name.clone() }
                && by.into_iter().any(|name| name == *from)
        })
    };
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: BTreeSet<TableName> = waiting.iter().map(|(name, _)| name.clone()).collect();
        let next = waiting
            .iter()
            .position(|(from, _)| !names.iter().any(|to| points_at(from, to)))
            .unwrap_or(0);
        ordered.push(waiting.remove(next).1);
    }
    ordered
}
