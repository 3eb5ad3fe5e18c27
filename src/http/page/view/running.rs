//! What runs now, and how far it is.

use chrono::{DateTime, Utc};

use crate::{
    figures::{age, count, size},
    state::{DatabaseState, Running},
    words::{DrillStage, JobKind},
};

/// A run under way.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::page) struct Now {
    pub(in crate::http::page) job: JobKind,
    /// For how long, in words.
    pub(in crate::http::page) since: String,
    /// Where it is.
    pub(in crate::http::page) stage: &'static str,
    /// What was done, in words.
    pub(in crate::http::page) done: String,
    /// The share that is done, from 0 to 1, measured by the last backup;
    /// `None` where that cannot be told.
    pub(in crate::http::page) share: Option<f64>,
}

/// What runs, and what goes on beside it.
pub(super) fn now(now: DateTime<Utc>, known: &DatabaseState) -> Vec<Now> {
    known.running.iter().chain(&known.aside).map(|running| one(now, known, running)).collect()
}

fn one(now: DateTime<Utc>, known: &DatabaseState, running: &Running) -> Now {
    let progress = running.progress.report();
    let last = known.last_backup;
    let (done, share) = match running.job {
        JobKind::Backup => (
            format!(
                "{} of dump read, {} of archive made, {} rows",
                size(progress.dump_bytes),
                size(progress.archive_bytes),
                count(progress.rows)
            ),
            last.filter(|last| last.dump_bytes > 0)
                .map(|last| progress.dump_bytes as f64 / last.dump_bytes as f64),
        ),
        JobKind::Verify => (format!("{} of archive read back", size(progress.archive_bytes)), None),
        JobKind::Sweep => (format!("{} of archive freed", size(progress.archive_bytes)), None),
        JobKind::Audit => ("the checklist is gone through".to_owned(), None),
        JobKind::Drill => ("a backup is restored and compared".to_owned(), None),
    };
    // The database grows: who has read as much as last time is nearly done.
    let share = share.map(|share| share.clamp(0.0, 0.99));
    let stage = match running.job {
        JobKind::Drill => progress.drill.map_or("begins", DrillStage::as_str),
        _ => progress.stage.as_str(),
    };
    Now { job: running.job, since: age(now, running.since), stage, done, share }
}
