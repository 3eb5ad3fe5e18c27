//! Whether a backup is due: pure, from the schedule, the catalog and the time.
//!
//! A slot is a time that the cron line names. It is served when a scheduled
//! backup began at or after it. Looking at the newest slot that has come, and
//! at nothing else, catches up a slot that was missed while the process was
//! down or the machine asleep, once, and at once; a clock that jumps makes no
//! flood of runs and no silence.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use croner::Cron;

use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, Catalog, Entry},
    clock,
};

/// How a slot's attempts are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts of one slot, the first included.
    pub attempts: u32,
    /// Pause before the second attempt; doubles from there.
    pub delay: Duration,
}

/// What was tried for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The slot.
    pub slot: DateTime<Utc>,
    /// Attempts that failed.
    pub failures: u32,
    /// When the last attempt ended, whatever became of it.
    pub last: DateTime<Utc>,
}

/// A backup that was made for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The slot.
    pub slot: DateTime<Utc>,
    /// What was made.
    pub backup: BackupId,
}

/// The newest slot that has come.
#[must_use]
pub fn newest_slot(cron: &Cron, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // Given a fraction of a second, croner answers with the same fraction: a
    // slot that no backup's id, in whole seconds, would ever serve.
    cron.find_previous_occurrence(&now.trunc_subsecs(0), true).ok()
}

/// The next slot.
#[must_use]
pub fn next_slot(cron: &Cron, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    cron.find_next_occurrence(&now.trunc_subsecs(0), false).ok()
}

/// Whether a good scheduled backup serves a slot. One that claims to be younger
/// than the present was made under a wrong clock, and serves nothing, and one that
/// is known to be another database's does not either.
#[must_use]
pub fn is_served(catalog: &Catalog, slot: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    catalog
        .good_of_ours()
        .filter(|entry| entry.kind == Kind::Scheduled)
        .map(Entry::time)
        .any(|time| time >= slot && time <= now.max(slot) + clock::TOLERANCE)
}

/// The time of the newest good backup of any kind that is not dated in the future
/// and not known to be another database's.
#[must_use]
pub fn last_success(catalog: &Catalog, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    catalog.good_of_ours().map(Entry::time).filter(|time| *time <= now + clock::TOLERANCE).max()
}

/// Whether the backup that was made for a slot still stands. By the dates of a store
/// whose clock is behind it serves an earlier one, and is the one of this all the same.
#[must_use]
pub fn stands(catalog: &Catalog, slot: DateTime<Utc>, made: Option<Made>) -> bool {
    let made = made.filter(|made| made.slot == slot);
    made.is_some_and(|made| catalog.good().any(|entry| entry.id == made.backup))
}

/// The slot for which a backup should begin now, where there is one.
#[must_use]
pub fn due(
    cron: &Cron,
    catalog: &Catalog,
    tried: Option<Tried>,
    retries: Retries,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let slot = newest_slot(cron, now)?;
    if is_served(catalog, slot, now) {
        return None;
    }
    may_try(tried, slot, retries, now).then_some(slot)
}

/// Whether a slot's next attempt may begin: attempts are left, and the pause
/// after the last one is over.
#[must_use]
pub fn may_try(
    tried: Option<Tried>,
    slot: DateTime<Utc>,
    retries: Retries,
    now: DateTime<Utc>,
) -> bool {
    let Some(tried) = tried.filter(|tried| tried.slot == slot) else { return true };
    // A clock that went back must not make the pause longer than it is.
    let paused = now.signed_duration_since(tried.last).max(TimeDelta::zero());
    let pause = retries.pause_after(tried.failures);
    let waited = tried.last > now || paused.to_std().is_ok_and(|paused| paused >= pause);
    tried.failures < retries.attempts && waited
}

impl Retries {
    /// The pause after so many failures; a run that was skipped pauses as after the first.
    #[must_use]
    pub fn pause_after(self, failures: u32) -> Duration {
        self.delay.saturating_mul(1 << failures.saturating_sub(1).min(16))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{Origin, Others, State};

    fn hourly() -> Cron {
        croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Required)
            .build()
            .parse("0 0 * * * *")
            .unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-23T{text}Z").parse().unwrap()
    }

    fn catalog(times: &[DateTime<Utc>]) -> Catalog {
        let mut catalog = Catalog::default();
        for time in times {
            catalog.add(Entry {
                id: BackupId::at(*time),
                kind: Kind::Scheduled,
                state: State::Good,
                archive_bytes: 1,
                last_modified: *time,
                verified: None,
            });
        }
        catalog
    }

    const RETRIES: Retries = Retries { attempts: 3, delay: Duration::from_mins(1) };

    fn due_at(now: &str, backups: &[&str], tried: Option<Tried>) -> Option<DateTime<Utc>> {
        let backups: Vec<_> = backups.iter().map(|text| at(text)).collect();
        due(&hourly(), &catalog(&backups), tried, RETRIES, at(now))
    }

    #[test]
    fn a_slot_is_due_until_it_is_served() {
        assert_eq!(due_at("14:00:00", &["13:00:02"], None), Some(at("14:00:00")));
        assert_eq!(due_at("14:00:00", &["13:00:02", "14:00:00"], None), None);
        assert_eq!(due_at("14:59:59", &["14:00:00"], None), None);
    }

    #[test]
    fn a_fraction_of_a_second_is_no_new_slot() {
        assert_eq!(due_at("14:00:00.25", &["13:00:02"], None), Some(at("14:00:00")));
        assert_eq!(due_at("14:00:01.25", &["14:00:00"], None), None);
        assert_eq!(next_slot(&hourly(), at("14:00:00.25")), Some(at("15:00:00")));
    }

