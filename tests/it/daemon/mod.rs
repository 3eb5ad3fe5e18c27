//! The daemon through time: schedule, catch-up, clocks, restarts, outages.

mod audit;
mod catch_up;
mod clock;
mod drill;
mod hours;
mod listing;
mod notify;
mod over_http;
mod process;
mod several;
mod starving;
mod sweep;
mod takeover;
mod verify;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    app::Daemon,
    catalog::BackupId,
    clock::Clock,
    health::{self, Status},
    jobs::Handle,
    lifecycle::Lifecycle,
    metrics::Metrics,
    settings::{Settings, Sources, load},
    state::{DatabaseState, State},
    store::{LocalStore, Store, list_all},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::postgres::Server;

/// No test may take longer than this for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A small database, so that a backup takes a fraction of a second.
const SAMPLE: &str = "create table donor (id int primary key, name text not null);
    insert into donor select n, 'donor ' || n from generate_series(1, 20) n;";

/// A time on a day before this product was made, so that no store's own clock
/// is behind it.
fn at(text: &str) -> DateTime<Utc> {
    format!("2025-02-27T{text}Z").parse().unwrap()
}

/// The id of a backup that begins at a time.
fn id(time: DateTime<Utc>) -> String {
    BackupId::at(time).to_string()
}

/// A server with the sample in the database `app`.
fn sample_server() -> Server {
    let server = Server::start(15);
    server.create_database("app");
    server.psql("app", SAMPLE);
    server
}

/// Opens or closes a database, as an outage of the source does.
fn set_up(server: &Server, database: &str, up: bool) {
    server.psql("postgres", &format!("alter database \"{database}\" allow_connections {up}"));
}

/// Settings as a person writes them; the store's address is not used, and there
/// are no drills where nothing is said of them.
fn settings(text: &str) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("reliquary.toml");
    let drill = if text.contains("drill.") { "" } else { "drill.enabled = false\n" };
    std::fs::write(&file, format!("store.url = \"s3://unused\"\n{drill}{text}")).unwrap();
    let sources = Sources {
        config: Some(file),
        url_check: Some(reliquary::app::check_url),
        expect_check: Some(reliquary::app::check_expectation),
        dir: dir.path().to_owned(),
        ..Sources::default()
    };
    load(&sources).unwrap_or_else(|problems| panic!("{problems}")).0
}

/// One database in which nothing changes, every hour, everything else by default.
fn hourly(server: &Server) -> Settings {
    settings(&format!(
        "databases.main.url = {:?}\ndatabases.main.attempts = 3\npostgres.client_dirs = ['{}']",
        server.url("app"),
        server.replayed_dump().display(),
    ))
}

/// A directory as a store.
async fn directory() -> (TempDir, Arc<LocalStore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).await.unwrap();
    (dir, Arc::new(store))
}

/// Every key in a store, in order.
async fn keys(store: &dyn Store) -> Vec<String> {
    list_all(store, "").await.unwrap().into_iter().map(|object| object.key).collect()
}

/// The ids of the scheduled backups under a prefix. Each of them must be whole,
/// and nothing else may lie there but what verify and audits found, and the pointer.
async fn backups(store: &dyn Store, prefix: &str) -> Vec<String> {
    let mut found: Vec<(String, u32)> = Vec::new();
    for object in list_all(store, prefix).await.unwrap() {
        let name = object.key.rsplit('/').next().unwrap();
        let is_audit = object.key.ends_with("audit/latest.json");
        if is_audit || matches!(name, "LATEST.txt" | "LATEST.sha256") {
            continue;
        }
        let (id, what) = name.split_once('.').unwrap();
        let bit = match what {
            "sql.gz" => 1,
            "sql.gz.sha256" => 2,
            "manifest.json" => 4,
            "verified.json" => 8,
            _ => panic!("{} has no business there", object.key),
        };
        match found.last_mut() {
            Some((last, bits)) if last == id => *bits |= bit,
            _ => found.push((id.to_owned(), bit)),
        }
    }
    for (id, bits) in &found {
        assert_eq!(bits & 7, 7, "{id} is not whole");
    }
    found.into_iter().map(|(id, _)| id).collect()
}

/// The first line of the pointer, `None` where there is none.
async fn pointed_at(store: &dyn Store, prefix: &str) -> Option<String> {
    let key = format!("{prefix}LATEST.txt");
    store.head(&key).await.unwrap()?;
    let text = store.get(&key, 4096).await.unwrap();
    Some(String::from_utf8(text.to_vec()).unwrap().lines().next().unwrap().to_owned())
}

/// Waits until something holds; what makes it so is under way already.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{what} did not come"));
}

/// One life of the daemon's runners, from a start to a kill, with all that it
/// knows of itself. Time stands still but for what the test says.
struct Life {
    state: State,
    handles: Vec<Handle>,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    runners: Vec<JoinHandle<()>>,
}

impl Life {
    fn begin(settings: &Settings, store: Arc<dyn Store>, clock: &Clock) -> Self {
        let mut daemon = Daemon::new(settings, store, clock.clone()).unwrap();
        let runners = daemon.runners.drain(..).map(|runner| tokio::spawn(runner.run())).collect();
        let Daemon { state, handles, metrics, lifecycle, .. } = daemon;
        Self { state, handles, metrics, lifecycle, runners }
    }

    /// Begins, and waits until what is due at the start was done.
    async fn settled(settings: &Settings, store: Arc<dyn Store>, clock: &Clock) -> Self {
        let life = Self::begin(settings, store, clock);
        life.settle().await;
        life
    }

    /// What the scheduler does every ten seconds, and waits for it.
    async fn settle(&self) {
        self.state.beat();
        for handle in &self.handles {
            let settled = tokio::time::timeout(PATIENCE, handle.settle()).await;
            settled.expect("the runner must get done");
        }
    }

    /// Moves the clock and does what is due then.
    async fn live(&self, clock: &Clock, step: TimeDelta) {
        clock.advance(step);
        self.settle().await;
    }

    /// Ends at once and without a word, as `kill -9` does.
    async fn kill(self) {
        for runner in self.runners {
            runner.abort();
            let _ = runner.await;
        }
    }

    /// Ends as SIGTERM makes it end.
    async fn stop(&mut self) {
        self.lifecycle.soft.cancel();
        for runner in self.runners.drain(..) {
            tokio::time::timeout(PATIENCE, runner).await.expect("it must end").unwrap();
        }
    }

    fn database(&self, name: &str) -> DatabaseState {
        self.state.database(name).unwrap()
    }

    fn main(&self) -> DatabaseState {
        self.database("main")
    }

    fn health(&self) -> Status {
        health::current(&self.state).status
    }
}
