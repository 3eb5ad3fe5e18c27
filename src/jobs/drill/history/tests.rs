use DrillChoice::{Asked, Newest, Rota};
use DrillPlace::{Sandbox, Target};
use DrillVerdict::{Failed, Passed, Unproven};

use super::*;
use crate::{catalog, drill::a_record, store::LocalStore, words::DrillPlace};

#[tokio::test]
async fn a_failure_is_seen_behind_however_many_that_were_interrupted() {
    let (dir, layout) = (tempfile::tempdir().unwrap(), Layout::new("x/"));
    let store = LocalStore::open(dir.path()).await.unwrap();
    let mut listed: Vec<BackupId> = Vec::new();
    for minute in 0..2 * PAGE {
        let id = format!("2026-12-{:02}T06-{:02}-00Z", 1 + minute / 60, minute % 60);
        let mut record = a_record(&id, if minute == 0 { Failed } else { Unproven });
        if minute > 0 {
            let (reason, message) = (DrillReason::Interrupted, "told to stop".to_owned());
            record.failure = Some(drill::Failure { reason, message });
            record.finished += TimeDelta::seconds(1);
        }
        drill::write(&store, &layout, &record).await.unwrap();
        listed.push(record.id);
    }
    let mut drills = Drills::default();
    drills.refresh(&store, &layout, &listed).await.unwrap();
    let now = time(28) + TimeDelta::days(30);
    let failure = drills.history(&Catalog::default(), now).failure.unwrap();
    assert_eq!(failure.id, listed[0].to_string());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hides_no_other() {
    let (dir, layout) = (tempfile::tempdir().unwrap(), Layout::new("x/"));
    let store = LocalStore::open(dir.path()).await.unwrap();
    let mut listed = Vec::new();
    for day in [1, 2] {
        let record = a_record(&self::day(day), Failed);
        drill::write(&store, &layout, &record).await.unwrap();
        listed.push(record.id);
    }
    let key = layout.key(catalog::Key::Drill(listed[0]));
    store.put(&key, bytes::Bytes::from_static(b"{")).await.unwrap();
    let mut drills = Drills::default();
    drills.refresh(&store, &layout, &listed).await.unwrap();
    let seen: Vec<&str> = drills.reports().map(|report| report.id.as_str()).collect();
    assert_eq!(seen, [day(2)]);
}

/// A drill that began at an id's time, of the backup of another's.
pub(in crate::jobs::drill) fn report(id: &str, backup: &str, verdict: DrillVerdict) -> DrillReport {
    let at = |id: &str| id.parse::<BackupId>().unwrap().time();
    let finished = at(id) + chrono::TimeDelta::seconds(9);
    DrillReport {
        id: id.to_owned(),
        backup: backup.to_owned(),
        kind: "scheduled".to_owned(),
        legacy: false,
        choice: DrillChoice::Newest,
        place: DrillPlace::Sandbox,
        emptied: None,
        started: at(id),
        finished,
        seconds: 9.0,
        restore_seconds: (verdict != Unproven).then_some(5.0),
        verdict,
        reason: (verdict == Unproven).then_some(DrillReason::Interrupted),
        error: None,
        not_run: Vec::new(),
        stages: Vec::new(),
    }
}

impl Drills {
    pub(in crate::jobs::drill) fn of(reports: impl IntoIterator<Item = DrillReport>) -> Self {
        let known = reports.into_iter().map(|r| (r.id.parse().unwrap(), Some(r))).collect();
        Self { known }
    }
}

fn day(day: u32) -> String {
    format!("2026-11-{day:02}T06-00-00Z")
}

fn time(day: u32) -> DateTime<Utc> {
    self::day(day).parse::<BackupId>().unwrap().time()
}

fn history(drills: &[(u32, u32, DrillVerdict)]) -> DrillHistory {
    let reports = drills.iter().map(|(id, backup, v)| report(&day(*id), &day(*backup), *v));
    Drills::of(reports).history(&Catalog::default(), time(28))
}

fn failure(drills: &[(u32, u32, DrillVerdict)]) -> Option<String> {
    history(drills).failure.map(|report| report.id)
}

#[test]
fn a_failure_stands_until_a_backup_as_new_has_passed() {
    assert_eq!(failure(&[]), None);
    assert_eq!(failure(&[(5, 4, Passed)]), None);
    assert_eq!(failure(&[(5, 4, Failed)]), Some(day(5)));
    assert_eq!(failure(&[(5, 4, Failed), (6, 4, Passed)]), None);
    assert_eq!(failure(&[(5, 4, Failed), (6, 5, Passed)]), None);
    assert_eq!(failure(&[(5, 4, Failed), (6, 3, Passed)]), Some(day(5)), "an older one");
    assert_eq!(failure(&[(5, 4, Passed), (6, 3, Failed)]), Some(day(6)), "it was before");
    assert_eq!(failure(&[(5, 4, Failed), (6, 5, Unproven)]), Some(day(5)));
    assert_eq!(failure(&[(5, 4, Failed), (6, 5, Failed), (7, 5, Passed)]), None);
    assert_eq!(failure(&[(5, 4, Failed), (6, 3, Failed), (7, 3, Passed)]), Some(day(5)));
}

#[test]
fn what_proved_nothing_counts_as_no_proof() {
    let seen = history(&[(5, 4, Passed), (6, 5, Failed), (7, 6, Unproven)]);
    assert_eq!(seen.proof, Some(time(6)));
    assert_eq!(seen.last.map(|report| report.id), Some(day(7)));
    assert_eq!(seen.unproven, Some(time(7) + TimeDelta::seconds(9)));
    assert_eq!(history(&[(5, 4, Unproven)]).proof, None);
    assert_eq!(history(&[(30, 4, Passed)]).proof, None, "it lies in the future");
}

#[test]
fn what_proved_nothing_stands_until_one_of_a_backup_as_new_comes_to_a_verdict() {
    let in_vain = |drills: &[(u32, u32, DrillVerdict, Option<DrillReason>)]| {
        let reports = drills.iter().map(|(id, backup, verdict, reason)| DrillReport {
            reason: *reason,
            ..report(&day(*id), &day(*backup), *verdict)
        });
        let history = Drills::of(reports).history(&Catalog::default(), time(28));
        history.in_vain.map(|report| report.id)
    };
    let vain = (5, 4, Unproven, Some(DrillReason::NoRoom));
    assert_eq!(in_vain(&[(5, 4, Unproven, Some(DrillReason::Interrupted))]), None);
    assert_eq!(in_vain(&[vain]), Some(day(5)));
    // The rota's older one, in the same slot.
    assert_eq!(in_vain(&[vain, (6, 1, Passed, None)]), Some(day(5)));
    assert_eq!(in_vain(&[(3, 4, Passed, None), vain]), Some(day(5)), "it was before");
    assert_eq!(in_vain(&[vain, (6, 4, Unproven, Some(DrillReason::Timeout))]), Some(day(6)));
    assert_eq!(in_vain(&[vain, (6, 4, Unproven, Some(DrillReason::Interrupted))]), Some(day(5)));
    for verdict in [Passed, Failed] {
        assert_eq!(in_vain(&[vain, (6, 4, verdict, None)]), None);
        assert_eq!(in_vain(&[vain, (6, 1, Passed, None), (7, 5, verdict, None)]), None);
    }
}

#[test]
fn what_lies_in_the_settings_database_is_seen_until_a_later_drill_has_emptied_it() {
    let left = |drills: &[(u32, DrillPlace, Option<bool>, bool)]| {
        let reports = drills.iter().map(|(id, place, emptied, is_open)| {
            let ended = report(&day(*id), &day(1), Unproven);
            let finished = if *is_open { ended.started } else { ended.finished };
            DrillReport { place: *place, emptied: *emptied, finished, ..ended }
        });
        let history = Drills::of(reports).history(&Catalog::default(), time(28));
        history.left.map(|report| report.id)
    };
    let killed = (5, Target, None, true);
    let hung = (5, Target, Some(false), false);
    for first in [killed, hung] {
        assert_eq!(left(&[first]), Some(day(5)));
        assert_eq!(left(&[first, (6, Target, Some(true), false)]), None);
        assert_eq!(left(&[(4, Target, Some(true), false), first]), Some(day(5)));
        // One that was refused, and one that was elsewhere.
        assert_eq!(left(&[first, (6, Target, None, false)]), Some(day(5)));
        assert_eq!(left(&[first, (6, Sandbox, None, false)]), Some(day(5)));
        assert_eq!(left(&[first, (6, Target, Some(false), false)]), Some(day(6)));
    }
    assert_eq!(left(&[(5, Sandbox, None, true)]), None, "the next one clears it away");
    assert_eq!(left(&[(5, Target, None, false), (6, Target, Some(true), false)]), None);
}

#[test]
fn what_was_the_newest_is_covered_until_the_next_one_was_made() {
    let backups = |days: &[u32]| {
        let mut catalog = Catalog::default();
        for day in days {
            let (id, kind) = (BackupId::at(time(*day)), Kind::Scheduled);
            let (state, last_modified) = (catalog::State::Good, time(*day));
            let (archive_bytes, verified) = (1, None);
            catalog.add(Entry { id, kind, state, archive_bytes, last_modified, verified });
        }
        catalog
    };
    let covered = |days: &[u32], drills: &[(u32, u32, DrillVerdict, DrillChoice)]| {
        let reports = drills.iter().map(|(id, backup, verdict, choice)| DrillReport {
            choice: *choice,
            ..report(&day(*id), &day(*backup), *verdict)
        });
        Drills::of(reports).history(&backups(days), time(28)).covered
    };
    let before = |day| Some(time(day) - TimeDelta::seconds(1));
    let all = [2, 4, 6, 8];
    assert_eq!(covered(&all, &[]), None);
    assert_eq!(covered(&all, &[(9, 8, Unproven, Newest)]), None);
    // An old one says nothing of a newer one, whoever chose it and whenever.
    for choice in [Rota, Asked] {
        assert_eq!(covered(&all, &[(9, 2, Passed, choice)]), before(4));
        assert_eq!(covered(&all, &[(9, 6, Failed, choice), (10, 2, Passed, Rota)]), before(8));
        assert_eq!(covered(&all, &[(9, 8, Passed, choice)]), Some(time(28)), "it still is");
    }
    assert_eq!(covered(&all, &[(9, 8, Unproven, Newest), (10, 6, Passed, Rota)]), before(8));
    // The newest of its time, though another one began before it.
    assert_eq!(covered(&all, &[(9, 6, Passed, Newest)]), Some(time(9)));
    // One that is gone, and one of a wrong clock.
    assert_eq!(covered(&[6, 8], &[(9, 4, Passed, Asked)]), before(6));
    assert_eq!(covered(&[6, 8], &[(7, 25, Passed, Asked)]), before(8));
    let legacy = DrillReport { legacy: true, ..report(&day(9), &day(8), Passed) };
    assert_eq!(Drills::of([legacy]).history(&backups(&all), time(28)).covered, None);
}

#[test]
fn a_legacy_archive_makes_nothing_good_but_another_one() {
    let legacy = |drill: u32, backup: u32, verdict| DrillReport {
        legacy: true,
        ..report(&day(drill), &day(backup), verdict)
    };
    let seen =
        |reports: [DrillReport; 2]| Drills::of(reports).history(&Catalog::default(), time(28));
    let failed = report(&day(5), &day(4), Failed);
    let vain =
        DrillReport { reason: Some(DrillReason::NoRoom), ..report(&day(5), &day(4), Unproven) };
    let history = seen([failed.clone(), legacy(6, 5, Passed)]);
    assert_eq!(history.failure.map(|report| report.id), Some(day(5)));
    assert_eq!(history.restore_seconds, None, "it says nothing of a backup's restore");
    assert!(seen([vain, legacy(6, 5, Passed)]).in_vain.is_some());
    assert!(seen([legacy(5, 4, Failed), legacy(6, 5, Passed)]).failure.is_none());
    let passed = report(&day(6), &day(5), Passed);
    assert!(seen([legacy(5, 4, Failed), passed]).failure.is_none());
}

#[test]
fn the_recovery_time_is_that_of_the_newest_backup_and_not_of_an_old_one() {
    let mut newest = report(&day(5), &day(4), Passed);
    newest.restore_seconds = Some(60.0);
    let older = report(&day(6), &day(1), Passed);
    let failed = report(&day(7), &day(6), Failed);
    let drills = Drills::of([newest, older, failed]);
    let seen = drills.history(&Catalog::default(), DateTime::UNIX_EPOCH);
    assert_eq!(seen.restore_seconds, Some(60.0));
}
