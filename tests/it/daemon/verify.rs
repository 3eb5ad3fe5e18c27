//! The daily verify: whose turn it is, what it finds, and that it never delays
//! a backup.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use reliquary::{
    clock::Clock,
    jobs::{Handles, StartResult, Trigger as _},
    settings::Settings,
    store::{
        LocalStore, Store,
        faults::{Fault, FaultyStore, Plan},
    },
    words::{JobKind, Outcome, Stage},
};
use tempfile::TempDir;

use super::{
    Life, at, backups, directory, eventually, hourly, id, keys, pointed_at, sample_server,
};
use crate::support::postgres::Server;

/// A daemon that has made its backups of midnight to three, at half past three
/// but for a second.
struct Night {
    _server: Server,
    dir: TempDir,
    store: Arc<FaultyStore>,
    settings: Settings,
    clock: Clock,
    life: Life,
}

impl Night {
    async fn new() -> Self {
        let server = sample_server();
        let (dir, local) = directory().await;
        let store = Arc::new(FaultyStore::new(local as Arc<LocalStore>, Plan::None));
        let (settings, clock) = (hourly(&server), Clock::manual(at("00:00:00")));
        let life = Life::settled(&settings, store.clone(), &clock).await;
        for _ in 0..3 {
            life.live(&clock, TimeDelta::hours(1)).await;
        }
        clock.set(at("03:29:59"));
        life.settle().await;
        assert_eq!(verdicts(&*store).await, [] as [String; 0]);
        store.set(Plan::None);
        Self { _server: server, dir, store, settings, clock, life }
    }

