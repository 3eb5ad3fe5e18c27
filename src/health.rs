//! The one evaluation of health. `/healthz`, `/metrics`, `/status` and the
//! command line all read it; none has an idea of its own.
//!
//! Health is the age of the last good backup, not the absence of errors. A
//! database is, the worst that applies:
//!
//! | status | when | HTTP |
//! | --- | --- | --- |
//! | `failing` | every attempt of the last slot failed and no good backup came since, or the store cannot be listed, or the scheduler or runner is dead, or a drill has failed, or another database's backups come under its prefix | 503 |
//! | `stale` | the newest good backup is older than `stale_after`; or there is none and the process has been up for longer than that; or the newest one lies in the future by more than five minutes, so that its age cannot be known | 503 |
//! | `starting` | no good backup is known yet, and the process is younger than `stale_after` | 503 |
//! | `ok` | otherwise | 200 |
//!
//! `starting` answers 503, since no good backup is known, and a page that said
//! 200 would be a lie; `/livez` is what keeps a young process from being
//! restarted. A process that finds a fresh backup in the bucket is `ok` in its
//! first second.
//!
//! The checks say what was looked at. `last_run`, `pointer`, `verify` and `sweep`
//! may be not ok while the status is: one attempt that failed is retried, the
//! pointer is a convenience that the next run repairs, a damaged backup counts
//! for nothing any more, so that the age of the last good one has said it
//! already, and a sweep that was refused has lost nothing. `verify` warns, too,
//! when its own schedule has passed three times without a verdict, and of
//! backups that could not be read. `drill` warns, in the same way, when one of
//! what was the newest backup is overdue or has proved nothing; a drill that
//! failed is `failing`, since a backup that does not restore is none, until a
//! drill of a backup as new has passed. `drill_left` is there, and warns, only where a
//! drill has left what it restored in the database of the settings. `two_sources`
//! is there, and fails, only where the newest backup is another database's, or was at
//! the last look and came after one of this one's: two installations write to one
//! prefix. A source that has moved looks so, too, until its first backup from there.

mod drill;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use drill::has_failed as drill_has_failed;

use crate::{
    catalog::TwoSources,
    clock, rfc3339,
    state::{CatalogTotals, DatabaseState, Liveness, State},
    words::{Outcome, Stage},
};

/// So many times in a row a verify may be due and come to no verdict.
const OVERDUE: usize = 3;

/// How well a database is kept, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is a good backup, and it is fresh.
    Ok,
    /// No good backup is known yet; the process is young.
    Starting,
    /// The last good backup is too old.
    Stale,
    /// Backups do not succeed, or nothing can be known about them.
    Failing,
}

impl Status {
    /// Whether all is well.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::Ok
    }

    /// The word that JSON uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Starting => "starting",
            Self::Stale => "stale",
            Self::Failing => "failing",
        }
    }
}

/// What the evaluation must know about the process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessHealth {
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Whether its scheduler and runner are alive.
    pub liveness: Liveness,
}

/// The verdict on everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The worst of the databases.
    pub status: Status,
    /// Each database, in the order given.
    pub databases: Vec<DatabaseHealth>,
}

/// The verdict on one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseHealth {
    /// Its name.
    pub name: String,
    /// The verdict.
    pub status: Status,
    /// The time of the newest good backup.
    #[serde(with = "rfc3339::option")]
    pub last_success: Option<DateTime<Utc>>,
    /// Its age in seconds, never negative.
    pub age_seconds: Option<u64>,
    /// The age at which it is stale, in seconds.
    pub stale_after_seconds: u64,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `backup_age`, `last_run`, `store`, `two_sources`, `pointer`, `verify`, `drill`,
    /// `drill_left`, `sweep` or `scheduler`.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether nothing is known of it yet, so that `ok` only says that nothing is
    /// known against it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// What was found, in words.
    pub detail: String,
}

/// Evaluates the live state as it is now.
#[must_use]
pub fn current(state: &State) -> Health {
    let process = ProcessHealth { started_at: state.started_at(), liveness: state.liveness() };
    evaluate(state.now(), &process, &state.databases())
}

/// Decides how well the databases are kept. Without any database nothing is
/// known, so the status is `starting`.
#[must_use]
pub fn evaluate(
    now: DateTime<Utc>,
    process: &ProcessHealth,
    databases: &[DatabaseState],
) -> Health {
    let databases: Vec<_> =
        databases.iter().map(|database| evaluate_one(now, process, database)).collect();
    let status = databases.iter().map(|database| database.status).max();
    Health { status: status.unwrap_or(Status::Starting), databases }
}

