//! Drills that fail or are overdue and audits that come out worse, from the live
//! state to the alerts.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Book, Policy, seen};
use crate::{
    audit::Worse,
    health::{self, ProcessHealth},
    notify::Notice,
    settings::Schedule,
    state::{
        AuditReport, CatalogTotals, DatabaseState, DrillHistory, DrillReport, Liveness, RunReport,
    },
    words::{
        Check, CheckResult, DrillChoice, DrillPlace, DrillReason, DrillVerdict, JobKind, Outcome,
        Severity, Stage,
    },
};

const POLICY: Policy = Policy {
    after: TimeDelta::minutes(5),
    calm: TimeDelta::minutes(15),
    remind: TimeDelta::hours(400),
};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-{text}:00Z").parse().unwrap()
}

/// A database whose drills of the month before are `drills`.
fn database(now: DateTime<Utc>, drills: Option<DrillHistory>) -> DatabaseState {
    let oldest = Some(at("01T00:00") - TimeDelta::days(90));
    DatabaseState {
        last_success: Some(now),
        catalog: Some(CatalogTotals { oldest, ..CatalogTotals::default() }),
        drill_schedule: Some(Schedule::parse("0 0 6 1W * *").unwrap()),
        drill_timeout: Duration::from_hours(6),
        drills,
        ..DatabaseState::new("main", "database/", "0 0 * * * *", Duration::from_hours(2))
    }
}

fn proven(text: &str) -> DrillHistory {
    let time = Some(at(text));
    DrillHistory { proof: time, covered: time, passed: time, ..DrillHistory::default() }
}

fn failed(text: &str) -> DrillHistory {
    let report = DrillReport {
        id: "2026-11-02T06-05-00Z".to_owned(),
        backup: "2026-11-02T06-00-00Z".to_owned(),
        kind: "scheduled".to_owned(),
        legacy: false,
        choice: DrillChoice::Newest,
        place: DrillPlace::Sandbox,
        emptied: None,
        started: at(text),
        finished: at(text),
        seconds: 1.0,
        restore_seconds: None,
        verdict: DrillVerdict::Failed,
        reason: Some(DrillReason::RowsDiffer),
        error: Some("public.gift has 1 rows and not 3".to_owned()),
        not_run: Vec::new(),
        stages: Vec::new(),
    };
    DrillHistory { failure: Some(report), ..proven(text) }
}

/// Looks every minute from one time to another; what was told.
fn live(
    book: &mut Book,
    (from, to): (&str, &str),
    state: impl Fn(DateTime<Utc>) -> DatabaseState,
) -> Vec<Notice> {
    let (mut now, started) = (at(from), at(from) - TimeDelta::days(1));
    let mut told = Vec::new();
    while now < at(to) {
        let database = state(now);
        let liveness = Liveness { scheduler: true, runner: true };
        let process = ProcessHealth { started_at: started, liveness };
        let health = health::evaluate(now, &process, std::slice::from_ref(&database));
        let seen = seen(&health.databases[0], &database, None, started, now);
        told.extend(book.observe(&seen, POLICY, "main", "s3://b/database/", now));
        now += TimeDelta::minutes(1);
    }
    told
}

fn short(told: &[Notice]) -> Vec<String> {
    let line = |n: &Notice| format!("{} {} {}", n.event, n.problem, n.severity);
    told.iter().map(line).collect()
}

#[test]
fn a_failed_drill_is_told_as_such_and_not_as_missing_backups() {
    let mut book = Book::default();
    let told =
        live(&mut book, ("02T06:10", "02T07:10"), |now| database(now, Some(failed("02T06:05"))));
    assert_eq!(short(&told), ["opened drill_failed critical"]);
    let notice = &told[0];
    assert!(notice.title.contains("did not come back"), "{}", notice.title);
    assert!(notice.findings[0].contains("public.gift has 1 rows and not 3"), "{notice:?}");
    assert!(notice.commands.iter().any(|line| line == "reliquary drill -d main"), "{notice:?}");
    // An attempt at a backup that failed meanwhile and is tried again is no more than that.
    let told = live(&mut book, ("02T07:10", "02T08:10"), |now| DatabaseState {
        last_run: Some(RunReport {
            job: JobKind::Backup,
            outcome: Outcome::Failed,
            started: now,
            seconds: 1.0,
            stage: Some(Stage::Connect),
            error: None,
            backup: None,
        }),
        ..database(now, Some(failed("02T06:05")))
    });
    assert_eq!(short(&told), [] as [String; 0]);
    let told =
        live(&mut book, ("02T08:10", "02T09:10"), |now| database(now, Some(proven("02T08:05"))));
    assert_eq!(short(&told), ["resolved drill_failed critical"]);
}

