//! What a sweep came to.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::RunReport;
use crate::words::{JobKind, Outcome, SweepRefusal};

/// What the last sweep came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepReport {
    /// How the run ended.
    #[serde(flatten)]
    pub run: RunReport,
    /// Why nothing at all was removed; `None` where it was not refused. The
    /// run's error says it in words, with what mends it.
    pub refused: Option<SweepRefusal>,
    /// Backups and legacy archives that were removed.
    pub removed: u64,
    /// Size of their archives, in bytes.
    pub removed_bytes: u64,
    /// Debris that was removed, unfinished uploads included.
    pub debris: u64,
    /// Objects that were to go and did not, whose reasons are in the log.
    pub left: u64,
    /// Objects that are only hidden behind a delete marker, since the bucket
    /// keeps versions.
    pub hidden: u64,
}

impl Default for SweepReport {
    /// One that had nothing to do, at the beginning of time.
    fn default() -> Self {
        let run = RunReport {
            job: JobKind::Sweep,
            outcome: Outcome::Ok,
            started: DateTime::UNIX_EPOCH,
            seconds: 0.0,
            stage: None,
            error: None,
            backup: None,
        };
        let (removed, removed_bytes, debris, left, hidden) = (0, 0, 0, 0, 0);
        Self { run, refused: None, removed, removed_bytes, debris, left, hidden }
    }
}
