use std::collections::BTreeSet;

use chrono::{TimeDelta, Timelike as _};
use proptest::prelude::*;

use super::*;
use crate::{
    drill::Mark,
    retention::testing::{at, entries, entry, mark, policy},
};

/// The hours that go, of these.
fn gone(entries: &[Entry], policy: &Policy, now: i64) -> Vec<i64> {
    gone_by(entries, &drilled(entries), policy, now)
}

/// The hours that stay for a reason.
fn kept_as(entries: &[Entry], policy: &Policy, now: i64, reason: Keep) -> Vec<i64> {
    let plan = plan(entries, &drilled(entries), policy, at(now));
    let kept = plan.kept().filter(|decision| decision.keep.has(reason));
    kept.map(|decision| (entries[decision.at].id.time() - at(0)).num_hours()).collect()
}

/// What became of a drill of those of some minutes; no hour that a test names has one.
fn drilled(entries: &[Entry]) -> Drilled {
    let drilled = entries.iter().filter_map(|entry| {
        let (backup, failed) = match entry.id.time().minute() % 13 {
            1 => return Some(passed(entry)),
            2 => mark(entry, DrillReason::RestoreError),
            3 => mark(entry, DrillReason::RowsDiffer),
            4 => mark(entry, DrillReason::ArchiveDamaged),
            5 => mark(entry, DrillReason::CheckFailed),
            6 => mark(entry, DrillReason::MissingExtension),
            _ => return None,
        };
        Some((backup, failed))
    });
    drilled.collect()
}

