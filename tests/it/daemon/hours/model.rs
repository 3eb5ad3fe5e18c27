//! What a daemon must do and say, told a second time and simply: the judge of
//! the simulation. It shares no code with the product.

use std::collections::BTreeSet;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// The defaults of the reference.
const ATTEMPTS: u32 = 3;
const STALE_AFTER: TimeDelta = TimeDelta::hours(2);

/// What is up.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) source: bool,
    pub(super) store: bool,
}

pub(super) struct Model {
    /// What stands in the store.
    pub(super) backups: BTreeSet<DateTime<Utc>>,
    started: DateTime<Utc>,
    looked: Option<DateTime<Utc>>,
    /// Whether this life has ever seen what the store holds.
    known: bool,
    giving_up: bool,
    failures: u32,
    slot: Option<DateTime<Utc>>,
    last_try: Option<DateTime<Utc>>,
}

impl Model {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self {
            backups: BTreeSet::new(),
            started: now,
            looked: None,
            known: false,
            giving_up: false,
            failures: 0,
            slot: None,
            last_try: None,
        }
    }

    /// A new process: it remembers nothing but what the store holds.
    pub(super) fn restart(&mut self, now: DateTime<Utc>) {
        *self = Self { backups: std::mem::take(&mut self.backups), ..Self::new(now) };
    }

    /// A look at the clock.
    pub(super) fn step(&mut self, now: DateTime<Utc>, world: World) {
        let slot = now.duration_trunc(TimeDelta::hours(1)).unwrap();
        if !self.known && self.looked != Some(now) {
            self.looked = Some(now);
            self.known = world.store;
            // Whoever sees that the hour has its backup has nothing to give up.
            self.giving_up &= !(self.known && self.served(slot));
        } else if !self.known {
            return;
        }
        if self.known && self.served(slot) {
            return;
        }
        if self.slot != Some(slot) {
            (self.slot, self.failures) = (Some(slot), 0);
        }
        if self.failures > 0 {
            let pause = TimeDelta::minutes(1 << (self.failures - 1));
            let waited = self.last_try.is_some_and(|last| now - last >= pause);
            if self.failures >= ATTEMPTS || !waited {
                return;
            }
        }
        self.last_try = Some(now);
        if world.source && world.store {
            self.backups.insert(now);
            (self.known, self.giving_up) = (true, false);
        } else {
            self.failures += 1;
            self.giving_up |= self.failures >= ATTEMPTS;
        }
    }

    pub(super) fn last_success(&self) -> Option<DateTime<Utc>> {
        self.backups.last().copied().filter(|_| self.known)
    }

    pub(super) fn health(&self, now: DateTime<Utc>) -> &'static str {
        if self.giving_up || !self.known {
            return "failing";
        }
        match self.last_success() {
            Some(last) if now - last <= STALE_AFTER => "ok",
            None if now - self.started <= STALE_AFTER => "starting",
            _ => "stale",
        }
    }

    fn served(&self, slot: DateTime<Utc>) -> bool {
        self.backups.range(slot..).next().is_some()
    }
}
