use std::collections::BTreeSet;

use chrono::{Datelike as _, TimeDelta, Timelike as _};
use proptest::prelude::*;

use super::{super::history::tests::report, *};
use crate::{catalog::BackupId, jobs::due, settings::Schedule};

const MEASURE: Measure = Measure { sample: 1, attempts: 6 };

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}:00:00Z").parse().unwrap()
}

fn entry(time: DateTime<Utc>, kind: Kind, state: State) -> Entry {
    let (id, archive_bytes, verified) = (BackupId::at(time), 1, None);
    Entry { id, kind, state, archive_bytes, last_modified: time, verified }
}

/// Good backups of the full hours of the first of November.
fn catalog(hours: std::ops::Range<u32>) -> Catalog {
    let mut catalog = Catalog::default();
    for hour in hours {
        let time = at(&format!("2026-11-01T{hour:02}"));
        catalog.add(entry(time, Kind::Scheduled, State::Good));
    }
    catalog
}

fn slot() -> DateTime<Utc> {
    at("2026-11-02T06")
}

/// An hour later.
fn turn(catalog: &Catalog, drills: Vec<DrillReport>, measure: Measure) -> Vec<(u32, DrillChoice)> {
    let now = slot() + TimeDelta::hours(1);
    let found = targets(catalog, &Drills::of(drills), slot(), measure, now);
    found.iter().map(|(entry, choice)| (entry.time().hour(), *choice)).collect()
}

/// A drill in the slot, or at another time, of the backup of an hour.
fn drilled(id: &str, hour: u32, choice: DrillChoice, verdict: DrillVerdict) -> DrillReport {
    let backup = format!("2026-11-01T{hour:02}-00-00Z");
    DrillReport { choice, ..report(id, &backup, verdict) }
}

use DrillChoice::{Asked, Newest, Rota};
use DrillVerdict::{Failed, Passed, Unproven};

const IN_SLOT: &str = "2026-11-02T06-05-00Z";
const BEFORE: &str = "2026-10-01T06-05-00Z";

#[test]
fn the_newest_comes_first_and_then_one_of_the_others() {
    let found = turn(&catalog(0..9), vec![], MEASURE);
    assert_eq!(found[0], (8, Newest));
    assert!(found.len() == 2 && found[1].0 < 8 && found[1].1 == Rota, "{found:?}");
    let alone = Measure { sample: 0, ..MEASURE };
    assert_eq!(turn(&catalog(0..9), vec![], alone), [(8, Newest)]);
}

#[test]
fn a_slot_of_a_time_before_there_was_anything_was_not_missed() {
    let now = slot() + TimeDelta::hours(1);
    let early = at("2026-10-01T06");
    assert_eq!(targets(&catalog(0..9), &Drills::default(), early, MEASURE, now), []);
    assert_eq!(turn(&Catalog::default(), vec![], MEASURE), []);
}

#[test]
fn what_the_bucket_says_was_drilled_since_the_slot_is_not_drilled_again() {
    let newest = drilled(IN_SLOT, 8, Newest, Passed);
    let found = turn(&catalog(0..9), vec![newest.clone()], MEASURE);
    assert!(matches!(found[..], [(0..8, Rota)]), "{found:?}");
    let other = drilled("2026-11-02T06-09-00Z", 3, Rota, Failed);
    assert_eq!(turn(&catalog(0..9), vec![newest.clone(), other], MEASURE), [], "and nothing more");
    // A backup that was made meanwhile does not begin it anew.
    let alone = Measure { sample: 0, ..MEASURE };
    assert_eq!(turn(&catalog(0..10), vec![newest], alone), []);
    // A person's own counts, too, and is the newest's turn where it was that.
    let asked = drilled(IN_SLOT, 8, Asked, Passed);
    assert!(matches!(turn(&catalog(0..9), vec![asked], MEASURE)[..], [(0..8, Rota)]));
    let asked = drilled(IN_SLOT, 2, Asked, Passed);
    assert_eq!(turn(&catalog(0..9), vec![asked], MEASURE), [(8, Newest)]);
}

