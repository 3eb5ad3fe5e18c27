//! How far a restore is.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use crate::words::RestoreStage;

/// How far a restore is. Clones share the counters; sessions add to them
/// without a lock.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// Index into [`RestoreStage::ALL`].
    stage: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
    rows: AtomicU64,
    tables: AtomicU64,
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
    /// Rows loaded so far.
    pub rows: u64,
    /// Tables whose rows are all loaded.
    pub tables: u64,
}

impl Progress {
    pub(super) fn enter(&self, stage: RestoreStage, total: u64) {
        // The enum's values are its positions, and there are far fewer than 256.
        self.0.stage.store(stage as u8, Ordering::Relaxed);
        self.0.done.store(0, Ordering::Relaxed);
        self.0.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn add(&self, count: u64) {
        self.0.done.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_rows(&self, count: u64) {
        self.0.rows.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_table(&self) {
        self.0.tables.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads everything.
    #[must_use]
    pub fn report(&self) -> ProgressReport {
        let position = usize::from(self.0.stage.load(Ordering::Relaxed));
        ProgressReport {
            stage: RestoreStage::ALL.get(position).copied().unwrap_or(RestoreStage::Check),
            done: self.0.done.load(Ordering::Relaxed),
            total: self.0.total.load(Ordering::Relaxed),
            rows: self.0.rows.load(Ordering::Relaxed),
            tables: self.0.tables.load(Ordering::Relaxed),
        }
    }
}
