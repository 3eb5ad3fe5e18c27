//! What a restore will do, decided before anything is touched.
//!
//! Pure: from what the archive holds, what the target is, and what a person
//! asks for, to the steps, what is skipped and why, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    clean, fill_order, grants, guards,
    judge::{Class, Judge, Verdict, schema_of},
    kind::Kind,
    options::Options,
    order::waves,
    plan::{Contents, Expected, Fill, Hold, Plan, Rest, Skipped, Target, name},
    platform::Platform,
    select::{self, Chosen, NotThere, Question},
    statement::{Statement, name_of},
};
use crate::{
    archive::{TableName, manifest::Table},
    postgres::{Section, TargetFacts, quote},
};

/// Makes the plan.
///
/// # Errors
/// When a table or schema is asked for that the archive does not hold.
pub(super) fn plan(
    contents: &Contents,
    target: &Target<'_>,
    options: &Options,
) -> Result<Plan, NotThere> {
    let platform = Platform::detect(target.facts);
    let mut planner = Planner {
        contents,
        target,
        options,
        judge: Judge::new(target.facts, &platform, options),
        plan: Plan::default(),
        managed: BTreeMap::new(),
    };
    planner.make(&platform)?;
    let mut plan = planner.plan;
    let made = plan.pre_data.iter().chain(&plan.post_data.ordered);
    plan.grants = grants::grants(&platform, made);
    if !plan.grants.is_empty() {
        plan.warnings.push(grants::WARNING.to_owned());
    }
    plan.platform = platform;
    Ok(plan)
}

struct Planner<'a> {
    contents: &'a Contents,
    target: &'a Target<'a>,
    options: &'a Options,
    judge: Judge<'a>,
    plan: Plan,
    /// Definitions of managed schemas that the platform keeps.
    managed: BTreeMap<String, usize>,
}