    /// The archive of a full hour.
    fn damage(&self, hour: &str) {
        let name = format!("database/2025/02/{}.sql.gz", id(at(hour)));
        let path = self.dir.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    fn metric(&self, series: &str) -> String {
        let text = self.life.metrics.render(&self.life.state).unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        let line = line.unwrap_or_else(|| panic!("{series} is not there"));
        line.rsplit_once(' ').unwrap().1.to_owned()
    }

    fn runs(&self, outcome: &str) -> String {
        self.metric(&format!(
            "reliquary_job_runs_total{{database=\"main\",job=\"verify\",outcome=\"{outcome}\"}}"
        ))
    }
}

/// What verify has written, by id and verdict.
async fn verdicts(store: &dyn Store) -> Vec<String> {
    let is_verdict =
        |key: &String| key.ends_with(".verified.json") || key.ends_with(".damaged.json");
    let names = keys(store).await.into_iter().filter(is_verdict);
    names.map(|key| key.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_night_the_newest_and_a_sample_are_verified_once() {
    let night = Night::new().await;
    night.life.live(&night.clock, TimeDelta::seconds(1)).await;
    let all: Vec<String> = ["00", "01", "02", "03"]
        .iter()
        .map(|hour| format!("{}.verified.json", id(at(&format!("{hour}:00:00")))))
        .collect();
    assert_eq!(verdicts(&*night.store).await, all);
    let main = night.life.main();
    let run = main.last_verify.unwrap();
    assert_eq!((run.job, run.outcome, run.started), (JobKind::Verify, Outcome::Ok, at("03:30:00")));
    assert_eq!(main.next_verify, Some(at("03:30:00") + TimeDelta::days(1)));
    let totals = main.catalog.unwrap();
    assert_eq!((totals.verified, totals.damaged), (4, 0));
    assert_eq!(night.runs("ok"), "1");
    assert_eq!(night.metric("reliquary_backups_verified{database=\"main\"}"), "4");
    assert_eq!(night.metric("reliquary_verify_failures_total{database=\"main\"}"), "0");
    assert_ne!(night.metric("reliquary_last_verify_timestamp_seconds{database=\"main\"}"), "0");

    // Nothing more that day, and nothing by a daemon that is started again.
    for _ in 0..3 {
        night.life.live(&night.clock, TimeDelta::minutes(50)).await;
    }
    assert_eq!(night.runs("ok"), "1");
    night.life.kill().await;
    let life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    assert!(life.main().last_verify.is_none(), "it was done before the start");
    let totals = life.main().catalog.unwrap();
    assert_eq!(totals.verified, 4, "the bucket remembers");
    assert!(totals.last_verify.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_an_old_backup_is_told_and_changes_nothing_else() {
    let night = Night::new().await;
    night.damage("01:00:00");
    night.life.live(&night.clock, TimeDelta::seconds(1)).await;
    let found = verdicts(&*night.store).await;
    assert!(found.contains(&format!("{}.damaged.json", id(at("01:00:00")))), "{found:?}");
    assert_eq!(found.len(), 4);
    let main = night.life.main();
    let run = main.last_verify.as_ref().unwrap();
    assert_eq!((run.outcome, run.stage), (Outcome::Failed, Some(Stage::Verify)));
    assert!(run.error.as_ref().unwrap().contains("is damaged"), "{run:?}");
    let totals = main.catalog.unwrap();
    assert_eq!((totals.scheduled, totals.damaged, totals.verified), (3, 1, 3));
    assert_eq!(main.last_success, Some(at("03:00:00")));
    assert_eq!(main.consecutive_failures, 0, "backups are made all the same");
    assert_eq!(night.metric("reliquary_verify_failures_total{database=\"main\"}"), "1");
    let damaged = "reliquary_backups_stored{database=\"main\",kind=\"damaged\"}";
    assert_eq!(night.metric(damaged), "1");
    // It is found, and not looked for again.
    night.life.live(&night.clock, TimeDelta::minutes(10)).await;
    assert_eq!(night.runs("failed"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newest_backup_that_is_damaged_is_made_again_at_once() {
    let night = Night::new().await;
    night.damage("03:00:00");
    assert_eq!(pointed_at(&*night.store, "database/").await.unwrap(), id(at("03:00:00")));
    night.life.live(&night.clock, TimeDelta::seconds(1)).await;
    let main = night.life.main();
    assert_eq!(main.catalog.as_ref().unwrap().damaged, 1);
    assert_eq!(main.last_success, Some(at("03:30:00")), "the slot was not served any more");
    assert_eq!(pointed_at(&*night.store, "database/").await.unwrap(), id(at("03:30:00")));
    assert_eq!(main.pointer_ok, Some(true));
}

/// Lets the verify of that night hang in the middle of an archive.
async fn hanging(night: &Night) {
    // Manifest, checksum file, head, archive.
    night.store.set(Plan::Nth(4, Fault::Hangs(Duration::from_hours(1))));
    night.clock.advance(TimeDelta::seconds(1));
    let before = night.store.calls().len();
    night.life.handles[0].nudge();
    eventually("the verify reads an archive", || night.store.calls().len() >= before + 4).await;
    let running = night.life.main().running.unwrap();
    assert_eq!((running.job, running.progress.stage()), (JobKind::Verify, Stage::Verify));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_gives_way_to_a_backup_that_falls_due_and_goes_on_afterwards() {
    let night = Night::new().await;
    hanging(&night).await;
    // Nothing is due yet: it goes on.
    night.life.handles[0].nudge();
    night.clock.set(at("04:00:00"));
    night.life.handles[0].nudge();
    eventually("the backup of four is made", || {
        night.life.main().last_success == Some(at("04:00:00"))
    })
    .await;
    night.life.settle().await;
    assert_eq!((night.runs("cancelled"), night.runs("ok")), ("1".to_owned(), "1".to_owned()));
    assert_eq!(verdicts(&*night.store).await.len(), 4);
    assert_eq!(backups(&*night.store, "database/").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_gives_way_to_a_backup_that_is_asked_for() {
    let night = Night::new().await;
    hanging(&night).await;
    let handles = Handles(night.life.handles.clone());
    assert_eq!(handles.start("main"), StartResult::Accepted);
    eventually("the backup is made", || night.life.main().last_success == Some(at("03:30:00")))
        .await;
    night.life.settle().await;
    assert_eq!(verdicts(&*night.store).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_read_is_tried_again_and_never_called_damaged() {
    let night = Night::new().await;
    // The manifest of the first one.
    night.store.set(Plan::Nth(1, Fault::Rejected));
    night.life.live(&night.clock, TimeDelta::seconds(1)).await;
    let main = night.life.main();
    let run = main.last_verify.as_ref().unwrap();
    assert_eq!(run.outcome, Outcome::Failed);
    assert_eq!(main.catalog.unwrap().damaged, 0);
    assert_eq!(verdicts(&*night.store).await.len(), 3);
    assert_eq!(night.metric("reliquary_verify_failures_total{database=\"main\"}"), "1");
    assert_eq!(main.unread, 1);
    night.life.live(&night.clock, TimeDelta::seconds(30)).await;
    assert_eq!(verdicts(&*night.store).await.len(), 3, "not without a pause");
    night.life.live(&night.clock, TimeDelta::minutes(1)).await;
    assert_eq!(verdicts(&*night.store).await.len(), 4);
    assert_eq!(night.life.main().last_verify.unwrap().outcome, Outcome::Ok);
    assert_eq!(night.life.main().unread, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_archive_that_was_replaced_by_hand_is_looked_at_again() {
    let night = Night::new().await;
    let path = night.dir.path().join(format!("database/2025/02/{}.sql.gz", id(at("01:00:00"))));
    let good = std::fs::read(&path).unwrap();
    night.damage("01:00:00");
    night.life.live(&night.clock, TimeDelta::seconds(1)).await;
    assert_eq!(night.life.main().catalog.unwrap().damaged, 1);
    std::fs::write(&path, good).unwrap();
    // A daemon that was there all along lists the bucket anew when it makes a backup.
    night.life.live(&night.clock, TimeDelta::days(1)).await;
    let damaged = format!("{}.damaged.json", id(at("01:00:00")));
    let found = verdicts(&*night.store).await;
    assert!(!found.contains(&damaged), "{found:?}");
    let totals = night.life.main().catalog.unwrap();
    assert_eq!((totals.damaged, totals.scheduled), (0, 5));
}
