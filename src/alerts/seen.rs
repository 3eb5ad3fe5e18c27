//! What there is to be told of one database now, whatever was told before.

use chrono::{DateTime, Utc};

use super::anomaly::Anomalies;
use crate::{
    audit::Worse,
    health::{self, DatabaseHealth, Status},
    state::DatabaseState,
    words::{Outcome, Severity, Stage},
};

/// The problem that stands for all that keeps backups from being made.
pub(super) const BACKUPS: &str = "backups";

/// What the names of anomalies begin with.
pub(super) const ANOMALY: &str = "anomaly_";

/// A drill has failed, and one that is overdue or proved nothing: two problems, so
/// that the graver one is told although the other was.
const DRILL_FAILED: &str = "drill_failed";
const DRILL_OVERDUE: &str = "drill_overdue";

/// A drill has left what it restored in the database of the settings: another problem
/// still, which says nothing of backups.
const DRILL_LEFT: &str = "drill_left";

/// Backups of another database come under this one's prefix.
const TWO_SOURCES: &str = "two_sources";

/// The hardening audit came out worse than it did.
const AUDIT: &str = "audit";

/// The checks of health that tell of it.
const OF_BACKUPS: [&str; 4] = ["backup_age", "last_run", "store", "scheduler"];

/// One problem, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name.
    pub problem: String,
    /// How much it matters.
    pub severity: Severity,
    /// What was found, one line each.
    pub lines: Vec<String>,
    /// Where the run failed, where one did.
    pub stage: Option<Stage>,
}

/// Everything that is to be told of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The problems there are.
    pub problems: Vec<Finding>,
    /// A run that failed, and the one after it that did not: when the failed
    /// one began, and what there is to say of it.
    pub repaired: Option<(DateTime<Utc>, Vec<String>)>,
    /// What is good to know, with a name for it: told once for each name.
    /// Its name, which sorts by time, a title, and what was found.
    pub news: Vec<(String, String, Vec<String>)>,
    /// What can be said of problems that are not there.
    pub sight: Sight,
}

/// How far can be seen: a problem that is not seen is not over for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is seen or not by itself")]
pub struct Sight {
    /// When the process started: of runs before that it knows nothing.
    pub since: DateTime<Utc>,
    /// The time of the newest good backup.
    pub last_success: Option<DateTime<Utc>>,
    /// Whether health has come to a verdict on backups.
    pub backups: bool,
    /// Whether the store was listed.
    pub catalog: bool,
    /// Whether manifests were compared.
    pub anomalies: bool,
    /// Whether the records of drills were read.
    pub drills: bool,
    /// Whether an audit was held against those before it.
    pub audit: bool,
}

impl Sight {
    /// Whether a problem that began at `began` and is not seen is really away.
    pub(super) fn is_away(&self, problem: &str, began: DateTime<Utc>) -> bool {
        if problem == BACKUPS {
            // A new process has forgotten that the last slot was given up; what
            // tells it otherwise is a backup.
            let remembers = self.since <= began;
            self.backups && (remembers || self.last_success.is_some_and(|last| last > began))
        } else if problem.starts_with(ANOMALY) {
            self.anomalies
        } else if [DRILL_FAILED, DRILL_OVERDUE, DRILL_LEFT].contains(&problem) {
            self.drills
        } else if problem == AUDIT {
            self.audit
        } else {
            self.catalog
        }
    }
}

/// What health and the live state tell of one database, and the anomalies of
/// its newest backup; `None` where manifests could not be compared.
#[must_use]
pub fn seen(
    health: &DatabaseHealth,
    database: &DatabaseState,
    anomalies: Option<&Anomalies>,
    started: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Seen {
    let up = (now - started).to_std().unwrap_or_default();
    let mut problems = Vec::new();
    let young = database.last_success.is_none() && up <= database.stale_after;
    let mut lines = Vec::new();
    for check in health.checks.iter().filter(|check| !check.ok) {
        if !OF_BACKUPS.contains(&check.name.as_str()) {
            let (problem, severity) = match check.name.as_str() {
                "drill" if health::drill_has_failed(database) => (DRILL_FAILED, Severity::Critical),
                "drill" => (DRILL_OVERDUE, Severity::Warning),
                TWO_SOURCES => (TWO_SOURCES, Severity::Critical),
                other => (other, Severity::Warning),
            };
            problems.push(Finding {
                problem: problem.to_owned(),
                severity,
                lines: vec![check.detail.clone()],
                stage: None,
            });
        } else if check.name != "backup_age" || !young {
            lines.push(format!("{}: {}", check.name, check.detail));
        }
    }
    // A run that failed is retried; it is a problem when the retries are over. A
    // drill that failed keeps no backup from being made.
    let is_bad = |name: &str| health.checks.iter().any(|check| check.name == name && !check.ok);
    let is_told = health::gave_up(database)
        || (is_bad("backup_age") && !young)
        || is_bad("store")
        || is_bad("scheduler");
    if is_told && matches!(health.status, Status::Stale | Status::Failing) {
        let failed = database.last_run.as_ref().filter(|run| run.outcome == Outcome::Failed);
        let stage = failed.and_then(|run| run.stage);
        let problem = BACKUPS.to_owned();
        problems.insert(0, Finding { problem, severity: Severity::Critical, lines, stage });
    }
    problems.extend(audit(database));
    if let Some(anomalies) = anomalies {
        problems.extend(anomalies.problems.iter().cloned());
    }
    Seen {
        problems,
        repaired: repaired(database),
        news: anomalies.map(|anomalies| anomalies.news.clone()).unwrap_or_default(),
        sight: Sight {
            since: started,
            last_success: database.last_success,
            backups: health.status != Status::Starting,
            catalog: database.catalog.is_some(),
            anomalies: anomalies.is_some_and(|anomalies| anomalies.compared),
            drills: database.drills.is_some(),
            audit: compared(database).is_some(),
        },
    }
}

fn compared(database: &DatabaseState) -> Option<&Vec<Worse>> {
    database.last_audit.as_ref()?.worse.as_ref()
}

/// What was safer at an earlier audit than at the last one.
fn audit(database: &DatabaseState) -> Option<Finding> {
    let line = |worse: &Worse| format!("{}: was {}, is {}", worse.check, worse.was, worse.is);
    let lines: Vec<String> = compared(database)?.iter().map(line).collect();
    (!lines.is_empty()).then(|| Finding {
        problem: AUDIT.to_owned(),
        severity: Severity::Warning,
        lines,
        stage: None,
    })
}

fn repaired(database: &DatabaseState) -> Option<(DateTime<Utc>, Vec<String>)> {
    let failed = database.last_failure.as_ref()?;
    let last = database.last_run.as_ref()?;
    if last.outcome != Outcome::Ok || last.started <= failed.started {
        return None;
    }
    let stage = failed.stage.map(|stage| format!(" at {stage}")).unwrap_or_default();
    let error = failed.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let when = crate::rfc3339::format(failed.started);
    let made = last.backup.as_deref().unwrap_or("the next one");
    let lines = vec![
        format!("the attempt of {when} failed{stage}{error}"),
        format!("a later attempt succeeded: {made}"),
    ];
    Some((failed.started, lines))
}