fn evaluate_one(
    now: DateTime<Utc>,
    process: &ProcessHealth,
    database: &DatabaseState,
) -> DatabaseHealth {
    let (age_status, age_check) = backup_age(now, process, database);
    let scheduler = scheduler(now, process.liveness, database);
    let store = store(database);
    let two_sources = two_sources(database);
    let failing = gave_up(database)
        || !store.ok
        || !scheduler.ok
        || two_sources.is_some()
        || drill_has_failed(database);
    DatabaseHealth {
        name: database.name.clone(),
        status: if failing { Status::Failing } else { age_status },
        last_success: database.last_success,
        age_seconds: database.last_success.map(|time| since(time, now).as_secs()),
        stale_after_seconds: database.stale_after.as_secs(),
        checks: [age_check, last_run(now, database), store]
            .into_iter()
            .chain(two_sources)
            .chain([
                pointer(database),
                verify(now, database),
                Check { unknown: database.drills.is_none(), ..drill::drill(now, database) },
            ])
            .chain(drill::left(now, database))
            .chain([sweep(now, database), scheduler])
            .collect(),
    }
}

/// Whether the last slot was given up, unless a good backup came since: a
/// replica may have made it.
#[must_use]
pub fn gave_up(database: &DatabaseState) -> bool {
    let came_since = database
        .last_success
        .zip(database.last_attempt)
        .is_some_and(|(success, attempt)| success > attempt);
    database.giving_up && !came_since
}

fn backup_age(
    now: DateTime<Utc>,
    process: &ProcessHealth,
    database: &DatabaseState,
) -> (Status, Check) {
    let limit = database.stale_after;
    let (status, detail) = match database.last_success {
        Some(time) if time - now > clock::TOLERANCE => (
            Status::Stale,
            format!(
                "the clock is off: the last good backup, of {}, lies {} in the future; \
                 set this machine's clock",
                rfc3339::format(time),
                words(since(now, time)),
            ),
        ),
        Some(time) => {
            let age = since(time, now);
            let status = if age > limit { Status::Stale } else { Status::Ok };
            let off = if time > now { "; the clock is a little off" } else { "" };
            let detail = format!(
                "the last good backup is {} old; stale after {}{off}",
                words(age),
                words(limit),
            );
            (status, detail)
        }
        None => {
            let up = since(process.started_at, now);
            let status = if up > limit { Status::Stale } else { Status::Starting };
            (status, format!("no good backup is known; the process is up for {}", words(up)))
        }
    };
    let detail = match ahead(now, database) {
        Some(ahead) => format!("{detail}; {ahead}"),
        None => detail,
    };
    (status, check("backup_age", status.is_ok(), detail))
}

/// What is said of a backup that is dated in the future.
fn ahead(now: DateTime<Utc>, database: &DatabaseState) -> Option<String> {
    let time = database.ahead.filter(|time| *time - now > clock::TOLERANCE)?;
    Some(format!(
        "the backup of {} is dated in the future, by a clock that was wrong then or is now: it is \
         passed over until its time comes, and may be moved away",
        rfc3339::format(time)
    ))
}

fn last_run(now: DateTime<Utc>, database: &DatabaseState) -> Check {
    let failed = match &database.last_run {
        Some(run) => run.outcome == Outcome::Failed,
        None => false,
    };
    let mut parts = vec![match &database.last_run {
        None => "no run since the start of the process".to_owned(),
        Some(run) => {
            let ago = words(since(run.started, now));
            let stage = run.stage.map(|stage| format!(", at {stage}")).unwrap_or_default();
            let error = run.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            format!("{} {}, begun {ago} ago{stage}{error}", run.job, run.outcome)
        }
    }];
    if database.consecutive_failures > 1 {
        parts.push(format!("{} failures in a row", database.consecutive_failures));
    }
    if gave_up(database) {
        parts.push("every attempt of the last slot failed".to_owned());
    }
    check("last_run", !failed && !gave_up(database), parts.join("; "))
}

fn store(database: &DatabaseState) -> Check {
    match (&database.catalog_error, &database.catalog) {
        (Some(error), _) => check("store", false, format!("failed to list the store: {error}")),
        (None, None) => unknown("store", "not listed yet"),
        (None, Some(totals)) => check(
            "store",
            true,
            format!(
                "{} scheduled, {} manual, {} legacy",
                totals.scheduled, totals.manual, totals.legacy
            ),
        ),
    }
}

/// What is wrong where another database's backups come under this prefix.
fn two_sources(database: &DatabaseState) -> Option<Check> {
    let TwoSources { theirs, ours } = database.two_sources.as_ref()?;
    let detail = format!(
        "backups of two databases stand under this prefix, of {theirs} and of {ours}; give one of \
         the two installations another prefix or another bucket. Where the source has moved for \
         good, there is nothing to do: this goes \
         away with this installation's own next backup, if no more of the other come"
    );
    Some(check("two_sources", false, detail))
}

