use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::{
    catalog::Origin,
    state::{CatalogTotals, RunReport},
    words::JobKind,
};

const HOUR: Duration = Duration::from_hours(1);

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_442_400, 0).unwrap() + TimeDelta::minutes(minute)
}

const ALIVE: Liveness = Liveness { scheduler: true, runner: true };

fn process() -> ProcessHealth {
    ProcessHealth { started_at: at(0), liveness: ALIVE }
}

fn database() -> DatabaseState {
    DatabaseState::new("main", "database/", "0 0 * * * *", 2 * HOUR)
}

fn with_success(minute: i64) -> DatabaseState {
    DatabaseState { last_success: Some(at(minute)), ..database() }
}

fn status(now: DateTime<Utc>, database: DatabaseState) -> Status {
    evaluate(now, &process(), &[database]).status
}

fn check_of(now: DateTime<Utc>, database: DatabaseState, name: &str) -> Check {
    let health = evaluate(now, &process(), &[database]);
    let checks = &health.databases[0].checks;
    checks.iter().find(|check| check.name == name).unwrap().clone()
}

fn failed(minute: i64) -> RunReport {
    RunReport {
        job: JobKind::Backup,
        outcome: Outcome::Failed,
        started: at(minute),
        seconds: 2.0,
        stage: Some(Stage::Connect),
        error: Some("the source refused the connection".to_owned()),
        backup: None,
    }
}

#[test]
fn a_fresh_backup_is_ok_in_the_first_second() {
    assert_eq!(status(at(0), with_success(-60)), Status::Ok);
}

#[test]
fn a_backup_is_stale_only_past_its_limit() {
    assert_eq!(status(at(120), with_success(0)), Status::Ok);
    assert_eq!(status(at(120) + TimeDelta::seconds(1), with_success(0)), Status::Stale);
}

#[test]
fn without_a_backup_a_young_process_is_starting_and_an_old_one_stale() {
    assert_eq!(status(at(0), database()), Status::Starting);
    assert_eq!(status(at(120), database()), Status::Starting);
    assert_eq!(status(at(121), database()), Status::Stale);
    assert_eq!(evaluate(at(0), &process(), &[]).status, Status::Starting);
}

#[test]
fn one_failed_attempt_is_shown_and_a_lost_slot_is_failing() {
    let mut database = with_success(-60);
    database.ended(failed(0), false, None);
    assert_eq!(status(at(1), database.clone()), Status::Ok);
    let check = check_of(at(1), database.clone(), "last_run");
    assert!(!check.ok);
    assert_eq!(
        check.detail,
        "backup failed, begun 1m ago, at connect: the source refused the connection"
    );

    database.ended(failed(2), true, None);
    assert_eq!(status(at(3), database.clone()), Status::Failing);
    let detail = check_of(at(3), database, "last_run").detail;
    assert!(
        detail.ends_with("; 2 failures in a row; every attempt of the last slot failed"),
        "{detail}"
    );
}

#[test]
fn a_backup_that_a_replica_made_ends_a_lost_slot() {
    let mut database = with_success(-60);
    database.ended(failed(0), true, None);
    assert_eq!(status(at(3), database.clone()), Status::Failing);
    database.last_success = Some(at(5));
    assert_eq!(status(at(6), database), Status::Ok);
}

#[test]
fn a_store_that_cannot_be_listed_is_failing_and_says_why() {
    let database = DatabaseState {
        catalog: Some(CatalogTotals::default()),
        catalog_error: Some("access denied, s3:ListBucket is needed".to_owned()),
        ..with_success(-1)
    };
    assert_eq!(status(at(0), database.clone()), Status::Failing);
    let check = check_of(at(0), database, "store");
    assert!(!check.ok);
    assert!(check.detail.ends_with("s3:ListBucket is needed"), "{}", check.detail);
}

#[test]
fn another_database_s_backups_under_the_prefix_are_failing_and_both_are_named() {
    let origin = |database: &str, identifier: Option<&str>| Origin {
        database: database.to_owned(),
        system_identifier: identifier.map(ToOwned::to_owned),
    };
    let (theirs, ours) = (origin("prod", Some("7")), origin("staging", None));
    let database =
        DatabaseState { two_sources: Some(TwoSources { theirs, ours }), ..with_success(-1) };
    assert_eq!(status(at(0), database.clone()), Status::Failing);
    let check = check_of(at(0), database, "two_sources");
    assert!(!check.ok);
    assert!(
        check.detail.starts_with(
            "backups of two databases stand under this prefix, of database prod of the server with \
             the system identifier 7 and of database staging of a server whose system identifier \
             cannot be read; give one"
        ),
        "{}",
        check.detail
    );
}

