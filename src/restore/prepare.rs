//! Everything before a restore touches anything: reads the archive's
//! definitions, asks the target, and makes the plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use super::{
    damage::Damage,
    drop::{self, Rehearsed},
    error::RestoreError,
    identity::{self, Live},
    marks,
    members::{Archive, MemberError},
    options::Options,
    plan::{self, Contents, Plan, name},
    planner, script,
    statement::name_of,
    stored::Stored,
    tokens::qualified,
    turn, unmakeable,
};
use crate::{
    archive::{Manifest, TableName, manifest::Source, map::Map},
    postgres::{Client, ConnectionUrl, Psql, RelationFact, Section, Target, TargetFacts, clients},
};

/// How long connecting may take.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// What is restored, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// The backup.
    pub stored: Stored,
    /// Where it is known to be damaged, what [`examine`](super::examine) found.
    pub damage: Option<Damage>,
    /// Where it goes.
    pub target: ConnectionUrl,
    /// The source, where the settings name it: it is never a target.
    pub source: Live,
    /// Other databases that the settings name, by name: none is a target unasked.
    pub others: Vec<(String, ConnectionUrl)>,
    /// What the newest backup says of the source, where it is known.
    pub newest: Option<Source>,
    /// Where PostgreSQL's client programs may be, searched first.
    pub client_dirs: Vec<PathBuf>,
    /// How much, and how.
    pub options: Options,
    /// Whether it is carried out, so that no other restore may be in the target; who only
    /// wants to see the plan keeps nobody out.
    pub alone: bool,
}

/// A restore that is planned; nothing is touched yet.
#[derive(Debug)]
pub struct Prepared {
    pub(super) archive: Archive,
    pub(super) contents: Contents,
    pub(super) facts: TargetFacts,
    pub(super) plan: Plan,
    pub(super) options: Options,
    pub(super) url: ConnectionUrl,
    pub(super) psql: Option<Client>,
    pub(super) control: Target,
    /// See [`Stopped::wants_word`](super::Stopped::wants_word).
    pub(super) wants_word: bool,
    /// See [`Stopped::lacking`](super::Stopped::lacking).
    pub(super) lacking: Vec<String>,
}

/// Reads an archive's definitions. Of one that is known to be damaged those that
/// are not wanted need not be there.
///
/// # Errors
/// When the manifest contradicts itself, or a member is damaged.
pub(super) async fn contents(
    stored: &Stored,
    options: &Options,
    damage: Option<Damage>,
) -> Result<Contents, RestoreError> {
    let manifest = &stored.manifest;
    Map::of(manifest)?;
    let archive = stored.archive();
    let mut read = Vec::new();
    for (section, members) in [
        (Section::PreData, &manifest.sections.pre_data),
        (Section::PostData, &manifest.sections.post_data),
    ] {
        let text = match members.iter().find(|member| !stored.holds(member)) {
            Some(member) => Err(archive.cut_short(*member, &stored.cut_short())),
            None => archive.text(members).await,
        };
        read.push(match text {
            Ok(text) => script::cut(&text)?,
            Err(error) if damage.is_none() || matches!(error, MemberError::Store(_)) => {
                return Err(error.into());
            }
            Err(_) if !options.wants(section) => Vec::new(),
            Err(error) => return Err(RestoreError::Definitions { section, error }),
        });
    }
    let (mut post_data, mut pre_data) =
        (read.pop().unwrap_or_default(), read.pop().unwrap_or_default());
    let unfinished = marks::wipe(&mut pre_data).chain(marks::wipe(&mut post_data)).collect();
    Ok(Contents { manifest: manifest.clone(), pre_data, post_data, damage, unfinished })
}

