//! What a client can make the server spend, and how it stops.

use std::time::Duration;

use axum::routing::get;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reliquary::{
    http::{Limits, router},
    jobs::StartResult,
};
use reqwest::{Client, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, Server, read_to_end, with_trigger};
use crate::live_state::{busy, young};

/// Longer than any test is patient: what waits for it fails.
const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_client_that_dribbles_its_headers_is_dropped() {
    let limits = Limits { header_timeout: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(router(young().1), limits).await;
    let stream = server.connect().await;
    let (mut reader, mut writer) = stream.into_split();
    let dribble = tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        for byte in b"GET /healthz HTTP/1.1\r\nX-Endless: ".iter().chain(std::iter::repeat(&b'a')) {
            pause.tick().await;
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut bytes)).await;
    let _ = end.expect("the connection must end though bytes kept coming");
    dribble.abort();
    assert!(!String::from_utf8_lossy(&bytes).contains("200 OK"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::of(young().1).await;
    let mut stream = server.connect().await;
    let huge = format!("GET /livez HTTP/1.1\r\nX-Huge: {}\r\n\r\n", "a".repeat(20_000));
    stream.write_all(huge.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let mut stream = server.connect().await;
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    stream.write_all(many.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn rubbish_is_refused() {
    let server = Server::of(young().1).await;
    for rubbish in ["\x16\x03\x01\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(rubbish.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(!answer.contains(" 200 "), "{rubbish:?}: {answer}");
    }
    assert_eq!(server.get("/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_is_sent() {
    let (app, trigger) = with_trigger(young().1, StartResult::Accepted);
    let server = Server::of(app).await;
    let head = "POST /backups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-long-token\r\n";
    for body in [
        "Content-Length: 1025\r\n\r\n".to_owned(),
        format!("Transfer-Encoding: chunked\r\n\r\n401\r\n{}\r\n0\r\n\r\n", "a".repeat(0x401)),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(format!("{head}Connection: close\r\n{body}").as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    assert!(trigger.started.lock().unwrap().is_empty());
    let response = Client::new()
        .post(format!("http://{}/backups", server.address))
        .bearer_auth("a-long-token")
        .body("a".repeat(1024))
        .send();
    assert_eq!(response.await.unwrap().status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_body_that_never_comes_times_out() {
    let limits = Limits { request_timeout: Duration::from_millis(200), ..Limits::default() };
    let (app, trigger) = with_trigger(young().1, StartResult::Accepted);
    let server = Server::start(router(app), limits).await;
    let mut stream = server.connect().await;
    let head = "POST /backups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-long-token\r\n\
                Content-Length: 9\r\n\r\nhalf";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(trigger.started.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_panic_is_one_failed_answer() {
    let route = get(async || -> &'static str { panic!("a test's panic with a s3cret") });
    let router = router(young().1).route("/panic", route);
    let server = Server::start(router, Limits::default()).await;
    let (status, body) = server.get("/panic").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!body.contains("s3cret"), "{body}");
    assert_eq!(server.get("/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_connection_does_not_live_for_ever() {
    let limits = Limits {
        connection_age: Duration::from_millis(100),
        header_timeout: LONG,
        ..Limits::default()
    };
    let server = Server::start(router(young().1), limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("ok\n"));
}

#[tokio::test]
async fn a_client_that_does_not_read_gives_its_place_to_the_next() {
    let large = get(async || vec![b'x'; 64 << 20]);
    let limits = Limits {
        connections: 1,
        connection_age: Duration::from_millis(100),
        drain: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::start(router(young().1).route("/large", large), limits).await;
    let mut deaf = server.connect().await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, server.get("/livez")).await;
    assert_eq!(answer.unwrap().0, StatusCode::OK);
}

/// A thousand clients, half of whom say nothing: each who asks is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_are_served() {
    // A shell's usual thousand descriptors would not do for the clients.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(4096), most).unwrap();
    let limits =
        Limits { connections: 64, header_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = Server::start(router(busy().1), limits).await;

    let mut silent = Vec::new();
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let address = server.address;
        if number % 2 == 0 {
            silent.push(tokio::spawn(async move { TcpStream::connect(address).await }));
        } else {
            asking.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let request = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                stream.write_all(request.as_bytes()).await.unwrap();
                read_to_end(&mut stream).await
            });
        }
    }
    while let Some(answer) = asking.join_next().await {
        let answer = answer.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    }
    assert_eq!(server.get("/livez").await.0, StatusCode::OK);
}

/// What keeps a daemon alive asks with a deadline of a few seconds.
#[tokio::test]
async fn half_sent_requests_do_not_keep_a_probe_waiting() {
    let limits = Limits { connections: 8, ..Limits::default() };
    let server = Server::start(router(young().1), limits).await;
    let mut half = Vec::new();
    for _ in 0..limits.connections {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        half.push(stream);
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), server.get("/livez")).await;
    assert_eq!(answer.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_stop() {
    let limits = Limits { drain: LONG, header_timeout: LONG, ..Limits::default() };
    let server = Server::start(router(young().1), limits).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0_u8; 4096];
    let count = idle.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK"));

    let address = server.address;
    server.end().await;
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_half_sent_request_and_a_stuck_one_end_at_the_deadline() {
    let reached = CancellationToken::new();
    let seen = reached.clone();
    let stuck = get(async move || {
        seen.cancel();
        std::future::pending::<()>().await;
    });
    let limits = Limits {
        drain: Duration::from_millis(100),
        header_timeout: LONG,
        request_timeout: LONG,
        ..Limits::default()
    };
    let server = Server::start(router(young().1).route("/stuck", stuck), limits).await;
    let mut half = server.connect().await;
    half.write_all(b"GET /livez HTTP/1.1\r\nHo").await.unwrap();
    let mut waiting = server.connect().await;
    waiting.write_all(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    reached.cancelled().await;
    server.end().await;
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_a_stop() {
    let (reached, go_on) = (CancellationToken::new(), CancellationToken::new());
    let (seen, wait) = (reached.clone(), go_on.clone());
    let slow = get(async move || {
        seen.cancel();
        wait.cancelled().await;
        "done\n"
    });
    let server = Server::start(router(young().1).route("/slow", slow), Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    reached.cancelled().await;
    server.stop.cancel();
    go_on.cancel();
    assert!(read_to_end(&mut stream).await.ends_with("done\n"));
    server.end().await;
}