#[test]
fn what_proved_nothing_is_drilled_again_and_not_for_ever() {
    let vain = |n: usize| {
        let id = |minute| format!("2026-11-02T06-{minute:02}-00Z");
        (0..n).map(|n| drilled(&id(n), 8, Newest, Unproven)).collect::<Vec<_>>()
    };
    assert_eq!(turn(&catalog(0..9), vain(1), MEASURE)[0], (8, Newest));
    assert_eq!(turn(&catalog(0..9), vain(5), MEASURE)[0], (8, Newest));
    assert_eq!(turn(&catalog(0..9), vain(6), MEASURE), []);
    for reason in [DrillReason::Store, DrillReason::Target, DrillReason::Sandbox] {
        let vain: Vec<DrillReport> = vain(6)
            .into_iter()
            .map(|drill| DrillReport { reason: Some(reason), ..drill })
            .collect();
        let tried = vain[..5].to_vec();
        assert_eq!(turn(&catalog(0..9), tried, MEASURE)[0], (8, Newest), "a moment's {reason}");
        assert_eq!(turn(&catalog(0..9), vain, MEASURE), []);
    }
    // What would come to nothing again has had its turn.
    let full = DrillReport { reason: Some(DrillReason::NoRoom), ..vain(1).remove(0) };
    assert!(matches!(turn(&catalog(0..9), vec![full], MEASURE)[..], [(0..8, Rota)]));
}

#[test]
fn who_was_never_looked_at_comes_first_and_then_who_waits_for_the_longest() {
    let mut drills = vec![
        drilled("2026-08-03T06-05-00Z", 0, Rota, Passed),
        drilled("2026-07-01T06-05-00Z", 2, Rota, Failed),
        drilled("2026-09-01T06-05-00Z", 3, Asked, Passed),
    ];
    assert_eq!(turn(&catalog(0..4), drills.clone(), MEASURE), [(1, Rota), (2, Rota)]);
    drills.push(drilled(BEFORE, 1, Rota, Passed));
    assert_eq!(turn(&catalog(0..4), drills, MEASURE), [(2, Rota), (0, Rota)]);
}

#[test]
fn what_a_wrong_clock_has_dated_ahead_keeps_nobody_from_a_turn() {
    let ahead = drilled("2027-11-02T06-05-00Z", 8, Newest, Passed);
    assert_eq!(turn(&catalog(0..9), vec![ahead], MEASURE)[0], (8, Newest));
    let mut catalog = catalog(0..9);
    let id: BackupId = "2027-11-01T00-00-00Z".parse().unwrap();
    catalog.add(entry(id.time(), Kind::Scheduled, State::Good));
    assert_eq!(turn(&catalog, vec![], MEASURE)[0], (8, Newest));
}