impl Planner<'_> {
    fn make(&mut self, platform: &Platform) -> Result<(), NotThere> {
        let options = self.options;
        let chosen = self.choose()?;
        if options.wants(Section::PreData) {
            self.pre_data(chosen.as_ref());
        }
        if options.wants(Section::Data) {
            self.data(chosen.as_ref(), platform);
        }
        if options.wants(Section::PostData) {
            self.post_data(chosen.as_ref());
        }
        if !self.plan.drops.is_empty() {
            // What hangs on the platform's tables goes with our functions, and
            // is tried to be made again.
            let tried = self.plan.attempts.iter().filter_map(|(s, _)| s.relation.clone());
            self.plan.may_go.extend(tried);
            let attempts = self.plan.attempts.iter().map(|(statement, _)| statement);
            let after: Vec<&Statement> =
                self.plan.post_data.ordered.iter().chain(attempts).collect();
            let views = after
                .iter()
                .filter(|s| matches!(s.kind, Kind::View | Kind::MaterializedView))
                .filter_map(|s| s.object.clone());
            self.plan.may_go.extend(views);
            self.plan.rejoins = after
                .iter()
                .filter(|s| s.kind == Kind::PublicationMember)
                .filter_map(|s| Some((s.object.as_ref()?.name.clone(), s.relation.clone()?)))
                .collect();
        }
        for (schema, count) in std::mem::take(&mut self.managed) {
            self.plan.skipped.push(Skipped {
                what: format!("{count} definitions of schema {schema}"),
                reason: "the platform keeps its own".to_owned(),
                class: Class::PlatformDifference,
            });
        }
        if let Some(chosen) = chosen {
            for table in &chosen.without_rows {
                self.plan.warnings.push(format!(
                    "{} is made without rows, because what was asked for stands on it",
                    name_of(table)
                ));
            }
            self.plan.left_out = chosen.left_out;
        }
        self.roles();
        self.measure();
        guards::judge(&mut self.plan, self.contents, self.target, options, platform);
        Ok(())
    }

    fn choose(&self) -> Result<Option<Chosen>, NotThere> {
        if !self.options.is_partial() {
            return Ok(None);
        }
        let facts = self.target.facts;
        let relations = facts
            .relations
            .iter()
            .map(|r| TableName { schema: r.schema.clone(), name: r.name.clone() });
        let others = facts
            .others
            .iter()
            .map(|(schema, name)| TableName { schema: schema.clone(), name: name.clone() });
        let question = Question {
            manifest: &self.contents.manifest,
            pre_data: &self.contents.pre_data,
            post_data: &self.contents.post_data,
            there: &relations.chain(others).collect(),
            schemas: &facts.schemas.iter().map(|schema| schema.name.clone()).collect(),
        };
        select::choose(&question, self.options).map(Some)
    }

    /// What becomes of a statement; where it is not run as it stands, that is noted.
    fn takes(&mut self, statement: &Statement) -> bool {
        match self.judge.judge(statement) {
            Verdict::Keep => return true,
            Verdict::Present => {}
            Verdict::Try(class) => self.plan.attempts.push((statement.clone(), class)),
            Verdict::Managed(schema) => *self.managed.entry(schema).or_default() += 1,
            Verdict::Skip(class, reason) => {
                self.plan.skipped.push(Skipped { what: statement.to_string(), reason, class });
            }
        }
        false
    }

    fn pre_data(&mut self, chosen: Option<&Chosen>) {
        let contents = self.contents;
        for (at, statement) in contents.pre_data.iter().enumerate() {
            if chosen.is_none_or(|chosen| chosen.pre_data.contains(&at)) && self.takes(statement) {
                self.plan.pre_data.push(statement.clone());
            }
        }
        if self.options.clean && chosen.is_none() {
            let after = contents.post_data.iter().filter(|statement| {
                matches!(
                    statement.kind,
                    Kind::EventTrigger | Kind::Publication | Kind::Subscription
                )
            });
            let managed = &self.managed;
            let ours: Vec<&Statement> = self
                .plan
                .pre_data
                .iter()
                .chain(after)
                .filter(|s| schema_of(s).is_none_or(|schema| !managed.contains_key(schema)))
                .collect();
            self.plan.may_go = ours
                .iter()
                .flat_map(|statement| [&statement.object, &statement.relation, &statement.other])
                .flatten()
                .cloned()
                .collect();
            let facts = self.target.facts;
            let drops = clean::drops(ours.into_iter());
            // What the role could not make is not its own to drop either.
            let foreign: Vec<String> = facts
                .publications
                .iter()
                .filter(|(_, owned)| !owned)
                .map(|(name, _)| format!("DROP PUBLICATION IF EXISTS {} CASCADE", quote(name)))
                .collect();
            let allowed = |drop: &String| {
                let only_superuser = ["DROP EVENT TRIGGER ", "DROP SUBSCRIPTION "];
                (facts.superuser || !only_superuser.iter().any(|start| drop.starts_with(start)))
                    && !foreign.contains(drop)
            };
            self.plan.drops = drops.into_iter().filter(allowed).collect();
        }
    }

    fn data(&mut self, chosen: Option<&Chosen>, platform: &Platform) {
        let contents = self.contents;
        let facts = self.target.facts;
        let made: HashSet<&TableName> = contents
            .pre_data
            .iter()
            .filter(|statement| statement.kind == Kind::Table)
            .filter_map(|statement| statement.object.as_ref())
            .collect();
        let mut fill = Vec::new();
        for (at, table) in contents.manifest.tables.iter().enumerate() {
            let name = name(table);
            let managed = platform.managed.contains(&table.schema);
            let exists = match chosen {
                None if managed => true,
                None => !self.options.wants(Section::PreData),
                Some(chosen) if chosen.filled.contains(&name) => true,
                Some(chosen) if chosen.made.contains(&name) => {
                    if chosen.without_rows.contains(&name) {
                        continue;
                    }
                    false
                }
                Some(_) => continue,
            };
            let at_least = !made.contains(&name);
            if !exists {
                self.plan.load.push(at);
                self.plan.proof.push(Expected { table: name, rows: table.rows, at_least });
                continue;
            }
            if managed && Platform::keeps(&table.name) {
                self.skip(table, "the platform notes its own changes there", false);
                continue;
            }
            let found =
                facts.relations.iter().find(|r| r.schema == table.schema && r.name == table.name);
            let Some(found) = found else {
                self.cannot(table, managed, "the target has no such table");
                continue;
            };
            let lacks: Vec<&str> = table
                .columns
                .iter()
                .filter(|column| !found.columns.contains(column))
                .map(String::as_str)
                .collect();
            if !lacks.is_empty() {
                let reason = format!("the target's table has no column {}", lacks.join(", "));
                self.cannot(table, managed, &reason);
                continue;
            }
            if !found.inserts {
                self.cannot(table, managed, "the role may not insert into it");
                continue;
            }
            if managed && table.rows == 0 && !self.options.clean {
                continue;
            }
            let hold = match (facts.holds_triggers, found.owned) {
                (true, _) if managed => Hold::Replica,
                (_, true) => Hold::Disable,
                (true, false) => Hold::Replica,
                (false, false) => Hold::No,
            };
            if hold == Hold::No && found.triggered {
                self.plan.warnings.push(format!(
                    "the triggers of {} fire: the role may not hold them off",
                    name_of(&name)
                ));
            }
            fill.push((Fill { table: at, empty_first: self.options.clean, hold }, found.triggered));
            self.plan.proof.push(Expected { table: name, rows: table.rows, at_least: false });
        }
        // Bare tables, as `--section pre-data` makes them, are loaded like new ones.
        let bare = chosen.is_none()
            && !self.options.wants(Section::PreData)
            && !self.options.clean
            && fill.iter().all(|(_, triggered)| !triggered);
        if bare {
            self.plan.load.extend(fill.into_iter().map(|(fill, _)| fill.table));
        } else {
            let tables = &contents.manifest.tables;
            let fill = fill.into_iter().map(|(fill, _)| fill).collect();
            self.plan.fill = fill_order::order(fill, |fill| name(&tables[fill.table]), facts);
        }
        self.plan.load.sort_by_key(|&at| std::cmp::Reverse(contents.manifest.tables[at].bytes));
        self.plan.rest = match chosen {
            None => Rest::All { managed: platform.managed.clone() },
            Some(chosen) => Rest::Sequences(sequences(chosen, facts)),
        };
        self.analyze();
    }

    /// Rows that cannot be put where they belong.
    fn cannot(&mut self, table: &Table, managed: bool, reason: &str) {
        if managed {
            self.skip(table, reason, table.rows > 0);
        } else {
            let name = name_of(&name(table));
            self.plan.refusals.push(format!("rows of {name} cannot be restored: {reason}"));
        }
    }

    fn skip(&mut self, table: &Table, reason: &str, lost: bool) {
        self.plan.skipped.push(Skipped {
            what: format!("{} rows of {}", table.rows, name_of(&name(table))),
            reason: reason.to_owned(),
            class: if lost { Class::DataLoss } else { Class::PlatformDifference },
        });
    }

    fn post_data(&mut self, chosen: Option<&Chosen>) {
        let contents = self.contents;
        let mut kept = Vec::new();
        for (at, statement) in contents.post_data.iter().enumerate() {
            if chosen.is_none_or(|chosen| chosen.post_data.contains(&at)) && self.takes(statement) {
                kept.push(statement.clone());
            }
        }
        self.plan.post_data = waves(kept);
    }

    /// Roles that are named and that the target lacks.
    fn roles(&mut self) {
        let facts = self.target.facts;
        if !(self.options.create_roles && facts.creates_roles) {
            return;
        }
        let ordered = &self.plan.post_data.ordered;
        let statements = self.plan.pre_data.iter().chain(ordered);
        let statements =
            statements.chain(self.plan.attempts.iter().map(|(statement, _)| statement));
        let named: BTreeSet<&String> = statements.flat_map(|statement| &statement.roles).collect();
        self.plan.roles =
            named.into_iter().filter(|role| !facts.roles.contains(role)).cloned().collect();
    }

    /// Partitions are analysed with their table, and the largest come first.
    fn analyze(&mut self) {
        let contents = self.contents;
        let parents: HashMap<&TableName, &TableName> = contents
            .pre_data
            .iter()
            .filter(|statement| statement.kind == Kind::AttachTable)
            .filter_map(|statement| Some((statement.relation.as_ref()?, statement.other.as_ref()?)))
            .collect();
        let partial = self.options.is_partial();
        let mut sizes: BTreeMap<TableName, u64> = BTreeMap::new();
        let fill = self.plan.fill.iter().map(|fill| fill.table);
        for at in self.plan.load.iter().copied().chain(fill) {
            let table = &contents.manifest.tables[at];
            let own = name(table);
            let mut top = &own;
            while let Some(parent) = parents.get(top).filter(|_| !partial) {
                top = parent;
            }
            *sizes.entry(top.clone()).or_default() += table.bytes;
        }
        let mut tables: Vec<(TableName, u64)> = sizes.into_iter().collect();
        tables.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        self.plan.analyze = tables.into_iter().map(|(table, _)| table).collect();
    }

    /// What is read of the archive.
    fn measure(&mut self) {
        let manifest = &self.contents.manifest;
        let sections = &manifest.sections;
        let fill = self.plan.fill.iter().map(|fill| fill.table);
        let tables: Vec<usize> = self.plan.load.iter().copied().chain(fill).collect();
        self.plan.rows = tables.iter().map(|&at| manifest.tables[at].rows).sum();
        let rows = tables.iter().flat_map(|&at| &manifest.tables[at].members);
        let rest = match self.plan.rest {
            Rest::Nothing => &[][..],
            Rest::All { .. } | Rest::Sequences(_) => &sections.data[..],
        };
        let members = sections.pre_data.iter().chain(&sections.post_data).chain(rest).chain(rows);
        (self.plan.members, self.plan.bytes) =
            members.fold((0, 0), |(count, bytes), member| (count + 1, bytes + member.length));
    }
}

/// Sequences whose value belongs to what is restored.
fn sequences(chosen: &Chosen, facts: &TargetFacts) -> BTreeSet<TableName> {
    let filled = facts.relations.iter().filter(|relation| {
        let name = TableName { schema: relation.schema.clone(), name: relation.name.clone() };
        chosen.filled.contains(&name)
    });
    let of_filled =
        filled.flat_map(|relation| &relation.sequences).filter_map(|s| super::tokens::qualified(s));
    chosen.sequences.iter().cloned().chain(of_filled).collect()
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
