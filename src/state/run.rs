//! One run: what it does now, and what is left to say when it is over.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::words::{DrillStage, JobKind, Outcome, Stage};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// What it was.
    pub job: JobKind,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    #[serde(with = "crate::rfc3339")]
    pub started: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Where it failed.
    pub stage: Option<Stage>,
    /// Why it failed; fit to be shown, so without secrets, hosts and users.
    pub error: Option<String>,
    /// The id of the backup it made.
    pub backup: Option<String>,
}

/// A run that is under way.
#[derive(Clone, Debug)]
pub struct Running {
    /// What it is.
    pub job: JobKind,
    /// When it began.
    pub since: DateTime<Utc>,
    /// How far it is.
    pub progress: Progress,
}

/// How far a run is. Clones share the counters; worker threads add to them
/// without a lock.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// Index into [`Stage::ALL`].
    stage: AtomicU8,
    /// Index into [`DrillStage::ALL`], plus one; zero where it is no drill.
    drill: AtomicU8,
    dump_bytes: AtomicU64,
    archive_bytes: AtomicU64,
    rows: AtomicU64,
}

/// What [`Progress`] read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// Where the run is.
    pub stage: Stage,
    /// Where a drill is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillStage>,
    /// Bytes of dump read so far.
    pub dump_bytes: u64,
    /// Bytes of archive made, or read back, so far.
    pub archive_bytes: u64,
    /// Rows in the archive so far.
    pub rows: u64,
}

impl Progress {
    /// Says which stage begins.
    pub fn enter(&self, stage: Stage) {
        // The enum's values are its positions, and there are far fewer than 256.
        self.0.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Says which stage of a drill begins.
    pub fn enter_drill(&self, stage: DrillStage) {
        self.0.drill.store(stage as u8 + 1, Ordering::Relaxed);
    }

    /// The stage of a drill that was entered last.
    #[must_use]
    pub fn drill_stage(&self) -> Option<DrillStage> {
        let position = usize::from(self.0.drill.load(Ordering::Relaxed)).checked_sub(1)?;
        DrillStage::ALL.get(position).copied()
    }

    /// Adds bytes of dump.
    pub fn add_dump_bytes(&self, count: u64) {
        self.0.dump_bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// Says how much of the archive is made: bytes, and rows in whole members.
    pub fn set_archive(&self, bytes: u64, rows: u64) {
        self.0.archive_bytes.store(bytes, Ordering::Relaxed);
        self.0.rows.store(rows, Ordering::Relaxed);
    }

    /// Adds bytes of archive that were read back.
    pub fn add_archive_bytes(&self, count: u64) {
        self.0.archive_bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// The stage that was entered last; the first one before that.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let position = usize::from(self.0.stage.load(Ordering::Relaxed));
        Stage::ALL.get(position).copied().unwrap_or(Stage::Connect)
    }

    /// Reads everything.
    #[must_use]
    pub fn report(&self) -> ProgressReport {
        ProgressReport {
            stage: self.stage(),
            drill: self.drill_stage(),
            dump_bytes: self.0.dump_bytes.load(Ordering::Relaxed),
            archive_bytes: self.0.archive_bytes.load(Ordering::Relaxed),
            rows: self.0.rows.load(Ordering::Relaxed),
        }
    }
}

/// The measures of one backup.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupSize {
    /// Size of its archive.
    pub archive_bytes: u64,
    /// Size of its dump.
    pub dump_bytes: u64,
    /// Rows of all its tables.
    pub rows: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A backup that a run has just committed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewBackup {
    /// The time in its id.
    pub time: DateTime<Utc>,
    /// Its measures.
    pub size: BackupSize,
}
