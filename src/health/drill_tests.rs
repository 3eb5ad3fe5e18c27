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

fn looked(now: &str, change: impl FnOnce(&mut DatabaseState)) -> (Status, bool, String) {
    let now = at(now);
    let mut database = database(now, DrillHistory::default());
    change(&mut database);
    let liveness = Liveness { scheduler: true, runner: true };
    let health = health::evaluate(now, &ProcessHealth { started_at: now, liveness }, &[database]);
    let checks = &health.databases[0].checks;
    let check = checks.iter().find(|check| check.name == "drill").unwrap().clone();
    (health.status, check.ok, check.detail)
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
    let (_, ok, _) = looked("11-03T07:00", |database| {
        let (since, progress) = (at("11-03T06:00"), crate::state::Progress::default());
        database.aside = Some(Running { job: JobKind::Drill, since, progress });
    });
    assert!(ok, "it is under way");
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

#[test]
fn what_lies_in_the_settings_database_warns_unless_the_drill_is_under_way() {
    let said = |is_open: bool, runs: bool| {
        looked("11-02T12:00", |database| {
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
            if runs {
                let (since, progress) = (at("11-02T06:05"), crate::state::Progress::default());
                database.aside = Some(Running { job: JobKind::Drill, since, progress });
            }
        })
    };
    for (is_open, runs, says) in [
        (true, false, "has not ended"),
        (false, false, "could not empty that again"),
        (false, true, "could not empty that again"),
    ] {
        let (status, ok, detail) = said(is_open, runs);
        assert_eq!((status, ok), (Status::Ok, false), "{detail}");
        for part in [says, "the next drill there empties it", "drills/2026-11-02T06-05-00Z.json"] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
    }
    let (_, ok, detail) = said(true, true);
    assert!(ok, "{detail}");
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
