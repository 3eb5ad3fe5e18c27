//! Foreign keys that cannot hold, or that the role may not make: known before
//! anything is touched, since they would stop a restore at its very end.

use std::collections::BTreeSet;

use super::{
    super::{
        kind::Kind,
        plan::{Hold, name},
        statement::{Statement, name_of},
        tokens::qualified,
    },
    Planner,
};
use crate::{
    archive::TableName,
    postgres::{RelationFact, quote},
};

impl Planner<'_> {
    /// Why a foreign key of a table of our own cannot be made.
    pub(super) fn cannot_point(&self, statement: &Statement) -> Option<String> {
        let (Kind::ForeignKey, Some(own), Some(other)) =
            (statement.kind, &statement.relation, &statement.other)
        else {
            return None;
        };
        if self.judge.is_managed(&own.schema) {
            return None;
        }
        if let Some(lost) = self.rowless_below(other)
            && !self.rowless.contains_key(own)
        {
            return Some(format!("the rows of {} that it points at do not come", name_of(&lost)));
        }
        let found = self.relation(other);
        let managed = self.judge.is_managed(&other.schema);
        if found.is_none() && managed {
            return Some(format!("the target has no {}", name_of(other)));
        }
        let made = self.plan.pre_data.iter().any(|made| {
            made.kind == Kind::Table && made.object.as_ref() == Some(other) && !managed
        });
        if made || found?.references {
            return None;
        }
        let (role, other) = (quote(&self.target.facts.role), name_of(other));
        Some(format!(
            "role {role} may not let a foreign key point at {other} (to mend it: GRANT REFERENCES \
             ON {other} TO {role})"
        ))
    }

    /// A table whose rows do not come: this one, or a partition of it.
    fn rowless_below(&self, table: &TableName) -> Option<TableName> {
        if self.rowless.is_empty() {
            return None;
        }
        let attached: Vec<(&TableName, &TableName)> = self
            .contents
            .pre_data
            .iter()
            .filter(|statement| statement.kind == Kind::AttachTable)
            .filter_map(|statement| Some((statement.other.as_ref()?, statement.relation.as_ref()?)))
            .collect();
        // No archive of ours goes round in circles, and none shall hang us.
        let (mut open, mut seen) = (vec![table], BTreeSet::new());
        while let Some(table) = open.pop() {
            if self.rowless.contains_key(table) {
                return Some(table.clone());
            }
            if seen.insert(table) {
                let parts = attached.iter().filter(|(whole, _)| *whole == table);
                open.extend(parts.map(|(_, part)| *part));
            }
        }
        None
    }

    /// A table of the target that this one points at, and that neither has rows
    /// nor gets any.
    pub(super) fn rowless_parent(&self, table: &TableName) -> Option<TableName> {
        let own = |r: &RelationFact| TableName { schema: r.schema.clone(), name: r.name.clone() };
        let mut relations = self.target.facts.relations.iter().map(|r| (own(r), r));
        let found = relations.find(|(name, relation)| {
            self.rowless.contains_key(name)
                && !self.target.occupied.contains(name)
                && relation
                    .referenced_by
                    .iter()
                    .any(|by| qualified(&by.table).as_ref() == Some(table))
        });
        found.map(|(name, _)| name)
    }

    fn relation(&self, name: &TableName) -> Option<&RelationFact> {
        let mut relations = self.target.facts.relations.iter();
        relations.find(|r| r.schema == name.schema && r.name == name.name)
    }

    /// A part whose rows point at a table that is empty in the target, and does
    /// not come along.
    pub(super) fn orphans(&mut self) {
        let (contents, target) = (self.contents, self.target);
        let tables = &contents.manifest.tables;
        let fill = self.plan.fill.iter().map(|fill| fill.table);
        let comes: BTreeSet<TableName> = fill
            .chain(self.plan.load.iter().copied())
            .filter(|&at| tables[at].rows > 0)
            .map(|at| name(&tables[at]))
            .collect();
        let is_empty = |relation: &RelationFact| {
            let own = TableName { schema: relation.schema.clone(), name: relation.name.clone() };
            let known = relation.kind == 'r' && relation.selects && !relation.hides;
            known && !target.occupied.contains(&own) && !comes.contains(&own)
        };
        let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
        for parent in target.facts.relations.iter().filter(|relation| is_empty(relation)) {
            let parent_name =
                TableName { schema: parent.schema.clone(), name: parent.name.clone() };
            let parent_name = name_of(&parent_name);
            for key in &parent.referenced_by {
                let filled = self.plan.fill.iter().find(|fill| {
                    let own = name(&tables[fill.table]);
                    comes.contains(&own) && qualified(&key.table) == Some(own)
                });
                let Some(filled) = filled.filter(|filled| filled.hold != Hold::Replica) else {
                    continue;
                };
                let own = name_of(&name(&tables[filled.table]));
                if key.required {
                    refusals.push(format!(
                        "rows of {own} must point at rows of {parent_name} ({}), which is empty \
                         and does not come along; add --table {parent_name}",
                        key.constraint
                    ));
                } else {
                    warnings.push(format!(
                        "{parent_name} is empty, and rows of {own} may point at it ({}): then \
                         none of them comes; add --table {parent_name}",
                        key.constraint
                    ));
                }
            }
            let made = &self.plan.post_data;
            for statement in made.foreign_keys.iter().chain(&made.ordered) {
                let points = statement.kind == Kind::ForeignKey
                    && statement.other.as_ref().is_some_and(|other| name_of(other) == parent_name)
                    && statement.relation.as_ref().is_some_and(|own| comes.contains(own));
                if points {
                    warnings.push(format!(
                        "{statement} points at {parent_name}, which is empty: where rows do, it \
                         is made NOT VALID; add --table {parent_name}"
                    ));
                }
            }
        }
        self.plan.refusals.extend(refusals);
        self.plan.warnings.extend(warnings);
    }
}
