use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    catalog::{CatalogError, Key},
    clock::Clock,
    notify::{Channel, Deliver, Route, Scrub, SendError, Timing},
    state::CatalogTotals,
    store::LocalStore,
    words::{ChannelKind, Severity, Stage},
};

/// Notes what is delivered, or fails while it is down.
#[derive(Debug, Default)]
struct Noted {
    told: Mutex<Vec<String>>,
    down: AtomicBool,
}

#[async_trait]
impl Deliver for Noted {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        if self.down.load(Ordering::Acquire) {
            return Err(SendError::Slow(Duration::from_millis(1)));
        }
        self.told.lock().unwrap().push(match message {
            Message::Notice(notice) => format!("{} {}", notice.event, notice.problem),
            Message::Pulse(pulse) => format!("{:?}", pulse.kind),
        });
        Ok(())
    }

    async fn probe(&self) -> Result<(), SendError> {
        Ok(())
    }

    fn takes(&self, _: &Message) -> bool {
        true
    }
}

struct Bench {
    clock: Clock,
    store: Arc<dyn Store>,
    _dir: tempfile::TempDir,
}

/// A process, which may end and be followed by another one.
struct Process {
    state: State,
    watch: Watch,
    noted: Arc<Noted>,
    deliveries: Vec<tokio::task::JoinHandle<()>>,
}

