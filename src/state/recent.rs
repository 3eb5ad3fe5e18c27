//! What the last thirty days have left, an hour at a time: what stands in the
//! store, how large and slow backups were, and which runs failed.
//!
//! It is as much as a page shows, however many backups there are and however
//! often they are made: one entry an hour, and no more hours than [`WINDOW`]
//! has. Copies share it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use super::BackupSize;
use crate::words::{Stage, Worth};

/// How far back is remembered: thirty days, and the rest of the oldest of them.
pub const WINDOW: TimeDelta = TimeDelta::days(31);

/// So many hours, and the one that has just begun.
const LIMIT: usize = 31 * 24 + 1;

/// So many backups of this process, one a minute for two hours.
const MADE: usize = 120;

/// An hour each, keyed by the time at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours<T>(Arc<BTreeMap<DateTime<Utc>, T>>);

/// The best of what an hour left in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// When it began.
    pub time: DateTime<Utc>,
    /// What it is worth.
    pub worth: Worth,
    /// Whether a person asked for it.
    pub manual: bool,
    /// Whether the schedule made one that stands in that hour, whole or damaged:
    /// neither a manual backup nor a legacy archive is what a slot was due.
    pub scheduled: bool,
    /// Size of its archive, in bytes.
    pub bytes: u64,
    /// When verify last read it back.
    pub verified: Option<DateTime<Utc>>,
    /// How many stand in that hour, itself included.
    pub count: u32,
    /// How many of those are damaged.
    pub damaged: u32,
}

/// The measures of the newest backup of an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// When it began.
    pub time: DateTime<Utc>,
    /// What was measured.
    pub size: BackupSize,
}

/// Runs of an hour that made no backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRuns {
    /// How many.
    pub count: u32,
    /// Where the last one failed.
    pub stage: Option<Stage>,
    /// Why; fit to be shown.
    pub error: Option<String>,
}

impl<T> Default for Hours<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Hours<T> {
    /// What is known of the hour that a time lies in.
    #[must_use]
    pub fn get(&self, time: DateTime<Utc>) -> Option<&T> {
        self.0.get(&hour(time))
    }

    /// Each hour of which anything is known, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (DateTime<Utc>, &T)> {
        self.0.iter().map(|(hour, one)| (*hour, one))
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets what is known of the hour of a time, from what was known of it, and
    /// forgets the oldest hours where there are too many. It does not go by
    /// their age: one hour of a clock that is years ahead would leave nothing else.
    pub fn update(&mut self, time: DateTime<Utc>, one: impl FnOnce(Option<T>) -> T) {
        let hours = Arc::make_mut(&mut self.0);
        let known = hours.remove(&hour(time));
        hours.insert(hour(time), one(known));
        if hours.len() > LIMIT {
            hours.pop_first();
        }
    }

    /// Changes each hour that needs it; copies go on sharing where none does.
    pub(super) fn amend(&mut self, needs: impl Fn(&T) -> bool, change: impl Fn(&mut T)) {
        if self.0.values().any(&needs) {
            Arc::make_mut(&mut self.0).values_mut().filter(|one| needs(one)).for_each(change);
        }
    }
}

/// The last backups that this process made, oldest first: where several are made
/// in an hour, hours alone would show little of a process that has just started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made(Arc<VecDeque<Measure>>);

impl Made {
    /// Remembers one more, and forgets the oldest where there are too many.
    pub fn add(&mut self, one: Measure) {
        let made = Arc::make_mut(&mut self.0);
        made.push_back(one);
        if made.len() > MADE {
            made.pop_front();
        }
    }

    /// Each of them, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Measure> {
        self.0.iter()
    }
}

/// The beginning of the hour that a time lies in.
#[must_use]
pub fn hour(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_442_400, 0).unwrap() + TimeDelta::minutes(minute)
    }

    #[test]
    fn an_hour_is_one_entry_and_a_year_of_minutes_is_no_more_than_the_window() {
        let mut hours = Hours::default();
        for minute in 0..60 * 24 * 40 {
            hours.update(at(minute), |known: Option<u32>| known.unwrap_or(0) + 1);
        }
        assert_eq!(hours.iter().count(), LIMIT);
        assert!(hours.iter().all(|(_, count)| *count == 60));
        assert_eq!(hours.get(at(0)), None);
        assert_eq!(hours.get(at(60 * 24 * 39 + 30)), Some(&60));
    }

    #[test]
    fn copies_share_what_they_have_in_common() {
        let mut hours = Hours::default();
        hours.update(at(0), |_| 1);
        let copy = hours.clone();
        assert!(Arc::ptr_eq(&hours.0, &copy.0));
        hours.update(at(60), |_| 2);
        assert_eq!(copy.iter().count(), 1);
    }

    #[test]
    fn an_hour_of_a_clock_that_is_years_ahead_leaves_the_others() {
        let mut hours = Hours::default();
        hours.update(at(60 * 24 * 365), |_| 1);
        hours.update(at(0), |_| 2);
        assert_eq!(hours.get(at(30)), Some(&2));
    }
}