fn passed(entry: &Entry) -> ((&'static str, BackupId), Mark) {
    let (backup, failed) = mark(entry, DrillReason::CheckFailed);
    (backup, Mark { verdict: DrillVerdict::Passed, reason: None, ..failed })
}

/// The hours that go where these drills were made.
fn gone_by(entries: &[Entry], drilled: &Drilled, policy: &Policy, now: i64) -> Vec<i64> {
    let plan = plan(entries, drilled, policy, at(now));
    plan.removed().map(|decision| (entries[decision.at].id.time() - at(0)).num_hours()).collect()
}

const NOTHING: [i64; 0] = [];

/// Nothing is kept but the last one and what the tiers say.
fn tiers(tiers: [usize; 5]) -> Policy {
    Policy { keep_for: TimeDelta::zero(), keep_last: 1, tiers, ..policy() }
}

#[test]
fn what_is_younger_than_keep_for_stays_and_the_last_ones_whatever_their_age() {
    let hourly = entries(&(0..=800).collect::<Vec<_>>());
    assert_eq!(gone(&hourly, &policy(), 800), (0..=80).collect::<Vec<_>>());
    // Backups have stopped: the last 24 are there after a year, too.
    assert_eq!(gone(&hourly, &policy(), 800 + 365 * 24), (0..=776).collect::<Vec<_>>());
}

#[test]
fn each_tier_keeps_the_newest_of_each_period_in_utc() {
    // From a Monday's noon, every six hours for three weeks.
    let six: Vec<i64> = (0..=84).map(|n| n * 6).collect();
    let entries = entries(&six);
    let days = kept_as(&entries, &tiers([0, 3, 0, 0, 0]), 504, Keep::Day);
    // 18:00 of the two days before, and noon of today.
    assert_eq!(days, [462, 486, 504]);
    let weeks = kept_as(&entries, &tiers([0, 0, 3, 0, 0]), 504, Keep::Week);
    // Sundays at 18:00, and today, which is a Monday.
    assert_eq!(weeks, [318, 486, 504]);
    // The 23rd of November and three weeks: the 30th at 18:00 is November's.
    let months = kept_as(&entries, &tiers([0, 0, 0, 9, 0]), 504, Keep::Month);
    assert_eq!(months, [7 * 24 + 6, 504]);
    assert_eq!(kept_as(&entries, &tiers([0, 0, 0, 0, 9]), 504, Keep::Year), [504]);
    let hours = kept_as(&entries, &tiers([2, 0, 0, 0, 0]), 504, Keep::Hour);
    assert_eq!(hours, [498, 504]);
}

#[test]
fn weeks_are_those_of_iso_8601_over_the_turn_of_the_year() {
    for day in 0..1500 {
        let time = at(24 * day);
        let next = at(24 * (day + 1));
        let same = number(Period::Week, time) == number(Period::Week, next);
        assert_eq!(same, time.iso_week() == next.iso_week(), "{time}");
    }
}

#[test]
fn periods_without_a_backup_use_nothing_up() {
    let entries = entries(&[0, 24, 24 * 100, 24 * 200]);
    assert_eq!(gone(&entries, &tiers([0, 3, 0, 0, 0]), 24 * 900), [0]);
}

#[test]
fn a_proven_backup_stands_for_its_period_before_a_newer_one() {
    let mut entries = entries(&[0, 1, 2, 3, 24, 48]);
    entries[1].verified = Some(at(100));
    entries[0].verified = Some(at(100));
    assert_eq!(kept_as(&entries, &tiers([0, 9, 0, 0, 0]), 100, Keep::Day), [1, 24, 48]);
}

#[test]
fn legacy_archives_age_and_fill_periods_and_count_for_nothing() {
    let mut entries = entries(&[0, 1, 24, 25, 48, 72, 96]);
    for at in [0, 1, 2, 3, 6] {
        entries[at].state = State::Legacy;
    }
    // Two days have a good one; the newest four have anything.
    assert_eq!(kept_as(&entries, &tiers([0, 2, 0, 0, 0]), 900, Keep::Day), [48, 72, 96]);
    assert_eq!(kept_as(&entries, &tiers([0, 4, 0, 0, 0]), 900, Keep::Day), [25, 48, 72, 96]);
    assert_eq!(kept_as(&entries, &tiers([0; 5]), 900, Keep::Last), [72]);
    let last = Policy { keep_last: 2, ..policy() };
    assert_eq!(gone(&entries, &last, 24 * 30 + 1), [0, 1]);
}

#[test]
fn legacy_archives_stand_in_until_there_are_good_ones_enough() {
    let mut entries = entries(&(0..9).collect::<Vec<_>>());
    for entry in &mut entries[..8] {
        entry.state = State::Legacy;
    }
    let last = Policy { keep_last: 4, ..tiers([0; 5]) };
    assert_eq!(gone(&entries, &last, 9000), [0, 1, 2, 3, 4]);
    assert_eq!(kept_as(&entries, &last, 9000, Keep::Legacy), [5, 6, 7]);
    for entry in &mut entries[5..] {
        entry.state = State::Good;
    }
    assert_eq!(gone(&entries, &last, 9000), [0, 1, 2, 3, 4]);
    assert_eq!(kept_as(&entries, &last, 9000, Keep::Legacy), NOTHING);
}

#[test]
fn what_was_found_damaged_stays_to_be_looked_at() {
    let mut entries = entries(&[0, 1, 9000]);
    entries[0].state = State::Damaged;
    entries[0].verified = Some(at(9000));
    assert_eq!(gone(&entries, &tiers([0; 5]), 9000), [1]);
    assert_eq!(gone(&entries, &tiers([0; 5]), 9000 + 8 * 24 - 1), [1]);
    assert_eq!(gone(&entries, &tiers([0; 5]), 9000 + 8 * 24), [0, 1]);
    assert_eq!(gone(&entries, &policy(), 9000 + 30 * 24 - 1), NOTHING);
}

#[test]
fn damaged_backups_age_and_stand_for_nothing() {
    let mut entries = entries(&[0, 24, 48]);
    entries[2].state = State::Damaged;
    entries[2].verified = Some(at(50));
    assert_eq!(kept_as(&entries, &tiers([9, 9, 9, 9, 9]), 900, Keep::Day), [0, 24]);
    assert_eq!(kept_as(&entries, &policy(), 60, Keep::Last), [0, 24]);
    assert_eq!(kept_as(&entries, &policy(), 60, Keep::Young), [0, 24, 48]);
    assert_eq!(gone(&entries, &policy(), 900), [48]);
}

#[test]
fn a_period_prefers_what_passed_a_drill_to_what_was_verified() {
    let mut entries = entries(&[0, 24, 25, 26, 48]);
    entries[2].id = BackupId::at(at(25) + TimeDelta::minutes(1));
    entries[1].verified = Some(at(30));
    let days = tiers([0, 3, 0, 0, 0]);
    assert_eq!(kept_as(&entries, &days, 9000, Keep::Day), [0, 25, 48]);
    // Of two that passed, the newer one.
    entries[3].id = BackupId::at(at(26) + TimeDelta::minutes(1));
    assert_eq!(kept_as(&entries, &days, 9000, Keep::Day), [0, 26, 48]);
    // A drill says nothing of what happened since.
    entries[3].state = State::Damaged;
    assert_eq!(kept_as(&entries, &days, 9000, Keep::Day), [0, 25, 48]);
}

const CONDEMNING: [DrillReason; 3] =
    [DrillReason::ArchiveDamaged, DrillReason::RestoreError, DrillReason::RowsDiffer];

#[test]
fn what_did_not_come_back_in_a_drill_outlives_nothing_that_is_good() {
    // Of one month: the 23rd, the 24th and the 25th, and a newest one later.
    let entries = entries(&[0, 24, 48, 900]);
    let last = Policy { keep_last: 2, ..tiers([0; 5]) };
    for reason in CONDEMNING {
        for others in [None, Some(passed(&entries[0]))] {
            let drilled = others.into_iter().chain([mark(&entries[2], reason)]).collect();
            let month = if others.is_some() { [24, 48] } else { [0, 48] };
            assert_eq!(gone_by(&entries, &drilled, &tiers([0, 0, 0, 12, 0]), 9000), month);
            assert_eq!(gone_by(&entries, &drilled, &last, 9000), [0, 48], "{reason}");
            // Its age keeps it like any other.
            assert_eq!(gone_by(&entries, &drilled, &policy(), 48 + 720 - 1), NOTHING);
        }
    }
    // What was wrong in the data came back as it was, and that is no proof; nor is
    // what could not come back on this machine.
    let others =
        [DrillReason::CheckFailed, DrillReason::MissingExtension, DrillReason::MissingLocale];
    for reason in others {
        let drilled = Drilled::from([mark(&entries[2], reason)]);
        assert_eq!(gone_by(&entries, &drilled, &last, 9000), [0, 24], "{reason}");
        assert_eq!(gone_by(&entries, &drilled, &tiers([0, 0, 0, 12, 0]), 9000), [0, 24]);
    }
}

#[test]
fn what_a_drill_may_have_been_of_that_cannot_be_read_stays() {
    let entries = entries(&[0, 24, 25, 48, 72]);
    let unread = |drilled: &Drilled, hour: i64| {
        let mut plan = plan(&entries, drilled, &tiers([0; 5]), at(9000));
        plan.keep_what_was_there(BackupId::at(at(hour)), &entries, drilled);
        let hours = plan.removed().map(|decision| entries[decision.at].id.time() - at(0));
        hours.map(|hours| hours.num_hours()).collect::<Vec<_>>()
    };
    assert_eq!(unread(&Drilled::new(), 30), [48], "and nothing that was made after it");
    // A later drill of it is known.
    let (backup, mark) = passed(&entries[1]);
    let later = Drilled::from([(backup, Mark { time: at(31), ..mark })]);
    assert_eq!(unread(&later, 30), [24, 48]);
}

#[test]
fn what_did_not_come_back_in_a_drill_stays_where_it_is_all_there_is() {
    let entries = entries(&[0, 24, 25, 48]);
    let failed = |places: &[usize]| -> Drilled {
        places.iter().map(|at| mark(&entries[*at], DrillReason::RestoreError)).collect()
    };
    let last = |keep_last| Policy { keep_last, ..tiers([0; 5]) };
    // The newest of them, until there are good ones enough.
    assert_eq!(gone_by(&entries, &failed(&[0, 1, 2, 3]), &last(2), 9000), [0, 24]);
    assert_eq!(gone_by(&entries, &failed(&[1, 2, 3]), &last(3), 9000), [24]);
    assert_eq!(gone_by(&entries, &failed(&[1, 2]), &last(2), 9000), [24, 25]);
    // The newest, which the pointer names, whatever there is beside it.
    assert_eq!(gone_by(&entries, &failed(&[3]), &last(1), 9000), [0, 24]);
    assert_eq!(gone_by(&entries, &failed(&[2, 3]), &last(1), 9000), [0, 25]);
    // A period that has nothing else; and it takes none from a good one.
    let days = |days| tiers([0, days, 0, 0, 0]);
    assert_eq!(gone_by(&entries, &failed(&[1, 2]), &days(2), 9000), [24]);
    assert_eq!(gone_by(&entries, &failed(&[1, 2]), &days(1), 9000), [0, 24, 25]);
}

#[test]
fn a_period_prefers_the_legacy_archive_that_came_back_in_a_drill() {
    let mut entries = entries(&[0, 1, 2, 48]);
    for entry in &mut entries[..3] {
        entry.state = State::Legacy;
    }
    let days = tiers([0, 9, 0, 0, 0]);
    let failed = mark(&entries[2], DrillReason::RestoreError);
    assert_eq!(gone_by(&entries, &Drilled::new(), &days, 9000), [0, 1]);
    assert_eq!(gone_by(&entries, &Drilled::from([failed]), &days, 9000), [0, 2]);
    let drilled = Drilled::from([passed(&entries[0]), failed]);
    assert_eq!(gone_by(&entries, &drilled, &days, 9000), [1, 2]);
    // Nor does one that did not come back stand in for backups before others.
    let last = Policy { keep_last: 2, ..tiers([0; 5]) };
    assert_eq!(gone_by(&entries, &Drilled::from([failed]), &last, 9000), [0, 2]);
    // Beside a backup that did not come back it stays, too: neither is good.
    let drilled = Drilled::from([failed, mark(&entries[3], DrillReason::RowsDiffer)]);
    entries[3].id = BackupId::at(at(3));
    let drilled = drilled.into_values().zip([2, 3]);
    let drilled = drilled.map(|(mark, at)| ((entries[at].kind.name(), entries[at].id), mark));
    assert_eq!(gone_by(&entries, &drilled.collect(), &days, 9000), [0, 2]);
}

#[test]
fn a_verify_knows_better_than_a_drill_before_it_which_bytes_there_are() {
    let mut entries = entries(&[0, 48]);
    let last = Policy { keep_last: 1, ..tiers([0, 9, 0, 0, 0]) };
    let condemned = |entries: &[Entry], reason| {
        let drilled = Drilled::from([mark(&entries[0], reason)]);
        plan(entries, &drilled, &last, at(9000)).decisions[0].condemned
    };
    // Before the drill, which was an hour after the backup, and after it.
    for (verified, overruled) in [(None, false), (Some(0), false), (Some(2), true)] {
        entries[0].verified = verified.map(at);
        let damaged = Some(DrillReason::ArchiveDamaged).filter(|_| !overruled);
        assert_eq!(condemned(&entries, DrillReason::ArchiveDamaged), damaged, "{verified:?}");
        let rows = DrillReason::RowsDiffer;
        assert_eq!(condemned(&entries, rows), Some(rows), "rows come back or do not");
    }
}

#[test]
fn what_a_clock_a_year_behind_named_is_as_old_as_the_store_says() {
    let year = 365 * 24;
    let mut entries = entries(&(0..40).map(|hour| hour - year).collect::<Vec<_>>());
    for (hour, entry) in (0..).zip(&mut entries) {
        entry.last_modified = at(hour);
    }
    assert_eq!(gone(&entries, &policy(), 100), NOTHING);
    let later = gone(&entries, &policy(), 30 * 24 + 5);
    assert_eq!(later, (0..=5).map(|hour| hour - year).collect::<Vec<_>>());
}

#[test]
fn what_a_person_made_stays_and_stands_in_for_nothing() {
    let mut entries = entries(&[0, 1, 2]);
    for (at, state) in [(1, State::Good), (2, State::Legacy)] {
        entries[at].kind = Kind::Manual;
        entries[at].state = state;
    }
    let policy = Policy { keep_last: 1, ..tiers([0, 1, 0, 0, 0]) };
    assert_eq!(gone(&entries, &policy, 9000), NOTHING);
    assert_eq!(kept_as(&entries, &policy, 9000, Keep::Manual), [1, 2]);
    assert_eq!(kept_as(&entries, &policy, 9000, Keep::Day), [0]);
    entries[2].state = State::Damaged;
    assert_eq!(gone(&entries, &policy, 9000), NOTHING);
}

#[test]
fn debris_is_no_backup_and_has_no_decision() {
    let mut entries = entries(&[0, 1, 2]);
    for (at, state) in [State::Debris, State::Broken, State::Unclear].into_iter().enumerate() {
        entries[at].state = state;
    }
    assert_eq!(plan(&entries, &Drilled::new(), &policy(), at(9000)), Plan::default());
}

#[test]
fn an_age_that_no_calendar_holds_is_for_ever() {
    let for_ever = Policy { keep_for: TimeDelta::MAX, keep_last: 1, ..policy() };
    assert_eq!(gone(&entries(&[0, 1]), &for_ever, 1_000_000), NOTHING);
}

prop_compose! {
    /// Anything that may stand under an hour; hours repeat, places and states too.
    fn any_entry()(
        hour in 0_i64..3000, minute in 0_i64..60, manual in prop::bool::weighted(0.1),
        state in 0_usize..12, verified in prop::option::weighted(0.3, 0_i64..3000),
        late in prop::option::weighted(0.1, 0_i64..9000)
    ) -> Entry {
        let states = [State::Damaged, State::Legacy, State::Debris, State::Broken, State::Unclear];
        Entry {
            id: BackupId::at(at(hour) + TimeDelta::minutes(minute)),
            kind: if manual { Kind::Manual } else { Kind::Scheduled },
            state: states.get(state).copied().unwrap_or(State::Good),
            // By a clock that was behind, or copied from another bucket.
            last_modified: at(hour + late.unwrap_or(0)) + TimeDelta::minutes(minute),
            verified: verified.map(at),
            ..entry(0)
        }
    }
}

/// In the catalog's order, each id once in each place.
fn catalog() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(any_entry(), 0..120).prop_map(|mut entries| {
        entries.sort_by_key(|entry| (entry.id, entry.kind.name()));
        entries.dedup_by_key(|entry| (entry.id, entry.kind));
        entries
    })
}

