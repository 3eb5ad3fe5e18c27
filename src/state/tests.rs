use chrono::TimeDelta;

use super::*;
use crate::words::{ChannelKind, JobKind, Outcome, Stage};

fn state() -> State {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let state = State::new(clock.clone(), clock.now(), "1.2.3");
    let hour = Duration::from_hours(1);
    state.add(DatabaseState::new("main", "database/", "0 0 * * * *", hour));
    state
}

fn report(outcome: Outcome, minute: i64) -> RunReport {
    RunReport {
        job: JobKind::Backup,
        outcome,
        started: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute),
        seconds: 1.5,
        stage: (outcome == Outcome::Failed).then_some(Stage::Dump),
        error: (outcome == Outcome::Failed).then(|| "pg_dump ended".to_owned()),
        backup: None,
    }
}

#[test]
fn clones_share_one_state_and_copies_do_not() {
    let state = state();
    let copy = state.database("main").unwrap();
    state.clone().update("main", |database| database.consecutive_failures = 3);
    assert_eq!(state.database("main").unwrap().consecutive_failures, 3);
    assert_eq!(copy.consecutive_failures, 0);
    assert!(state.update("other", |_| ()).is_none());
    assert_eq!(state.names(), ["main"]);
}

#[test]
fn progress_is_seen_while_threads_write_it() {
    let state = state();
    let progress = state.update("main", |db| db.began(JobKind::Backup, state.now())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| progress.add_dump_bytes(3)));
        }
    });
    progress.enter(Stage::Upload);
    let seen = state.database("main").unwrap().running.unwrap().progress.report();
    assert_eq!((seen.stage, seen.dump_bytes), (Stage::Upload, 12_000));
}

#[test]
fn every_stage_survives_the_trip_through_progress() {
    let progress = Progress::default();
    for stage in Stage::ALL {
        progress.enter(*stage);
        assert_eq!(progress.stage(), *stage);
    }
}

#[test]
fn only_a_success_clears_failures_and_only_a_last_attempt_gives_up() {
    let mut database = state().database("main").unwrap();
    database.ended(report(Outcome::Failed, 0), false, None);
    assert_eq!((database.consecutive_failures, database.giving_up), (1, false));
    database.ended(report(Outcome::Failed, 1), true, None);
    database.ended(report(Outcome::Cancelled, 2), true, None);
    database.ended(report(Outcome::Skipped, 3), true, None);
    assert_eq!((database.consecutive_failures, database.giving_up), (2, true));
    assert_eq!(database.last_attempt, Some(report(Outcome::Cancelled, 2).started));

    database.ended(report(Outcome::Ok, 4), true, None);
    assert_eq!((database.consecutive_failures, database.giving_up), (0, false));
    assert_eq!(database.last_failure.unwrap().started, report(Outcome::Failed, 1).started);
}

#[test]
fn the_last_success_never_moves_back() {
    let mut database = state().database("main").unwrap();
    let new = |minute| NewBackup {
        time: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute),
        size: BackupSize { archive_bytes: 1, dump_bytes: 2, rows: 3, seconds: 4.0 },
    };
    database.ended(report(Outcome::Ok, 9), true, Some(new(9)));
    database.ended(report(Outcome::Ok, 5), true, Some(new(5)));
    assert_eq!(database.last_success, Some(new(9).time));
}

#[test]
fn silence_of_the_scheduler_shows_and_a_beat_ends_it() {
    let state = state();
    let start = Instant::now();
    assert!(state.liveness_at(start + Duration::from_secs(100)).all());
    let late = state.liveness_at(start + Duration::from_secs(130));
    assert_eq!(late, Liveness { scheduler: false, runner: true });
    state.beat();
    assert!(state.liveness().all());
}

#[test]
fn a_runner_that_panics_is_noticed_unless_the_process_is_stopping() {
    let state = state();
    let guard = state.runner_guard();
    assert!(state.liveness().runner);
    let thread = std::thread::spawn(move || {
        let _guard = guard;
        panic!("a test's panic");
    });
    assert!(thread.join().is_err());
    assert!(!state.liveness().runner);
    state.set_stopping();
    assert!(state.liveness().all());
}

#[test]
fn whatever_comes_in_names_nobody() {
    let state = state();
    state.hide("minio.internal");
    let said = "http://minio.internal:9000: User: arn:aws:iam::111122223333:user/ada is not \
                authorized to perform: s3:PutObject; write to ada@example.com";
    let error = || Some(said.to_owned());
    state.update("main", |database| {
        let failed = RunReport { error: error(), ..report(Outcome::Failed, 0) };
        let run = failed.clone();
        database.catalog_error = error();
        database.ended(failed.clone(), false, None);
        database.verify_ended(failed.clone());
        database.sweep_ended(SweepReport { run: failed, ..SweepReport::default() });
        database.last_audit = Some(AuditReport {
            pass: 0,
            warn: 0,
            fail: 1,
            unknown: 0,
            failed: vec![],
            worse: None,
            run,
        });
    });
    state.update_channel(ChannelKind::Email, |channel| channel.error = error());
    // What came in already is told on, too.
    let known = state.database("main").unwrap();
    state.add(known);
    let all = format!("{:?} {:?}", state.databases(), state.channels());
    for hidden in ["ada", "111122223333", "minio", "example.com"] {
        assert!(!all.contains(hidden), "{hidden}: {all}");
    }
    assert!(all.matches("s3:PutObject").count() >= 7, "the rest stays: {all}");
}

#[test]
fn no_more_runs_are_remembered_than_a_page_shows() {
    let mut database = state().database("main").unwrap();
    let size = BackupSize { archive_bytes: 1, dump_bytes: 2, rows: 3, seconds: 4.0 };
    for minute in 0..150 {
        let time = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        database.ended(report(Outcome::Ok, minute), true, Some(NewBackup { time, size }));
    }
    let made: Vec<_> = database.made.iter().map(|one| one.time).collect();
    assert_eq!(made.len(), 120);
    assert_eq!(made.first(), Some(&(DateTime::UNIX_EPOCH + TimeDelta::minutes(30))));
}