#[test]
fn a_drill_that_is_overdue_is_told_once_and_one_that_fails_after_that_anew() {
    let mut book = Book::default();
    let late = |now| database(now, Some(proven("01T00:00")));
    assert_eq!(short(&live(&mut book, ("02T06:10", "03T05:59"), late)), [] as [String; 0]);
    let told = live(&mut book, ("03T05:59", "03T09:00"), late);
    assert_eq!(short(&told), ["opened drill_overdue warning"]);
    assert_eq!(told[0].severity, Severity::Warning);
    let told =
        live(&mut book, ("03T09:00", "03T10:00"), |now| database(now, Some(failed("03T08:55"))));
    assert_eq!(short(&told), ["opened drill_failed critical", "resolved drill_overdue warning"]);
}

#[test]
fn what_a_drill_has_left_is_told_as_that_and_not_as_backups_that_nobody_proved() {
    let left = |text: &str, emptied| {
        let report = failed(text).failure.unwrap();
        let left = DrillReport {
            place: DrillPlace::Target,
            emptied,
            verdict: DrillVerdict::Unproven,
            reason: Some(DrillReason::Interrupted),
            ..report
        };
        DrillHistory { left: Some(left), ..proven("02T06:05") }
    };
    let mut book = Book::default();
    // A person drills by hand, for hours.
    let told = live(&mut book, ("02T06:06", "02T12:00"), |now| {
        database(now, Some(left("02T06:06", None)))
    });
    assert_eq!(short(&told), [] as [String; 0]);
    let told = live(&mut book, ("02T12:00", "02T13:00"), |now| {
        database(now, Some(left("02T06:06", None)))
    });
    assert_eq!(short(&told), ["opened drill_left warning"]);
    let notice = &told[0];
    assert!(notice.title.contains("restored data may still lie"), "{}", notice.title);
    assert!(notice.commands.iter().any(|line| line == "reliquary drill -d main"), "{notice:?}");
    let told =
        live(&mut book, ("02T13:00", "02T14:00"), |now| database(now, Some(proven("02T13:00"))));
    assert_eq!(short(&told), ["resolved drill_left warning"]);
}

#[test]
fn a_new_process_that_has_not_read_the_drills_yet_gives_no_all_clear() {
    let mut book = Book::default();
    let told =
        live(&mut book, ("02T06:10", "02T07:10"), |now| database(now, Some(failed("02T06:05"))));
    assert_eq!(told.len(), 1);
    let told = live(&mut book, ("02T07:10", "02T09:10"), |now| database(now, None));
    assert_eq!(short(&told), [] as [String; 0]);
}

#[test]
fn a_protection_that_is_gone_is_told_until_an_audit_finds_it_again() {
    let audited = |now: DateTime<Utc>, worse: Option<Vec<Worse>>| {
        let run = RunReport {
            job: JobKind::Audit,
            outcome: Outcome::Ok,
            started: now,
            seconds: 1.0,
            stage: None,
            error: None,
            backup: None,
        };
        let failed = Vec::new();
        let last_audit = AuditReport { run, pass: 9, warn: 0, fail: 0, unknown: 0, failed, worse };
        DatabaseState { last_audit: Some(last_audit), ..database(now, Some(proven("02T06:05"))) }
    };
    let gone =
        vec![Worse { check: Check::Versioning, was: CheckResult::Pass, is: CheckResult::Warn }];
    let mut book = Book::default();
    let told = live(&mut book, ("10T00:00", "10T06:00"), |now| audited(now, Some(gone.clone())));
    assert_eq!(short(&told), ["opened audit warning"]);
    assert_eq!(told[0].findings, ["versioning: was pass, is warn"]);
    assert_eq!(told[0].commands, ["reliquary audit -d main", "reliquary audit --accept -d main"]);
    // A new process has made no audit yet, and one that it made told nothing.
    let unaudited = |now| database(now, Some(proven("02T06:05")));
    assert_eq!(live(&mut book, ("10T06:00", "10T12:00"), unaudited), []);
    assert_eq!(live(&mut book, ("10T12:00", "10T18:00"), |now| audited(now, None)), []);
    let told = live(&mut book, ("10T18:00", "10T20:00"), |now| audited(now, Some(Vec::new())));
    assert_eq!(short(&told), ["resolved audit warning"]);
}