fn start_of_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(dir.path()).await.unwrap());
        Self { clock: Clock::manual(start_of_time()), store, _dir: dir }
    }

    fn process(&self, noted: Noted) -> Process {
        let state = State::new(self.clock.clone(), self.clock.now(), "0");
        let hours = Duration::from_hours(2);
        state.add(DatabaseState {
            last_success: Some(self.clock.now()),
            catalog: Some(CatalogTotals::default()),
            ..DatabaseState::new("main", "database/", "0 0 * * * *", hours)
        });
        let noted = Arc::new(noted);
        let channel = Channel {
            kind: ChannelKind::Webhook,
            route: Route { severity: Severity::Info, databases: vec![] },
            deliver: Arc::<Noted>::clone(&noted),
        };
        let timing = Timing { deadline: Duration::from_millis(20), ..Timing::default() };
        let (desk, deliveries) =
            Desk::new(vec![channel], Scrub::new(vec![]), timing, Arc::new(|_, _| {}));
        let deliveries = deliveries
            .into_iter()
            .map(|delivery| tokio::spawn(delivery.run(CancellationToken::new())))
            .collect();
        let settings = WatchSettings {
            policy: Policy {
                after: TimeDelta::minutes(5),
                calm: TimeDelta::minutes(15),
                remind: TimeDelta::hours(4),
            },
            thresholds: Thresholds {
                enabled: true,
                shrank: 50,
                table_rows: 100,
                slower: 3,
                slower_by: TimeDelta::minutes(5),
                ignore: vec![],
            },
        };
        let databases = vec![("main".to_owned(), Layout::new("database/"))];
        let watch = Watch::new(state.clone(), self.store.clone(), desk, settings, databases);
        Process { state, watch, noted, deliveries }
    }

    async fn stored(&self) -> Option<String> {
        let key = Layout::new("database/").key(Key::Alerts);
        let bytes = self.store.get(&key, 1 << 20).await.ok()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

impl Process {
    fn liven(&self) {
        self.state.beat();
    }

    /// Looks every minute, and waits each time until everything is delivered.
    async fn live(&mut self, clock: &Clock, minutes: i64) {
        for _ in 0..minutes {
            self.liven();
            self.watch.look().await;
            while !self.watch.desk.is_idle() {
                tokio::task::yield_now().await;
            }
            clock.advance(TimeDelta::minutes(1));
        }
    }

    async fn end(self) -> Vec<String> {
        drop(self.watch);
        for delivery in self.deliveries {
            delivery.await.unwrap();
        }
        self.noted.told.lock().unwrap().clone()
    }
}

fn run(outcome: Outcome, started: DateTime<Utc>) -> RunReport {
    RunReport {
        job: JobKind::Backup,
        outcome,
        started,
        seconds: 1.0,
        stage: (outcome == Outcome::Failed).then_some(Stage::Upload),
        error: None,
        backup: None,
    }
}

#[tokio::test]
async fn a_run_gives_signs_of_life_and_a_failure_only_when_the_slot_is_given_up() {
    let bench = Bench::new().await;
    let mut process = bench.process(Noted::default());
    let attempts = [(Outcome::Failed, false), (Outcome::Failed, true), (Outcome::Ok, false)];
    for (outcome, last) in attempts {
        let now = bench.clock.now();
        process.state.update("main", |main| main.began(JobKind::Backup, now));
        process.live(&bench.clock, 1).await;
        process.state.update("main", |main| main.ended(run(outcome, now), last, None));
        process.live(&bench.clock, 2).await;
    }
    // A verify is no backup.
    let now = bench.clock.now();
    process.state.update("main", |main| main.began(JobKind::Verify, now));
    process.live(&bench.clock, 1).await;
    let told = process.end().await;
    assert_eq!(told, ["Start", "Start", "Fail", "Start", "Success", "info repaired"]);
}

#[tokio::test]
async fn a_new_process_reads_in_the_bucket_what_was_told() {
    let bench = Bench::new().await;
    let mut first = bench.process(Noted::default());
    let broken = |main: &mut DatabaseState| main.pointer_ok = Some(false);
    first.state.update("main", broken);
    first.live(&bench.clock, 10).await;
    assert_eq!(first.end().await, ["opened pointer"]);
    assert!(bench.stored().await.unwrap().contains("\"pointer\""));

    let mut second = bench.process(Noted::default());
    second.state.update("main", broken);
    second.live(&bench.clock, 60).await;
    second.state.update("main", |main| main.pointer_ok = Some(true));
    second.live(&bench.clock, 20).await;
    assert_eq!(second.end().await, ["resolved pointer"]);
    assert!(!bench.stored().await.unwrap().contains("\"pointer\""));
}

#[tokio::test]
async fn what_a_dead_process_did_not_deliver_is_told_by_the_next_one() {
    let bench = Bench::new().await;
    let mut first = bench.process(Noted { down: true.into(), ..Noted::default() });
    let broken = |main: &mut DatabaseState| main.pointer_ok = Some(false);
    first.state.update("main", broken);
    // It dies with the alert in its hands.
    for _ in 0..6 {
        first.liven();
        first.watch.look().await;
        bench.clock.advance(TimeDelta::minutes(1));
    }
    assert!(bench.stored().await.unwrap().contains("\"opened\""));

    let mut second = bench.process(Noted::default());
    second.state.update("main", broken);
    second.live(&bench.clock, 10).await;
    assert_eq!(second.end().await, ["opened pointer"]);
}

#[tokio::test]
async fn what_did_not_arrive_is_told_again_and_the_all_clear_even_after_a_restart() {
    let bench = Bench::new().await;
    let mut first = bench.process(Noted { down: true.into(), ..Noted::default() });
    first.state.update("main", |main| main.pointer_ok = Some(false));
    first.live(&bench.clock, 10).await;
    first.noted.down.store(false, Ordering::Release);
    first.live(&bench.clock, 10).await;
    assert_eq!(*first.noted.told.lock().unwrap(), ["opened pointer"]);
    // It is over, and the channel is away again.
    first.noted.down.store(true, Ordering::Release);
    first.state.update("main", |main| main.pointer_ok = Some(true));
    first.live(&bench.clock, 20).await;
    assert_eq!(first.end().await, ["opened pointer"]);
    assert!(bench.stored().await.unwrap().contains("\"resolved\""));

    let mut second = bench.process(Noted::default());
    second.live(&bench.clock, 30).await;
    assert_eq!(second.end().await, ["resolved pointer"]);
    assert!(!bench.stored().await.unwrap().contains("\"pointer\""));
}

#[tokio::test]
async fn a_memory_that_cannot_be_read_is_none() {
    let bench = Bench::new().await;
    let key = Layout::new("database/").key(Key::Alerts);
    bench.store.put(&key, "no JSON".into()).await.unwrap();
    let mut process = bench.process(Noted::default());
    process.state.update("main", |main| main.pointer_ok = Some(false));
    process.live(&bench.clock, 10).await;
    assert_eq!(process.end().await, ["opened pointer"]);
    assert!(bench.stored().await.unwrap().contains("\"pointer\""));
}

#[tokio::test]
async fn nothing_is_written_where_nothing_was_told() -> Result<(), CatalogError> {
    let bench = Bench::new().await;
    let mut process = bench.process(Noted::default());
    process.live(&bench.clock, 10).await;
    assert_eq!(process.end().await, Vec::<String>::new());
    assert_eq!(bench.stored().await, None);
    Ok(())
}
