//! What others had of a table that is made: it went with the table, when somebody
//! dropped that with CASCADE.

use std::collections::{HashMap, HashSet};

use super::{
    super::{
        kind::Kind,
        marks,
        select::Chosen,
        statement::{Statement, name_of},
    },
    Planner,
    lacking::part,
};
use crate::{
    archive::TableName,
    postgres::{RelationFact, Section},
};

impl Planner<'_> {
    /// Foreign keys of tables that are there are made again. Views, functions, and rules
    /// of other tables are said to be left out.
    pub(super) fn regain(&mut self, chosen: &Chosen) {
        if !self.options.wants(Section::PreData) || !self.options.wants(Section::PostData) {
            return;
        }
        let (contents, facts) = (self.contents, self.target.facts);
        let own = |r: &RelationFact| TableName { schema: r.schema.clone(), name: r.name.clone() };
        let there: HashMap<TableName, &RelationFact> =
            facts.relations.iter().map(|relation| (own(relation), relation)).collect();
        let others: HashSet<(&String, &String)> =
            facts.others.iter().map(|(schema, name)| (schema, name)).collect();
        let is_there = |name: &TableName| {
            there.contains_key(name) || others.contains(&(&name.schema, &name.name))
        };
        let relations: HashSet<&TableName> = contents
            .pre_data
            .iter()
            .filter(|statement| marks::noun(statement.kind).is_some())
            .filter_map(|statement| statement.object.as_ref())
            .collect();
        // What a statement stands on: one table that is made, and whatever else it names.
        let stands_on = |statement: &Statement| {
            let mentions = statement.mentions();
            let comes = |name: &TableName| {
                !relations.contains(name)
                    || is_there(name)
                    || chosen.made.contains(name)
                    || statement.object.as_ref() == Some(name)
            };
            let base = mentions.iter().find(|name| chosen.made.contains(name))?;
            mentions.iter().all(comes).then(|| name_of(base))
        };
        // The table that lacks it, of those that are there, or loses it when what it points
        // at is dropped.
        let goes = |statement: &Statement| {
            let other = statement.other.as_ref().filter(|_| statement.kind == Kind::ForeignKey);
            self.options.clean && other.is_some_and(|other| self.plan.anew.contains(other))
        };
        let lacks = |statement: &Statement| {
            let relation = statement.relation.as_ref().filter(|r| !chosen.made.contains(r))?;
            let found =
                *there.get(relation).filter(|_| !self.judge.is_managed(&relation.schema))?;
            (goes(statement) || !found.parts.contains(&part(statement)?)).then_some(found)
        };
        let (mut regained, mut left_out) = (Vec::new(), Vec::new());
        for (at, statement) in contents.pre_data.iter().enumerate() {
            let stands =
                matches!(statement.kind, Kind::View | Kind::MaterializedView | Kind::Routine);
            let Some(object) = statement.object.as_ref().filter(|_| stands) else { continue };
            if chosen.pre_data.contains(&at)
                || is_there(object)
                || self.judge.is_managed(&object.schema)
            {
                continue;
            }
            if let Some(base) = stands_on(statement) {
                let table = name_of(object);
                let reason = format!(
                    "it stands on {base}, which was not there, and is not there either; add \
                     --table {table}"
                );
                left_out.push((statement.to_string(), reason));
            }
        }
        for statement in &contents.post_data {
            match (statement.kind, &statement.other) {
                (Kind::ForeignKey, Some(other)) if chosen.made.contains(other) => {
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
                    if let Some(base) = stands_on(statement) {
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
}