#[test]
fn a_pointer_that_is_behind_is_shown_but_harms_nobody() {
    let database = DatabaseState { pointer_ok: Some(false), ..with_success(-1) };
    assert_eq!(status(at(0), database.clone()), Status::Ok);
    assert!(!check_of(at(0), database, "pointer").ok);
}

#[test]
fn a_dead_scheduler_or_runner_is_failing() {
    for (scheduler, runner) in [(false, true), (true, false)] {
        let process = ProcessHealth { started_at: at(0), liveness: Liveness { scheduler, runner } };
        let health = evaluate(at(0), &process, &[with_success(-1)]);
        assert_eq!(health.status, Status::Failing);
    }
}

#[test]
fn a_clock_that_went_back_hides_nothing() {
    let health = evaluate(at(0), &process(), &[with_success(60 * 24 * 365)]);
    let database = &health.databases[0];
    assert_eq!((health.status, database.age_seconds), (Status::Stale, Some(0)));
    assert!(database.checks[0].detail.starts_with("the clock is off: "));

    // It is told beside the one that counts, until its time comes.
    let database = DatabaseState { ahead: Some(at(60)), ..with_success(-1) };
    for (now, told) in [(0, true), (56, false)] {
        let check = check_of(at(now), database.clone(), "backup_age");
        assert!(check.ok && check.detail.contains("dated in the future") == told, "{check:?}");
    }

    // A few seconds between two machines are nothing to wake anyone for.
    let check = check_of(at(0), with_success(4), "backup_age");
    assert!(check.ok && check.detail.ends_with("the clock is a little off"), "{check:?}");
}

#[test]
fn the_worst_database_speaks_for_all() {
    let mut lost = with_success(0);
    lost.giving_up = true;
    lost.last_attempt = Some(at(1));
    let all = [with_success(0), database(), with_success(-600), lost];
    for (count, worst) in
        [(1, Status::Ok), (2, Status::Starting), (3, Status::Stale), (4, Status::Failing)]
    {
        assert_eq!(evaluate(at(2), &process(), &all[..count]).status, worst);
    }
}

fn any_database() -> impl Strategy<Value = DatabaseState> {
    let minute = || prop::option::of(-10_000_i64..10_000);
    let pointer = prop::option::of(any::<bool>());
    (minute(), minute(), any::<bool>(), any::<bool>(), pointer, 0_u64..10_000).prop_map(
        |(success, attempt, giving_up, unlisted, pointer_ok, stale)| DatabaseState {
            last_success: success.map(at),
            last_attempt: attempt.map(at),
            giving_up,
            catalog_error: unlisted.then(|| "access denied".to_owned()),
            pointer_ok,
            stale_after: Duration::from_mins(stale),
            ..database()
        },
    )
}

proptest! {
    /// Time alone never makes health better, once the clock is right.
    #[test]
    fn waiting_never_heals(
        database in any_database(),
        start in -10_000_i64..10_000,
        wait in 0_i64..20_000,
    ) {
        let first = start.max(database.last_success.map_or(start, |t| (t - at(0)).num_minutes()));
        let before = status(at(first), database.clone());
        let after = status(at(first + wait), database);
        prop_assert!(before <= after, "{before:?} became {after:?}");
    }

    /// A newer backup never makes health worse, unless it lies in the future.
    #[test]
    fn a_newer_backup_never_harms(
        database in any_database(),
        now in -10_000_i64..10_000,
        newer in 0_i64..20_000,
    ) {
        let mut newer_database = database.clone();
        let Some(success) = database.last_success else { return Ok(()) };
        let newer = (success + TimeDelta::minutes(newer)).min(at(now));
        newer_database.last_success = Some(success.max(newer));
        prop_assert!(status(at(now), newer_database) <= status(at(now), database));
    }

    /// `ok` is never said without a backup within the limit and a store that could be listed.
    #[test]
    fn ok_means_a_fresh_backup(database in any_database(), now in -10_000_i64..10_000) {
        if status(at(now), database.clone()).is_ok() {
            let age = at(now) - database.last_success.unwrap();
            prop_assert!(age <= TimeDelta::from_std(database.stale_after).unwrap());
            prop_assert!(age >= -clock::TOLERANCE);
            prop_assert!(database.catalog_error.is_none());
        }
    }

    /// The age is what a clock on the wall would say, and never negative.
    #[test]
    fn the_age_is_exact(database in any_database(), now in -10_000_i64..10_000) {
        let health = evaluate(at(now), &process(), std::slice::from_ref(&database));
        let age = database.last_success.map(|time| (at(now) - time).num_seconds().max(0));
        prop_assert_eq!(health.databases[0].age_seconds.map(u64::cast_signed), age);
    }

    /// The overall status is the worst one, in whatever order.
    #[test]
    fn overall_is_the_worst(
        mut databases in prop::collection::vec(any_database(), 1..5),
        now in -10_000_i64..10_000,
    ) {
        let health = evaluate(at(now), &process(), &databases);
        let worst = health.databases.iter().map(|database| database.status).max().unwrap();
        prop_assert_eq!(health.status, worst);
        databases.reverse();
        prop_assert_eq!(evaluate(at(now), &process(), &databases).status, worst);
    }
}