/// Prepares a restore.
///
/// # Errors
/// When the archive or the target cannot be read, or another restore is in the target
/// that this one wants [alone](Request::alone). What stands in the way of the
/// restore itself is in [`Plan::refusals`].
pub async fn prepare(request: Request) -> Result<Prepared, RestoreError> {
    let url = request.target.with_application(&turn::application());
    let contents = contents(&request.stored, &request.options, request.damage).await?;
    let archive = request.stored.archive();
    let mut control = Target::open(&url, CONNECT_WITHIN).await?;
    // What is found must still be so when it is acted upon.
    let unsure = if request.alone { turn::take(&mut control).await? } else { None };
    let facts = control.facts().await?;
    let psql = clients::find_psql(&request.client_dirs, facts.server.major).await;
    let occupied = occupied(&contents.manifest, &facts, &mut control).await?;
    let chosen = contents.manifest.source.clone();
    let remembered = [chosen].into_iter().chain(request.newest).collect();
    let (source, others) = (&request.source, &request.others);
    let asked = identity::look(source, others, remembered, &url, &facts, &mut control).await;
    let wants_word = identity::wants_word(&facts, &asked, request.options.not_the_source);
    let target = plan::Target { facts: &facts, occupied: &occupied, asked };
    let mut plan = planner::plan(&contents, &target, &request.options)?;
    let lacking = unmakeable::lacks(&contents, &facts);
    let lacking = lacking.iter().map(ToString::to_string).collect();
    let wants = unmakeable::wants(&plan, &contents, &facts);
    if !wants.is_empty() {
        let names = wants.iter().map(|want| &want.name);
        let names: Vec<_> = names.map(|n| (n.schema.as_str(), n.name.as_str())).collect();
        let there = control.named(&names).await?.into_iter();
        let there = there.map(|(schema, name)| TableName { schema, name }).collect();
        plan.unmakeable = unmakeable::refusals(wants, &there, &request.options);
        plan.refusals.extend(plan.unmakeable.clone());
    }
    plan.warnings.extend(unsure);
    let psql = match psql {
        Ok(client) => {
            plan.warnings.extend(client.warning.clone());
            Some(client)
        }
        Err(error) => {
            plan.refusals.push(error.to_string());
            None
        }
    };
    let options = Options { jobs: request.options.jobs.max(1), ..request.options };
    Ok(Prepared {
        archive,
        contents,
        facts,
        plan,
        options,
        url,
        psql,
        control,
        wants_word,
        lacking,
    })
}

/// Which of the target's tables hold rows, of those of the archive and of those
/// whose foreign keys point at them.
async fn occupied(
    manifest: &Manifest,
    facts: &TargetFacts,
    control: &mut Target,
) -> Result<BTreeSet<TableName>, RestoreError> {
    let held: BTreeSet<TableName> = manifest.tables.iter().map(name).collect();
    let own = |r: &RelationFact| TableName { schema: r.schema.clone(), name: r.name.clone() };
    let pointing: BTreeSet<TableName> = facts
        .relations
        .iter()
        .filter(|relation| held.contains(&own(relation)))
        .flat_map(|relation| &relation.referenced_by)
        .filter_map(|by| qualified(&by.table))
        .collect();
    let (mut asked, mut occupied) = (BTreeMap::new(), BTreeSet::new());
    for relation in &facts.relations {
        let table = own(relation);
        // Whether there are rows that are hidden cannot be asked, and where rows
        // would come, the plan refuses the table.
        if relation.selects && !relation.hides {
            if held.contains(&table) || pointing.contains(&table) {
                // What an extension put into its own table is not in the way.
                asked.insert(table, relation.config.clone().unwrap_or_default());
            }
        } else if pointing.contains(&table) {
            occupied.insert(table);
        }
    }
    let questions: Vec<(String, String)> =
        asked.iter().map(|(table, clause)| (name_of(table), clause.clone())).collect();
    let found: BTreeSet<String> = control.occupied(&questions).await?.into_iter().collect();
    occupied.extend(asked.into_keys().filter(|table| found.contains(&name_of(table))));
    Ok(occupied)
}

impl Prepared {
    /// What it will do.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the archive holds.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What the target is.
    #[must_use]
    pub fn facts(&self) -> &TargetFacts {
        &self.facts
    }

    /// See [`Stopped::wants_word`](super::Stopped::wants_word).
    #[must_use]
    pub fn wants_word(&self) -> bool {
        self.wants_word
    }

    /// Adds to the plan's refusals what only dropping shows: what `--clean` drops is
    /// dropped, and taken back. Where the plan is refused anyway, nothing is tried.
    pub async fn rehearse(&mut self) {
        let plan = &mut self.plan;
        if plan.refusals.is_empty() && !plan.drops.is_empty() {
            let ours = drop::Ours::of(plan);
            match drop::rehearse(&plan.drops, ours, &mut self.control).await {
                Ok(Rehearsed::Whole) => {}
                Ok(Rehearsed::Late) => plan.warnings.push(drop::late()),
                Err(failure) => plan.refusals.push(self.url.mask(&failure.said())),
            }
        }
    }

    /// Lets the target go; nothing was touched.
    pub async fn close(self) {
        self.control.close().await;
    }

    pub(super) fn psql(&self) -> Result<Psql, RestoreError> {
        let refused = || RestoreError::Refused(self.plan.refusals.clone());
        let client = self.psql.clone().ok_or_else(refused)?;
        Ok(Psql { client, url: self.url.clone(), priority: self.options.priority })
    }
}
