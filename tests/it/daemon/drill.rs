//! The scheduled drill: whose turn it is, that it gives way and comes back, that a
//! restart does not begin it anew, and what it leaves to see.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    app,
    catalog::{self, Layout},
    clock::Clock,
    drill::{Held, Record},
    health::{self, Check, Status},
    jobs::drill::{self, Request},
    postgres::ConnectionUrl,
    restore::Live,
    settings::Settings,
    store::{LocalStore, Store, list_all},
    words::{DrillChoice, DrillReason, DrillStage, DrillVerdict, JobKind},
};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Life, at, directory, eventually, id, sample_server, settings};
use crate::support::postgres::Server;

/// A daemon that drills at half past midnight, has made its backup of midnight,
/// and drills in a room of its own.
struct Night {
    server: Server,
    room: TempDir,
    _dir: TempDir,
    store: Arc<LocalStore>,
    settings: Settings,
    clock: Clock,
    life: Life,
}

const HANGING: &str = "[[drill.checks]]\nname = \"slow\"\nsql = \"select pg_sleep(3600)\"\n\
                       expect = \"rows = 1\"\n";

impl Night {
    async fn new(drill: &str, checks: &str) -> Self {
        let server = sample_server();
        let room = TempDir::new().unwrap();
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (dir, store) = directory().await;
        let clock = Clock::manual(at("00:00:00"));
        let settings = settings(&format!(
            "databases.main.url = {:?}\ndatabases.main.attempts = 3\nverify.enabled = false\n\
             sweep.enabled = false\naudit.enabled = false\ndrill.dir = {:?}\n\
             drill.schedule = \"0 30 0 * * *\"\ndrill.amcheck = false\n{drill}\n{checks}",
            server.url("app"),
            room.path().display().to_string(),
        ));
        let life = Life::settled(&settings, store.clone(), &clock).await;
        assert_eq!(life.main().last_success, Some(at("00:00:00")));
        assert_eq!(life.main().next_drill, Some(at("00:30:00")));
        Self { server, room, _dir: dir, store, settings, clock, life }
    }

    async fn until(&self, time: DateTime<Utc>) {
        self.clock.set(time);
        self.life.settle().await;
    }

    /// Lets the drill of a time hang in its question.
    async fn hanging(&self, time: DateTime<Utc>) {
        self.clock.set(time);
        self.life.handles[0].nudge();
        self.hangs().await;
    }

    async fn hangs(&self) {
        eventually("the drill asks its question", || {
            let main = self.life.main();
            let running = main.running.filter(|running| running.job == JobKind::Drill);
            running.is_some_and(|r| r.progress.drill_stage() == Some(DrillStage::Checks))
        })
        .await;
    }

    /// Every record in the bucket.
    async fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        for object in list_all(&*self.store, "database/drills/").await.unwrap() {
            if object.key.rsplit_once('.').is_some_and(|(_, end)| end == "json") {
                let text = self.store.get(&object.key, 1 << 20).await.unwrap();
                records.push(serde_json::from_slice(&text).unwrap());
            }
        }
        records
    }

    async fn verdicts(&self) -> Vec<DrillVerdict> {
        self.records().await.iter().map(|record| record.verdict).collect()
    }

    fn metric(&self, series: &str) -> String {
        let text = self.life.metrics.render(&self.life.state).unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        let line = line.unwrap_or_else(|| panic!("{series} is not there"));
        line.rsplit_once(' ').unwrap().1.to_owned()
    }

    fn runs(&self, outcome: &str) -> String {
        self.metric(&format!(
            "reliquary_job_runs_total{{database=\"main\",job=\"drill\",outcome=\"{outcome}\"}}"
        ))
    }

    fn check(&self) -> Check {
        let health = health::current(&self.life.state);
        let checks = &health.databases[0].checks;
        checks.iter().find(|check| check.name == "drill").unwrap().clone()
    }

    fn room_is_empty(&self) -> bool {
        fs::read_dir(self.room.path()).unwrap().next().is_none()
    }
}

