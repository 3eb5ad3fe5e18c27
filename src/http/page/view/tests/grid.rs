//! The cells of the grid.

use super::*;

#[test]
fn every_slot_says_what_became_of_it() {
    let mut known = with_backups("main", 60);
    let gone = |known: &mut DatabaseState, ago: i64| {
        let mut stored = state::Hours::default();
        for (hour, one) in known.stored.iter().filter(|(hour, _)| *hour != hours_ago(ago)) {
            stored.update(hour, |_| one.clone());
        }
        known.stored = stored;
    };
    for ago in [2, 3, 0] {
        gone(&mut known, ago);
    }
    known.failures.update(hours_ago(2), |_| FailedRuns {
        count: 3,
        stage: Some(Stage::Dump),
        error: Some("pg_dump ended".to_owned()),
    });
    known.began(JobKind::Backup, hours_ago(0) + TimeDelta::seconds(2));
    for (ago, worth) in [(10, Worth::Damaged), (11, Worth::Legacy)] {
        known.stored.update(hours_ago(ago), |one| Stored { worth, ..one.unwrap() });
    }
    let passed = drill(now(), hours_ago(20), DrillVerdict::Passed);
    let page = one(drilled(known, vec![passed]));
    let kinds: Vec<Slot> =
        [0, 1, 2, 3, 10, 11, 12, 20, 59, 60].map(|ago| slot(&page, ago).0).into();
    assert_eq!(
        kinds,
        [
            Slot::Running,
            Slot::Good,
            Slot::Failed,
            Slot::Missed,
            Slot::Damaged,
            Slot::Legacy,
            Slot::Verified,
            Slot::Proven,
            Slot::Verified,
            Slot::Unplanned,
        ]
    );
    assert_eq!(slot(&page, 2).1, "12:00 failed: 3 times at dump, pg_dump ended");
    assert_eq!(slot(&page, 60).1, "02:00 nothing planned: before the oldest backup");
    assert!(slot(&page, 1).1.starts_with("13:00 good: 2026-11-23T13-00-00Z, "), "{page:?}");
    assert!(slot(&page, 1).1.contains("rows in 43s"), "{:?}", slot(&page, 1));
    assert_eq!(page.grid.days[0].cells[15].slot, Slot::Future);
    assert_eq!(page.grid.days.len(), 30);
    let words = page.grid.days[0].words();
    assert!(words.contains("; 11:00 missed; 12:00 failed: 3 times at dump"), "{words}");
    assert!(words.ends_with("13 good; 14 running; 15 to 23 future"), "{words}");
}

#[test]
fn what_retention_no_longer_keeps_was_not_missed() {
    let mut known = with_backups("main", 24 * 7);
    let horizon = Some(now() - TimeDelta::days(7));
    known.outlook = Some(Arc::new(Outlook { horizon, ..Outlook::default() }));
    let page = one(known);
    assert_eq!(slot(&page, 24 * 7 - 1).0, Slot::Verified);
    assert_eq!(slot(&page, 24 * 7).0, Slot::Swept);
    assert_eq!(slot(&page, 24 * 20).0, Slot::Swept);
}

#[test]
fn a_daily_backup_that_was_made_late_was_not_missed() {
    let mut known = hourly("main");
    known.backup_schedule = Some(Schedule::parse("0 0 3 * * *").unwrap());
    let source = with_backups("main", 24 * 4);
    known.catalog = source.catalog.clone();
    for (hour, stored) in source.stored.iter() {
        let wanted = [hours_ago(9), hours_ago(11 + 24), hours_ago(11 + 72)];
        if wanted.contains(&hour) {
            known.stored.update(hour, |_| stored.clone());
        }
    }
    let page = one(known);
    let (kind, text) = slot(&page, 11);
    assert_eq!((kind, &*text), (Slot::Late, "03:00 made late: 2026-11-23T05-00-00Z"));
    assert_eq!(slot(&page, 9).0, Slot::Verified);
    assert_eq!(slot(&page, 10).0, Slot::Unplanned);
    assert_eq!(slot(&page, 11 + 24).0, Slot::Verified);
    assert_eq!(slot(&page, 11 + 48).0, Slot::Missed);
}

#[test]
fn a_schedule_of_every_second_costs_no_more_than_one_of_every_hour() {
    let mut known = hourly("main");
    known.backup_schedule = Some(Schedule::parse("* * * * * *").unwrap());
    let page = one(known);
    assert_eq!(page.grid.days.iter().map(|day| day.cells.len()).sum::<usize>(), 720);
}

#[test]
fn a_slot_that_has_just_come_is_not_missed() {
    let mut known = with_backups("main", 5);
    known.backup_schedule = Some(Schedule::parse("0 25 * * * *").unwrap());
    known.stored = state::Hours::default();
    assert_eq!(slot(&one(known.clone()), 0).1, "14:25 future: due now");
    known.backup_schedule = Some(Schedule::parse("0 15 * * * *").unwrap());
    assert_eq!(slot(&one(known), 0).0, Slot::Missed);
}

#[test]
fn another_archive_of_the_hour_does_not_hide_that_its_slot_was_lost() {
    let mut known = with_backups("main", 30);
    let other = |known: &mut DatabaseState, ago, worth, manual| {
        known.stored.update(hours_ago(ago), |one| Stored {
            worth,
            manual,
            scheduled: false,
            ..one.unwrap()
        });
    };
    known.failures.update(hours_ago(3), |_| FailedRuns {
        count: 2,
        stage: Some(Stage::Upload),
        error: None,
    });
    for ago in [3, 7] {
        other(&mut known, ago, Worth::Good, true);
    }
    other(&mut known, 8, Worth::Legacy, false);
    // There before our first one, and before anything of ours was due.
    known.catalog.as_mut().unwrap().oldest = Some(hours_ago(20));
    for ago in 20..30 {
        other(&mut known, ago, Worth::Legacy, false);
    }
    let page = one(known);
    let (kind, text) = slot(&page, 3);
    assert_eq!(kind, Slot::Failed);
    let said = "11:00 failed: 2 times at upload; beside it good: 2026-11-23T11-00-00Z, ";
    assert!(text.starts_with(said) && text.contains("made by hand"), "{text}");
    let (kind, text) = slot(&page, 7);
    assert_eq!(kind, Slot::Missed);
    assert!(text.starts_with("07:00 missed: beside it verified: 2026-11-23T07"), "{text}");
    assert_eq!(slot(&page, 8).0, Slot::Missed);
    assert_eq!(
        [20, 21, 29].map(|ago| slot(&page, ago).0),
        [Slot::Missed, Slot::Legacy, Slot::Legacy]
    );
}
