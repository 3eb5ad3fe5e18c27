//! What is sent, against the schemas in `tests/fixtures/schemas`. Each of them
//! names the page on which its makers say what they take.

use std::time::Duration;

use reliquary::{
    notify::{Message, Notice},
    words::Event,
};
use serde_json::{Value, json};

use super::{
    ROUTING_KEY,
    listener::{Asked, Listener, taken},
    notice, over_http,
};
use crate::support::{
    postgres::Run as _,
    tools::{command, tool},
};

/// Validates each document against the schema of its name; prints what is wrong.
const VALIDATE: &str = r#"
import json, sys, pathlib, jsonschema
folder, documents = pathlib.Path(sys.argv[1]), json.load(sys.stdin)
for name, document in documents:
    schema = json.loads((folder / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for error in checker.iter_errors(document):
        print(f"{name}: {error.json_path}: {error.message[:300]}")
"#;

/// What is wrong with documents, one line each.
fn complaints(documents: &[(String, Value)]) -> String {
    let python = tool("python");
    assert!(python.is_file(), "`tests/tools.sh venv` installs what reads schemas");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schemas");
    command(python)
        .args(["-c", VALIDATE, folder])
        .output_of(json!(documents).to_string().as_bytes())
}

/// Alerts as they come, and as they might: nothing to say, and far too much.
fn notices() -> Vec<Notice> {
    let mut notices: Vec<Notice> = Event::ALL.iter().map(|event| notice(*event)).collect();
    for event in [Event::Opened, Event::Reminder, Event::Resolved] {
        let bare = Notice { findings: vec![], next: vec![], commands: vec![], ..notice(event) };
        let much: Vec<String> =
            (0..400).map(|n| format!("{n}: <é> & ``` @all \u{1f600}")).collect();
        let full = Notice {
            title: "very ".repeat(500),
            findings: much.clone(),
            next: much.clone(),
            commands: much,
            ..notice(event)
        };
        notices.extend([bare, full]);
    }
    notices
}

/// The schema that a request must fit; none for what has no body.
fn schema(asked: &Asked) -> Option<&'static str> {
    if asked.body.is_empty() {
        return None;
    }
    Some(match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/slack") => "slack-message",
        ("POST", "/discord") => "discord-message",
        ("POST", "/teams") => "teams-message",
        ("POST", "/webhook") => "reliquary-alert",
        ("POST", "/v2/enqueue") => "pagerduty-event",
        ("POST", "/repos/o/r/issues") => "github-issue",
        ("POST", "/repos/o/r/issues/7/comments") => "github-comment",
        ("PATCH", "/repos/o/r/issues/7") => "github-update",
        other => panic!("nobody publishes what {other:?} takes"),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_payload_fits_what_its_receiver_publishes() {
    let mut documents = Vec::new();
    for is_open in [false, true] {
        // Once there is an open issue of the problem, and once there is none.
        let listener = Listener::start(move |_, asked| {
            let (status, headers, body) = taken(asked);
            let issues: String = match (is_open, body.as_str()) {
                (true, "[]") => json!([{
                    "number": 7,
                    "body": format!("<!-- reliquary:{} -->", digest()),
                }])
                .to_string(),
                _ => body,
            };
            (status, headers, issues)
        })
        .await;
        for (_, channel) in over_http(&listener.url, Duration::from_secs(20)) {
            for notice in notices() {
                let message = Message::Notice(notice);
                if channel.takes(&message) {
                    channel.deliver(&message).await.unwrap();
                }
            }
        }
        for asked in listener.asked() {
            let Some(schema) = schema(&asked) else { continue };
            // What PagerDuty takes of one event, and Teams of one message, in bytes.
            let most = if schema == "teams-message" { 28 * 1024 } else { 512 * 1024 };
            assert!(asked.body.len() < most, "{schema} is {} bytes", asked.body.len());
            documents.push((schema.to_owned(), asked.json()));
        }
    }
    let kinds: std::collections::BTreeSet<&str> =
        documents.iter().map(|(schema, _)| schema.as_str()).collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    assert!(documents.len() > 100, "{}", documents.len());
    let wrong = tokio::task::block_in_place(|| complaints(&documents));
    assert!(wrong.is_empty(), "{wrong}");
}

/// The name under which a channel knows the problem again.
fn digest() -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest("s3://b/database/#backups").iter().map(|b| format!("{b:02x}")).collect()
}

/// A schema that takes everything would prove nothing.
#[test]
fn the_schemas_refuse_what_their_makers_would_refuse() {
    let trigger = |change: fn(&mut Value)| {
        let mut event = json!({
            "routing_key": ROUTING_KEY, "event_action": "trigger", "dedup_key": "k",
            "payload": { "summary": "s", "source": "x", "severity": "critical" },
        });
        change(&mut event);
        event
    };
    let header = |text: &str| {
        json!({
            "text": "t",
            "blocks": [{ "type": "header", "text": { "type": "plain_text", "text": text } }],
        })
    };
    let card = |block: Value| {
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": { "type": "AdaptiveCard", "version": "1.2", "body": [block] },
            }],
        })
    };
    let good = [
        ("pagerduty-event", trigger(|_| {})),
        ("slack-message", header("h")),
        ("teams-message", card(json!({ "type": "TextBlock", "text": "x" }))),
    ];
    let bad = [
        ("pagerduty-event", trigger(|event| event["payload"]["severity"] = json!("fatal"))),
        ("pagerduty-event", trigger(|event| event["payload"]["summary"] = json!("x".repeat(1025)))),
        ("pagerduty-event", trigger(|event| event["event_action"] = json!("close"))),
        ("pagerduty-event", trigger(|event| event["payload"] = Value::Null)),
        ("pagerduty-event", trigger(|event| event["dedup_key"] = json!("x".repeat(256)))),
        ("slack-message", header(&"x".repeat(151))),
        ("slack-message", header("")),
        ("slack-message", json!({ "text": "t", "blocks": [{ "type": "section" }] })),
        ("teams-message", card(json!({ "type": "TextBlock" }))),
        ("teams-message", card(json!({ "type": "TextBlock", "text": "x", "weight": "bold" }))),
        ("discord-message", json!({ "content": "x".repeat(2001) })),
        ("github-issue", json!({ "body": "no title" })),
        ("github-update", json!({ "state": "resolved" })),
        ("github-comment", json!({})),
        ("reliquary-alert", json!({ "format": "reliquary-alert/1" })),
    ];
    let of = |documents: &[(&str, Value)]| -> Vec<(String, Value)> {
        documents.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    assert_eq!(complaints(&of(&good)), "");
    for one in of(&bad) {
        assert_ne!(complaints(std::slice::from_ref(&one)), "", "{one:?} passes");
    }
}
