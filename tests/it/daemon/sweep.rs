//! The daily sweep: when it has its turn, what it leaves to see, and that it
//! never delays a backup.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DurationRound as _, TimeDelta};
use reliquary::{
    clock::Clock,
    health::{self, Check, Status},
    settings::Settings,
    store::{
        LocalStore, Store as _,
        faults::{Fault, FaultyStore, Plan},
    },
    words::{JobKind, Outcome, Stage, SweepRefusal},
};
use tempfile::TempDir;

use super::{
    Life, at, backups, directory, eventually, id, keys, pointed_at, sample_server, set_up, settings,
};
use crate::support::{odd_store::OddStore, postgres::Server};

/// A daemon that keeps six hours, and sweeps when the line says.
struct Day {
    server: Server,
    dir: TempDir,
    store: Arc<FaultyStore>,
    settings: Settings,
    clock: Clock,
    life: Life,
}

impl Day {
    /// At midnight, with its first backup.
    async fn new(schedule: &str) -> Self {
        Self::with(&format!("verify.enabled = false\nsweep.schedule = {schedule:?}"), &[]).await
    }

    /// The same with settings of its own and what the store holds already.
    async fn with(lines: &str, objects: &[(String, &[u8])]) -> Self {
        let server = sample_server();
        let (dir, local) = directory().await;
        let clock = Clock::manual(at("00:00:00"));
        // Its own clock is ours.
        let odd = Arc::new(OddStore::new(local as Arc<LocalStore>).dated_by(&clock));
        let store = Arc::new(FaultyStore::new(odd, Plan::None));
        for (key, bytes) in objects {
            store.put(key, Bytes::copy_from_slice(bytes)).await.unwrap();
        }
        let settings = settings(&format!(
            "databases.main.url = {:?}\ndatabases.main.attempts = 3\n{lines}\n\
             retention.keep_for = \"6h\"\nretention.keep_last = 3\n\
             postgres.client_dirs = ['{}']",
            server.url("app"),
            server.replayed_dump().display(),
        ));
        let life = Life::settled(&settings, store.clone(), &clock).await;
        Self { server, dir, store, settings, clock, life }
    }

    /// Lives through every quarter of an hour until then.
    async fn until(&self, time: &str) {
        while self.clock.now() < at(time) {
            let quarter = TimeDelta::minutes(15);
            self.clock.set(self.clock.now().duration_trunc(quarter).unwrap() + quarter);
            self.life.settle().await;
        }
    }

    async fn backups(&self) -> Vec<String> {
        backups(&*self.store, "database/").await
    }

    fn metric(&self, series: &str) -> String {
        let text = self.life.metrics.render(&self.life.state).unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        let line = line.unwrap_or_else(|| panic!("{series} is not there"));
        line.rsplit_once(' ').unwrap().1.to_owned()
    }

    fn runs(&self, outcome: &str) -> String {
        self.metric(&format!(
            "reliquary_job_runs_total{{database=\"main\",job=\"sweep\",outcome=\"{outcome}\"}}"
        ))
    }

    fn check(&self) -> Check {
        let health = health::current(&self.life.state);
        assert_eq!(health.status, Status::Ok, "a sweep says nothing of how backups are made");
        let checks = health.databases.into_iter().next().unwrap().checks;
        checks.into_iter().find(|check| check.name == "sweep").unwrap()
    }
}

const HOURLY: &str = "0 15 * * * *";
const DAILY: &str = "0 15 4 * * *";

