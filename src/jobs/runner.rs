//! Runs the jobs of one database: one at a time, with retries and catch-up,
//! and with every outcome recorded.
//!
//! Each database has a runner of its own, so that none blocks another. The
//! schedule only nudges it; what is due follows from the catalog and the clock
//! (see [`super::due`]), so that a nudge too many, too late or too few does no
//! harm. The run itself is a task: a panic in it is an outcome like any other.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::{
    Environment, Source, StartResult, Trigger,
    backup::{self, BackupError, Done, Request, Skip},
    due::{self, Retries, Tried},
    log::log,
    survey::{size, survey, tell},
};
use crate::{
    archive::{Manifest, manifest::Kind},
    catalog::Catalog,
    lifecycle::Lifecycle,
    metrics::Metrics,
    state::{NewBackup, RunReport, State},
    words::{JobKind, Outcome, Stage},
};

/// After a listing that failed, the next one waits this long.
const SURVEY_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Orders that may wait for a busy runner.
const ORDERS: usize = 4;

/// What a runner can be told.
#[derive(Debug)]
enum Order {
    /// Look whether anything is due. The sender is dropped when that is done.
    Nudge(Option<oneshot::Sender<()>>),
    /// Take a backup now.
    Start(oneshot::Sender<StartResult>),
}

/// Talks to one database's runner.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    state: State,
    name: Arc<str>,
}

/// What runs the jobs of one database.
#[derive(Debug)]
pub struct Runner {
    environment: Environment,
    source: Source,
    state: State,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    orders: mpsc::Receiver<Order>,
    catalog: Option<Catalog>,
    surveyed: Option<DateTime<Utc>>,
    tried: Option<Tried>,
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
    let (sender, orders) = mpsc::channel(ORDERS);
    let name = Arc::from(source.settings.name.as_str());
    let handle = Handle { orders: sender, state: state.clone(), name };
    let runner = Runner {
        environment,
        source,
        state,
        metrics,
        lifecycle,
        orders,
        catalog: None,
        surveyed: None,
        tried: None,
    };
    (runner, handle)
}

impl Handle {
    /// Makes the runner look whether anything is due. Returns at once.
    pub fn nudge(&self) {
        // Nudges that come while the runner is busy say nothing new: one waits,
        // and the other places are left to people.
        if self.orders.capacity() == ORDERS {
            let _ = self.orders.try_send(Order::Nudge(None));
        }
    }

    /// Makes the runner look whether anything is due, and waits until it has
    /// looked and done what was.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        if self.orders.send(Order::Nudge(Some(done))).await.is_ok() {
            // The sender is dropped, not used.
            let _ = settled.await;
        }
    }

    async fn start(&self) -> StartResult {
        if self.state.stopping() {
            return StartResult::ShuttingDown;
        }
        if self.state.database(&self.name).is_some_and(|database| database.running.is_some()) {
            return StartResult::AlreadyRunning;
        }
        let (answer, result) = oneshot::channel();
        match self.orders.try_send(Order::Start(answer)) {
            Ok(()) => result.await.unwrap_or(StartResult::ShuttingDown),
            Err(mpsc::error::TrySendError::Full(_)) => StartResult::AlreadyRunning,
            Err(mpsc::error::TrySendError::Closed(_)) => StartResult::ShuttingDown,
        }
    }
}

/// The runners of all databases, for `POST /backups`.
#[derive(Clone, Debug)]
pub struct Handles(pub Vec<Handle>);

#[async_trait]
impl Trigger for Handles {
    async fn start(&self, database: &str) -> StartResult {
        match self.0.iter().find(|handle| &*handle.name == database) {
            Some(handle) => handle.start().await,
            None => StartResult::UnknownDatabase,
        }
    }
}

