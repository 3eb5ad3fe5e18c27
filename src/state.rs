//! What the process knows about itself and its databases, live.
//!
//! The runner writes it; HTTP, metrics and the command line read copies of it.
//! No lock is ever held over an await: readers get a copy, writers a closure.
//! Nothing here is stored: it is rebuilt from the bucket at start.
//!
//! Whatever is written is fit to be shown to anybody who asks for `/healthz`:
//! texts from elsewhere lose names, account numbers and addresses as they come
//! in (see `state/public.rs`), whoever wrote them.

mod audit;
mod database;
mod drill;
mod outlook;
mod public;
mod recent;
mod run;
mod sweep;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

pub use audit::AuditReport;
pub use database::{CatalogTotals, DatabaseState};
pub use drill::{DrillHistory, DrillReport, StageSeconds, longest as longest_drills};
pub use outlook::{Going, Outlook};
pub use recent::{FailedRuns, Hours, Made, Measure, Stored, WINDOW, hour};
pub use run::{BackupSize, NewBackup, Progress, ProgressReport, RunReport, Running};
pub use sweep::SweepReport;

use crate::{clock::Clock, words::ChannelKind};

/// How long the scheduler may be silent before it counts as dead.
pub const SCHEDULER_SILENCE: Duration = Duration::from_mins(2);

/// The process's live state; clones share it.
#[derive(Clone, Debug)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    started_at: DateTime<Utc>,
    version: String,
    databases: RwLock<BTreeMap<String, DatabaseState>>,
    /// Monotonic, so that a jump of the clock cannot kill the scheduler on paper.
    heartbeat: Mutex<Instant>,
    runners_lost: AtomicUsize,
    stopping: AtomicBool,
    /// Tells that something about a database has changed.
    changes: watch::Sender<()>,
    channels: RwLock<BTreeMap<ChannelKind, ChannelState>>,
    /// The store's host, which no text may hold.
    hidden: OnceLock<String>,
}

/// What is known about a channel that alerts go through.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChannelState {
    /// When a message last arrived.
    #[serde(with = "crate::rfc3339::option")]
    pub last_sent: Option<DateTime<Utc>>,
    /// When one last did not.
    #[serde(with = "crate::rfc3339::option")]
    pub last_failed: Option<DateTime<Utc>>,
    /// Why the last one did not arrive, or the channel could not be reached at
    /// the start; `None` when all is well.
    pub error: Option<String>,
}

/// Whether the tasks that make backups happen are alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// The scheduler gave a sign of life within [`SCHEDULER_SILENCE`].
    pub scheduler: bool,
    /// No runner ended while the process was meant to go on.
    pub runner: bool,
}

impl Liveness {
    /// Whether all of them are.
    #[must_use]
    pub fn all(self) -> bool {
        self.scheduler && self.runner
    }
}

/// Held by a runner's task for as long as it lives. Dropping it, by an end, a
/// panic or an abort, tells [`State::liveness`] that the runner is gone.
#[derive(Debug)]
#[must_use = "the runner counts as gone as soon as this is dropped"]
pub struct RunnerGuard(State);

impl Drop for RunnerGuard {
    fn drop(&mut self) {
        self.0.0.runners_lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl State {
    /// A state without databases. `version` is the product's own.
    #[must_use]
    pub fn new(clock: Clock, started_at: DateTime<Utc>, version: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            clock,
            started_at,
            version: version.into(),
            databases: RwLock::default(),
            heartbeat: Mutex::new(Instant::now()),
            runners_lost: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            changes: watch::Sender::new(()),
            channels: RwLock::default(),
            hidden: OnceLock::new(),
        }))
    }

    /// Keeps the store's host out of what is written from now on. It is set once.
    pub fn hide(&self, host: impl Into<String>) {
        let _ = self.0.hidden.set(host.into());
    }

    /// Adds a database, or replaces the one of that name.
    pub fn add(&self, mut database: DatabaseState) {
        public::of_database(&mut database, self.hidden());
        let mut databases = self.0.databases.write().unwrap_or_else(PoisonError::into_inner);
        databases.insert(database.name.clone(), database);
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// When the process started.
    #[must_use]
    pub fn started_at(&self) -> DateTime<Utc> {
        self.0.started_at
    }

    /// The product's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// A copy of every database's state, in the order of their names.
    #[must_use]
    pub fn databases(&self) -> Vec<DatabaseState> {
        let databases = self.0.databases.read().unwrap_or_else(PoisonError::into_inner);
        databases.values().cloned().collect()
    }

    /// A copy of one database's state; `None` where there is no such database.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<DatabaseState> {
        let databases = self.0.databases.read().unwrap_or_else(PoisonError::into_inner);
        databases.get(name).cloned()
    }

    /// The databases' names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let databases = self.0.databases.read().unwrap_or_else(PoisonError::into_inner);
        databases.keys().cloned().collect()
    }

    /// Changes one database's state in one step, and returns what `change`
    /// returns; `None` where there is no such database.
    pub fn update<T>(&self, name: &str, change: impl FnOnce(&mut DatabaseState) -> T) -> Option<T> {
        let changed = {
            let mut databases = self.0.databases.write().unwrap_or_else(PoisonError::into_inner);
            databases.get_mut(name).map(|database| {
                let changed = change(database);
                public::of_database(database, self.hidden());
                changed
            })
        };
        self.0.changes.send_replace(());
        changed
    }

    /// Tells whenever something about a database has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Changes what is known about a channel; one that is not known yet is added.
    pub fn update_channel(&self, kind: ChannelKind, change: impl FnOnce(&mut ChannelState)) {
        let mut channels = self.0.channels.write().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(kind).or_default();
        change(channel);
        public::text(&mut channel.error, self.hidden());
    }

    fn hidden(&self) -> Option<&str> {
        self.0.hidden.get().map(String::as_str)
    }

    /// A copy of what is known about the channels.
    #[must_use]
    pub fn channels(&self) -> BTreeMap<ChannelKind, ChannelState> {
        self.0.channels.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The scheduler's sign of life; call it at least once a minute.
    pub fn beat(&self) {
        *self.0.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// What a runner's task holds while it lives.
    pub fn runner_guard(&self) -> RunnerGuard {
        RunnerGuard(self.clone())
    }

    /// Says that the process is on its way out: from now on a runner that ends
    /// is no fault.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the process is on its way out.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Whether the scheduler and the runners are alive. A process that is
    /// stopping counts as alive until it is gone.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.liveness_at(Instant::now())
    }

    fn liveness_at(&self, now: Instant) -> Liveness {
        let stopping = self.stopping();
        let beat = *self.0.heartbeat.lock().unwrap_or_else(PoisonError::into_inner);
        Liveness {
            scheduler: stopping || now.saturating_duration_since(beat) < SCHEDULER_SILENCE,
            runner: stopping || self.0.runners_lost.load(Ordering::Relaxed) == 0,
        }
    }
}

#[cfg(test)]
mod tests;