#[test]
fn what_is_damaged_has_no_turn() {
    let mut catalog = catalog(0..2);
    catalog.entries[1].state = State::Damaged;
    assert_eq!(turn(&catalog, vec![], MEASURE), [(0, Newest)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn nobody_has_a_second_turn_while_others_wait(backups in 2_u32..20, sample in 0_usize..4) {
        let catalog = catalog(0..backups);
        let mut drills: Vec<DrillReport> = Vec::new();
        let mut turns = vec![0_usize; backups as usize];
        let measure = Measure { sample, ..MEASURE };
        for day in 0..30 {
            let slot = slot() + TimeDelta::days(day);
            let known = Drills::of(drills.clone());
            let found = targets(&catalog, &known, slot, measure, slot);
            prop_assert_eq!(found.len(), (1 + sample).min(backups as usize));
            for (second, (entry, choice)) in found.iter().enumerate() {
                let hour = entry.time().hour();
                turns[hour as usize] += 1;
                let id = BackupId::at(slot + TimeDelta::seconds(i64::try_from(second).unwrap())).to_string();
                drills.push(drilled(&id, hour, *choice, Passed));
            }
            let fewest = turns.iter().min().unwrap();
            prop_assert!(turns.iter().all(|turn| turn - fewest <= 1), "{:?}", turns);
        }
    }
}

/// A year as the daemon lives it: a backup each hour, kept for thirty days, a
/// manual one now and then, six legacy archives from before, and a look each hour.
#[test]
fn a_year_proves_the_newest_each_month_and_everybody_else_in_turn() {
    let drill = Schedule::parse("0 0 6 1W * *").unwrap();
    let mut catalog = Catalog::default();
    for day in 1..=6 {
        let time = at(&format!("2025-12-{day:02}T03"));
        catalog.add(entry(time, Kind::Scheduled, State::Legacy));
    }
    let (begin, end) = (at("2026-01-01T00"), at("2027-01-01T00"));
    let mut drills: Vec<DrillReport> = Vec::new();
    let mut proven: Vec<(DateTime<Utc>, Entry, DrillChoice)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut now = begin;
    let slots_at = |now| {
        (due::newest_slot(&drill.cron, now).unwrap(), due::next_slot(&drill.cron, now).unwrap())
    };
    let (mut slot, mut next) = slots_at(now);
    while now < end {
        if now >= next {
            (slot, next) = slots_at(now);
        }
        catalog.add(entry(now, Kind::Scheduled, State::Good));
        if now.day() == 15 && now.hour() == 9 && now.month() % 4 == 1 {
            let by_hand = now + TimeDelta::minutes(5);
            catalog.add(entry(by_hand, Kind::Manual, State::Good));
        }
        let is_kept = |entry: &Entry| {
            entry.kind == Kind::Manual
                || entry.state == State::Legacy
                || now - entry.time() < TimeDelta::days(30)
        };
        catalog.entries.retain(is_kept);
        // The process is down for two days over the slot of June, and started anew
        // at every other look: what it knows is what the bucket says.
        let down = at("2026-06-01T00") <= now && now < at("2026-06-03T10");
        if !down {
            let known = Drills::of(drills.clone());
            for (at, (entry, choice)) in
                targets(&catalog, &known, slot, MEASURE, now).into_iter().enumerate()
            {
                let is_new = seen.insert((entry.kind.name(), entry.id));
                assert!(is_new, "{now}: {} a second time, while others wait", entry.id);
                let id = BackupId::at(now + TimeDelta::seconds(60 + i64::try_from(at).unwrap()))
                    .to_string();
                let backup = entry.id.to_string();
                drills.push(DrillReport {
                    kind: entry.kind.name().to_owned(),
                    legacy: entry.state == State::Legacy,
                    choice,
                    ..report(&id, &backup, Passed)
                });
                proven.push((now, entry, choice));
            }
        }
        now += TimeDelta::hours(1);
    }
    // The slot of December 2025 is caught up for the legacy archives' sake, and
    // then there are twelve months, each with the newest and one of the others.
    let of = |choice: DrillChoice| proven.iter().filter(move |(_, _, c)| *c == choice);
    assert_eq!((of(Newest).count(), of(Rota).count()), (13, 13));
    for (now, entry, _) in of(Newest) {
        assert_eq!(entry.time(), *now, "the newest there was");
    }
    let times: Vec<String> =
        of(Newest).map(|(now, ..)| now.format("%m-%d %a %H").to_string()).collect();
    assert_eq!(
        times,
        [
            "01-01 Thu 00",
            "01-01 Thu 06",
            "02-02 Mon 06",
            "03-02 Mon 06",
            "04-01 Wed 06",
            "05-01 Fri 06",
            "06-03 Wed 10",
            "07-01 Wed 06",
            "08-03 Mon 06",
            "09-01 Tue 06",
            "10-01 Thu 06",
            "11-02 Mon 06",
            "12-01 Tue 06",
        ]
    );
    let count = |class| of(Rota).filter(|(_, entry, _)| Class::of(entry) == class).count();
    assert_eq!(count(Class::Legacy), 5);
    assert_eq!(count(Class::Manual), 3, "all that there were");
    assert_eq!(count(Class::Scheduled), 5);
    let ages = of(Rota).filter(|(_, entry, _)| Class::of(entry) == Class::Scheduled);
    let ages: BTreeSet<i64> = ages.map(|(now, e, _)| (*now - e.time()).num_days() / 10).collect();
    assert!(ages.len() > 1, "of all ages: {ages:?}");
}
