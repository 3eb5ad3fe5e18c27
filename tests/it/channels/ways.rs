//! Each kind of channel against a receiver that is down, slow, out of order for a
//! moment, asks for patience, or refuses for good.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reliquary::{
    notify::{Channel, Desk, Message, Observer, Route, Scrub, Timing},
    words::{ChannelKind, Severity},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    listener::{Answer, Asked, Listener, taken},
    message, over_http,
};

type Told = BTreeMap<ChannelKind, Vec<Result<(), String>>>;

const SOON: Duration = Duration::from_secs(20);

/// Sends each channel its message, all at once; what became of each, and when.
async fn told(base: &str, attempt: Duration, deadline: Duration) -> (Told, Duration) {
    let told: Arc<Mutex<Told>> = Arc::default();
    let noted = Arc::clone(&told);
    let observer: Observer = Arc::new(move |kind, result| {
        noted.lock().unwrap().entry(kind).or_default().push(result);
    });
    let route = Route { severity: Severity::Info, databases: vec![] };
    let timing = Timing {
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        deadline,
        pulse_deadline: deadline,
    };
    let begun = Instant::now();
    let mut running = Vec::new();
    for (kind, deliver) in over_http(base, attempt) {
        let channel = Channel { kind, route: route.clone(), deliver };
        let (desk, deliveries) =
            Desk::new(vec![channel], Scrub::new(vec![]), timing, Arc::clone(&observer));
        let message: Message = message(kind);
        let sent = Instant::now();
        desk.send(message);
        assert!(sent.elapsed() < Duration::from_secs(1), "{kind}: sending waits for nobody");
        drop(desk);
        for delivery in deliveries {
            running.push(tokio::spawn(delivery.run(CancellationToken::new())));
        }
    }
    for one in running {
        one.await.unwrap();
    }
    let told = std::mem::take(&mut *told.lock().unwrap());
    // Mail has tests of its own.
    assert_eq!(told.len(), ChannelKind::ALL.len() - 1, "{told:?}");
    (told, begun.elapsed())
}

/// Answers each kind's first request otherwise than the ones after it.
async fn at_first(first: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Listener {
    let seen: Mutex<BTreeSet<String>> = Mutex::default();
    Listener::start(move |_, asked| {
        let who = asked.path.split(['/', '?']).nth(1).unwrap_or_default().to_owned();
        if seen.lock().unwrap().insert(who) { first(asked) } else { taken(asked) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_at_once_is_sent_once() {
    let listener = Listener::start(|_, asked| taken(asked)).await;
    let (told, _) = told(&listener.url, SOON, SOON).await;
    assert!(told.values().all(|results| results == &[Ok(())]), "{told:?}");
    let posts = listener.asked().iter().filter(|asked| asked.method == "POST").count();
    assert_eq!(posts, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_a_failure_at_the_deadline_that_names_no_secret() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path", socket.local_addr().unwrap());
    drop(socket);
    let (told, _) = told(&url, SOON, Duration::from_millis(150)).await;
    for (kind, results) in told {
        let [Err(error)] = &results[..] else { panic!("{kind}: {results:?}") };
        assert!(error.contains("refused") && !error.contains("secret-path"), "{kind}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_slow_is_a_failure_at_the_deadline() {
    // It takes connections and never answers.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path", socket.local_addr().unwrap());
    let (told, took) = told(&url, Duration::from_millis(40), Duration::from_millis(150)).await;
    for (kind, results) in told {
        let [Err(error)] = &results[..] else { panic!("{kind}: {results:?}") };
        assert!(error.contains("within") && !error.contains("secret-path"), "{kind}: {error}");
    }
    assert!(took < SOON, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_for_a_moment_is_sent_again() {
    for status in [500, 502, 503, 408] {
        let listener = at_first(move |_| (status, vec![], String::new())).await;
        let (told, _) = told(&listener.url, SOON, SOON).await;
        assert!(told.values().all(|results| results == &[Ok(())]), "{status}: {told:?}");
        assert!(listener.asked().len() >= 14, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_is_asked_again_when_it_says_and_no_sooner() {
    let patience = |_: &Asked| (429, vec![("retry-after", "1".to_owned())], "slow".to_owned());
    let listener = at_first(patience).await;
    let (told, took) = told(&listener.url, SOON, SOON).await;
    assert!(told.values().all(|results| results == &[Ok(())]), "{told:?}");
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_good_is_not_repeated() {
    let listener = Listener::start(|_, _| (400, vec![], "no_text".to_owned())).await;
    let (told, _) = told(&listener.url, SOON, SOON).await;
    for (kind, results) in told {
        let [Err(error)] = &results[..] else { panic!("{kind}: {results:?}") };
        assert!(error.contains("it answered 400"), "{kind}: {error}");
    }
    assert_eq!(listener.asked().len(), 7);
}

/// A new process knows nothing of the old one's channels; what it sends is taken
/// for the same problem.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_is_the_same_one_for_a_new_process() {
    use reliquary::words::Event;
    let issues = Arc::new(Mutex::new(Vec::<serde_json::Value>::new()));
    let kept = Arc::clone(&issues);
    let listener = Listener::start(move |_, asked| {
        let mut issues = kept.lock().unwrap();
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", path) if path.contains("/issues?") => {
                (200, vec![], serde_json::json!(&*issues).to_string())
            }
            ("POST", "/repos/o/r/issues") => {
                let mut issue = asked.json();
                issue["number"] = serde_json::json!(7);
                issues.push(issue.clone());
                (201, vec![], issue.to_string())
            }
            ("PATCH", _) => {
                issues.clear();
                (200, vec![], "{}".to_owned())
            }
            _ => taken(asked),
        }
    })
    .await;
    let about = [Event::Opened, Event::Reminder, Event::Resolved];
    for event in about {
        for (kind, channel) in over_http(&listener.url, SOON) {
            if kind != ChannelKind::Heartbeat {
                channel.deliver(&Message::Notice(super::notice(event))).await.unwrap();
            }
        }
    }
    let asked = listener.asked();
    let of = |path: &str| -> Vec<serde_json::Value> {
        asked.iter().filter(|asked| asked.path == path).map(Asked::json).collect()
    };
    let events = of("/v2/enqueue");
    let actions: Vec<_> = events.iter().map(|event| event["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert!(events.iter().all(|event| event["dedup_key"] == events[0]["dedup_key"]));
    let alerts = of("/webhook");
    assert_eq!(alerts.len(), 3);
    assert!(alerts.iter().all(|alert| alert["key"] == alerts[0]["key"]));
    assert_eq!(of("/repos/o/r/issues").len(), 1, "one issue");
    assert_eq!(of("/repos/o/r/issues/7/comments").len(), 2);
    assert_eq!(of("/repos/o/r/issues/7").len(), 1, "and it is closed");
    for path in ["/slack", "/discord", "/teams"] {
        assert_eq!(of(path).len(), 3, "{path}");
    }
}
