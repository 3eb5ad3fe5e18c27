//! A verify that takes longer than the time between two backups: it gets done
//! all the same, and no backup is too late for that.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use reliquary::{
    clock::Clock,
    health::{self, Status},
    settings::Settings,
    store::LocalStore,
    words::{JobKind, Outcome},
};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{Life, at, backups, directory, eventually, hourly, id, keys, sample_server};
use crate::support::{odd_store::OddStore, postgres::Server};

/// Long enough for a backup to be made, where one were made.
const A_WHILE: Duration = Duration::from_secs(1);

/// A daemon whose store hands no archive out before it is told to.
struct Slow {
    _server: Server,
    _dir: TempDir,
    store: Arc<OddStore>,
    /// Whether archives may be read.
    open: watch::Sender<bool>,
    /// How many archives were opened to be read.
    reads: watch::Receiver<usize>,
    clock: Clock,
    settings: Settings,
    life: Life,
}

impl Slow {
    /// It has made its backups of midnight to three, and begins to verify.
    async fn new() -> Self {
        let server = sample_server();
        let (dir, local) = directory().await;
        let (open, waits) = watch::channel(false);
        let (count, reads) = watch::channel(0);
        let store = OddStore::new(local as Arc<LocalStore>).at_reading(move |key| {
            let mut waits = waits.clone();
            if key.ends_with(".sql.gz") {
                count.send_modify(|count| *count += 1);
            }
            async move { drop(waits.wait_for(|open| *open).await) }
        });
        let store = Arc::new(store);
        let (settings, clock) = (hourly(&server), Clock::manual(at("00:00:00")));
        let life = Life::settled(&settings, store.clone(), &clock).await;
        for _ in 0..3 {
            life.live(&clock, TimeDelta::hours(1)).await;
        }
        let slow = Self { _server: server, _dir: dir, store, open, reads, clock, settings, life };
        slow.at("03:30:00");
        slow.verifies(1).await;
        slow
    }

    fn at(&self, time: &str) {
        self.clock.set(at(time));
        self.life.state.beat();
        self.life.handles[0].nudge();
    }

    /// Waits until the `nth` reading of an archive has begun, at some nudge.
    async fn verifies(&self, nth: usize) {
        eventually("an archive is read", || {
            self.life.handles[0].nudge();
            *self.reads.borrow() >= nth
        })
        .await;
        assert_eq!(*self.reads.borrow(), nth);
        eventually("the verify runs", || {
            let running = self.life.main().running;
            running.is_some_and(|running| running.job == JobKind::Verify)
        })
        .await;
    }

    /// The clock goes on, and a backup that is due waits.
    async fn waits(&self, time: &str) {
        let before = self.life.main().last_success;
        self.clock.set(at(time));
        // Whoever waits for what is due waits for the verify, too.
        let settled = tokio::time::timeout(A_WHILE, self.life.settle()).await;
        assert!(settled.is_err(), "the verify is at its end");
        assert_eq!(self.life.main().last_success, before, "no backup was made");
        assert_eq!(self.life.main().running.unwrap().job, JobKind::Verify);
    }

    async fn has_backup_of(&self, time: &str) {
        let time = at(time);
        eventually("the backup is made", || self.life.main().last_success == Some(time)).await;
    }

    async fn verdicts(&self) -> Vec<String> {
        let keys = keys(&*self.store).await.into_iter();
        let names = keys.filter(|key| key.ends_with(".verified.json"));
        names.map(|key| key.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_that_gave_way_twice_for_nothing_holds_on_to_the_end_of_one_archive() {
    let slow = Slow::new().await;
    for (hour, nth) in [("04:00:00", 2), ("05:00:00", 3)] {
        slow.at(hour);
        slow.has_backup_of(hour).await;
        slow.verifies(nth).await;
    }
    // Now the backup waits, and is made as soon as the archive is through.
    slow.waits("06:00:00").await;
    slow.waits("06:10:00").await;
    slow.open.send_replace(true);
    slow.has_backup_of("06:10:00").await;
    slow.life.settle().await;
    let first = format!("{}.verified.json", id(at("03:00:00")));
    let verdicts = slow.verdicts().await;
    assert!(verdicts.contains(&first), "{verdicts:?}");
    assert_eq!(slow.life.health(), Status::Ok);
    // With a store that is quick again the sample follows.
    assert_eq!(verdicts.len(), 4, "{verdicts:?}");
    assert_eq!(slow.life.main().last_verify.unwrap().outcome, Outcome::Ok);
    assert_eq!(backups(&*slow.store, "database/").await.len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_holds_on_lets_no_backup_grow_stale_and_does_not_do_it_again() {
    let slow = Slow::new().await;
    for (hour, nth) in [("04:00:00", 2), ("05:00:00", 3)] {
        slow.at(hour);
        slow.has_backup_of(hour).await;
        slow.verifies(nth).await;
    }
    for time in ["06:00:00", "06:58:59"] {
        slow.waits(time).await;
    }
    // Two hours after five it would be stale.
    slow.at("06:59:00");
    slow.has_backup_of("06:59:00").await;
    assert_eq!(slow.life.health(), Status::Ok);
    slow.verifies(4).await;
    for (nth, hour) in (5..).zip(["07:00:00", "08:00:00", "09:00:00", "10:00:00"]) {
        slow.at(hour);
        slow.has_backup_of(hour).await;
        slow.verifies(nth).await;
    }
    // It never gets done, and after three days the health says so.
    let verify = |life: &Life| {
        let health = health::current(&life.state);
        let checks = health.databases[0].checks.clone();
        checks.into_iter().find(|check| check.name == "verify").unwrap()
    };
    assert!(verify(&slow.life).ok);
    slow.clock.advance(TimeDelta::days(3));
    let check = verify(&slow.life);
    assert!(!check.ok && check.detail.contains("nothing was verified"), "{check:?}");
    // A daemon that is started again knows it, too.
    slow.life.kill().await;
    let daemon = Life::begin(&slow.settings, slow.store.clone(), &slow.clock);
    eventually("the store was listed", || daemon.main().catalog.is_some()).await;
    assert!(!verify(&daemon).ok);
    daemon.kill().await;
}