fn hours(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|hour| id(at(&format!("{hour:02}:00:00")))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_slot_has_one_sweep_that_removes_what_has_grown_old() {
    let day = Day::new(HOURLY).await;
    // The one of the slot before the start, which may have been missed.
    assert_eq!(day.runs("ok"), "1");
    day.until("11:15:00").await;
    assert_eq!(day.backups().await, hours(6..=11));
    assert_eq!(pointed_at(&*day.store, "database/").await, Some(id(at("11:00:00"))));
    let main = day.life.main();
    let last = main.last_sweep.as_ref().unwrap();
    assert_eq!((last.run.job, last.run.outcome), (JobKind::Sweep, Outcome::Ok));
    assert_eq!((last.run.started, last.removed, last.refused), (at("11:15:00"), 1, None));
    assert_eq!(main.next_sweep, Some(at("12:15:00")));
    assert_eq!(main.catalog.unwrap().scheduled, 6);
    assert_eq!(day.metric("reliquary_swept_total{database=\"main\"}"), "6");
    assert_ne!(day.metric("reliquary_swept_bytes_total{database=\"main\"}"), "0");
    assert_eq!(day.runs("ok"), "13");
    let swept = day.metric("reliquary_last_sweep_timestamp_seconds{database=\"main\"}");
    assert_eq!(swept, at("11:15:00").timestamp().to_string());
    let check = day.check();
    assert!(check.ok && check.detail.contains("1 backups and 0 debris removed"), "{check:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_sweep_is_seen_everywhere_and_not_tried_again_that_day() {
    let day = Day::new("0 15 13 * * *").await;
    day.until("13:30:00").await;
    // Of fourteen eight would go.
    assert_eq!(day.backups().await, hours(0..=13));
    let last = day.life.main().last_sweep.unwrap();
    assert_eq!(last.refused, Some(SweepRefusal::MoreThanHalf));
    assert_eq!((last.run.outcome, last.run.stage), (Outcome::Failed, Some(Stage::Plan)));
    let check = day.check();
    assert!(!check.ok && check.detail.contains("was refused (more_than_half)"), "{check:?}");
    assert!(check.detail.contains("reliquary sweep --more-than-half"), "{check:?}");
    let refused = |reason| {
        day.metric(&format!(
            "reliquary_sweep_refused_total{{database=\"main\",reason=\"{reason}\"}}"
        ))
    };
    assert_eq!(refused("more_than_half"), "1");
    assert_eq!(refused("clock"), "0");
    day.until("15:00:00").await;
    assert_eq!(refused("more_than_half"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_missed_while_the_process_was_down_runs_at_the_next_look() {
    let mut day = Day::new(DAILY).await;
    day.until("03:00:00").await;
    assert_eq!(day.runs("ok"), "1");
    day.life.kill().await;
    day.clock.set(at("07:30:00"));
    day.life = Life::settled(&day.settings, day.store.clone(), &day.clock).await;
    // The backup comes first, and then what is older than six hours goes.
    let last = day.life.main().last_sweep.unwrap();
    assert_eq!((last.run.outcome, last.removed), (Outcome::Ok, 2));
    let expected = [hours(2..=3), vec![id(at("07:30:00"))]].concat();
    assert_eq!(day.backups().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_gives_way_to_a_backup_that_falls_due_and_has_its_turn_afterwards() {
    let day = Day::new(HOURLY).await;
    day.until("07:00:00").await;
    let (removed, cancelled) =
        (day.metric("reliquary_swept_total{database=\"main\"}"), "cancelled");
    assert_eq!((removed.as_str(), day.runs(cancelled).as_str()), ("1", "0"));
    // Its listing hangs. The look that comes round every ten minutes was before.
    day.clock.set(at("07:14:00"));
    day.life.settle().await;
    day.store.set(Plan::Nth(2, Fault::Hangs(Duration::from_hours(1))));
    let before = day.store.calls().len();
    day.clock.set(at("07:15:00"));
    day.life.handles[0].nudge();
    eventually("the sweep lists", || day.store.calls().len() >= before + 2).await;
    assert_eq!(day.life.main().running.unwrap().job, JobKind::Sweep);
    day.clock.set(at("08:00:00"));
    day.life.handles[0].nudge();
    eventually("the backup of eight is made", || {
        day.life.main().last_success == Some(at("08:00:00"))
    })
    .await;
    day.life.settle().await;
    assert_eq!(day.runs(cancelled), "1");
    assert_eq!(day.life.main().last_sweep.unwrap().run.started, at("08:00:00"));
    assert_eq!(day.backups().await, hours(3..=8), "it went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_cannot_list_or_breaks_down_is_tried_again() {
    let day = Day::new(HOURLY).await;
    day.until("07:00:00").await;
    for (fault, stage, minute) in [
        (Plan::Nth(2, Fault::Rejected), Stage::Catalog, "07:15:00"),
        (Plan::Nth(1, Fault::Panics), Stage::Panic, "08:15:00"),
        // The manifest, head, and then the removal of the manifests.
        (Plan::Nth(6, Fault::Rejected), Stage::Remove, "09:15:00"),
    ] {
        // The look that comes round every ten minutes is before.
        day.until(&minute.replace("15:00", "00:00")).await;
        day.clock.set(at(&minute.replace("15:00", "14:00")));
        day.life.settle().await;
        day.store.set(fault);
        day.until(minute).await;
        let last = day.life.main().last_sweep.unwrap();
        assert_eq!((last.run.outcome, last.run.stage), (Outcome::Failed, Some(stage)), "{last:?}");
        assert!(!day.check().ok);
        day.life.live(&day.clock, TimeDelta::seconds(30)).await;
        assert_eq!(day.life.main().last_sweep.unwrap().run.outcome, Outcome::Failed, "too soon");
        day.life.live(&day.clock, TimeDelta::minutes(1)).await;
        assert_eq!(day.life.main().last_sweep.unwrap().run.outcome, Outcome::Ok);
        assert!(day.check().ok);
    }
    assert_eq!(day.backups().await, hours(4..=9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_taken_over_loses_nothing_before_there_is_enough_that_is_good() {
    // Written at midnight; four backups of ours fail to come, then they come.
    let old = |hour: &str| format!("database/2025/02/2025-02-26T{hour}-00-00Z.sql.gz");
    let archives = ["21", "22", "23"].map(|hour| (old(hour), &b"\x1f\x8b\x08\x00old"[..]));
    let lines = format!("verify.enabled = false\nsweep.schedule = {HOURLY:?}");
    let day = Day::with(&lines, &archives).await;
    let left = async || {
        let keys = keys(&*day.store).await;
        archives.iter().filter(|(key, _)| keys.contains(key)).count()
    };
    set_up(&day.server, "app", false);
    day.until("08:00:00").await;
    // Old enough to go for hours, and all there is beside one backup.
    assert_eq!((day.life.main().last_success, left().await), (Some(at("00:00:00")), 3));
    assert!(day.life.main().last_sweep.unwrap().refused.is_some(), "nothing fresh is there");
    set_up(&day.server, "app", true);
    day.until("08:30:00").await;
    // The one of midnight, the one of eight, and the newest of the old ones.
    assert_eq!((day.life.main().catalog.unwrap().scheduled, left().await), (2, 1));
    day.until("09:30:00").await;
    assert_eq!((day.life.main().catalog.unwrap().scheduled, left().await), (3, 0));
    assert_eq!(pointed_at(&*day.store, "database/").await, Some(id(at("09:00:00"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_and_a_sweep_of_one_slot_have_their_turns_and_what_is_damaged_stays_for_now() {
    let lines = format!("verify.schedule = {HOURLY:?}\nsweep.schedule = {HOURLY:?}");
    let day = Day::with(&lines, &[]).await;
    day.until("03:00:00").await;
    let key = format!("database/2025/02/{}.sql.gz", id(at("03:00:00")));
    let path = day.dir.path().join(&key);
    let mut archive = std::fs::read(&path).unwrap();
    let middle = archive.len() / 2;
    archive[middle] ^= 1;
    std::fs::write(&path, archive).unwrap();
    day.until("03:15:00").await;
    let main = day.life.main();
    let (verify, sweep) = (main.last_verify.unwrap(), main.last_sweep.unwrap());
    assert_eq!((verify.outcome, verify.stage), (Outcome::Failed, Some(Stage::Verify)));
    assert_eq!((sweep.run.outcome, sweep.run.started), (Outcome::Ok, at("03:15:00")));
    assert_eq!(main.catalog.unwrap().damaged, 1);
    // Days later good ones are gone for their age, and it is still there to be looked at.
    day.until("12:00:00").await;
    let keys = keys(&*day.store).await;
    assert!(keys.contains(&key), "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains(&id(at("04:00:00")))), "{keys:?}");
}
