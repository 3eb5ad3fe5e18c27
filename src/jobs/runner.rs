//! Runs the jobs of one database: one at a time, with retries and catch-up,
//! and with every outcome recorded.
//!
//! Each database has a runner of its own, so that none blocks another. The
//! schedule only nudges it; what is due follows from the catalog and the clock
//! (see [`super::due`]), so that a nudge too many, too late or too few does no
//! harm. The run itself is a task: a panic in it is an outcome like any other.

mod audit;
mod drill;
mod look;
mod sweep;
mod turn;
mod verify;

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use tracing::Instrument;

use self::turn::{Turn, Turns};
use super::{
    Environment, Source,
    backup::{self, BackupError, Done, Request, Skip},
    due::{self, Made, Retries, Tried},
    log::log,
    orders::{Handle, Order, Orders, orders},
    recent,
    survey::{Origins, size, tell},
};
use crate::{
    archive::{Manifest, manifest::Kind},
    catalog::{Catalog, Origin},
    lifecycle::Lifecycle,
    metrics::Metrics,
    state::{NewBackup, RunReport, State},
    words::{JobKind, Outcome, Stage},
};

/// What runs the jobs of one database.
#[derive(Debug)]
pub struct Runner {
    environment: Environment,
    source: Source,
    state: State,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    orders: Orders,
    catalog: Option<Catalog>,
    /// What the source said last of who it is.
    ours: Option<Origin>,
    /// Whose the backups are that were looked at.
    origins: Origins,
    surveyed: Option<DateTime<Utc>>,
    /// Whether the last look failed.
    look_failed: bool,
    tried: Option<Tried>,
    made: Option<Made>,
    turns: Turns,
    verify: verify::Memory,
    drill: drill::Memory,
}

/// A runner, which does nothing until [`Runner::run`], and its handle.
#[must_use]
pub fn runner(
    environment: Environment,
    source: Source,
    state: State,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
) -> (Runner, Handle) {
    let (handle, orders) = orders(&source.settings.name, state.clone());
    let runner = Runner {
        environment,
        source,
        state,
        metrics,
        lifecycle,
        orders,
        catalog: None,
        ours: None,
        origins: Origins::new(),
        surveyed: None,
        look_failed: false,
        tried: None,
        made: None,
        turns: Turns::default(),
        verify: verify::Memory::default(),
        drill: drill::Memory::default(),
    };
    (runner, handle)
}

impl Runner {
    /// Runs until the process is told to stop.
    pub async fn run(mut self) {
        let _alive = self.state.runner_guard();
        self.look().await;
        self.look_at_drills().await;
        if !self.lifecycle.soft.is_cancelled() {
            // What was missed while the process was down does not wait for a nudge.
            self.attend().await;
        }
        loop {
            let order = tokio::select! {
                biased;
                () = self.lifecycle.soft.cancelled() => return,
                order = self.orders.next() => order,
            };
            match order {
                None => return,
                Some(Order::Nudge(_done)) => self.attend().await,
                Some(Order::Start) => self.attempt(None).await,
            }
        }
    }

    /// Does what is due.
    async fn attend(&mut self) {
        self.say_what_is_next();
        let now = self.environment.clock.now();
        if self.clock_was_set(now) {
            // What was told of the store, and the pointer, went by another clock.
            self.catalog = None;
        }
        if self.catalog.is_none() {
            if !self.look_is_due(now) {
                return;
            }
            self.look().await;
        }
        // A backup looks for itself, so the look that only comes round waits for it.
        self.back_up_what_is_due().await;
        let now = self.environment.clock.now();
        if self.look_is_due(now) && !self.lifecycle.soft.is_cancelled() {
            self.look_in_time().await;
            self.back_up_what_is_due().await;
        }
        self.look_at_drills().await;
        // A sweep heeds what verify has found, so it comes after it; a drill may
        // take long, so it comes last.
        for job in JobKind::ALL {
            if self.lifecycle.soft.is_cancelled() {
                return;
            }
            match self.turn(*job).await {
                Turn::Nobodys => {}
                // It may have given way to the end of the process.
                _ if self.lifecycle.soft.is_cancelled() => {}
                Turn::Over => self.back_up_what_is_due().await,
                Turn::Ordered => self.attempt(None).await,
            }
        }
        self.turns.settle();
    }

