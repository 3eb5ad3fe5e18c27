//! Watches the live state and has people told of what is wrong with it.
//!
//! It looks whenever the state has changed, and at an interval, because time
//! alone makes a backup stale. Jobs know nothing of it: it reads what they
//! write into [`State`], and what health makes of it. What it does with the
//! store has a deadline of its own and comes after the telling, since a store
//! that hangs is what must be told.

mod memory;
mod samples;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use self::{memory::Memory, samples::Samples};
use crate::{
    alerts::{Policy, Seen, anomaly::Thresholds, seen},
    catalog::Layout,
    health,
    lifecycle::Lifecycle,
    notify::{Delivered, Desk, Message, Pulse, PulseKind},
    state::{DatabaseState, RunReport, State},
    store::Store,
    words::{JobKind, Outcome},
};

/// The time between two looks when nothing changes.
const INTERVAL: Duration = Duration::from_secs(30);
/// Changes that follow each other this fast are looked at together.
const SETTLE: Duration = Duration::from_millis(200);
/// Deadline of what is done with the store for one database at one look.
const STORE_DEADLINE: Duration = Duration::from_secs(20);
/// After the store failed it is left alone for this long.
const STORE_PAUSE: TimeDelta = TimeDelta::seconds(60);

/// When something is told, and what is odd.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// When something is told.
    pub policy: Policy,
    /// What is odd about a backup.
    pub thresholds: Thresholds,
}

/// Watches every database.
#[derive(Debug)]
pub struct Watch {
    state: State,
    store: Arc<dyn Store>,
    desk: Desk,
    settings: WatchSettings,
    watched: Vec<Watched>,
}

/// One database, and what was told of it.
#[derive(Debug)]
struct Watched {
    name: String,
    place: String,
    memory: Memory,
    samples: Samples,
    begun: Option<DateTime<Utc>>,
    ended: Option<RunReport>,
    paused: Option<DateTime<Utc>>,
}

impl Watch {
    /// Watches the databases of a state; each is given with its keys in the store.
    #[must_use]
    pub fn new(
        state: State,
        store: Arc<dyn Store>,
        desk: Desk,
        settings: WatchSettings,
        databases: Vec<(String, Layout)>,
    ) -> Self {
        let watched = databases
            .into_iter()
            .map(|(name, layout)| Watched {
                place: store.uri(layout.prefix()),
                name,
                samples: Samples::new(layout.clone()),
                memory: Memory::new(layout),
                begun: None,
                ended: None,
                paused: None,
            })
            .collect();
        Self { state, store, desk, settings, watched }
    }

