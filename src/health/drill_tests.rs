use chrono::TimeDelta;

use super::*;
use crate::{
    health::{self, ProcessHealth, Status},
    settings::Schedule,
    state::{CatalogTotals, Liveness, Running},
    words::{DrillChoice, DrillPlace, DrillReason},
};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-{text}:00Z").parse().unwrap()
}

/// Backups since August, a fresh one, and the default schedule.
fn database(now: DateTime<Utc>, drills: DrillHistory) -> DatabaseState {
    let catalog = CatalogTotals { oldest: Some(at("08-01T00:00")), ..CatalogTotals::default() };
    DatabaseState {
        last_success: Some(now),
        catalog: Some(catalog),
        drill_schedule: Some(Schedule::parse("0 0 6 1W * *").unwrap()),
        drill_timeout: Duration::from_hours(6),
        drills_in_a_row: 2,
        drills: Some(drills),
        ..DatabaseState::new("main", "database/", "0 0 * * * *", Duration::from_hours(2))
    }
}

fn report(id: &str, verdict: DrillVerdict, reason: Option<DrillReason>) -> DrillReport {
    let started = at(id);
    DrillReport {
        id: crate::rfc3339::format(started).replace(':', "-"),
        backup: "2026-11-02T05-00-00Z".to_owned(),
        kind: "scheduled".to_owned(),
        legacy: false,
        choice: DrillChoice::Newest,
        place: DrillPlace::Sandbox,
        emptied: None,
        started,
        finished: started + TimeDelta::minutes(2),
        seconds: 120.0,
        restore_seconds: Some(65.0),
        verdict,
        reason,
        error: reason.map(|_| "what was found".to_owned()),
        not_run: Vec::new(),
        stages: Vec::new(),
    }
}

fn checks(now: &str, change: impl FnOnce(&mut DatabaseState)) -> (Status, Vec<Check>) {
    let now = at(now);
    let mut database = database(now, DrillHistory::default());
    change(&mut database);
    let liveness = Liveness { scheduler: true, runner: true };
    let health = health::evaluate(now, &ProcessHealth { started_at: now, liveness }, &[database]);
    (health.status, health.databases[0].checks.clone())
}

fn looked(now: &str, change: impl FnOnce(&mut DatabaseState)) -> (Status, bool, String) {
    let (status, checks) = checks(now, change);
    let check = checks.into_iter().find(|check| check.name == "drill").unwrap();
    (status, check.ok, check.detail)
}

fn proven(database: &mut DatabaseState, when: &str) {
    let time = Some(at(when));
    let drills = database.drills.as_mut().unwrap();
    (drills.proof, drills.covered, drills.passed) = (time, time, time);
    drills.restore_seconds = Some(65.0);
}