    /// Whether the newest backup that is not dated in the future is another one
    /// than was told: the clock ran ahead when it was, or has gone on over a
    /// backup that was dated ahead.
    fn clock_was_set(&self, now: DateTime<Utc>) -> bool {
        let Some(catalog) = &self.catalog else { return false };
        let told = self.state.database(self.name()).and_then(|database| database.last_success);
        due::last_success(catalog, now) != told
    }

    async fn back_up_what_is_due(&mut self) {
        if let Some(slot) = self.due_slot() {
            self.attempt(Some(slot)).await;
        }
    }

    /// The slot for which a backup should begin now.
    fn due_slot(&self) -> Option<DateTime<Utc>> {
        // A backup does not wait for a listing that fails: it fails by itself,
        // loudly, where the store is really gone.
        let nothing = Catalog::default();
        let catalog = self.catalog.as_ref().unwrap_or(&nothing);
        let cron = &self.source.settings.schedule.cron;
        let now = self.environment.clock.now();
        due::due(cron, catalog, self.tried, self.retries(), now)
            .filter(|slot| !due::stands(catalog, *slot, self.made))
    }

    fn tell_catalog(&self, catalog: &Catalog, newest: Option<&Manifest>) {
        let settings = &self.source.settings;
        tell(&self.state, &settings.name, catalog, newest);
        let at = self.next_slot(JobKind::Sweep).unwrap_or_else(|| self.environment.clock.now());
        let drills = self.state.database(&settings.name).and_then(|database| database.drills);
        let outlook = Arc::new(recent::outlook(catalog, drills.as_ref(), settings, at));
        self.state.update(&settings.name, |database| database.outlook = Some(outlook));
    }

    fn say_what_is_next(&self) {
        let [backup, verify, sweep, audit, drill] =
            [JobKind::Backup, JobKind::Verify, JobKind::Sweep, JobKind::Audit, JobKind::Drill]
                .map(|job| self.next_slot(job));
        self.state.update(&self.source.settings.name, |database| {
            database.next_run = backup;
            database.next_verify = verify;
            database.next_sweep = sweep;
            database.next_audit = audit;
            database.next_drill = drill;
        });
    }