    #[test]
    fn a_slot_missed_while_down_is_caught_up_once() {
        assert_eq!(due_at("14:10:00", &["03:00:00"], None), Some(at("14:00:00")));
        assert_eq!(due_at("14:10:05", &["03:00:00", "14:10:00"], None), None);
        assert_eq!(due_at("14:10:00", &[], None), Some(at("14:00:00")));
    }

    #[test]
    fn failures_are_tried_again_with_growing_pauses_and_not_for_ever() {
        let tried = |failures, last| Some(Tried { slot: at("14:00:00"), failures, last: at(last) });
        assert_eq!(due_at("14:01:29", &[], tried(1, "14:00:30")), None);
        assert_eq!(due_at("14:01:30", &[], tried(1, "14:00:30")), Some(at("14:00:00")));
        assert_eq!(due_at("14:03:00", &[], tried(2, "14:01:30")), None);
        assert_eq!(due_at("14:03:30", &[], tried(2, "14:01:30")), Some(at("14:00:00")));
        assert_eq!(due_at("14:50:00", &[], tried(3, "14:03:30")), None);
        assert_eq!(due_at("15:00:00", &[], tried(3, "14:03:30")), Some(at("15:00:00")));
    }

    #[test]
    fn a_backup_from_the_future_serves_nothing() {
        assert_eq!(due_at("14:00:00", &["20:00:00"], None), Some(at("14:00:00")));
        // A clock that is a little behind another daemon's is no jump.
        assert_eq!(due_at("14:00:00", &["14:02:00"], None), None);
        let future = catalog(&[at("13:00:00"), at("20:00:00")]);
        assert_eq!(last_success(&future, at("14:00:00")), Some(at("13:00:00")));
    }

    #[test]
    fn a_backup_dated_ahead_by_a_wrong_clock_serves_the_slot_in_which_it_was_made() {
        let mut catalog = catalog(&[at("17:00:00")]);
        catalog.entries[0].last_modified = at("14:00:20");
        for (now, due_slot) in [("14:10:00", None), ("17:00:00", Some("17:00:00"))] {
            let slot = due(&hourly(), &catalog, None, RETRIES, at(now));
            assert_eq!(slot, due_slot.map(at), "{now}");
            assert_eq!(last_success(&catalog, at(now)), Some(at("14:00:20")));
        }
    }

    #[test]
    fn a_backup_of_another_database_serves_no_slot_and_is_no_success() {
        let origin = |database: &str| Origin {
            database: database.to_owned(),
            system_identifier: Some("1".to_owned()),
        };
        let mut catalog = catalog(&[at("13:00:00"), at("14:00:00")]);
        let (now, cron) = (at("14:01:00"), hourly());
        assert_eq!(due(&cron, &catalog, None, RETRIES, now), None);
        let read = [
            (Kind::Scheduled, BackupId::at(at("14:00:00")), origin("staging")),
            (Kind::Scheduled, BackupId::at(at("13:00:00")), origin("prod")),
        ];
        catalog.others = Others::of(&read, [], &origin("prod"));
        assert_eq!(due(&cron, &catalog, None, RETRIES, now), Some(at("14:00:00")));
        assert_eq!(last_success(&catalog, now), Some(at("13:00:00")));
    }

    #[test]
    fn what_was_made_for_a_slot_is_its_backup_as_long_as_it_stands() {
        let (slot, backup) = (at("14:00:00"), BackupId::at(at("14:00:07")));
        let (made, there) = (Some(Made { slot, backup }), catalog(&[at("14:00:07")]));
        assert!(stands(&there, slot, made));
        assert!(!stands(&there, slot, None));
        assert!(!stands(&there, at("15:00:00"), made), "it is another slot's");
        assert!(!stands(&catalog(&[at("14:00:08")]), slot, made), "it was deleted");
    }

    #[test]
    fn a_clock_that_goes_back_does_not_stretch_a_pause() {
        let tried = Some(Tried { slot: at("14:00:00"), failures: 1, last: at("14:50:00") });
        assert_eq!(due_at("14:01:00", &[], tried), Some(at("14:00:00")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn served_at_once_every_slot_gets_exactly_one_backup(
            steps in prop::collection::vec(1_i64..9000, 1..100)
        ) {
            let cron = hourly();
            let (mut now, mut made) = (at("00:00:01"), Vec::new());
            for step in steps {
                now += TimeDelta::seconds(step);
                let catalog = catalog(&made);
                if let Some(slot) = due(&cron, &catalog, None, RETRIES, now) {
                    prop_assert!(made.last().is_none_or(|last| *last < slot));
                    made.push(now);
                }
                let slot = newest_slot(&cron, now).unwrap();
                prop_assert!(made.last().is_some_and(|last| *last >= slot));
            }
        }

        #[test]
        fn however_the_clock_jumps_the_present_slot_gets_its_one_backup(
            jumps in prop::collection::vec(-40_000_000_i64..40_000_000, 1..20)
        ) {
            let cron = hourly();
            let (mut now, mut made) = (at("00:00:01"), Vec::new());
            for jump in jumps {
                now += TimeDelta::seconds(jump);
                if due(&cron, &catalog(&made), None, RETRIES, now).is_some() {
                    made.push(now);
                    made.sort_unstable();
                }
                let (catalog, slot) = (catalog(&made), newest_slot(&cron, now).unwrap());
                prop_assert_eq!(due(&cron, &catalog, None, RETRIES, now), None);
                prop_assert!(last_success(&catalog, now).is_some_and(|last| last >= slot));
            }
        }
    }
}
