//! How far a restore is.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::words::RestoreStage;

/// How far a restore is. Clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// Read together, so that nobody sees one stage with another's counts.
    at: Mutex<At>,
    rows: AtomicU64,
    tables: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct At {
    stage: RestoreStage,
    done: u64,
    total: u64,
}

impl Default for At {
    fn default() -> Self {
        Self { stage: RestoreStage::Check, done: 0, total: 0 }
    }
}

/// What [`Progress`] read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressReport {
    /// Where the restore is.
    pub stage: RestoreStage,
    /// How much of the stage is done: bytes where it reads, else statements or tables.
    pub done: u64,
    /// How much there is to do in it, in the same unit.
    pub total: u64,
    /// Rows loaded so far, as far as the server has said so.
    pub rows: u64,
    /// Tables whose rows are all loaded.
    pub tables: u64,
}

impl Progress {
    pub(super) fn enter(&self, stage: RestoreStage, total: u64) {
        *self.at() = At { stage, done: 0, total };
    }

    pub(super) fn add(&self, count: u64) {
        self.at().done += count;
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.0.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_rows(&self, count: u64) {
        self.0.rows.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_tables(&self, count: u64) {
        self.0.tables.fetch_add(count, Ordering::Relaxed);
    }

    /// Reads everything.
    #[must_use]
    pub fn report(&self) -> ProgressReport {
        let At { stage, done, total } = *self.at();
        ProgressReport {
            stage,
            done,
            total,
            rows: self.0.rows.load(Ordering::Relaxed),
            tables: self.0.tables.load(Ordering::Relaxed),
        }
    }
}