    /// Makes one attempt at a backup and records what became of it.
    async fn attempt(&mut self, slot: Option<DateTime<Utc>>) {
        let started = self.environment.clock.now();
        let clock = Instant::now();
        let name = self.source.settings.name.clone();
        let progress =
            self.state.update(&name, |database| database.began(JobKind::Backup, started));
        let progress = progress.unwrap_or_default();
        if slot.is_none() {
            self.orders.begun();
        }
        let result = {
            let (environment, source) = (self.environment.clone(), self.source.clone());
            let (progress, cancel) = (progress.clone(), self.lifecycle.hard.clone());
            let request = Request { kind: Kind::Scheduled, slot };
            let span = tracing::info_span!("backup", database = name);
            let run = async move {
                backup::run(&environment, &source, request, &progress, &cancel).await
            };
            tokio::spawn(run.instrument(span)).await
        };
        let result = result.unwrap_or_else(|panic| Err(panicked(&panic)));
        let failures = self.note_attempt(slot, &result);
        let report = self.report(&result, started, clock.elapsed().as_secs_f64());
        log(&name, &report, &result);
        self.metrics.run_ended(&name, &report);
        let attempts = self.source.settings.attempts;
        // One that was asked for is no slot's, and says nothing about the schedule.
        let last_of_slot = slot.is_some() && failures >= attempts;
        // Whoever made it may not have moved the pointer.
        let served = matches!(result, Ok(Done::Skipped(Skip::Served)));
        let failed = result.is_err();
        let (catalog, made) = what_stands(result);
        if let Some(made) = &made {
            self.ours = Some(Origin::from(&made.source));
        }
        if let Some(catalog) = catalog {
            self.tell_catalog(&catalog, made.as_ref());
            self.catalog = Some(catalog);
            self.surveyed = Some(started);
            self.look_failed = false;
        }
        let pointed = match (&report.stage, report.outcome, &made) {
            (Some(Stage::Pointer), _, _) => Some(false),
            (_, Outcome::Ok, Some(_)) => Some(true),
            _ => None,
        };
        self.state.update(&name, |database| {
            let backup = made
                .as_ref()
                .map(|manifest| NewBackup { time: manifest.started, size: size(manifest) });
            let seen = database.last_success;
            database.ended(report, last_of_slot, backup);
            // The catalog knows better: it leaves out what is dated in the future.
            database.last_success = seen;
            database.pointer_ok = pointed.or(database.pointer_ok);
        });
        if pointed == Some(false) {
            // The next look puts the pointer right, without another backup.
            self.catalog = None;
        } else if failed || served {
            self.look_again().await;
        }
        self.say_what_is_next();
    }

    fn note_attempt(
        &mut self,
        slot: Option<DateTime<Utc>>,
        result: &Result<Done, BackupError>,
    ) -> u32 {
        let Some(slot) = slot else { return 0 };
        let before = self.tried.filter(|tried| tried.slot == slot).map_or(0, |t| t.failures);
        let failed = matches!(result, Err(error) if !error.cancelled);
        let failures = before + u32::from(failed);
        self.tried = Some(Tried { slot, failures, last: self.environment.clock.now() });
        if let Ok(Done::Backup { manifest, .. }) = result {
            self.made = manifest.id.parse().ok().map(|backup| Made { slot, backup });
        }
        failures
    }

    fn report(
        &self,
        result: &Result<Done, BackupError>,
        started: DateTime<Utc>,
        seconds: f64,
    ) -> RunReport {
        let report = RunReport {
            job: JobKind::Backup,
            outcome: Outcome::Ok,
            started,
            seconds,
            stage: None,
            error: None,
            backup: None,
        };
        match result {
            Ok(Done::Backup { manifest, .. }) => {
                RunReport { backup: Some(manifest.id.clone()), ..report }
            }
            Ok(Done::Skipped(_)) => RunReport { outcome: Outcome::Skipped, ..report },
            Err(error) => RunReport {
                outcome: if error.cancelled { Outcome::Cancelled } else { Outcome::Failed },
                stage: Some(error.stage),
                error: Some(self.source.url.redact(&error.message)),
                backup: error.committed.as_ref().map(|committed| committed.0.id.clone()),
                ..report
            },
        }
    }

    fn retries(&self) -> Retries {
        let settings = &self.source.settings;
        Retries { attempts: settings.attempts, delay: settings.retry_delay }
    }

    fn name(&self) -> &str {
        &self.source.settings.name
    }
}

/// The catalog after a run, and the backup that it made.
fn what_stands(result: Result<Done, BackupError>) -> (Option<Catalog>, Option<Manifest>) {
    match result {
        Ok(Done::Backup { manifest, catalog }) => (Some(catalog), Some(*manifest)),
        Err(BackupError { committed: Some(committed), .. }) => {
            (Some(committed.1), Some(committed.0))
        }
        Ok(Done::Skipped(_)) | Err(_) => (None, None),
    }
}

fn panicked(error: &tokio::task::JoinError) -> BackupError {
    BackupError {
        stage: Stage::Panic,
        message: format!("the run broke down, which is a fault in Reliquary: {error}"),
        transient: false,
        cancelled: false,
        committed: None,
    }
}
