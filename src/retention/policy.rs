//! How long what is kept.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    settings::{DatabaseSettings, RetentionSettings},
    words::Period,
};

/// Debris younger than this may be a backup under way.
const GRACE: TimeDelta = TimeDelta::hours(24);

/// How much longer than its deadline a backup is believed to be under way.
const MARGIN: TimeDelta = TimeDelta::hours(1);

/// What is kept, and how long debris is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Everything younger than this is kept.
    pub keep_for: TimeDelta,
    /// So many of the newest good backups are kept whatever their age; at least one.
    pub keep_last: usize,
    /// Of how many of the newest periods one backup is kept, in the order of
    /// [`Period::ALL`].
    pub tiers: [usize; 5],
    /// Debris goes when it is older than this, by the store's clock.
    pub grace: TimeDelta,
}

impl Policy {
    /// What a database's settings say.
    #[must_use]
    pub fn of(settings: &DatabaseSettings) -> Self {
        let RetentionSettings { keep_for, keep_last, .. } = settings.retention;
        let tiers = settings.retention.tiers.map(count);
        // Whoever lets a backup take days must not have its parts thrown away.
        let grace = GRACE.max(delta(settings.timeout) + MARGIN);
        Self { keep_for: delta(keep_for), keep_last: count(keep_last).max(1), tiers, grace }
    }

    /// Of how many of the newest periods of a kind one backup is kept.
    #[must_use]
    pub fn tier(&self, period: Period) -> usize {
        self.tiers[period as usize]
    }

    /// The tiers that keep anything, in words: `daily 7, weekly 4`; empty where
    /// there are none.
    #[must_use]
    pub fn tiers_in_words(&self) -> String {
        let kept = Period::ALL.iter().filter(|period| self.tier(**period) > 0);
        let words: Vec<String> =
            kept.map(|period| format!("{period} {}", self.tier(*period))).collect();
        words.join(", ")
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The settings allow a century at most, which every clock can count.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
