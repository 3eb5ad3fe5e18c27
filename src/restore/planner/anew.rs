//! What an earlier part made and left unfinished is not there: it is made anew. See
//! [`marks`](super::super::marks).

use std::collections::{BTreeSet, HashSet};

use super::{
    super::{
        clean,
        kind::Kind,
        marks::{self, Marks},
        select::Chosen,
        statement::name_of,
    },
    Planner,
};
use crate::{
    archive::TableName,
    postgres::{RelationFact, Section},
};

impl Planner<'_> {
    /// Whether what is made is marked until it is whole: who asks for single sections
    /// sees to that himself.
    fn marks(&self) -> bool {
        let all = [Section::PreData, Section::Data, Section::PostData];
        self.options.is_partial() && all.into_iter().all(|section| self.options.wants(section))
    }

    /// Relations of the archive that say that they are not whole, and the views and
    /// functions that would go with them.
    pub(super) fn unfinished(&self) -> BTreeSet<TableName> {
        let own = |r: &RelationFact| TableName { schema: r.schema.clone(), name: r.name.clone() };
        let marked = self.target.facts.relations.iter().filter(|relation| relation.unfinished);
        let marked: BTreeSet<TableName> = marked.map(own).collect();
        if marked.is_empty() || !self.marks() {
            return BTreeSet::new();
        }
        let pre_data = &self.contents.pre_data;
        let mut found: BTreeSet<TableName> = pre_data
            .iter()
            .filter(|statement| marks::noun(statement.kind).is_some())
            .filter_map(|statement| statement.object.clone())
            .filter(|name| marked.contains(name))
            .collect();
        loop {
            let before = found.len();
            for statement in pre_data {
                let goes_along =
                    matches!(statement.kind, Kind::View | Kind::MaterializedView | Kind::Routine);
                if let Some(object) = statement.object.as_ref().filter(|_| goes_along)
                    && !found.contains(object)
                    && statement.mentions().iter().any(|name| found.contains(name))
                {
                    found.insert(object.clone());
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// Drops what is not whole, of what is made.
    pub(super) fn make_anew(&mut self) {
        if self.unfinished.is_empty() {
            return;
        }
        let facts = self.target.facts;
        let relations = facts.relations.iter().map(|r| (&r.schema, &r.name));
        let others = facts.others.iter().map(|(schema, name)| (schema, name));
        let there: HashSet<(&String, &String)> = relations.chain(others).collect();
        let goes = |name: &TableName| {
            self.unfinished.contains(name) && there.contains(&(&name.schema, &name.name))
        };
        let gone = || {
            self.plan.pre_data.iter().filter(|statement| {
                let kind = statement.kind;
                (marks::noun(kind).is_some() || kind == Kind::Routine)
                    && statement.object.as_ref().is_some_and(goes)
            })
        };
        let names: BTreeSet<TableName> = gone().filter_map(|s| s.object.clone()).collect();
        let drops = clean::drops(gone());
        if self.options.clean {
            self.plan.may_go.extend(names.iter().cloned());
            self.plan.drops = drops;
        }
        self.plan.anew = names;
    }

    /// What is dropped comes back with its rows, or is not dropped.
    pub(super) fn lose_nothing(&mut self, chosen: &Chosen) {
        let has_rows = |table: &&TableName| {
            let mut relations = self.target.facts.relations.iter();
            let found = relations.find(|r| r.schema == table.schema && r.name == table.name);
            self.target.occupied.contains(*table) || found.is_some_and(|r| r.hides || !r.selects)
        };
        let emptied = chosen.without_rows.intersection(&self.plan.anew).filter(has_rows);
        let emptied: Vec<String> = emptied.map(name_of).collect();
        if !emptied.is_empty() {
            self.plan.refusals.push(format!(
                "{} would be dropped, since not whole, and made without rows, since only what \
                 stands on it was asked for: add --table {}",
                emptied.join(", "),
                emptied.join(" --table ")
            ));
        }
    }

    /// Marks what is made.
    pub(super) fn mark(&mut self) {
        if self.marks() {
            let plan = &mut self.plan;
            plan.marks = Marks::take(&mut plan.pre_data, &mut plan.post_data.ordered);
        }
    }
}