impl Runner {
    /// Runs until the process is told to stop.
    pub async fn run(mut self) {
        let _alive = self.state.runner_guard();
        self.look().await;
        if !self.lifecycle.soft.is_cancelled() {
            // What was missed while the process was down does not wait for a nudge.
            self.attend().await;
        }
        loop {
            let order = tokio::select! {
                biased;
                () = self.lifecycle.soft.cancelled() => return,
                order = self.orders.recv() => order,
            };
            match order {
                None => return,
                Some(Order::Nudge(_done)) => self.attend().await,
                Some(Order::Start(answer)) => {
                    // Whoever asked has gone away: the backup is made all the same.
                    let _ = answer.send(StartResult::Accepted);
                    self.attempt(None).await;
                }
            }
        }
    }

    /// Does what is due.
    async fn attend(&mut self) {
        self.say_what_is_next();
        let now = self.environment.clock.now();
        if self.catalog.is_none() {
            if self.surveyed.is_some_and(|last| now >= last && now - last < SURVEY_PAUSE) {
                return;
            }
            self.look().await;
        }
        let Some(catalog) = &self.catalog else {
            // A backup does not wait for a listing that fails: it fails by
            // itself, loudly, where the store is really gone.
            return self.attend_blind(now).await;
        };
        let cron = &self.source.settings.schedule.cron;
        if let Some(slot) = due::due(cron, catalog, self.tried, self.retries(), now) {
            self.attempt(Some(slot)).await;
        }
    }

    async fn attend_blind(&mut self, now: DateTime<Utc>) {
        let cron = &self.source.settings.schedule.cron;
        let nothing = Catalog::default();
        if let Some(slot) = due::due(cron, &nothing, self.tried, self.retries(), now) {
            self.attempt(Some(slot)).await;
        }
    }

    /// Surveys the store and tells the state what was found.
    async fn look(&mut self) {
        let now = self.environment.clock.now();
        self.surveyed = Some(now);
        let store = self.environment.store.as_ref();
        let layout = &self.source.layout;
        match survey(store, layout).await {
            Ok(found) => {
                self.tell_catalog(&found.catalog, found.newest.as_ref());
                let pointer = found.point(store, layout).await;
                if let Some(Err(error)) = &pointer {
                    tracing::warn!(database = self.name(), %error, "the pointer is behind");
                }
                let cron = &self.source.settings.schedule.cron;
                let served = due::newest_slot(cron, now)
                    .is_some_and(|slot| due::is_served(&found.catalog, slot, now));
                self.state.update(&self.source.settings.name, |database| {
                    database.pointer_ok = pointer.map(|pointer| pointer.is_ok());
                    // Attempts made while the store could not be seen failed for
                    // nothing where the slot had its backup all along.
                    database.giving_up &= !served;
                });
                self.catalog = Some(found.catalog);
            }
            Err(error) => {
                tracing::error!(database = self.name(), %error, "the store could not be listed");
                let error = self.source.url.redact(&error.to_string());
                self.state.update(&self.source.settings.name, |database| {
                    database.catalog_error = Some(error);
                });
            }
        }
        self.say_what_is_next();
    }

    fn tell_catalog(&self, catalog: &Catalog, newest: Option<&Manifest>) {
        tell(&self.state, &self.source.settings.name, catalog, newest);
    }

    fn say_what_is_next(&self) {
        let cron = &self.source.settings.schedule.cron;
        let next = due::next_slot(cron, self.environment.clock.now());
        self.state.update(&self.source.settings.name, |database| database.next_run = next);
    }

    /// Makes one attempt at a backup and records what became of it.
    async fn attempt(&mut self, slot: Option<DateTime<Utc>>) {
        let started = self.environment.clock.now();
        let clock = Instant::now();
        let name = self.source.settings.name.clone();
        let progress =
            self.state.update(&name, |database| database.began(JobKind::Backup, started));
        let progress = progress.unwrap_or_default();
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
        let (catalog, made) = what_stands(result);
        if let Some(catalog) = catalog {
            self.tell_catalog(&catalog, made.as_ref());
            self.catalog = Some(catalog);
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
            database.last_success = seen.or(database.last_success);
            database.pointer_ok = pointed.or(database.pointer_ok);
        });
        if pointed == Some(false) {
            // The next look puts the pointer right, without another backup.
            self.catalog = None;
        } else if served {
            self.look().await;
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