    /// Watches until the process is told to stop and its jobs are through, so
    /// that what the last one did is told as well.
    pub async fn run(mut self, lifecycle: Lifecycle) {
        let mut changes = self.state.changes();
        loop {
            self.look().await;
            // What changes from here on wakes the next look.
            changes.mark_unchanged();
            let idle = || self.state.databases().iter().all(|database| database.running.is_none());
            if lifecycle.soft.is_cancelled() && idle() {
                self.end(&lifecycle).await;
                return;
            }
            tokio::select! {
                () = lifecycle.hard.cancelled() => return,
                _ = changes.changed() => tokio::time::sleep(SETTLE).await,
                () = lifecycle.soft.cancelled(), if !lifecycle.soft.is_cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// Waits until what was sent has arrived, as long as there is time, and
    /// writes that down: else the next process would tell it again.
    async fn end(&mut self, lifecycle: &Lifecycle) {
        while !self.desk.is_idle() {
            tokio::select! {
                () = lifecycle.hard.cancelled() => break,
                () = tokio::time::sleep(SETTLE) => {}
            }
        }
        let now = self.state.now();
        self.hear(now);
        self.see_to_the_store(now).await;
    }

    /// Takes note of what arrived, and of what did not.
    fn hear(&mut self, now: DateTime<Utc>) {
        for Delivered { channel, notice, arrived } in self.desk.delivered() {
            let ours = |watched: &&mut Watched| watched.name == notice.database;
            let Some(watched) = self.watched.iter_mut().find(ours) else { continue };
            if arrived {
                watched.memory.book.settled(channel, &notice);
            } else {
                watched.memory.book.failed(channel, &notice, now);
            }
        }
    }

    /// Looks once: tells what is to be told, then sees to the store.
    pub async fn look(&mut self) {
        let now = self.state.now();
        self.hear(now);
        let health = health::current(&self.state);
        for watched in &mut self.watched {
            let Some(database) = self.state.database(&watched.name) else { continue };
            let Some(health) = health.databases.iter().find(|h| h.name == watched.name) else {
                continue;
            };
            watched.feel(&database, &self.desk);
            let anomalies = watched.samples.anomalies(&self.settings.thresholds);
            let started = self.state.started_at();
            let seen = seen(health, &database, anomalies.as_ref(), started, now);
            watched.tell(&seen, self.settings.policy, &self.desk, now);
        }
        self.see_to_the_store(now).await;
    }

    async fn see_to_the_store(&mut self, now: DateTime<Utc>) {
        for watched in &mut self.watched {
            let Some(database) = self.state.database(&watched.name) else { continue };
            let wants = self.settings.thresholds.enabled.then_some(database.last_success).flatten();
            watched.see_to_the_store(self.store.as_ref(), wants, now).await;
        }
    }
}

impl Watched {
    /// Gives a sign of life for each backup that begins, each that was made, and
    /// each slot that was given up.
    fn feel(&mut self, database: &DatabaseState, desk: &Desk) {
        let pulse = |kind| {
            desk.send(Message::Pulse(Pulse { database: self.name.clone(), kind }));
        };
        let ended = database.last_run.as_ref().filter(|run| self.ended.as_ref() != Some(run));
        if let Some(run) = ended {
            match run.outcome {
                Outcome::Ok => pulse(PulseKind::Success),
                Outcome::Failed if database.giving_up => pulse(PulseKind::Fail),
                // It is tried again; or a peer has made the backup, and says so.
                Outcome::Failed | Outcome::Skipped | Outcome::Cancelled => {}
            }
            self.ended = Some(run.clone());
        }
        let running = database.running.as_ref().filter(|running| running.job == JobKind::Backup);
        let begun = running.map(|running| running.since);
        if let Some(begun) = begun.filter(|begun| self.begun != Some(*begun)) {
            self.begun = Some(begun);
            pulse(PulseKind::Start);
        }
    }

    /// Tells what is to be told, to every channel, and what one of them has not
    /// been told yet, to that one.
    fn tell(&mut self, seen: &Seen, policy: Policy, desk: &Desk, now: DateTime<Utc>) {
        let book = &mut self.memory.book;
        for notice in book.observe(seen, policy, &self.name, &self.place, now) {
            let notice = desk.cleaned(notice);
            tracing::info!(
                database = self.name,
                problem = notice.problem,
                event = notice.event.as_str(),
                severity = notice.severity.as_str(),
                "alert: {}",
                notice.title
            );
            for channel in desk.send(Message::Notice(notice.clone())) {
                book.sent(channel, &notice, now);
            }
        }
        for (channel, notice) in book.again(seen, &self.name, &self.place, now) {
            let notice = desk.cleaned(notice);
            tracing::info!(
                database = self.name,
                problem = notice.problem,
                event = notice.event.as_str(),
                channel = channel.as_str(),
                "an alert that did not arrive is sent again: {}",
                notice.title
            );
            if desk.send_to(channel, Message::Notice(notice.clone())) {
                book.sent(channel, &notice, now);
            } else {
                // The settings have no such channel any more.
                book.settled(channel, &notice);
            }
        }
    }

    /// Reads what was told before, reads the manifests of new backups, and
    /// writes down what was told: each when it is time.
    async fn see_to_the_store(
        &mut self,
        store: &dyn Store,
        last_success: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) {
        if self.paused.is_some_and(|since| now >= since && now - since < STORE_PAUSE) {
            return;
        }
        let work = async {
            self.memory.recall(store, now).await?;
            if let Some(last) = last_success {
                self.samples.refresh(store, last).await?;
            }
            // What is still under way is told again by the next process, rather
            // than by none.
            self.memory.write_down(store).await
        };
        let result = match tokio::time::timeout(STORE_DEADLINE, work).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", STORE_DEADLINE.as_secs())),
        };
        self.paused = result.as_ref().map(|_| now);
        if let Some(error) = result {
            tracing::warn!(database = self.name, error, "what was told could not be kept");
        }
    }
}

#[cfg(test)]
mod tests;
