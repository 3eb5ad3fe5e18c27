//! What a restore will do, decided before anything is touched.
//!
//! Pure: from what the archive holds, what the target is, and what a person
//! asks for, to the steps, what is skipped and why, and what stands in the way.

mod anew;
mod attach;
mod empty;
mod keys;
mod lacking;
mod others;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    clean, grants, guards,
    judge::{Class, Judge, Verdict, schema_of},
    kind::Kind,
    options::Options,
    order::waves,
    plan::{Contents, Plan, Skipped, Target},
    platform::Platform,
    security,
    select::{self, Chosen, NotThere, Question},
    statement::{Statement, name_of},
    subject::Subject,
};
use crate::{
    archive::TableName,
    figures::counted,
    postgres::{Section, quote},
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
        fates: HashMap::new(),
        rowless: BTreeMap::new(),
        unfinished: BTreeSet::new(),
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
    managed: BTreeMap<String, u64>,
    /// What is skipped or only tried, and in which words.
    fates: HashMap<Subject, (Fate, String)>,
    /// Tables whose rows do not come although the archive holds some, and why:
    /// nothing may point at them.
    rowless: BTreeMap<TableName, String>,
    /// What the target has and that is not whole: it is made anew.
    unfinished: BTreeSet<TableName>,
}

/// What became of something that is not simply made.
#[derive(Clone, Copy)]
enum Fate {
    Skipped(Class),
    Tried(Class),
}

