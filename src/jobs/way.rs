//! When a verify or a drill gives way to a backup that falls due: always, unless
//! backups fall due so often that it never gets to the end of even one archive.
//!
//! Then it holds on, with the one archive that it has in hand, for as long as
//! the backup that waits can still be made before health calls the last one
//! stale. Where even that is too short, it does so once a slot and no more: a
//! backup that is late every time, for nothing, would be worse than a verify
//! that says in the health that it does not get done.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// So many runs give way in a row, without an archive read to its end, before
/// one holds on.
const IN_VAIN: u32 = 2;

/// What a backup may take longer than twice what the last one took.
const RESERVE: TimeDelta = TimeDelta::minutes(1);

/// How a run ended, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether it held on.
    pub held: bool,
    /// Whether it was stopped because a backup was due.
    pub gave_way: bool,
    /// Whether it came to the end of at least one backup.
    pub got_through: bool,
}

/// What became of the last runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Runs in a row that gave way and got nothing done.
    in_vain: u32,
    /// The slot in which one held on in vain.
    held_in_vain: Option<DateTime<Utc>>,
}

impl Way {
    /// Whether the next run for `slot` is to hold on.
    #[must_use]
    pub fn holds(&self, slot: DateTime<Utc>) -> bool {
        self.in_vain >= IN_VAIN && self.held_in_vain != Some(slot)
    }

    /// Notes how a run for `slot` ended.
    pub fn note(&mut self, slot: DateTime<Utc>, ended: Ended) {
        if ended.got_through {
            self.in_vain = 0;
        } else if ended.gave_way {
            self.in_vain = self.in_vain.saturating_add(1);
            if ended.held {
                self.held_in_vain = Some(slot);
            }
        }
    }
}

/// Up to when a run that holds on may keep a backup waiting. The last good
/// backup is of `last_success`, and took `took`.
#[must_use]
pub fn holds_until(
    last_success: DateTime<Utc>,
    stale_after: Duration,
    took: Duration,
) -> DateTime<Utc> {
    let span = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::zero());
    // An age of which the calendar knows no end does not press.
    let stale = last_success.checked_add_signed(span(stale_after));
    stale.unwrap_or(DateTime::<Utc>::MAX_UTC) - span(took) - span(took) - RESERVE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_446_000, 0).unwrap() + TimeDelta::minutes(minute)
    }

    const GAVE_WAY: Ended = Ended { held: false, gave_way: true, got_through: false };

    #[test]
    fn a_verify_that_gets_nothing_done_holds_on_once_in_three_runs() {
        let mut way = Way::default();
        for _ in 0..3 {
            way.note(at(0), GAVE_WAY);
            assert!(!way.holds(at(0)));
            way.note(at(0), GAVE_WAY);
            assert!(way.holds(at(0)));
            way.note(at(0), Ended { held: true, gave_way: false, got_through: true });
            assert!(!way.holds(at(0)));
        }
        // One that gets through something needs no help, although it gives way.
        for _ in 0..9 {
            way.note(at(0), Ended { got_through: true, ..GAVE_WAY });
            assert!(!way.holds(at(0)));
        }
        // One that a person stopped proves nothing.
        for _ in 0..9 {
            way.note(at(0), Ended { gave_way: false, ..GAVE_WAY });
            assert!(!way.holds(at(0)));
        }
    }

    #[test]
    fn one_that_held_on_in_vain_waits_for_the_next_slot() {
        let mut way = Way::default();
        way.note(at(0), GAVE_WAY);
        way.note(at(0), GAVE_WAY);
        way.note(at(0), Ended { held: true, ..GAVE_WAY });
        for _ in 0..9 {
            assert!(!way.holds(at(0)));
            way.note(at(0), GAVE_WAY);
        }
        assert!(way.holds(at(1440)));
    }

    #[test]
    fn the_backup_that_waits_is_made_before_the_last_one_is_stale() {
        let hours = |hours| Duration::from_hours(hours);
        let took = Duration::from_mins(10);
        assert_eq!(holds_until(at(0), hours(2), Duration::ZERO), at(119));
        assert_eq!(holds_until(at(0), hours(2), took), at(99));
        assert!(holds_until(at(0), Duration::MAX, took) <= at(0), "a nonsense holds nothing up");
    }
}
