//! The runner: faults and retries within a slot, panics, deadlines, and two
//! daemons on one database.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use reliquary::{
    app,
    jobs::{Handle, Handles, StartResult, Trigger as _, runner::runner},
    lifecycle::Lifecycle,
    metrics::Metrics,
    state::{DatabaseState, State},
    store::{
        LocalStore, Store,
        faults::{Fault, FaultyStore, Plan},
    },
    words::{Outcome, Stage},
};
use tokio::task::JoinHandle;

use super::{
    bench::{Bench, PATIENCE, at, eventually, points_at_newest, uploads, whole},
    children::FakeDump,
};

/// A runner at work, as the daemon has one for each database.
struct Daemon {
    handle: Handle,
    state: State,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    task: JoinHandle<()>,
}

impl Daemon {
    fn start(bench: &Bench, store: Arc<dyn Store>) -> Self {
        let settings = bench.settings();
        let database = &settings.databases["main"];
        let names = ["main".to_owned()];
        let metrics = Arc::new(Metrics::new("test", &names).unwrap());
        let state = State::new(bench.clock.clone(), bench.clock.now(), "test");
        state.add(DatabaseState::new(
            "main",
            database.prefix.clone(),
            database.schedule.line.clone(),
            database.stale_after,
        ));
        let lifecycle = Lifecycle::new(Duration::from_secs(20));
        let source = app::source(database).unwrap();
        let (runner, handle) = runner(
            bench.environment(store),
            source,
            state.clone(),
            Arc::clone(&metrics),
            lifecycle.clone(),
        );
        let task = tokio::spawn(runner.run());
        Self { handle, state, metrics, lifecycle, task }
    }

    fn database(&self) -> DatabaseState {
        self.state.database("main").unwrap()
    }

    /// How the last run ended, where, and why.
    fn last(&self) -> (Outcome, Option<Stage>, String) {
        let run = self.database().last_run.unwrap();
        (run.outcome, run.stage, run.error.unwrap_or_default())
    }

    async fn stop(self) {
        self.lifecycle.soft.cancel();
        self.task.await.unwrap();
    }
}

/// Nudges a daemon every two minutes for a quarter of an hour.
async fn quarter_of_an_hour(bench: &Bench, daemon: &Daemon) {
    for _ in 0..8 {
        daemon.handle.settle().await;
        bench.clock.advance(TimeDelta::minutes(2));
    }
}

/// One fault at any call of a daemon's life, from the first listing on: the
/// slot gets its backup, and only one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_fault_is_mended_within_the_slot_without_a_duplicate() {
    let bench = Bench::new().await.replaying();
    let calls = sweep(&bench, Plan::Nth).await;
    assert!(calls >= 10, "{calls}");
}

/// The same for a store that goes away at any call and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_outage_is_mended_within_the_slot_without_a_duplicate() {
    let bench = Bench::new().await.replaying();
    sweep(&bench, Plan::Outage).await;
}

/// Each call fails in every way that differs for it; returns how many there were.
async fn sweep(bench: &Bench, plan: impl Fn(usize, Fault) -> Plan) -> usize {
    for nth in 1.. {
        let Some(operation) = mended(bench, plan(nth, Fault::Rejected), nth).await else {
            return nth - 1;
        };
        if Fault::AcceptedThenFailed.differs_for(&operation) {
            mended(bench, plan(nth, Fault::AcceptedThenFailed), nth).await;
        }
    }
    unreachable!("a run makes finitely many calls");
}

/// A daemon whose nth call fails gives this slot its backup all the same, and the
/// next one its own. Returns which operation that call was, if there was one.
async fn mended(bench: &Bench, plan: Plan, nth: usize) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let clean: Arc<dyn Store> = Arc::new(LocalStore::open(dir.path()).await.unwrap());
    let faulty = Arc::new(FaultyStore::new(clean.clone(), plan));
    bench.clock.set(at("14:00:00"));
    let daemon = Daemon::start(bench, faulty.clone());
    daemon.handle.settle().await;
    let met = faulty.calls().get(nth - 1).map(|(operation, _)| operation.clone());
    let what = format!("{plan:?} at {met:?}");
    faulty.set(Plan::None);
    bench.clock.advance(TimeDelta::minutes(2));
    quarter_of_an_hour(bench, &daemon).await;

    let good = whole(clean.as_ref()).await;
    assert_eq!(good.len(), 1, "{what}: {good:?}");
    points_at_newest(clean.as_ref()).await;
    let database = daemon.database();
    assert_eq!(database.last_success, Some(good[0].time()), "{what}");
    assert_eq!(database.pointer_ok, Some(true), "{what}");
    assert_eq!(database.catalog.unwrap().scheduled, 1, "{what}");
    assert!(database.catalog_error.is_none() && !database.giving_up, "{what}");
    assert!(database.last_backup.is_some(), "{what}");

    // The next slot gets its own.
    bench.clock.set(at("15:00:00"));
    daemon.handle.settle().await;
    assert_eq!(whole(clean.as_ref()).await.len(), 2, "{what}");
    assert_eq!(daemon.last().0, Outcome::Ok, "{what}");
    assert_eq!(uploads(clean.as_ref()).await, 0, "{what}");
    daemon.stop().await;
    met
}