fn pointer(database: &DatabaseState) -> Check {
    let (ok, detail) = match database.pointer_ok {
        Some(true) => (true, "names the newest backup"),
        Some(false) => (false, "does not name the newest backup; the next run repairs it"),
        None => return unknown("pointer", "not looked at yet"),
    };
    check("pointer", ok, detail.to_owned())
}

fn verify(now: DateTime<Utc>, database: &DatabaseState) -> Check {
    let totals = database.catalog.clone().unwrap_or_default();
    let mut parts = vec![match (&database.catalog, totals.last_verify) {
        (None, _) => "not known: the store was not listed yet".to_owned(),
        (_, Some(time)) => {
            let of = totals.scheduled + totals.manual;
            let ago = words(since(time, now));
            // What was looked at last may have been found damaged.
            format!(
                "{} of {of} backups are verified; one was last looked at {ago} ago",
                totals.verified
            )
        }
        (_, None) => "no backup is verified yet".to_owned(),
    }];
    let overdue = is_overdue(now, database, &totals);
    if overdue {
        parts.push(format!(
            "nothing was verified at the last {OVERDUE} times that it was due; the log says why, \
             and `reliquary verify` does it by hand"
        ));
    }
    if database.unread > 0 {
        let unread = database.unread;
        parts.push(format!("{unread} could not be read at their last turn; the log names them"));
    }
    if totals.damaged > 0 {
        parts.push(format!("{} damaged; `reliquary list` names them", totals.damaged));
    }
    // Damage is in the totals, and leaves them when it is mended.
    let failed = database
        .last_verify
        .as_ref()
        .filter(|run| run.outcome == Outcome::Failed && run.stage != Some(Stage::Verify));
    if let Some(run) = failed {
        let ago = words(since(run.started, now));
        let error = run.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        parts.push(format!("the last run, begun {ago} ago, failed{error}"));
    }
    let ok = totals.damaged == 0 && failed.is_none() && !overdue && database.unread == 0;
    let unknown = ok && database.catalog.is_none();
    Check { unknown, ..check("verify", ok, parts.join("; ")) }
}

/// Whether the daemon should have come to a verdict long ago, by its own
/// schedule, and did not. What was made since then is no reason to ask.
fn is_overdue(now: DateTime<Utc>, database: &DatabaseState, totals: &CatalogTotals) -> bool {
    let schedule = database.verify_schedule.as_ref();
    // The newest slot's own run may be under way.
    schedule.and_then(|schedule| schedule.slot_before(now, OVERDUE)).is_some_and(|slot| {
        totals.oldest.is_some_and(|oldest| oldest <= slot)
            && totals.last_verify.is_none_or(|last| last < slot)
    })
}

fn sweep(now: DateTime<Utc>, database: &DatabaseState) -> Check {
    let Some(last) = &database.last_sweep else {
        let detail = "no sweep since the start of the process";
        return check("sweep", true, detail.to_owned());
    };
    let ago = words(since(last.run.started, now));
    let failed = last.run.outcome == Outcome::Failed;
    let mut parts = vec![match (last.refused, failed) {
        (Some(reason), _) => format!("the last one, {ago} ago, was refused ({reason})"),
        (None, true) => format!("the last one, {ago} ago, failed"),
        (None, false) => format!("the last one was {ago} ago"),
    }];
    if last.refused.is_none() {
        parts.push(format!("{} backups and {} debris removed", last.removed, last.debris));
    }
    if last.hidden > 0 {
        parts.push(format!("{} objects are only behind a delete marker", last.hidden));
    }
    parts.extend(last.run.error.clone());
    check("sweep", !failed, parts.join("; "))
}

fn scheduler(now: DateTime<Utc>, liveness: Liveness, database: &DatabaseState) -> Check {
    let detail = match (liveness.scheduler, liveness.runner, database.next_run) {
        (false, _, _) => "the scheduler gives no sign of life; restart the process".to_owned(),
        (true, false, _) => "a runner has ended; restart the process".to_owned(),
        (true, true, Some(next)) if next > now => {
            format!("the next run is due in {}", words(since(now, next)))
        }
        (true, true, Some(_)) => "a run is due now".to_owned(),
        (true, true, None) => "no run is planned yet".to_owned(),
    };
    check("scheduler", liveness.all(), detail)
}

fn check(name: &str, ok: bool, detail: String) -> Check {
    Check { name: name.to_owned(), ok, unknown: false, detail }
}

/// A check of which nothing is known yet. That is no fault: the age of the last
/// good backup is what an alarm goes by.
fn unknown(name: &str, detail: &str) -> Check {
    Check { unknown: true, ..check(name, true, detail.to_owned()) }
}

/// The time from `from` to `to`; nothing where it would be negative.
fn since(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// A duration for people, in whole seconds: `1h 5m 3s`.
fn words(duration: Duration) -> String {
    crate::figures::exactly(Duration::from_secs(duration.as_secs()))
}

#[cfg(test)]
mod tests;
