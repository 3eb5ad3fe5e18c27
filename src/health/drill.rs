//! Whether backups were proven: failed, overdue, or come to nothing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Check, check, since, words};
use crate::{
    clock, rfc3339,
    state::{DatabaseState, DrillHistory, DrillReport, longest_drills},
    words::{DrillVerdict, JobKind},
};

/// So long after its slot a drill may come to its end.
const LATE: Duration = Duration::from_hours(24);

/// Whether a drill has failed, and no later one has made that good.
#[must_use]
pub fn has_failed(database: &DatabaseState) -> bool {
    database.drills.as_ref().is_some_and(|drills| drills.failure.is_some())
}

/// The slot long ago since which no drill has passed or failed, or whose newest
/// backup never has, where the daemon drills: the rota's older one is no proof of
/// it. What was made since then is no reason to ask.
pub(super) fn overdue(now: DateTime<Utc>, database: &DatabaseState) -> Option<DateTime<Utc>> {
    let (schedule, drills) = (database.drill_schedule.as_ref()?, database.drills.as_ref()?);
    let slot = schedule.slot_before(now - LATE, 0)?;
    let oldest = database.catalog.as_ref()?.oldest?;
    let was_there = oldest <= slot;
    let since = |time: Option<DateTime<Utc>>| time.is_some_and(|time| time >= slot);
    let is_proven = since(drills.proof) && since(drills.covered);
    let run = database.run_of(JobKind::Drill);
    let is_under_way = run.is_some_and(|run| {
        may_be_under_way(run.since, database.drills_in_a_row, database.drill_timeout, now)
    });
    (was_there && !is_proven && !is_under_way).then_some(slot)
}

/// Whether drills that began then, one after the other, may still be under way: each
/// has its time, and none has more. One of a clock that was wrong says nothing.
fn may_be_under_way(
    began: DateTime<Utc>,
    drills: usize,
    timeout: Duration,
    now: DateTime<Utc>,
) -> bool {
    let longest = TimeDelta::from_std(longest_drills(drills, timeout)).unwrap_or(TimeDelta::MAX);
    began - now <= clock::TOLERANCE && now - began < longest
}

pub(super) fn drill(now: DateTime<Utc>, database: &DatabaseState) -> Check {
    let Some(drills) = &database.drills else {
        return check("drill", true, "not looked at yet".to_owned());
    };
    let mut parts = Vec::new();
    if let Some(failed) = &drills.failure {
        let worth = match failed.reason {
            Some(reason) if reason.condemns() => {
                "; retention counts that backup as no good one, and only its own ID restores it"
            }
            Some(reason) if reason.is_a_lack() => {
                "; that backup still counts as good, and no drill here proves it before what is \
                 missing is there"
            }
            _ => "",
        };
        parts.push(format!(
            "{}{worth}; {}drills/{}.md has everything; it stands until a drill of a backup as new \
             passes",
            came_to(now, failed),
            database.prefix,
            failed.id
        ));
    }
    let overdue = overdue(now, database);
    if let Some(slot) = overdue {
        parts.push(format!(
            "overdue: no drill of the backup that was the newest on {}, when one was due, or of a \
             newer one, has come to a verdict since; the log says why, and `reliquary drill` does \
             it by hand",
            rfc3339::format(slot)
        ));
    }
    parts.extend(drills.in_vain.as_ref().map(|vain| {
        let came_to = came_to(now, vain);
        format!("{came_to}; it stands until one of a backup as new comes to a verdict")
    }));
    let is_ok = parts.is_empty();
    if is_ok {
        parts.push(proven(now, drills));
    }
    check("drill", is_ok, parts.join("; "))
}

/// What a drill has left in the database of the settings; `None` where there is nothing,
/// or where the drill may still be under way, here or on another machine.
pub(super) fn left(now: DateTime<Utc>, database: &DatabaseState) -> Option<Check> {
    let left = database.drills.as_ref()?.left.as_ref()?;
    let timeout = database.drill_timeout;
    let is_under_way = left.is_open() && may_be_under_way(left.started, 1, timeout, now);
    (!is_under_way).then(|| check("drill_left", false, lies_there(now, left, &database.prefix)))
}

fn lies_there(now: DateTime<Utc>, left: &DrillReport, prefix: &str) -> String {
    let (ago, id) = (words(since(left.started, now)), &left.id);
    let why = if left.is_open() {
        "was killed: it has not ended, and had the time to; what it restored"
    } else {
        "could not empty that again: what it restored"
    };
    format!(
        "the drill of {} in drill.target, {ago} ago, {why} may still lie there; the next drill there \
         empties it (`reliquary drill`), and where that database is gone, so is this with \
         {prefix}drills/{id}.json",
        left.backup
    )
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
