//! Everything before a restore touches anything: reads the archive's
//! definitions, asks the target, and makes the plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    error::RestoreError,
    identity::{self, Asked},
    members::Archive,
    options::Options,
    plan::{self, Contents, Plan, name},
    planner, script,
    statement::name_of,
};
use crate::{
    archive::{Manifest, TableName, map::Map},
    postgres::{Client, ConnectionUrl, Psql, Target, TargetFacts, clients},
    store::Store,
};

/// How long connecting may take.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// What is restored, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the archive is.
    pub store: Arc<dyn Store>,
    /// The backup.
    pub manifest: Manifest,
    /// Where it goes.
    pub target: ConnectionUrl,
    /// The source, where the settings name it: it is never a target.
    pub source: Option<ConnectionUrl>,
    /// Where PostgreSQL's client programs may be, searched first.
    pub client_dirs: Vec<PathBuf>,
    /// How much, and how.
    pub options: Options,
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
}

/// Reads an archive's definitions.
///
/// # Errors
/// When the manifest contradicts itself, or a member is damaged.
pub(super) async fn contents(
    store: &Arc<dyn Store>,
    manifest: &Manifest,
) -> Result<(Archive, Contents), RestoreError> {
    Map::of(manifest)?;
    let archive = Archive { store: Arc::clone(store), key: manifest.archive.key.clone() };
    let sections = &manifest.sections;
    let pre_data = script::cut(&archive.text(&sections.pre_data).await?)?;
    let post_data = script::cut(&archive.text(&sections.post_data).await?)?;
    let contents = Contents { manifest: manifest.clone(), pre_data, post_data };
    Ok((archive, contents))
}

/// Prepares a restore.
///
/// # Errors
/// When the archive or the target cannot be read. What stands in the way of the
/// restore itself is in [`Plan::refusals`].
pub async fn prepare(request: Request) -> Result<Prepared, RestoreError> {
    // Its sessions are known by their name, so that none is left behind.
    let application = format!("reliquary restore {:08x}", rand::random::<u32>());
    let url = request.target.with_application(&application);
    let (archive, contents) = contents(&request.store, &request.manifest).await?;
    let mut control = Target::open(&url, CONNECT_WITHIN).await?;
    let facts = control.facts().await?;
    let psql = clients::find_psql(&request.client_dirs, facts.server.major).await;
    let occupied = occupied(&contents.manifest, &facts, &mut control).await?;
    let answer = identity::ask(request.source.as_ref(), &mut control).await;
    let asked = Asked {
        answer,
        same_address: request.source.as_ref().is_some_and(|source| {
            source.address() == url.address() && source.database() == facts.database
        }),
    };
    let target = plan::Target { facts: &facts, occupied: &occupied, asked };
    let mut plan = planner::plan(&contents, &target, &request.options)?;
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
    Ok(Prepared { archive, contents, facts, plan, options, url, psql, control })
}

/// Which of the archive's tables are there and hold rows.
async fn occupied(
    manifest: &Manifest,
    facts: &TargetFacts,
    control: &mut Target,
) -> Result<BTreeSet<TableName>, RestoreError> {
    let there: BTreeMap<(&str, &str), &str> = facts
        .relations
        .iter()
        // Whether there are rows that are hidden cannot be asked, and where it
        // matters the plan refuses the table.
        .filter(|relation| relation.inserts && relation.selects && !relation.hides)
        .map(|relation| {
            // What an extension put into its own table is not in the way.
            let clause = relation.config.as_deref().unwrap_or_default();
            ((relation.schema.as_str(), relation.name.as_str()), clause)
        })
        .collect();
    let tables = manifest.tables.iter().filter_map(|table| {
        let clause = there.get(&(table.schema.as_str(), table.name.as_str()))?;
        Some((name(table), (*clause).to_owned()))
    });
    let tables: Vec<(TableName, String)> = tables.collect();
    let asked: Vec<(String, String)> =
        tables.iter().map(|(table, clause)| (name_of(table), clause.clone())).collect();
    let occupied: BTreeSet<String> = control.occupied(&asked).await?.into_iter().collect();
    let tables = tables.into_iter().map(|(table, _)| table);
    Ok(tables.filter(|table| occupied.contains(&name_of(table))).collect())
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

    /// Lets the target go; nothing was touched.
    pub async fn close(self) {
        self.control.close().await;
    }

    pub(super) fn psql(&self) -> Result<Psql, RestoreError> {
        let refused = || RestoreError::Refused(self.plan.refusals.clone());
        let client = self.psql.clone().ok_or_else(refused)?;
        Ok(Psql { client, url: self.url.clone() })
    }
}
