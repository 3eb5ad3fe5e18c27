//! What a part makes that has no rows in it, since nobody asked for them.

use std::collections::HashSet;

use super::{
    super::{kind::Kind, select::Chosen, statement::name_of},
    Planner,
};
use crate::archive::TableName;

impl Planner<'_> {
    /// Tables without their rows, and what shows none of them either.
    pub(super) fn warn_of_empty(&mut self, chosen: &Chosen) {
        for table in &chosen.without_rows {
            let (name, views) = (name_of(table), self.filled_from(table, chosen));
            let views = if views.is_empty() {
                String::new()
            } else {
                format!(", and none of its rows is in {}: add --table {name}", views.join(", "))
            };
            self.plan.warnings.push(format!(
                "{name} is made without rows, because what was asked for stands on it{views}"
            ));
        }
    }

    /// Materialized views that are made, and whose rows come from a table, by other views
    /// as well.
    fn filled_from(&self, table: &TableName, chosen: &Chosen) -> Vec<String> {
        let mut known = HashSet::from([table.clone()]);
        let mut filled = Vec::new();
        // A view stands after what it reads.
        for &at in &chosen.pre_data {
            let statement = &self.contents.pre_data[at];
            let is_view = matches!(statement.kind, Kind::View | Kind::MaterializedView);
            let Some(object) = statement.object.as_ref().filter(|_| is_view) else { continue };
            if statement.mentions().iter().any(|name| known.contains(name)) {
                known.insert(object.clone());
                if statement.kind == Kind::MaterializedView {
                    filled.push(name_of(object));
                }
            }
        }
        filled
    }
}
