//! The daemon tells, through a real channel, what its jobs know nothing of.

use std::sync::{Arc, Mutex};

use reliquary::{
    app::Daemon,
    clock::Clock,
    lifecycle::{Signal, Signals},
};
use tokio::net::TcpListener;

use super::{at, directory, eventually, sample_server, settings};
use crate::support::product::Product;

type Lines = Arc<Mutex<Vec<String>>>;

/// Notes each request and answers 200.
async fn listener() -> (String, Lines) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    let lines = Lines::default();
    let noted = Arc::clone(&lines);
    let note = move |method: axum::http::Method, uri: axum::http::Uri, body: String| {
        noted.lock().unwrap().push(format!("{method} {uri} {body}"));
        async {}
    };
    let router = axum::Router::new().fallback(note);
    tokio::spawn(async move { axum::serve(socket, router).await });
    (address, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_daemon_gives_a_sign_of_life() {
    let server = sample_server();
    let (address, lines) = listener().await;
    let settings = settings(&format!(
        "databases.main.url = {:?}\nnotify.heartbeat.url = \"{address}/key/{{database}}\"\n\
         http.listen = \"127.0.0.1:0\"",
        server.url("app")
    ));
    let (_dir, store) = directory().await;
    let daemon = Daemon::new(&settings, store, Clock::manual(at("14:00:00"))).unwrap();
    let http = daemon.listen().await.unwrap();
    let metrics = Arc::clone(&daemon.metrics);
    let state = daemon.state.clone();
    let (signals, receiver) = Signals::channel();
    let task = tokio::spawn(daemon.run(http, receiver));
    let success = || lines.lock().unwrap().iter().any(|line| line == "POST /key/main ");
    eventually("the sign of life", success).await;
    signals.send(Signal::Terminate).unwrap();
    assert!(task.await.unwrap().unwrap().clean);
    let text = metrics.render(&state).unwrap();
    let sent =
        |line: &&str| line.starts_with("reliquary_notifications_total{channel=\"heartbeat\"");
    let sent: Vec<_> = text.lines().filter(sent).collect();
    assert!(sent[0].ends_with("outcome=\"failed\"} 0"), "{sent:?}");
    assert!(!sent[1].ends_with(" 0"), "{sent:?}");
    assert!(state.channels().values().all(|channel| channel.error.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_test_sends_through_every_channel_and_says_what_became_of_it() {
    let (address, lines) = listener().await;
    let product = Product::bare()
        .set("DIRECT_URL", "postgres://u:hunter2hunter2@h/db")
        .set("RELIQUARY__NOTIFY__WEBHOOK__URL", format!("{address}/hook"))
        .set("RELIQUARY__NOTIFY__HEARTBEAT__URL", format!("{address}/beat"));
    let store = product.store_url();
    let product = product.set("RELIQUARY__STORE__URL", store);
    let run =
        |product: Product| tokio::task::spawn_blocking(move || product.run(&["notify", "test"]));
    let output = run(product).await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("webhook: sent\n") && told.contains("heartbeat: reached"), "{told}");
    assert_eq!(output.status.code(), Some(0));
    let lines = lines.lock().unwrap();
    assert!(lines[0].starts_with("POST /hook {") && lines[0].contains("\"event\":\"test\""));
    assert_eq!(lines[1], "HEAD / ");
}