#[test]
fn damage_is_shown_until_it_is_mended_and_a_verify_that_failed_until_one_does_not() {
    let check = |totals: CatalogTotals, last_verify| {
        let database = DatabaseState { catalog: Some(totals), last_verify, ..with_success(0) };
        assert_eq!(status(at(10), database.clone()), Status::Ok, "health is the backup's age");
        check_of(at(10), database, "verify")
    };
    let totals = CatalogTotals {
        scheduled: 3,
        verified: 2,
        last_verify: Some(at(5)),
        ..CatalogTotals::default()
    };
    let verify = |stage| {
        let stage = Some(stage);
        Some(RunReport { job: JobKind::Verify, stage, ..failed(4) })
    };
    let good = check(totals.clone(), None);
    assert!(good.ok);
    assert_eq!(good.detail, "2 of 3 backups are verified; one was last looked at 5m ago");
    let damaged = check(CatalogTotals { damaged: 1, ..totals.clone() }, verify(Stage::Verify));
    assert!(!damaged.ok);
    assert!(damaged.detail.ends_with("1 damaged; `reliquary list` names them"), "{damaged:?}");
    assert!(check(totals.clone(), verify(Stage::Verify)).ok, "it was mended");
    let unread = check(totals, verify(Stage::Catalog));
    assert!(!unread.ok && unread.detail.contains("the last run, begun 6m ago, failed: "));
    assert!(check(CatalogTotals::default(), None).ok, "not yet is no fault");
}

#[test]
fn a_verify_that_comes_to_no_verdict_for_three_periods_is_shown() {
    let day = 24 * 60;
    let schedule = crate::settings::Schedule::parse("0 0 0 * * *").unwrap();
    let midnight = {
        let next = schedule.cron.find_next_occurrence(&at(0), false).unwrap();
        (next - at(0)).num_minutes()
    };
    let check = |days: i64, last_verify: Option<i64>, enabled: bool| {
        let totals = CatalogTotals {
            scheduled: 9,
            oldest: Some(at(midnight - 60)),
            last_verify: last_verify.map(|days| at(midnight + days * day + 5)),
            ..CatalogTotals::default()
        };
        let verify_schedule = enabled.then(|| schedule.clone());
        let success = midnight + days * day;
        let database =
            DatabaseState { catalog: Some(totals), verify_schedule, ..with_success(success) };
        let now = at(success + 1);
        assert_eq!(status(now, database.clone()), Status::Ok, "health is the backup's age");
        check_of(now, database, "verify")
    };
    // Made an hour before the first slot, which is that of day 0.
    assert!(check(2, None, true).ok);
    let overdue = check(3, None, true);
    assert!(!overdue.ok);
    assert!(overdue.detail.contains("nothing was verified at the last 3 times"), "{overdue:?}");
    assert!(check(3, Some(0), true).ok);
    assert!(!check(4, Some(0), true).ok);
    assert!(check(40, Some(38), true).ok);
    assert!(check(40, None, false).ok, "nobody wants it");
    let empty = DatabaseState { verify_schedule: Some(schedule.clone()), ..with_success(0) };
    assert!(check_of(at(40 * day), empty, "verify").ok, "there is nothing to verify");
}

#[test]
fn backups_that_could_not_be_read_are_shown() {
    let check = check_of(at(1), DatabaseState { unread: 2, ..with_success(0) }, "verify");
    assert!(!check.ok && check.detail.contains("2 could not be read"), "{check:?}");
}

#[test]
fn what_only_a_listing_tells_is_not_known_before_the_first_one() {
    for name in ["store", "pointer", "verify", "drill"] {
        let unlisted = check_of(at(1), database(), name);
        assert!(unlisted.ok && unlisted.unknown, "{unlisted:?}");
    }
    let detail = check_of(at(1), database(), "verify").detail;
    assert_eq!(detail, "not known: the store was not listed yet");
    let listed = DatabaseState { catalog: Some(CatalogTotals::default()), ..database() };
    assert_eq!(check_of(at(1), listed.clone(), "verify").detail, "no backup is verified yet");
    assert!(!check_of(at(1), listed, "verify").unknown);
    // What is known against it is told all the same.
    let lost = DatabaseState { catalog_error: Some("access denied".to_owned()), ..database() };
    assert!(!check_of(at(1), lost, "store").unknown);
}
