use std::collections::BTreeSet;

use chrono::{TimeDelta, Timelike as _};
use proptest::prelude::*;

use super::*;
use crate::retention::testing::{at, entries, entry, policy};

/// The hours that go, of these.
fn gone(entries: &[Entry], policy: &Policy, now: i64) -> Vec<i64> {
    let plan = plan(entries, &drilled(entries), policy, at(now));
    plan.removed().map(|decision| (entries[decision.at].id.time() - at(0)).num_hours()).collect()
}

/// The hours that stay for a reason.
fn kept_as(entries: &[Entry], policy: &Policy, now: i64, reason: Keep) -> Vec<i64> {
    let plan = plan(entries, &drilled(entries), policy, at(now));
    let kept = plan.kept().filter(|decision| decision.keep.has(reason));
    kept.map(|decision| (entries[decision.at].id.time() - at(0)).num_hours()).collect()
}

/// Those of the thirteenth minute passed a drill; no hour that a test names has one.
fn drilled(entries: &[Entry]) -> Drilled {
    let thirteenth = |entry: &&Entry| entry.id.time().minute() % 13 == 1;
    entries.iter().filter(thirteenth).map(|entry| (entry.kind.name(), entry.id)).collect()
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
        let mut scheduled: Vec<&Entry> = good.filter(|e| e.kind == Kind::Scheduled).collect();
        scheduled.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        for last in scheduled.iter().take(policy.keep_last) {
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
        let alone = removed(&good, &policy, now);
        let among: BTreeSet<_> = removed(&entries, &policy, now)
            .into_iter()
            .filter(|name| good.iter().any(|entry| (entry.id, entry.kind.name()) == *name))
            .collect();
        prop_assert_eq!(alone, among);
    }
}