prop_compose! {
    fn any_policy()(
        hours in 0_i64..2000, keep_last in 1_usize..30,
        tiers in prop::array::uniform5(0_usize..12)
    ) -> Policy {
        Policy { keep_for: TimeDelta::hours(hours), keep_last, tiers, ..policy() }
    }
}

fn removed(entries: &[Entry], policy: &Policy, now: i64) -> BTreeSet<(BackupId, &'static str)> {
    let plan = plan(entries, &drilled(entries), policy, at(now));
    let name = |at: usize| (entries[at].id, entries[at].kind.name());
    plan.removed().map(|decision| name(decision.at)).collect()
}

/// What goes of some entries where they are all there is, and where they are some
/// of all.
fn alone_and_among(
    some: &[Entry],
    all: &[Entry],
    policy: &Policy,
    now: i64,
) -> [BTreeSet<(BackupId, &'static str)>; 2] {
    let is_one =
        |name: &(BackupId, &str)| some.iter().any(|entry| (entry.id, entry.kind.name()) == *name);
    let among = removed(all, policy, now).into_iter().filter(is_one).collect();
    [removed(some, policy, now), among]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_newest_good_backup_always_stays(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000
    ) {
        let removed = removed(&entries, &policy, now);
        let good = entries.iter().filter(|entry| entry.state == State::Good);
        if let Some(newest) = good.clone().max_by_key(|entry| (entry.time(), entry.id)) {
            prop_assert!(!removed.contains(&(newest.id, newest.kind.name())));
        }
        let drilled = drilled(&entries);
        let mut scheduled: Vec<&Entry> = good.filter(|e| e.kind == Kind::Scheduled).collect();
        scheduled.sort_by_key(|entry| std::cmp::Reverse((entry.time(), entry.id)));
        let (came_back, failed): (Vec<&Entry>, Vec<&Entry>) =
            scheduled.into_iter().partition(|entry| drill::condemned(entry, &drilled).is_none());
        let missing = policy.keep_last.saturating_sub(came_back.len());
        for last in came_back.iter().take(policy.keep_last).chain(failed.iter().take(missing)) {
            prop_assert!(!removed.contains(&(last.id, last.kind.name())));
        }
        prop_assert!(removed.iter().all(|(_, kind)| *kind == "scheduled"));
    }

    #[test]
    fn planning_again_after_it_was_carried_out_changes_nothing(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000
    ) {
        let gone = removed(&entries, &policy, now);
        let left: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| !gone.contains(&(entry.id, entry.kind.name())))
            .collect();
        prop_assert_eq!(removed(&left, &policy, now), BTreeSet::new());
    }

    #[test]
    fn half_of_it_carried_out_changes_nothing_for_the_other_half(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000, cut in 0_usize..60
    ) {
        let gone = removed(&entries, &policy, now);
        let done: BTreeSet<_> = gone.iter().take(cut).copied().collect();
        let left: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| !done.contains(&(entry.id, entry.kind.name())))
            .collect();
        let rest: BTreeSet<_> = gone.difference(&done).copied().collect();
        prop_assert_eq!(removed(&left, &policy, now), rest);
    }

    #[test]
    fn time_going_back_never_removes_more(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000, back in 0_i64..9000
    ) {
        let earlier = removed(&entries, &policy, now - back);
        prop_assert!(earlier.is_subset(&removed(&entries, &policy, now)));
    }

    #[test]
    fn a_policy_that_keeps_more_never_removes_more(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000,
        hours in 0_i64..500, last in 0_usize..20, tiers in prop::array::uniform5(0_usize..5)
    ) {
        let mut more = policy.clone();
        more.keep_for += TimeDelta::hours(hours);
        more.keep_last += last;
        for (tier, plus) in more.tiers.iter_mut().zip(tiers) {
            *tier += plus;
        }
        let less = removed(&entries, &policy, now);
        prop_assert!(removed(&entries, &more, now).is_subset(&less));
    }

    #[test]
    fn what_counts_for_nothing_changes_nothing_for_what_counts(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000
    ) {
        let good: Vec<Entry> =
            entries.iter().filter(|entry| entry.state == State::Good).cloned().collect();
        let [alone, among] = alone_and_among(&good, &entries, &policy, now);
        prop_assert_eq!(alone, among);
    }

    #[test]
    fn what_did_not_come_back_changes_nothing_for_what_is_good(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000
    ) {
        let drilled = drilled(&entries);
        let good = |entry: &&Entry| {
            entry.state == State::Good && drill::condemned(entry, &drilled).is_none()
        };
        let good: Vec<Entry> = entries.iter().filter(good).cloned().collect();
        let [alone, among] = alone_and_among(&good, &entries, &policy, now);
        prop_assert_eq!(alone, among);
    }

    #[test]
    fn a_drill_that_fails_removes_nothing_but_what_it_was_of(
        entries in catalog(), policy in any_policy(), now in -100_i64..9000,
        which in any::<prop::sample::Index>(), reason in 0_usize..3
    ) {
        prop_assume!(!entries.is_empty());
        let entry = &entries[which.index(entries.len())];
        let before = drilled(&entries);
        let mut after = before.clone();
        after.extend([mark(entry, CONDEMNING[reason])]);
        // A verify since then may know better, and make it good.
        prop_assume!(drill::condemned(entry, &after).is_some());
        let gone = |drilled| -> BTreeSet<usize> {
            let plan = plan(&entries, drilled, &policy, at(now));
            plan.removed().map(|decision| decision.at).collect()
        };
        let mut more = gone(&after);
        more.remove(&which.index(entries.len()));
        prop_assert!(more.is_subset(&gone(&before)));
    }
}