fn tomorrow(text: &str) -> DateTime<Utc> {
    at(text) + TimeDelta::days(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_slot_drills_the_newest_and_another_one_and_a_restart_does_not_do_it_again() {
    let mut night = Night::new("", "").await;
    // There was nothing to drill before the first backup, so nothing was missed.
    assert_eq!(night.verdicts().await, []);
    night.clock.set(at("00:10:00"));
    let second = reliquary::jobs::Handles(night.life.handles.clone());
    let accepted = reliquary::jobs::Trigger::start(&second, "main");
    assert_eq!(accepted, reliquary::jobs::StartResult::Accepted);
    night.life.settle().await;
    night.until(at("00:30:00")).await;
    let records = night.records().await;
    let found: Vec<_> = records
        .iter()
        .map(|record| (record.verdict, record.choice, record.backup.id.to_string()))
        .collect();
    assert_eq!(
        found,
        [
            (DrillVerdict::Passed, DrillChoice::Newest, id(at("00:10:00"))),
            (DrillVerdict::Passed, DrillChoice::Rota, id(at("00:00:00"))),
        ]
    );
    assert!(records.iter().all(|record| record.operator == "the schedule"));
    assert!(night.room_is_empty());
    let main = night.life.main();
    assert_eq!(main.next_drill, Some(tomorrow("00:30:00")));
    let drills = main.drills.unwrap();
    let last = drills.last.unwrap();
    assert_eq!((last.backup, last.verdict), (id(at("00:00:00")), DrillVerdict::Passed));
    assert!(last.stages.iter().any(|stage| stage.stage == "compare"), "{:?}", last.stages);
    assert_eq!(night.runs("ok"), "1");
    let passed = "reliquary_last_drill_timestamp_seconds{database=\"main\",outcome=\"passed\"}";
    assert_eq!(night.metric(passed), at("00:30:00").timestamp().to_string());
    let took = night.metric("reliquary_drill_restore_seconds{database=\"main\"}");
    assert!(took.parse::<f64>().unwrap() > 0.0, "{took}");
    assert!(night.check().ok, "{:?}", night.check());

    // Nothing more that day, and nothing by a daemon that is started again, which
    // knows all of it from the bucket.
    night.until(at("01:00:00")).await;
    night.life.kill().await;
    night.life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    assert_eq!(night.records().await.len(), 2);
    assert_eq!(night.metric(passed), at("00:30:00").timestamp().to_string());
    assert_eq!(night.metric("reliquary_drill_restore_seconds{database=\"main\"}"), took);
    assert!(night.life.main().running.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_missed_while_the_process_was_down_is_drilled_at_the_next_look() {
    let mut night = Night::new("drill.sample = 0", "").await;
    night.life.kill().await;
    night.clock.set(at("07:10:00"));
    night.life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    // The backup comes first, and is the newest.
    let records = night.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].backup.id.to_string(), id(at("07:10:00")));
    assert_eq!(records[0].verdict, DrillVerdict::Passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_longer_than_an_hour_gives_way_twice_holds_on_once_and_leaves_it_at_that() {
    let night = Night::new("drill.beside_backups = \"never\"", HANGING).await;
    night.hanging(at("00:30:00")).await;
    for hour in ["01:00:00", "02:00:00"] {
        night.clock.set(at(hour));
        night.life.handles[0].nudge();
        eventually("the backup is made", || night.life.main().last_success == Some(at(hour))).await;
        // It begins anew at the next look after that.
        night.life.handles[0].nudge();
        night.hangs().await;
    }
    assert_eq!(night.runs("cancelled"), "2");
    for time in ["03:00:00", "03:30:00", "03:50:00"] {
        night.clock.set(at(time));
        night.life.handles[0].nudge();
        tokio::task::yield_now().await;
    }
    night.hangs().await;
    assert_eq!(night.life.main().last_success, Some(at("02:00:00")), "it holds on");
    assert_eq!(night.life.health(), Status::Ok);
    // A minute before the last backup is stale it lets go.
    night.clock.set(at("03:59:59"));
    night.life.settle().await;
    assert_eq!(night.life.main().last_success, Some(at("03:59:59")));
    assert_eq!(night.runs("cancelled"), "3");
    let records = night.records().await;
    for record in &records {
        let reason = record.failure.as_ref().unwrap().reason;
        assert_eq!(
            (record.verdict, reason),
            (DrillVerdict::Unproven, DrillReason::Interrupted),
            "never passed"
        );
    }
    assert_eq!(records.len(), 3);
    assert!(night.life.main().running.is_none(), "the slot is left as it is");
    assert!(night.room_is_empty());
    let unproven = "reliquary_last_drill_timestamp_seconds{database=\"main\",outcome=\"unproven\"}";
    assert_eq!(night.metric(unproven), at("03:59:59").timestamp().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_told_to_a_drill_goes_on_beside_a_backup() {
    let night = Night::new("drill.beside_backups = \"always\"", HANGING).await;
    night.hanging(at("00:30:00")).await;
    night.clock.set(at("01:00:00"));
    night.life.handles[0].nudge();
    eventually("the backup is made", || {
        let main = night.life.main();
        main.last_success == Some(at("01:00:00")) && main.aside.is_none()
    })
    .await;
    let handles = reliquary::jobs::Handles(night.life.handles.clone());
    night.clock.set(at("01:20:00"));
    let accepted = reliquary::jobs::Trigger::start(&handles, "main");
    assert_eq!(accepted, reliquary::jobs::StartResult::Accepted);
    eventually("the one that is asked for, too", || {
        let main = night.life.main();
        main.last_success == Some(at("01:20:00")) && main.aside.is_none()
    })
    .await;
    assert_eq!(night.life.main().running.unwrap().job, JobKind::Drill, "it still runs");
    assert_eq!(night.metric("reliquary_job_running{database=\"main\",job=\"drill\"}"), "1");
    assert_eq!(night.runs("cancelled"), "0");
    // What is under way claims nothing.
    assert_eq!(night.verdicts().await, [DrillVerdict::Unproven]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_that_is_stopped_with_the_process_is_unproven_and_made_good_by_the_next() {
    let mut night = Night::new("drill.sample = 0", HANGING).await;
    night.hanging(at("00:30:00")).await;
    night.life.stop().await;
    let records = night.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].failure.as_ref().unwrap().reason, DrillReason::Interrupted);
    assert!(night.room_is_empty());
    night.settings.databases.get_mut("main").unwrap().drill.checks.clear();
    night.clock.set(at("00:40:00"));
    night.life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    assert_eq!(night.verdicts().await, [DrillVerdict::Unproven, DrillVerdict::Passed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_drill_is_failing_until_a_backup_as_new_passes_whoever_drills_it() {
    let check = "[[drill.checks]]\nname = \"all donors\"\nsql = \"select from donor\"\n\
                 expect = \"rows = 20\"\n";
    let mut night = Night::new("drill.sample = 0", check).await;
    night.server.psql("app", "delete from donor where id = 1");
    night.clock.set(at("00:20:00"));
    night.life.kill().await;
    // A backup of what is wrong.
    let mut lively = night.settings.clone();
    lively.databases.get_mut("main").unwrap().drill.enabled = false;
    night.life = Life::settled(&lively, night.store.clone(), &night.clock).await;
    night.until(at("01:00:00")).await;
    night.life.kill().await;
    night.life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    let main = night.life.main();
    assert_eq!(night.verdicts().await, [DrillVerdict::Failed]);
    assert_eq!(night.life.health(), Status::Failing);
    assert_eq!(main.consecutive_failures, 0, "backups are made all the same");
    let check = night.check();
    assert!(!check.ok && check.detail.contains("failed (check_failed): failed: all donors"));
    assert_eq!(night.runs("failed"), "1");
    let stage = "reliquary_failures_total{database=\"main\",job=\"drill\",stage=\"drill\"}";
    assert_eq!(night.metric(stage), "1");
    assert_eq!(night.metric("reliquary_healthy{database=\"main\"}"), "0");

    // It is mended, and a person drills the next backup: the daemon sees it in
    // the bucket, with its next backup.
    night.server.psql("app", "insert into donor values (1, 'donor 1')");
    night.until(at("02:00:00")).await;
    assert_eq!(night.life.health(), Status::Failing);
    let record = by_hand(&night, Some("02:00:00")).await;
    assert_eq!(record.verdict, DrillVerdict::Passed, "{record:?}");
    night.until(at("03:00:00")).await;
    assert_eq!(night.life.health(), Status::Ok);
    assert!(night.check().ok, "{:?}", night.check());
}

/// Drills as `reliquary drill` does.
async fn by_hand(night: &Night, backup: Option<&str>) -> Record {
    let database = &night.settings.databases["main"];
    let layout = Layout::new("database/");
    let catalog = catalog::read(&*night.store, &layout).await.unwrap();
    let entry = match backup {
        Some(time) => catalog.entries.iter().find(|entry| entry.time() == at(time)).unwrap(),
        None => catalog.good().next().unwrap(),
    };
    let request = Request {
        database: "main".to_owned(),
        layout,
        source: Live::Unnamed,
        settings: database.drill.clone(),
        entry: entry.clone(),
        catalog,
        operator: "Ada".to_owned(),
        choice: DrillChoice::Asked,
        record: true,
    };
    let environment = app::environment(&night.settings, night.store.clone(), night.clock.clone());
    let (progress, never) = (drill::Progress::default(), CancellationToken::new());
    let drilled = Box::pin(drill::run(&environment, &request, &progress, &never)).await;
    assert_eq!(drilled.not_recorded, None);
    drilled.record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_that_cannot_be_made_warns_is_not_repeated_and_is_overdue_after_a_day() {
    let mut night = Night::new("drill.sample = 0\ndrill.keep_free = \"900000GiB\"", "").await;
    night.until(at("00:30:00")).await;
    night.until(at("01:00:00")).await;
    let records = night.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].failure.as_ref().unwrap().reason, DrillReason::NoRoom);
    let check = night.check();
    assert!(!check.ok && check.detail.contains("proved nothing (no_room)"), "{check:?}");
    assert!(!check.detail.contains("overdue"), "{check:?}");
    assert_eq!(night.life.health(), Status::Ok, "it says nothing of how backups are made");
    let stage = "reliquary_failures_total{database=\"main\",job=\"drill\",stage=\"sandbox\"}";
    assert_eq!(night.metric(stage), "1");
    night.life.kill().await;
    night.life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    assert_eq!(night.records().await.len(), 1, "a restart does not try it again");
    assert!(!night.check().ok, "and forgets nothing");
    night.until(tomorrow("00:30:00")).await;
    let check = night.check();
    assert!(!check.ok && check.detail.contains("overdue"), "{check:?}");
    assert_eq!(night.life.health(), Status::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_another_drill_is_in_is_tried_again_within_the_slot() {
    let mut night = Night::new("drill.sample = 0\ndatabases.main.retry_delay = \"1m\"", "").await;
    night.life.kill().await;
    night.server.create_database("throwaway");
    let url = SecretString::from(night.server.url("throwaway"));
    let other = Held::take(&ConnectionUrl::parse(&url).unwrap()).await.unwrap();
    night.settings.databases.get_mut("main").unwrap().drill.target = Some(url);
    night.life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    // More often than there are attempts.
    for minute in ["00:30:00", "00:31:00", "00:32:00", "00:33:00"] {
        night.until(at(minute)).await;
    }
    assert_eq!(night.verdicts().await, [], "it has not begun");
    assert_eq!((night.runs("skipped"), night.runs("failed")), ("4".to_owned(), "0".to_owned()));
    assert!(night.check().ok, "{:?}", night.check());
    drop(other);
    night.until(at("00:33:30")).await;
    assert_eq!(night.verdicts().await, [], "after its pause");
    night.until(at("00:34:00")).await;
    assert_eq!(night.verdicts().await, [DrillVerdict::Passed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_does_not_drill_says_so_by_having_no_next_one() {
    let mut night = Night::new("", "").await;
    night.life.kill().await;
    night.settings.databases.get_mut("main").unwrap().drill.enabled = false;
    night.clock.set(at("00:30:00"));
    night.life = Life::settled(&night.settings, night.store.clone(), &night.clock).await;
    assert_eq!(night.life.main().next_drill, None);
    assert_eq!(night.verdicts().await, []);
    let next = "reliquary_next_run_timestamp_seconds{database=\"main\",job=\"drill\"}";
    assert_eq!(night.metric(next), "0");
    assert_eq!((night.runs("ok"), night.runs("cancelled")), ("0".to_owned(), "0".to_owned()));
}
