//! What others had of a table that is made: it went with the table, when somebody
//! dropped that with CASCADE.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    super::{
        kind::Kind,
        marks,
        plan::Contents,
        select::Chosen,
        statement::{Statement, name_of},
    },
    Planner,
    lacking::part,
};
use crate::{
    archive::TableName,
    postgres::{RelationFact, Section, TargetFacts},
};

impl Planner<'_> {
    /// Foreign keys of tables that are there are made again. Views, functions, and rules
    /// of other tables are said to be left out.
    pub(super) fn regain(&mut self, chosen: &Chosen) {
        if !self.options.wants(Section::PreData) || !self.options.wants(Section::PostData) {
            return;
        }
        let (contents, facts) = (self.contents, self.target.facts);
        let mut around = Around::of(contents, facts, chosen);
        let mut left_out = self.gone_along(&mut around, chosen);
        // A key that points at a partitioned table goes with each of its partitions.
        let (made, anew) =
            (with_wholes(contents, &chosen.made), with_wholes(contents, &self.plan.anew));
        // The table that lacks it, of those that are there, or loses it when what it points
        // at is dropped.
        let goes = |statement: &Statement| {
            let other = statement.other.as_ref().filter(|_| statement.kind == Kind::ForeignKey);
            self.options.clean && other.is_some_and(|other| anew.contains(other))
        };
        let lacks = |statement: &Statement| {
            let relation = statement.relation.as_ref().filter(|r| !chosen.made.contains(r))?;
            let found =
                *around.there.get(relation).filter(|_| !self.judge.is_managed(&relation.schema))?;
            (goes(statement) || !found.parts.contains(&part(statement)?)).then_some(found)
        };
        let mut regained = Vec::new();
        for statement in &contents.post_data {
            match (statement.kind, &statement.other) {
                (Kind::ForeignKey, Some(other)) if made.contains(other) => {
                    let Some(found) = lacks(statement) else { continue };
                    let no_rows =
                        chosen.without_rows.contains(other) || self.rowless.contains_key(other);
                    let reason = if no_rows {
                        format!("the rows of {} do not come", name_of(other))
                    } else if !found.owned {
                        format!("role {} does not own the table", facts.role)
                    } else {
                        regained.push(statement.clone());
                        continue;
                    };
                    left_out.push((statement.to_string(), format!("{reason}; make it by hand")));
                }
                (Kind::Policy | Kind::Rule, _) if lacks(statement).is_some() => {
                    if let Some(base) = around.stands_on(statement) {
                        let reason = format!(
                            "it reads {base}, which was not there, and the table has none of this \
                             name; make it by hand"
                        );
                        left_out.push((statement.to_string(), reason));
                    }
                }
                _ => {}
            }
        }
        // A table that is filled as well may lack it, and that was said already.
        let comes: HashSet<String> = regained.iter().map(ToString::to_string).collect();
        self.plan.left_out.retain(|(what, _)| !comes.contains(what));
        let said: HashSet<String> =
            self.plan.left_out.iter().map(|(what, _)| what.clone()).collect();
        left_out.retain(|(what, _)| !said.contains(what));
        self.plan.left_out.extend(left_out);
        let keys = regained.iter().filter_map(|statement| {
            Some((statement.relation.clone()?, statement.object.as_ref()?.name.clone()))
        });
        self.plan.keys = keys.collect();
        self.plan.regained = regained;
    }

    /// What stood on a table that is made, and went with it; in the order of the archive,
    /// in which what stands on something comes after it.
    fn gone_along(&self, around: &mut Around<'_>, chosen: &Chosen) -> Vec<(String, String)> {
        let mut left_out = Vec::new();
        for (at, statement) in self.contents.pre_data.iter().enumerate() {
            // A table names another only to inherit from it.
            let stands = matches!(
                statement.kind,
                Kind::Table | Kind::View | Kind::MaterializedView | Kind::Routine
            );
            let Some(object) = statement.object.as_ref().filter(|_| stands) else { continue };
            if chosen.pre_data.contains(&at)
                || around.is_there(object)
                || self.judge.is_managed(&object.schema)
            {
                continue;
            }
            if let Some(base) = around.stands_on(statement) {
                around.gone.insert(object.clone());
                let table = name_of(object);
                let reason = format!(
                    "it stands on {base}, which was not there, and is not there either; add \
                     --table {table}"
                );
                left_out.push((statement.to_string(), reason));
            }
        }
        left_out
    }
}

/// What is in the target around what is made.
struct Around<'a> {
    chosen: &'a Chosen,
    /// The target's relations.
    there: HashMap<TableName, &'a RelationFact>,
    /// Its functions and types.
    others: HashSet<(&'a String, &'a String)>,
    /// The archive's relations.
    relations: HashSet<&'a TableName>,
    /// What went with others.
    gone: HashSet<TableName>,
}

impl<'a> Around<'a> {
    fn of(contents: &'a Contents, facts: &'a TargetFacts, chosen: &'a Chosen) -> Self {
        let own = |r: &RelationFact| TableName { schema: r.schema.clone(), name: r.name.clone() };
        let relations = contents.pre_data.iter().filter(|made| marks::noun(made.kind).is_some());
        Self {
            chosen,
            there: facts.relations.iter().map(|relation| (own(relation), relation)).collect(),
            others: facts.others.iter().map(|(schema, name)| (schema, name)).collect(),
            relations: relations.filter_map(|made| made.object.as_ref()).collect(),
            gone: HashSet::new(),
        }
    }

    fn is_there(&self, name: &TableName) -> bool {
        self.there.contains_key(name) || self.others.contains(&(&name.schema, &name.name))
    }

    /// What a statement stands on: a table that is made, or what went with one; where
    /// whatever else it names is there or went as well.
    fn stands_on(&self, statement: &Statement) -> Option<String> {
        let mentions = statement.mentions();
        let is_own = |name: &TableName| statement.object.as_ref() == Some(name);
        let is_base =
            |name: &TableName| self.chosen.made.contains(name) || self.gone.contains(name);
        let comes = |name: &TableName| {
            is_own(name) || !self.relations.contains(name) || self.is_there(name) || is_base(name)
        };
        let base = mentions.iter().find(|name| !is_own(name) && is_base(name))?;
        mentions.iter().all(comes).then(|| name_of(base))
    }
}

/// These tables, and those whose partitions they are.
fn with_wholes(contents: &Contents, tables: &BTreeSet<TableName>) -> BTreeSet<TableName> {
    let mut all = tables.clone();
    loop {
        let before = all.len();
        let attached = contents.pre_data.iter().filter(|s| s.kind == Kind::AttachTable);
        for (whole, part) in attached.filter_map(|s| s.other.as_ref().zip(s.relation.as_ref())) {
            if all.contains(part) {
                all.insert(whole.clone());
            }
        }
        if all.len() == before {
            return all;
        }
    }
}