#[tokio::test]
async fn a_run_that_panics_is_an_outcome_and_the_next_one_works() {
    let bench = Bench::new().await;
    // The look at the start makes one call.
    let faulty = Arc::new(FaultyStore::new(bench.local(), Plan::Nth(3, Fault::Panics)));
    let daemon = Daemon::start(&bench, faulty.clone());
    daemon.handle.settle().await;
    let (outcome, stage, error) = daemon.last();
    assert_eq!((outcome, stage), (Outcome::Failed, Some(Stage::Panic)), "{error}");
    assert!(error.contains("a fault in Reliquary"), "{error}");
    assert!(daemon.state.liveness().runner);
    let text = daemon.metrics.render(&daemon.state).unwrap();
    assert!(
        text.contains(
            "reliquary_failures_total{database=\"main\",job=\"backup\",stage=\"panic\"} 1"
        )
    );
    bench.no_sessions().await;
    bench.clock.advance(TimeDelta::minutes(2));
    daemon.handle.settle().await;
    assert_eq!(daemon.last().0, Outcome::Ok);
    bench.holds(1).await;
}

#[tokio::test]
async fn a_hung_run_ends_at_its_deadline_and_the_next_hour_runs() {
    let mut bench = Bench::new().await;
    bench.set("RELIQUARY__DATABASES__MAIN__TIMEOUT", "8s");
    bench.set("RELIQUARY__DATABASES__MAIN__ATTEMPTS", "1");
    // Longer than the run may take; a call ends by itself all the same.
    let hangs = Fault::Hangs(Duration::from_secs(9));
    let faulty = Arc::new(FaultyStore::new(bench.local(), Plan::Outage(3, hangs)));
    let daemon = Daemon::start(&bench, faulty.clone());
    daemon.handle.settle().await;
    let (outcome, stage, error) = daemon.last();
    assert_eq!((outcome, stage), (Outcome::Failed, Some(Stage::Timeout)), "{error}");
    assert!(daemon.database().giving_up);
    faulty.set(Plan::None);
    quarter_of_an_hour(&bench, &daemon).await;
    bench.holds(0).await;
    bench.clock.set(at("15:00:00"));
    daemon.handle.settle().await;
    assert_eq!(daemon.last().0, Outcome::Ok);
    assert!(!daemon.database().giving_up);
    bench.holds(1).await;
}

#[tokio::test]
async fn of_two_daemons_one_dumps_and_the_other_skips() {
    let mut bench = Bench::new().await;
    let mut fake = FakeDump::new(&bench, "[ $section = data ] && reach; exec \"$real\" \"$@\"");
    let real = bench.server.bin_dir().to_owned();
    bench.use_tools(fake.path());
    let first = Daemon::start(&bench, bench.local());
    fake.reached().await;
    bench.use_tools(&real);
    let second = Daemon::start(&bench, bench.local());
    second.handle.settle().await;
    assert_eq!(second.last().0, Outcome::Skipped);
    fake.release().await;
    first.handle.settle().await;
    assert_eq!(first.last().0, Outcome::Ok);
    bench.holds(1).await;
    // The one that skipped learns of the other's backup, and makes none.
    quarter_of_an_hour(&bench, &second).await;
    bench.holds(1).await;
    assert_eq!(second.database().last_success, first.database().last_success);
    assert_eq!(second.database().pointer_ok, Some(true));
    // In the next hour it is the other one's turn.
    bench.clock.set(at("15:00:00"));
    second.handle.settle().await;
    first.handle.settle().await;
    bench.holds(2).await;
    assert_eq!((first.last().0, second.last().0), (Outcome::Skipped, Outcome::Ok));
}

/// A replica that cannot reach the source goes on to tell the truth about what
/// its peer keeps making.
#[tokio::test]
async fn a_daemon_that_cannot_make_backups_sees_those_of_its_peer() {
    let mut bench = Bench::new().await;
    let able = Daemon::start(&bench, bench.local());
    able.handle.settle().await;
    bench.set("DIRECT_URL", bench.server.url("nowhere"));
    let unable = Daemon::start(&bench, bench.local());
    unable.handle.settle().await;
    for hour in ["15:00:00", "16:00:00"] {
        bench.clock.set(at(hour));
        unable.handle.settle().await;
        assert_eq!(unable.last().0, Outcome::Failed);
        able.handle.settle().await;
        quarter_of_an_hour(&bench, &unable).await;
        assert_eq!(unable.database().last_success, Some(at(hour)));
        assert!(!unable.database().giving_up);
    }
}

#[tokio::test]
async fn one_order_waits_for_a_busy_runner_and_the_next_is_told_so_at_once() {
    let bench = Bench::new().await;
    let hangs = Fault::Hangs(Duration::from_hours(1));
    let faulty = Arc::new(FaultyStore::new(bench.local(), Plan::Nth(1, hangs)));
    let daemon = Daemon::start(&bench, faulty.clone());
    let handles = Handles(vec![daemon.handle.clone()]);
    eventually("the runner looks at the store", || !faulty.calls().is_empty()).await;
    assert_eq!(handles.start("main"), StartResult::Accepted);
    assert_eq!(handles.start("main"), StartResult::AlreadyRunning);
    assert_eq!(handles.start("other"), StartResult::UnknownDatabase);
    // A look that hangs does not hold up the end, either.
    daemon.lifecycle.soft.cancel();
    daemon.lifecycle.hard.cancel();
    tokio::time::timeout(PATIENCE, daemon.task).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_that_start_at_once_make_one_backup_an_hour() {
    let bench = Bench::new().await;
    let daemons = [0, 1].map(|_| Daemon::start(&bench, bench.local()));
    for hour in 0..3 {
        bench.clock.set(at("14:00:00") + TimeDelta::hours(hour));
        for _ in 0..3 {
            tokio::join!(daemons[0].handle.settle(), daemons[1].handle.settle());
            bench.clock.advance(TimeDelta::minutes(2));
        }
        bench.holds(usize::try_from(hour).unwrap() + 1).await;
    }
    points_at_newest(bench.local.as_ref()).await;
}
