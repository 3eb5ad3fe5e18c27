//! The status document: everything a dashboard needs, from the live state and
//! the one evaluation of health. `/status` and `reliquary status` are this.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    health::{self, DatabaseHealth, Status},
    rfc3339,
    state::{
        AuditReport, BackupSize, CatalogTotals, ChannelState, DatabaseState, DrillHistory,
        ProgressReport, RunReport, Running, State, SweepReport,
    },
    words::{ChannelKind, JobKind},
};

/// What the document says of the settings beyond the live state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusInfo {
    /// Where backups go, as `s3://bucket` or `file:///dir`; never with credentials.
    pub store: String,
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusDocument {
    /// The worst status of the databases, as in `/healthz`.
    pub status: Status,
    /// The product's version.
    pub version: String,
    /// The time of this document.
    #[serde(with = "rfc3339")]
    pub now: DateTime<Utc>,
    /// When the process started.
    #[serde(with = "rfc3339")]
    pub started_at: DateTime<Utc>,
    /// How long it is up, in seconds.
    pub uptime_seconds: u64,
    /// Whether it is on its way out.
    pub stopping: bool,
    /// Where backups go.
    pub store: String,
    /// Each database, in the order of their names.
    pub databases: Vec<DatabaseStatus>,
    /// The channels that alerts go through.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<ChannelKind, ChannelState>,
}

/// What the document says of one database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// Its name in the settings.
    pub name: String,
    /// Where its backups stand in the store.
    pub prefix: String,
    /// Its cron line, in UTC.
    pub schedule: String,
    /// The verdict, as in `/healthz`.
    pub health: DatabaseHealth,
    /// When the last run began that was not skipped.
    #[serde(with = "rfc3339::option")]
    pub last_attempt: Option<DateTime<Utc>>,
    /// When the next scheduled run is due.
    #[serde(with = "rfc3339::option")]
    pub next_run: Option<DateTime<Utc>>,
    /// When the next scheduled verify is due.
    #[serde(default, with = "rfc3339::option")]
    pub next_verify: Option<DateTime<Utc>>,
    /// How the last verify of this process ended.
    #[serde(default)]
    pub last_verify: Option<RunReport>,
    /// When the next scheduled sweep is due.
    #[serde(default, with = "rfc3339::option")]
    pub next_sweep: Option<DateTime<Utc>>,
    /// What the last sweep of this process came to; a refused one says why.
    #[serde(default)]
    pub last_sweep: Option<SweepReport>,
    /// When the next scheduled audit is due.
    #[serde(default, with = "rfc3339::option")]
    pub next_audit: Option<DateTime<Utc>>,
    /// What the last audit of this process came to.
    #[serde(default)]
    pub last_audit: Option<AuditReport>,
    /// When the next scheduled drill is due.
    #[serde(default, with = "rfc3339::option")]
    pub next_drill: Option<DateTime<Utc>>,
    /// What drills came to, by what the bucket holds: the last one whole, with its
    /// stages, and what all of them say together.
    #[serde(default)]
    pub drills: Option<DrillHistory>,
    /// How the last backup ended.
    pub last_run: Option<RunReport>,
    /// How the last run that failed did so; stays after a success.
    pub last_failure: Option<RunReport>,
    /// Failed runs since the last one that succeeded.
    pub consecutive_failures: u32,
    /// Whether every attempt of the last slot failed.
    pub giving_up: bool,
    /// What runs now.
    pub running: Option<RunningStatus>,
    /// What goes on meanwhile, where a backup is made beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<RunningStatus>,
    /// The measures of the newest backup.
    pub last_backup: Option<BackupSize>,
    /// What the store held at the last listing.
    pub catalog: Option<CatalogTotals>,
    /// Why the last listing failed.
    pub catalog_error: Option<String>,
    /// Whether the pointer names the newest backup.
    pub pointer_ok: Option<bool>,
}

/// What the document says of a run under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningStatus {
    /// What it is.
    pub job: JobKind,
    /// When it began.
    #[serde(with = "rfc3339")]
    pub since: DateTime<Utc>,
    /// How long it runs, in seconds.
    pub seconds: u64,
    /// How far it is.
    pub progress: ProgressReport,
}

/// Writes the document from the state as it is now.
#[must_use]
pub fn document(state: &State, info: &StatusInfo) -> StatusDocument {
    let now = state.now();
    let databases = state.databases();
    let process =
        health::ProcessHealth { started_at: state.started_at(), liveness: state.liveness() };
    let health = health::evaluate(now, &process, &databases);
    StatusDocument {
        status: health.status,
        version: state.version().to_owned(),
        now,
        started_at: state.started_at(),
        uptime_seconds: seconds(state.started_at(), now),
        stopping: state.stopping(),
        store: info.store.clone(),
        databases: databases
            .into_iter()
            .zip(health.databases)
            .map(|(database, health)| database_status(now, database, health))
            .collect(),
        channels: state.channels(),
    }
}

fn database_status(
    now: DateTime<Utc>,
    database: DatabaseState,
    health: DatabaseHealth,
) -> DatabaseStatus {
    DatabaseStatus {
        name: database.name,
        prefix: database.prefix,
        schedule: database.schedule,
        health,
        last_attempt: database.last_attempt,
        next_run: database.next_run,
        next_verify: database.next_verify,
        last_verify: database.last_verify,
        next_sweep: database.next_sweep,
        last_sweep: database.last_sweep,
        next_audit: database.next_audit,
        last_audit: database.last_audit,
        next_drill: database.next_drill,
        drills: database.drills,
        last_run: database.last_run,
        last_failure: database.last_failure,
        consecutive_failures: database.consecutive_failures,
        giving_up: database.giving_up,
        running: database.running.map(|running| running_status(now, &running)),
        aside: database.aside.map(|running| running_status(now, &running)),
        last_backup: database.last_backup,
        catalog: database.catalog,
        catalog_error: database.catalog_error,
        pointer_ok: database.pointer_ok,
    }
}

fn running_status(now: DateTime<Utc>, running: &Running) -> RunningStatus {
    RunningStatus {
        job: running.job,
        since: running.since,
        seconds: seconds(running.since, now),
        progress: running.progress.report(),
    }
}

/// Whole seconds from one time to another, none when the clock went back.
fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    u64::try_from((to - from).num_seconds()).unwrap_or(0)
}
