use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::*;
use crate::notify::test_server::{Received, Reply, Server};

async fn server() -> Server {
    Server::start(|_, _| Reply::ok("ok")).await
}

const FACTS: &str = "opened (critical), database main at s3://b/database/\n\
                     since 2026-11-18T11:06:40Z, told at 2026-11-18T11:11:40Z";

#[tokio::test]
async fn slack_gets_blocks_in_which_nothing_is_a_link_or_a_mention() {
    let server = server().await;
    let slack = Slack::new(client(), format!("{}/services/T/B/x", server.url).into());
    slack.deliver(&message(Event::Opened)).await.unwrap();
    slack.probe().await.unwrap();
    assert_eq!(server.lines(), ["POST /services/T/B/x", "HEAD /"]);
    let received = server.received();
    assert_eq!(received[0].header("content-type"), "application/json");
    let section = |text: &str| json!({"type":"section","text":{"type":"mrkdwn","text":text}});
    let title = "main: there is no fresh backup";
    let expected = json!({
        "text": title,
        "blocks": [
            {"type":"header","text":{"type":"plain_text","text":title}},
            section(FACTS),
            section("*Found*\n```\nlast_run: failed &lt;at&gt; upload &amp; more\n''' @all\n```"),
            section("*What to do*\n• Look at the bucket."),
            section("*Commands*\n```\nreliquary status -d main\n```"),
        ],
    });
    assert_eq!(received[0].json(), expected);
}

#[tokio::test]
async fn slack_never_gets_more_than_a_block_may_hold() {
    let server = server().await;
    let slack = Slack::new(client(), format!("{}/x", server.url).into());
    let mut long = notice(Event::Opened);
    long.title = "é".repeat(500);
    long.findings = vec!["<".repeat(4000)];
    slack.deliver(&Message::Notice(long)).await.unwrap();
    for block in server.received()[0].json()["blocks"].as_array().unwrap() {
        let text = block["text"]["text"].as_str().unwrap();
        let most = if block["type"] == "header" { 150 } else { 3000 };
        assert!((1..=most).contains(&text.chars().count()), "{text}");
        assert_eq!(text.matches("```").count() % 2, 0, "{text}");
    }
}

#[tokio::test]
async fn pagerduty_triggers_and_resolves_under_one_key() {
    let server = Server::start(|_, _| Reply { status: 202, ..Reply::ok("{}") }).await;
    let pagerduty = PagerDuty::new(client(), &server.url, "routing-key".into());
    for event in [Event::Opened, Event::Reminder, Event::Resolved, Event::Test] {
        pagerduty.deliver(&message(event)).await.unwrap();
    }
    let received = server.received();
    assert!(received.iter().all(|asked| asked.line() == "POST /v2/enqueue"));
    let bodies: Vec<_> = received.iter().map(Received::json).collect();
    let actions: Vec<_> = bodies.iter().map(|body| body["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve", "trigger", "resolve"]);
    let key = bodies[0]["dedup_key"].as_str().unwrap();
    assert!(key.len() <= 255 && bodies.iter().all(|body| body["dedup_key"] == key));
    assert_eq!(
        bodies[0],
        json!({
            "routing_key": "routing-key",
            "event_action": "trigger",
            "dedup_key": key,
            "client": "Reliquary",
            "payload": {
                "summary": "main: there is no fresh backup",
                "source": "s3://b/database/",
                "severity": "critical",
                "timestamp": "2026-11-18T11:11:40Z",
                "component": "main",
                "class": "backups",
                "custom_details": {
                    "found": ["last_run: failed <at> upload & more", "``` @all"],
                    "what_to_do": ["Look at the bucket."],
                    "commands": ["reliquary status -d main"],
                    "since": "2026-11-18T11:06:40Z",
                },
            },
        })
    );
    assert_eq!(
        bodies[2],
        json!({ "routing_key": "routing-key", "event_action": "resolve", "dedup_key": key })
    );
    assert!(!pagerduty.takes(&message(Event::Info)));
}

#[tokio::test]
async fn the_webhook_gets_the_documented_body_and_its_signature() {
    let server = server().await;
    let url = || format!("{}/hook?a=b", server.url).into();
    Webhook::new(client(), url(), Some("key".into()))
        .deliver(&message(Event::Resolved))
        .await
        .unwrap();
    Webhook::new(client(), url(), None).deliver(&message(Event::Info)).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].line(), "POST /hook?a=b");
    assert_eq!(
        received[0].json(),
        json!({
            "format": "reliquary-alert/1",
            "key": "s3://b/database/#backups",
            "event": "resolved",
            "severity": "critical",
            "database": "main",
            "place": "s3://b/database/",
            "problem": "backups",
            "title": "main: there is no fresh backup",
            "findings": ["last_run: failed <at> upload & more", "``` @all"],
            "next": ["Look at the bucket."],
            "commands": ["reliquary status -d main"],
            "since": "2026-11-18T11:06:40Z",
            "at": "2026-11-18T11:11:40Z",
        })
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
    mac.update(&received[0].body);
    let expected: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received[0].header(SIGNATURE_HEADER), format!("sha256={expected}"));
    assert_eq!(received[1].header(SIGNATURE_HEADER), "");
}

#[tokio::test]
async fn signs_of_life_take_the_form_of_healthchecks() {
    let server = server().await;
    let url = format!("{}/ping-key/{{database}}?create=1", server.url);
    let heartbeat = Heartbeat::new(client(), url.into());
    for kind in [PulseKind::Start, PulseKind::Success, PulseKind::Fail] {
        let pulse = Pulse { database: "main".to_owned(), kind };
        heartbeat.deliver(&Message::Pulse(pulse)).await.unwrap();
    }
    // A look gives no sign of life.
    heartbeat.probe().await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "POST /ping-key/main/start?create=1",
            "POST /ping-key/main?create=1",
            "POST /ping-key/main/fail?create=1",
            "HEAD /",
        ]
    );
    assert!(!heartbeat.takes(&message(Event::Opened)));
}

#[tokio::test]
async fn discord_and_teams_get_a_message_and_a_card() {
    let server = server().await;
    let url = || format!("{}/x", server.url).into();
    let mut long = notice(Event::Opened);
    long.findings.push("y".repeat(5000));
    Discord::new(client(), url()).deliver(&Message::Notice(long)).await.unwrap();
    let evil = "[here](http://evil) *now* _x_".to_owned();
    let formatted = Notice { findings: vec![evil], ..notice(Event::Opened) };
    Teams::new(client(), url()).deliver(&Message::Notice(formatted)).await.unwrap();
    let received = server.received();
    let discord = received[0].json();
    let content = discord["content"].as_str().unwrap();
    assert!(content.starts_with("```\nmain: there is no fresh backup\nopened (critical)"));
    assert!(content.chars().count() <= 2000 && content.matches("```").count() == 2);
    assert_eq!(discord["allowed_mentions"], json!({ "parse": [] }));
    let teams = received[1].json();
    assert_eq!(teams["type"], "message");
    let card = &teams["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(card["content"]["type"], "AdaptiveCard");
    assert_eq!(card["content"]["version"], "1.2");
    assert_eq!(card["content"]["body"][0]["text"], "main: there is no fresh backup");
    let text = card["content"]["body"][1]["text"].as_str().unwrap();
    assert!(text.contains("reliquary status -d main"), "{text}");
    // A block of text is Markdown: nothing that was found is any.
    assert!(text.contains("- \\[here\\](http://evil) \\*now\\* \\_x\\_"), "{text}");
}