impl Planner<'_> {
    fn make(&mut self, platform: &Platform) -> Result<(), NotThere> {
        let options = self.options;
        if self.contents.damage.is_some() {
            self.plan.warnings.push(
                "the archive is taken for damaged: instead of its hash, each of its members is \
                 checked by itself"
                    .to_owned(),
            );
        }
        if !self.contents.unfinished.is_empty() {
            self.plan.warnings.push(format!(
                "a restore into the source was stopped before the backup was made, and {} may \
                 lack there what it lacks here",
                self.contents.unfinished.join(", ")
            ));
        }
        self.unfinished = self.unfinished();
        let chosen = self.choose()?;
        if options.wants(Section::PreData) {
            self.pre_data(chosen.as_ref());
            self.make_anew();
        }
        if options.wants(Section::Data) {
            self.data(chosen.as_ref(), platform);
        }
        if options.wants(Section::PostData) {
            self.post_data(chosen.as_ref());
            self.force_late(chosen.as_ref());
        }
        self.close_early(chosen.as_ref());
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
                what: format!("{} of schema {schema}", counted(count, "definition")),
                reason: "the platform keeps its own".to_owned(),
                class: Class::PlatformDifference,
            });
        }
        if let Some(chosen) = chosen {
            self.lose_nothing(&chosen);
            self.warn_of_empty(&chosen);
            self.plan.left_out.extend(chosen.left_out.iter().cloned());
            if options.wants(Section::PostData) {
                let mut own = chosen.filled.clone();
                own.retain(|table| !platform.managed.contains(&table.schema));
                let lacking = lacking::lacking(self.contents, &own, self.target.facts);
                self.plan.left_out.extend(lacking);
            }
            self.regain(&chosen);
        }
        if options.is_partial() {
            self.orphans();
        }
        self.mark();
        self.roles();
        self.measure();
        self.plan.rowless = self.rowless.keys().cloned().collect();
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
            there: &relations
                .chain(others)
                .filter(|name| !self.unfinished.contains(name))
                .collect(),
            unfinished: &self.unfinished,
            schemas: &facts.schemas.iter().map(|schema| schema.name.clone()).collect(),
            extensions: &facts.extensions,
        };
        select::choose(&question, self.options).map(Some)
    }

    /// What becomes of a statement; where it is not run as it stands, that is noted.
    fn takes(&mut self, statement: &Statement) -> bool {
        if let Some(reason) = self.cannot_point(statement) {
            let (what, class) = (statement.to_string(), Class::DataLoss);
            self.plan.skipped.push(Skipped { what, reason, class });
            return false;
        }
        let fate = match self.inherited(statement).unwrap_or_else(|| self.judge.judge(statement)) {
            Verdict::Keep => return true,
            Verdict::Present => None,
            Verdict::Try(class) => {
                self.plan.attempts.push((statement.clone(), class));
                Some(Fate::Tried(class))
            }
            Verdict::Managed(schema) => {
                *self.managed.entry(schema).or_default() += 1;
                None
            }
            Verdict::Skip(class, reason) => {
                // Its rows would have no home.
                if statement.kind == Kind::Table && self.is_own(statement) {
                    self.plan.refusals.push(format!("{statement} cannot be made: {reason}"));
                }
                self.plan.skipped.push(Skipped { what: statement.to_string(), reason, class });
                Some(Fate::Skipped(class))
            }
        };
        if let Some((fate, made)) = fate.zip(Subject::made_by(statement)) {
            self.fates.insert(made, (fate, statement.to_string()));
        }
        false
    }

    /// What is said of something that is skipped or tried, and what stands on a
    /// table that is skipped, goes the same way.
    fn inherited(&self, statement: &Statement) -> Option<Verdict> {
        let mut found = None;
        if !self.fates.is_empty() {
            let needed = Subject::needed_by(statement);
            found = needed.iter().find_map(|subject| self.fates.get(subject));
        }
        if found.is_none() && self.fates.keys().any(Subject::is_mentioned) {
            let mut mentioned = Subject::mentioned_by(statement);
            found = mentioned.find_map(|subject| self.fates.get(&subject));
        }
        let (fate, what) = found?;
        Some(match fate {
            Fate::Skipped(class) => {
                let class = if self.is_own(statement) { Class::DataLoss } else { *class };
                Verdict::Skip(class, format!("{what} is skipped"))
            }
            Fate::Tried(class) => Verdict::Try(*class),
        })
    }

    /// Whether a statement makes something of the application's own, which no
    /// platform has another of, rather than saying something of what is skipped.
    fn is_own(&self, statement: &Statement) -> bool {
        let says =
            matches!(statement.kind, Kind::Comment | Kind::Setting | Kind::PublicationMember);
        let managed = |schema: &str| self.judge.is_managed(schema);
        !says && schema_of(statement).is_some_and(|schema| !managed(schema))
    }

    fn pre_data(&mut self, chosen: Option<&Chosen>) {
        let contents = self.contents;
        for (at, statement) in contents.pre_data.iter().enumerate() {
            let guess = chosen.and_then(|chosen| chosen.guess(at, &contents.pre_data));
            if let Some(guess) = guess {
                if self.judge.judge(statement) == Verdict::Keep {
                    self.plan.pre_data.push(guess.tried());
                    self.plan.guesses.push(guess);
                }
                continue;
            }
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
            self.plan.drops.extend(rows::emptied(contents, facts));
        }
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
        if chosen.is_some() {
            self.attach_late();
        }
    }

    /// See [`security`]: wherever tables are made, with their rows or without.
    fn close_early(&mut self, chosen: Option<&Chosen>) {
        let options = self.options;
        if !options.wants(Section::PreData) {
            return;
        }
        let mut after = if options.wants(Section::PostData) {
            std::mem::take(&mut self.plan.post_data.ordered)
        } else {
            self.wanted(&self.contents.post_data, chosen.map(|chosen| &chosen.post_data))
        };
        let closed = security::close_early(&mut self.plan.pre_data, &mut after);
        self.plan.pre_data.extend(closed.enabling);
        if options.wants(Section::PostData) {
            after.extend(closed.forcing);
            self.plan.post_data.ordered = after;
        } else if !closed.forcing.is_empty() {
            let names: Vec<String> =
                closed.forcing.iter().filter_map(|s| s.relation.as_ref()).map(name_of).collect();
            self.plan.warnings.push(format!(
                "what forces row-level security upon the owner of {} comes with --section \
                 post-data",
                names.join(", ")
            ));
        }
    }

    /// What forces row-level security upon owners comes last, also where the
    /// tables were made by a run before.
    fn force_late(&mut self, chosen: Option<&Chosen>) {
        if self.options.wants(Section::PreData) {
            return;
        }
        let mut before = self.wanted(&self.contents.pre_data, chosen.map(|c| &c.pre_data));
        let closed = security::close_early(&mut before, &mut self.plan.post_data.ordered);
        self.plan.post_data.ordered.extend(closed.enabling);
        self.plan.post_data.ordered.extend(closed.forcing);
    }

    fn wanted(&self, all: &[Statement], chosen: Option<&BTreeSet<usize>>) -> Vec<Statement> {
        let all = all.iter().enumerate();
        let all = all.filter(|(at, _)| chosen.is_none_or(|chosen| chosen.contains(at)));
        let keep = |s: &&Statement| matches!(self.judge.judge(s), Verdict::Keep);
        all.map(|(_, statement)| statement).filter(keep).cloned().collect()
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
}

#[cfg(test)]
#[path = "planner_tests.rs"]
pub(super) mod tests;