#[test]
fn a_drill_that_failed_is_failing_and_says_where_to_read() {
    let (status, ok, detail) = looked("11-20T12:00", |database| {
        proven(database, "11-02T06:05");
        let failed = report("11-02T06:05", DrillVerdict::Failed, Some(DrillReason::RowsDiffer));
        database.drills.as_mut().unwrap().failure = Some(failed);
    });
    assert_eq!((status, ok), (Status::Failing, false));
    for part in ["(rows_differ): what was found", "database/drills/2026-11-02T06-05-00Z.md"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
}

#[test]
fn one_that_passed_is_ok_and_tells_the_recovery_time() {
    let (status, ok, detail) = looked("11-20T12:00", |database| proven(database, "11-02T06:05"));
    assert_eq!((status, ok), (Status::Ok, true));
    assert!(detail.ends_with("a restore took 65.0 s"), "{detail}");
}

#[test]
fn one_that_is_overdue_warns_from_a_day_after_its_slot() {
    let overdue = |now: &str, proof: &str| {
        let (status, ok, detail) = looked(now, |database| proven(database, proof));
        assert_eq!(status, Status::Ok, "{now}");
        assert_eq!(detail.contains("overdue"), !ok);
        !ok
    };
    // The first weekday of November is Monday, the 2nd.
    assert!(!overdue("11-02T12:00", "10-01T06:05"), "it may be under way, or be caught up");
    assert!(!overdue("11-03T05:59", "10-01T06:05"));
    assert!(overdue("11-03T06:00", "10-01T06:05"));
    assert!(!overdue("11-03T06:00", "11-02T06:00"));
    let (_, ok, _) = looked("11-03T07:00", |_| ());
    assert!(!ok, "none ever was");
    let (_, ok, _) = looked("11-03T07:00", |database| database.drill_schedule = None);
    assert!(ok, "nobody said that there should be any");
    let (_, ok, _) = looked("11-03T07:00", |database| {
        database.catalog.as_mut().unwrap().oldest = Some(at("11-02T07:00"));
    });
    assert!(ok, "there was nothing to drill");
    let (_, ok, _) = looked("11-03T07:00", |database| database.drills = None);
    assert!(ok, "nothing is known yet");
}

#[test]
fn one_that_is_under_way_is_not_overdue_until_it_has_had_its_time() {
    let ok = |since: &str| {
        let (_, ok, _) = looked("11-03T20:00", |database| {
            let (since, progress) = (at(since), crate::state::Progress::default());
            database.aside = Some(Running { job: JobKind::Drill, since, progress });
        });
        ok
    };
    assert!(ok("11-03T19:00"));
    // Two of them, of six hours each, and a quarter of an hour to clear away.
    assert!(ok("11-03T07:31"));
    assert!(!ok("11-03T07:30"), "it hangs");
    assert!(!ok("11-04T07:30"), "a clock that was wrong is no excuse");
}

#[test]
fn the_rotas_older_one_is_no_proof_of_what_was_the_newest() {
    let covered = |until: &str| {
        let (status, ok, detail) = looked("11-03T07:00", |database| {
            proven(database, "11-02T06:20");
            database.drills.as_mut().unwrap().covered = Some(at(until));
        });
        assert_eq!(status, Status::Ok);
        assert_eq!(
            detail.contains("overdue: no drill of the backup that was the newest"),
            !ok,
            "{detail}"
        );
        ok
    };
    assert!(!covered("10-20T03:59"));
    assert!(!covered("11-02T05:59"));
    assert!(covered("11-02T06:00"));
}

#[test]
fn one_that_proved_nothing_warns_whatever_was_drilled_after_it() {
    let (status, ok, detail) = looked("11-02T12:00", |database| {
        proven(database, "11-02T06:20");
        let drills = database.drills.as_mut().unwrap();
        let vain = report("11-02T06:05", DrillVerdict::Unproven, Some(DrillReason::Sandbox));
        drills.in_vain = Some(vain);
        drills.last = Some(report("11-02T06:20", DrillVerdict::Passed, None));
    });
    assert_eq!((status, ok), (Status::Ok, false));
    for part in
        ["proved nothing (sandbox): what was found", "it stands until one of a backup as new"]
    {
        assert!(detail.contains(part), "{part}: {detail}");
    }
}

/// What is said of a drill of five past six that has left something, or may have.
fn left(now: &str, is_open: bool) -> (Vec<Check>, Option<Check>) {
    let (status, checks) = checks(now, |database| {
        proven(database, "11-02T06:20");
        let mut left =
            report("11-02T06:05", DrillVerdict::Unproven, Some(DrillReason::Interrupted));
        left.place = DrillPlace::Target;
        if is_open {
            left.finished = left.started;
        } else {
            left.emptied = Some(false);
        }
        database.drills.as_mut().unwrap().left = Some(left);
    });
    assert_eq!(status, Status::Ok);
    let (left, others) = checks.into_iter().partition(|check| check.name == "drill_left");
    let left: Vec<Check> = left;
    (others, left.into_iter().next())
}

#[test]
fn what_lies_in_the_settings_database_is_a_warning_of_its_own() {
    for (is_open, says) in [(true, "was killed"), (false, "could not empty that again")] {
        let (others, left) = left("11-02T13:00", is_open);
        assert!(others.iter().all(|check| check.ok), "{others:?}");
        let left = left.unwrap();
        assert!(!left.ok);
        for part in [says, "the next drill there empties it", "drills/2026-11-02T06-05-00Z.json"] {
            assert!(left.detail.contains(part), "{part}: {}", left.detail);
        }
    }
}

#[test]
fn a_drill_by_hand_that_is_under_way_has_left_nothing_yet() {
    let is_told = |now: &str, is_open: bool| left(now, is_open).1.is_some();
    // No job of the daemon's, of which it would know.
    assert!(!is_told("11-02T06:05", true));
    assert!(!is_told("11-02T12:19", true));
    assert!(is_told("11-02T12:20", true), "it has had its time, and more to clear away");
    assert!(is_told("11-02T06:06", false), "it has ended");
    assert!(is_told("11-01T06:05", true), "its clock was wrong");
}

#[test]
fn a_drill_that_failed_says_what_its_backup_still_counts_for() {
    let said = |reason, what: &str| {
        let (_, _, detail) = looked("11-20T12:00", |database| {
            let failed = report("11-02T06:05", DrillVerdict::Failed, Some(reason));
            database.drills.as_mut().unwrap().failure = Some(failed);
        });
        assert!(detail.contains("passes"), "{detail}");
        detail.contains(what)
    };
    let condemned = "; retention counts that backup as no good one, and only its own ID";
    assert!(said(DrillReason::RowsDiffer, condemned));
    assert!(!said(DrillReason::CheckFailed, condemned));
    for lack in [DrillReason::MissingExtension, DrillReason::MissingLocale] {
        assert!(!said(lack, condemned));
        assert!(said(lack, "; that backup still counts as good"));
    }
}
