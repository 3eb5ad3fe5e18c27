//! Slots missed, tried again, given up, and not waited for.

use std::sync::Arc;

use chrono::TimeDelta;
use reliquary::{
    clock::Clock,
    health::Status,
    words::{Outcome, Stage},
};
use sqlx::{Connection as _, PgConnection};

use super::{
    Life, at, backups, directory, eventually, hourly, id, sample_server, set_up, settings,
};
use crate::support::{
    odd_store::OddStore,
    pg::{execute, parse},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_ten_past_catches_up_at_once_and_once() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("14:10:00"));
    let life = Life::begin(&hourly(&server), store.clone(), &clock);
    // Nobody has nudged it.
    eventually("the first backup", || life.main().last_success == Some(at("14:10:00"))).await;
    for _ in 0..4 {
        life.live(&clock, TimeDelta::minutes(12)).await;
    }
    assert_eq!(backups(&*store, "database/").await, [id(at("14:10:00"))]);
    assert_eq!(life.main().next_run, Some(at("15:00:00")));

    // Another one at twenty past has nothing to catch up.
    life.kill().await;
    clock.set(at("14:20:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    assert_eq!(life.health(), Status::Ok);
    assert!(life.main().last_run.is_none());
    assert_eq!(backups(&*store, "database/").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_over_runs_makes_one_backup_when_it_wakes() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("14:00:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    clock.set(at("19:25:00"));
    assert_eq!(life.health(), Status::Stale);
    for _ in 0..3 {
        life.settle().await;
    }
    assert_eq!(life.health(), Status::Ok);
    let made = backups(&*store, "database/").await;
    assert_eq!(made, [id(at("14:00:00")), id(at("19:25:00"))]);
    assert_eq!(life.main().next_run, Some(at("20:00:00")));
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_spaced_counted_and_given_up_loudly() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("13:00:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    set_up(&server, "app", false);
    let plan = [
        ("14:00:00", 1, Status::Ok),
        ("14:00:50", 1, Status::Ok),
        ("14:01:00", 2, Status::Ok),
        ("14:02:50", 2, Status::Ok),
        ("14:03:00", 3, Status::Failing),
        ("14:20:00", 3, Status::Failing),
        ("14:59:50", 3, Status::Failing),
        // The next slot's first failure does not make it any better.
        ("15:00:00", 4, Status::Failing),
    ];
    for (time, failures, status) in plan {
        clock.set(at(time));
        life.settle().await;
        let database = life.main();
        assert_eq!(database.consecutive_failures, failures, "at {time}");
        assert_eq!(life.health(), status, "at {time}");
        let run = database.last_run.unwrap();
        assert_eq!((run.outcome, run.stage), (Outcome::Failed, Some(Stage::Connect)));
        assert!(run.error.unwrap().contains("not currently accepting connections"));
        assert!(database.running.is_none());
    }
    set_up(&server, "app", true);
    clock.set(at("15:01:00"));
    life.settle().await;
    let database = life.main();
    assert_eq!(life.health(), Status::Ok);
    assert_eq!((database.consecutive_failures, database.giving_up), (0, false));
    let run = database.last_run.unwrap();
    assert_eq!((run.outcome, run.backup), (Outcome::Ok, Some(id(at("15:01:00")))));
    // What went wrong last stays to be seen.
    assert_eq!(database.last_failure.unwrap().started, at("15:00:00"));
    let text = life.metrics.render(&life.state).unwrap();
    for line in [
        r#"reliquary_job_runs_total{database="main",job="backup",outcome="failed"} 4"#,
        r#"reliquary_job_runs_total{database="main",job="backup",outcome="ok"} 2"#,
        r#"reliquary_failures_total{database="main",job="backup",stage="connect"} 4"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert_eq!(backups(&*store, "database/").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_panics_is_an_outcome_and_the_next_hour_still_runs() {
    let server = sample_server();
    let (_dir, local) = directory().await;
    let clock = Clock::manual(at("14:00:00"));
    let store = Arc::new(OddStore::new(local).dated_by(&clock));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;

    store.panic_at_puts(true);
    for time in ["15:00:00", "15:01:00", "15:03:00"] {
        clock.set(at(time));
        life.settle().await;
        let run = life.main().last_run.unwrap();
        assert_eq!((run.started, run.outcome), (at(time), Outcome::Failed));
        assert_eq!(run.stage, Some(Stage::Panic));
    }
    assert_eq!(life.health(), Status::Failing);
    assert!(life.state.liveness().all(), "the runner must have outlived the panic");

    store.panic_at_puts(false);
    clock.set(at("16:00:00"));
    life.settle().await;
    assert_eq!(life.health(), Status::Ok);
    let made = backups(&*store, "database/").await;
    assert_eq!(made, [id(at("14:00:00")), id(at("16:00:00"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_database_delays_no_other() {
    let server = sample_server();
    server.create_database("hung");
    server.psql("hung", "create table held (id int)");
    let settings = settings(&format!(
        "[databases.hung]\nurl = {:?}\nprefix = \"hung/\"\nlock_timeout = \"2m\"\n\
         [databases.main]\nurl = {:?}\nprefix = \"main/\"\n",
        server.url("hung"),
        server.url("app"),
    ));
    let options = parse(&server.url("hung")).sqlx().unwrap();
    let mut application = PgConnection::connect_with(&options[0]).await.unwrap();
    execute(&mut application, "begin; lock table held in access exclusive mode").await;

    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("14:00:00"));
    let life = Life::begin(&settings, store.clone(), &clock);
    let [hung, main] = &life.handles[..] else { panic!("two databases") };
    hung.nudge();
    eventually("the hung run", || life.database("hung").running.is_some()).await;
    for hour in ["14:00:00", "15:00:00", "16:00:00"] {
        clock.set(at(hour));
        main.settle().await;
        assert_eq!(life.main().last_success, Some(at(hour)));
        assert!(life.database("hung").running.is_some(), "it should still wait for its lock");
    }
    assert!(life.database("hung").last_success.is_none());

    execute(&mut application, "rollback").await;
    hung.settle().await;
    // What began at 14:00 and ended at 16:00 is not the backup of 16:00.
    assert_eq!(backups(&*store, "hung/").await, [id(at("14:00:00")), id(at("16:00:00"))]);
    assert_eq!(backups(&*store, "main/").await.len(), 3);
}
