//! The HTTP interface, over real sockets.

mod browser;
mod limits;
mod page;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use chrono::TimeDelta;
use reliquary::{
    http::{App, Limits, Token, router, serve},
    jobs::{StartResult, Trigger},
};
use reqwest::{Client, Method, Response, StatusCode, header};
use secrecy::SecretString;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::live_state::{at, busy, young};

/// No test may take longer than this for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, limits, stop.clone()));
        Self { address, stop, task }
    }

    async fn of(app: App) -> Self {
        Self::start(router(app), Limits::default()).await
    }

    async fn request(&self, method: Method, path: &str) -> Response {
        let url = format!("http://{}{path}", self.address);
        Client::new().request(method, url).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.request(Method::GET, path).await;
        (response.status(), response.text().await.unwrap())
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Stops it.
    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

/// Reads until the server closes the connection.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset is an end as well.
    let _ = read.expect("the server must close the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Debug)]
struct Scripted {
    result: StartResult,
    started: Mutex<Vec<String>>,
}

impl Trigger for Scripted {
    fn start(&self, database: &str) -> StartResult {
        self.started.lock().unwrap().push(database.to_owned());
        self.result
    }
}

fn with_trigger(app: App, result: StartResult) -> (App, Arc<Scripted>) {
    let trigger = Arc::new(Scripted { result, started: Mutex::default() });
    let token = Some(Token::new(&SecretString::from("a-long-token")));
    (App { trigger: Some(trigger.clone()), token, ..app }, trigger)
}

async fn post(server: &Server, path: &str, token: Option<&str>) -> Response {
    let request = Client::new().post(format!("http://{}{path}", server.address));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn healthz_looks_like_this() {
    let server = Server::of(busy().1).await;
    let (status, body) = server.get("/healthz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    insta::assert_snapshot!(body);
}

#[tokio::test]
async fn status_looks_like_this() {
    let server = Server::of(busy().1).await;
    let (status, body) = server.get("/status").await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_snapshot!(body);
}

#[tokio::test]
async fn healthz_follows_the_age_of_the_last_backup() {
    let (clock, app) = young();
    let server = Server::of(app.clone()).await;
    let verdict = async || {
        let (status, body) = server.get("/healthz").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status.as_u16(), body["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(verdict().await, (503, "starting".to_owned()));
    app.state.update("main", |database| database.last_success = Some(at(0)));
    assert_eq!(verdict().await, (200, "ok".to_owned()));
    clock.advance(TimeDelta::minutes(121));
    assert_eq!(verdict().await, (503, "stale".to_owned()));
    app.state.update("main", |database| database.giving_up = true);
    assert_eq!(verdict().await, (503, "failing".to_owned()));
}

#[tokio::test]
async fn livez_is_about_the_process_and_never_about_freshness() {
    let (clock, app) = young();
    let runner = app.state.runner_guard();
    let server = Server::of(app).await;
    clock.advance(TimeDelta::days(400));
    assert_eq!(server.get("/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    drop(runner);
    let (status, body) = server.get("/livez").await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "a runner has ended\n"));
}

#[tokio::test]
async fn last_success_is_one_line_for_a_script() {
    let (_, app) = young();
    let server = Server::of(app.clone()).await;
    assert_eq!(server.get("/last-success").await.0, StatusCode::NOT_FOUND);
    app.state.update("main", |database| database.last_success = Some(at(0)));
    let response = server.request(Method::GET, "/last-success").await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(response.text().await.unwrap(), "2026-11-23T14:00:00Z\n");
    assert_eq!(server.get("/last-success?database=main").await.0, StatusCode::OK);
}

#[tokio::test]
async fn several_databases_must_be_named() {
    let server = Server::of(busy().1).await;
    let (status, body) = server.get("/last-success").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.ends_with("one of: billing, main\n"), "{body}");
    let (status, body) = server.get("/last-success?database=%3Cb%3E").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body, "no such database; there are: billing, main\n");
    let named = server.get("/last-success?database=billing").await;
    assert_eq!(named, (StatusCode::OK, "2026-11-23T12:30:00Z\n".to_owned()));
    let twice = server.get("/last-success?database=main&database=billing").await;
    assert_eq!(twice.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn metrics_are_what_the_registry_renders() {
    let (_, app) = busy();
    let server = Server::of(app).await;
    let response = server.request(Method::GET, "/metrics").await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let body = response.text().await.unwrap();
    assert!(body.contains("reliquary_job_running{database=\"main\",job=\"backup\"} 1\n"));
}

#[tokio::test]
async fn a_backup_starts_for_whoever_shows_the_token() {
    let (app, trigger) = with_trigger(young().1, StartResult::Accepted);
    let server = Server::of(app).await;
    for token in [None, Some("a-long-toke"), Some("a-long-token2"), Some("")] {
        let response = post(&server, "/backups", token).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{token:?}");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
    // Whether a database exists is not for strangers.
    let stranger = post(&server, "/backups?database=nope", None).await;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    assert!(trigger.started.lock().unwrap().is_empty());

    let response = post(&server, "/backups", Some("a-long-token")).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body, serde_json::json!({"database": "main", "status": "accepted"}));
    let response = post(&server, "/backups?database=nope", Some("a-long-token")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(*trigger.started.lock().unwrap(), ["main"]);
}

#[tokio::test]
async fn several_databases_are_backed_up_by_name() {
    let (app, trigger) = with_trigger(busy().1, StartResult::Accepted);
    let server = Server::of(app).await;
    let response = post(&server, "/backups", Some("a-long-token")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = post(&server, "/backups?database=billing", Some("a-long-token")).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(*trigger.started.lock().unwrap(), ["billing"]);
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    for (result, status) in [
        (StartResult::AlreadyRunning, StatusCode::CONFLICT),
        (StartResult::ShuttingDown, StatusCode::SERVICE_UNAVAILABLE),
        (StartResult::UnknownDatabase, StatusCode::NOT_FOUND),
    ] {
        let server = Server::of(with_trigger(young().1, result).0).await;
        let response = post(&server, "/backups", Some("a-long-token")).await;
        assert_eq!(response.status(), status);
        let body: serde_json::Value = response.json().await.unwrap();
        assert!(body["error"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn starting_backups_is_absent_without_a_token() {
    let (app, trigger) = with_trigger(young().1, StartResult::Accepted);
    let server = Server::of(App { token: None, ..app }).await;
    let response = post(&server, "/backups", Some("a-long-token")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(trigger.started.lock().unwrap().is_empty());
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_so() {
    let server = Server::of(with_trigger(young().1, StartResult::Accepted).0).await;
    for path in ["/nope", "/healthz/", "/%2e%2e/etc/passwd", "//", "/metrics/x"] {
        let (status, body) = server.get(path).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "no such page; see /\n"));
    }
    let response = server.request(Method::GET, "/backups").await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "POST");
    for path in ["/healthz", "/metrics", "/"] {
        let response = server.request(Method::DELETE, path).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let listed = server.get("/").await.1;
    assert!(listed.contains("/healthz") && listed.contains("POST /backups"), "{listed}");
}

#[tokio::test]
async fn head_answers_like_get_without_the_body_and_nothing_may_be_cached() {
    let server = Server::of(busy().1).await;
    let paths = ["/", "/livez", "/healthz", "/last-success?database=main", "/status", "/nope"];
    for path in paths {
        let get = server.request(Method::GET, path).await;
        let head = server.request(Method::HEAD, path).await;
        assert_eq!(get.status(), head.status(), "{path}");
        assert_eq!(get.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CACHE_CONTROL] {
            assert_eq!(get.headers().get(&name), head.headers().get(&name), "{path} {name}");
        }
        assert!(head.text().await.unwrap().is_empty());
    }
    let metrics = server.request(Method::HEAD, "/metrics").await;
    assert_eq!(metrics.status(), StatusCode::OK);
}
