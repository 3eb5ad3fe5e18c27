//! The whole daemon, asked over HTTP while its hours pass.

use std::{net::SocketAddr, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    app::Daemon,
    clock::Clock,
    jobs::Handle,
    lifecycle::{Signal, Signals, Stop},
    settings::Settings,
    store::{
        S3Store, Store,
        faults::{Fault, FaultyStore, Plan},
    },
};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{PATIENCE, at, backups, directory, eventually, id, sample_server, set_up, settings};
use crate::support::{
    pg::{execute, parse},
    postgres::Server,
    s3::s3s_server,
};

const TOKEN: &str = "a-token-of-some-length-0123456789";

/// The daemon as `reliquary run` puts it together, with a clock of ours.
struct Running {
    address: SocketAddr,
    handle: Handle,
    signals: mpsc::UnboundedSender<Signal>,
    task: JoinHandle<anyhow::Result<Stop>>,
}

impl Running {
    async fn start(settings: &Settings, store: Arc<dyn Store>, clock: &Clock) -> Self {
        let daemon = Daemon::new(settings, store, clock.clone()).unwrap();
        let handle = daemon.handles[0].clone();
        let listener = daemon.listen().await.unwrap();
        let address = listener.local_addr().unwrap();
        let (signals, receiver) = Signals::channel();
        let task = tokio::spawn(daemon.run(listener, receiver));
        handle.settle().await;
        Self { address, handle, signals, task }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn json(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = self.get(path).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn post(&self, query: &str, token: Option<&str>) -> StatusCode {
        let mut request = Client::new().post(format!("http://{}/backups{query}", self.address));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().status()
    }

    /// Every route must say the same.
    async fn says(&self, health: &str, last_success: Option<DateTime<Utc>>, next: DateTime<Utc>) {
        let text = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let last = last_success.map(text);
        let (code, document) = self.json("/healthz").await;
        assert_eq!(document["status"], health, "{document:#}");
        assert_eq!(code.as_u16(), if health == "ok" { 200 } else { 503 });
        assert_eq!(document["databases"][0]["last_success"].as_str(), last.as_deref());

        let (code, body) = self.get("/last-success").await;
        match &last {
            Some(last) => assert_eq!((code, body), (StatusCode::OK, format!("{last}\n"))),
            None => assert_eq!(code, StatusCode::NOT_FOUND),
        }

        let (_, document) = self.json("/status").await;
        assert_eq!(document["status"], health);
        let database = &document["databases"][0];
        assert_eq!(database["health"]["last_success"].as_str(), last.as_deref());
        assert_eq!(database["next_run"], text(next));

        let (_, metrics) = self.get("/metrics").await;
        let value = |name: &str| -> i64 {
            let start = format!("{name}{}", if name.contains('{') { "" } else { "{" });
            let line = metrics.lines().find(|line| line.starts_with(&start));
            let value = line.unwrap_or_else(|| panic!("no {name}")).rsplit_once(' ').unwrap().1;
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds and flags")]
            let value = value.parse::<f64>().unwrap() as i64;
            value
        };
        let seconds = last_success.map_or(0, |time| time.timestamp());
        assert_eq!(value("reliquary_last_success_timestamp_seconds"), seconds);
        let next_run = "reliquary_next_run_timestamp_seconds{database=\"main\",job=\"backup\"}";
        assert_eq!(value(next_run), next.timestamp());
        assert_eq!(value("reliquary_healthy"), i64::from(health == "ok"));

        assert_eq!(self.get("/livez").await.0, StatusCode::OK);
    }

    /// Waits until a backup runs.
    async fn runs(&self) {
        let waiting = async {
            while self.json("/status").await.1["databases"][0]["running"]["job"] != "backup" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("a backup runs");
    }

    async fn stop(self) {
        self.signals.send(Signal::Terminate).unwrap();
        let stop = tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        assert_eq!(stop, Stop { signal: Some(Signal::Terminate), clean: true });
    }
}

fn with_http(server: &Server) -> Settings {
    settings(&format!(
        "http.listen = \"127.0.0.1:0\"\nhttp.token = {TOKEN:?}\n\
         databases.main.attempts = 3\ndatabases.main.url = {:?}",
        server.url("app")
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_tells_the_truth_hour_by_hour() {
    let server = sample_server();
    let s3 = s3s_server().await;
    let bucket: Arc<dyn Store> = Arc::new(S3Store::connect(s3.options()).await.unwrap());
    let store = Arc::new(FaultyStore::new(bucket.clone(), Plan::None));
    let settings = with_http(&server);
    let clock = Clock::manual(at("09:40:00"));
    set_up(&server, "app", false);
    let mut daemon = Running::start(&settings, store.clone(), &clock).await;
    daemon.says("starting", None, at("10:00:00")).await;
    set_up(&server, "app", true);

    let mut expected = Vec::new();
    for hour in 10..20 {
        let slot = at(&format!("{hour}:00:00"));
        match hour {
            // The source is away for two slots.
            13 => set_up(&server, "app", false),
            15 => set_up(&server, "app", true),
            // The store is away for one.
            17 => store.set(Plan::Outage(1, Fault::Rejected)),
            18 => store.set(Plan::None),
            _ => {}
        }
        let lost = matches!(hour, 13 | 14 | 17);
        for (minute, attempts) in [(0, 1), (1, 2), (3, 3), (30, 3)] {
            let now = slot + TimeDelta::minutes(minute);
            clock.set(now);
            daemon.handle.settle().await;
            if !lost && minute == 0 {
                expected.push(now);
            }
            let health = if lost && attempts == 3 || hour == 14 { "failing" } else { "ok" };
            daemon.says(health, expected.last().copied(), slot + TimeDelta::hours(1)).await;
        }
        if hour == 11 || hour == 15 {
            daemon.stop().await;
            daemon = Running::start(&settings, store.clone(), &clock).await;
            daemon.says("ok", expected.last().copied(), slot + TimeDelta::hours(1)).await;
        }
    }
    daemon.stop().await;
    let expected: Vec<String> = expected.into_iter().map(id).collect();
    assert_eq!(backups(&*bucket, "database/").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_can_be_asked_for_by_whoever_shows_the_token() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("10:00:00"));
    let daemon = Running::start(&with_http(&server), store.clone(), &clock).await;
    assert_eq!(daemon.post("", None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.post("", Some("another")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.post("?database=nope", Some(TOKEN)).await, StatusCode::NOT_FOUND);
    assert_eq!(backups(&*store, "database/").await, [id(at("10:00:00"))]);

    // Held up by a lock, it runs for as long as we like.
    let options = parse(&server.url("app")).sqlx().unwrap();
    let mut application = PgConnection::connect_with(&options[0]).await.unwrap();
    execute(&mut application, "begin; lock table donor in access exclusive mode").await;
    clock.set(at("10:20:00"));
    assert_eq!(daemon.post("?database=main", Some(TOKEN)).await, StatusCode::ACCEPTED);
    assert_eq!(daemon.post("", Some(TOKEN)).await, StatusCode::CONFLICT);
    daemon.runs().await;
    execute(&mut application, "rollback").await;
    daemon.handle.settle().await;
    daemon.says("ok", Some(at("10:20:00")), at("11:00:00")).await;
    assert_eq!(backups(&*store, "database/").await, ["10:00:00", "10:20:00"].map(|t| id(at(t))));

    // One that fails is told, but it is no slot that was given up.
    set_up(&server, "app", false);
    assert_eq!(daemon.post("", Some(TOKEN)).await, StatusCode::ACCEPTED);
    daemon.handle.settle().await;
    daemon.says("ok", Some(at("10:20:00")), at("11:00:00")).await;
    let (_, status) = daemon.json("/status").await;
    assert_eq!(status["databases"][0]["last_run"]["outcome"], "failed");
    daemon.stop().await;
}

/// Clients without end, most of whom say nothing, beside a backup: those who ask
/// are answered, and the backup is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_clients_does_not_disturb_a_backup() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("10:00:00"));
    let daemon = Running::start(&with_http(&server), store.clone(), &clock).await;
    let options = parse(&server.url("app")).sqlx().unwrap();
    let mut application = PgConnection::connect_with(&options[0]).await.unwrap();
    execute(&mut application, "begin; lock table donor in access exclusive mode").await;
    clock.set(at("11:00:00"));
    daemon.handle.nudge();
    daemon.runs().await;
    // More of them at once than the server takes, and fewer than a process may open.
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(tokio::spawn(tokio::net::TcpStream::connect(daemon.address)));
    }
    let (code, _) = daemon.get("/livez").await;
    assert_eq!(code, StatusCode::OK);
    execute(&mut application, "rollback").await;
    daemon.handle.settle().await;
    daemon.says("ok", Some(at("11:00:00")), at("12:00:00")).await;
    drop(silent);
    daemon.stop().await;
    assert_eq!(backups(&*store, "database/").await, ["10:00:00", "11:00:00"].map(|t| id(at(t))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_backup_leaves_nothing_behind() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("10:00:00"));
    let settings = settings(&format!(
        "http.listen = \"127.0.0.1:0\"\ndaemon.grace = \"1s\"\ndatabases.main.url = {:?}",
        server.url("app")
    ));
    let options = parse(&server.url("app")).sqlx().unwrap();
    let mut application = PgConnection::connect_with(&options[0]).await.unwrap();
    execute(&mut application, "begin; lock table donor in access exclusive mode").await;
    let daemon = Daemon::new(&settings, store.clone(), clock.clone()).unwrap();
    let state = daemon.state.clone();
    let listener = daemon.listen().await.unwrap();
    let (signals, receiver) = Signals::channel();
    let task = tokio::spawn(daemon.run(listener, receiver));
    eventually("a run", || state.database("main").unwrap().running.is_some()).await;
    signals.send(Signal::Terminate).unwrap();
    let stop = tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
    assert!(stop.clean);
    let run = state.database("main").unwrap().last_run.unwrap();
    assert_eq!(run.outcome, reliquary::words::Outcome::Cancelled);
    assert!(super::keys(&*store).await.is_empty());
    assert!(store.unfinished_uploads("").await.unwrap().is_empty());

    // The next life is not held up by a lock of the former.
    execute(&mut application, "rollback").await;
    let life = super::Life::settled(&settings, store.clone(), &clock).await;
    assert_eq!(life.main().last_success, Some(at("10:00:00")));
}
