//! Whether backups were proven: failed, overdue, or come to nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Check, check, since, words};
use crate::{
    rfc3339,
    state::{DatabaseState, DrillHistory, DrillReport},
    words::{DrillReason, DrillVerdict, JobKind},
};

/// So long after its slot a drill may come to its end.
const LATE: Duration = Duration::from_hours(24);

/// Whether a drill has failed, and no later one has made that good.
#[must_use]
pub fn has_failed(database: &DatabaseState) -> bool {
    database.drills.as_ref().is_some_and(|drills| drills.failure.is_some())
}

/// The slot long ago since which no drill has passed or failed, where the daemon
/// drills. What was made since then is no reason to ask.
pub(super) fn overdue(now: DateTime<Utc>, database: &DatabaseState) -> Option<DateTime<Utc>> {
    let (schedule, drills) = (database.drill_schedule.as_ref()?, database.drills.as_ref()?);
    let slot = schedule.slot_before(now - LATE, 0)?;
    let oldest = database.catalog.as_ref()?.oldest?;
    let was_there = oldest <= slot;
    let is_proven = drills.proof.is_some_and(|proof| proof >= slot);
    (was_there && !is_proven && !database.runs(JobKind::Drill)).then_some(slot)
}

pub(super) fn drill(now: DateTime<Utc>, database: &DatabaseState) -> Check {
    let Some(drills) = &database.drills else {
        return check("drill", true, "not looked at yet".to_owned());
    };
    let mut parts = Vec::new();
    if let Some(failed) = &drills.failure {
        parts.push(format!(
            "{}; {}drills/{}.md has everything; it stands until a drill of a backup as new passes",
            came_to(now, failed),
            database.prefix,
            failed.id
        ));
    }
    let overdue = overdue(now, database);
    if let Some(slot) = overdue {
        parts.push(format!(
            "overdue: none has come to a verdict since {}, when one was due; the log says why, and \
             `reliquary drill` does it by hand",
            rfc3339::format(slot)
        ));
    }
    let in_vain = drills.last.as_ref().filter(|last| came_to_nothing(last));
    parts.extend(in_vain.map(|last| came_to(now, last)));
    let is_ok = parts.is_empty();
    if is_ok {
        parts.push(proven(now, drills));
    }
    check("drill", is_ok, parts.join("; "))
}

/// Whether it proved nothing, for a reason that will not pass by itself.
fn came_to_nothing(last: &DrillReport) -> bool {
    last.verdict == DrillVerdict::Unproven && last.reason != Some(DrillReason::Interrupted)
}

fn came_to(now: DateTime<Utc>, report: &DrillReport) -> String {
    let ago = words(since(report.started, now));
    let what = match report.verdict {
        DrillVerdict::Passed => "passed",
        DrillVerdict::Failed => "failed",
        DrillVerdict::Unproven => "proved nothing",
    };
    let reason = report.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let error = report.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("the drill of {}, {ago} ago, {what}{reason}{error}", report.backup)
}

fn proven(now: DateTime<Utc>, drills: &DrillHistory) -> String {
    match (drills.passed, drills.restore_seconds) {
        (None, _) => "no backup was drilled yet".to_owned(),
        (Some(time), seconds) => {
            let ago = words(since(time, now));
            let took = seconds.map(|seconds| format!("; a restore took {seconds:.1} s"));
            format!("the last one passed {ago} ago{}", took.unwrap_or_default())
        }
    }
}

#[cfg(test)]
#[path = "drill_tests.rs"]
mod tests;
