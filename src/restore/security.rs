//! Row-level security comes before the rows: a platform may open every table to
//! everybody as it is made, and a restore may stop before its end. It holds off
//! nobody who loads, who owns what was made; what forces it upon the owner comes
//! when everything else is there.

use std::collections::BTreeSet;

use super::{kind::Kind, statement::Statement};
use crate::archive::TableName;

/// Statements that do not stand where the archive has them.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// What enables it for tables that are made: before their rows.
    pub(super) enabling: Vec<Statement>,
    /// What forces it upon the owners of these: at the end.
    pub(super) forcing: Vec<Statement>,
}

/// Takes what enables row-level security for the tables that `pre_data` makes out
/// of `post_data`, and what forces it upon their owners out of `pre_data`.
pub(super) fn close_early(pre_data: &mut Vec<Statement>, post_data: &mut Vec<Statement>) -> Closed {
    let made: BTreeSet<TableName> = pre_data
        .iter()
        .filter(|statement| statement.kind == Kind::Table)
        .filter_map(|statement| statement.object.clone())
        .collect();
    let enables = |statement: &mut Statement| {
        statement.enables_row_security()
            && statement.relation.as_ref().is_some_and(|relation| made.contains(relation))
    };
    let enabling: Vec<Statement> = post_data.extract_if(.., enables).collect();
    let tables: BTreeSet<&TableName> =
        enabling.iter().filter_map(|statement| statement.relation.as_ref()).collect();
    let forces = |statement: &mut Statement| {
        statement.kind == Kind::RowSecurity
            && statement.relation.as_ref().is_some_and(|relation| tables.contains(relation))
    };
    let forcing = pre_data.extract_if(.., forces).collect();
    Closed { enabling, forcing }
}
