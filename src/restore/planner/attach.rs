//! Partitions of tables that are there.

use std::collections::HashSet;

use super::{
    super::{kind::Kind, statement::Statement},
    Planner,
};
use crate::archive::TableName;

impl Planner<'_> {
    /// A partition of a table that is there is attached once it has its own indexes and
    /// keys, which the table's then take for theirs; before, it would get others.
    pub(super) fn attach_late(&mut self) {
        let plan = &mut self.plan;
        let made: HashSet<TableName> = plan
            .pre_data
            .iter()
            .filter(|statement| statement.kind == Kind::Table)
            .filter_map(|statement| statement.object.clone())
            .collect();
        let is_late = |statement: &mut Statement| {
            statement.kind == Kind::AttachTable
                && statement.other.as_ref().is_some_and(|whole| !made.contains(whole))
        };
        // After those of indexes: one that lacks parts is not taken.
        let late: Vec<Statement> = plan.pre_data.extract_if(.., is_late).collect();
        plan.post_data.attach.extend(late);
    }
}
