//! Every channel alike: what they send against what their makers publish, and
//! what they do when whoever takes it is down, slow, or asks for patience.

mod listener;
mod mail;
mod schemas;
mod secrecy;
mod shown;
mod ways;

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use reliquary::{
    notify::{
        Client, Deliver, Discord, GitHub, GitHubOptions, Heartbeat, Message, Notice, PagerDuty,
        Pulse, PulseKind, Slack, Teams, Webhook,
    },
    words::{ChannelKind, Event, Severity},
};

/// As long as PagerDuty's are.
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// What every channel that speaks HTTP is called with.
fn over_http(base: &str, timeout: Duration) -> Vec<(ChannelKind, Arc<dyn Deliver>)> {
    let client = || Client::new(timeout).unwrap();
    let url = |path: &str| format!("{base}/{path}").into();
    let github = GitHubOptions {
        api: base.to_owned(),
        repository: "o/r".to_owned(),
        token: "token-of-github".into(),
        label: "backup-failure".to_owned(),
    };
    vec![
        (ChannelKind::Github, Arc::new(GitHub::new(client(), github))),
        (ChannelKind::Slack, Arc::new(Slack::new(client(), url("slack")))),
        (ChannelKind::Pagerduty, Arc::new(PagerDuty::new(client(), base, ROUTING_KEY.into()))),
        (ChannelKind::Webhook, Arc::new(Webhook::new(client(), url("webhook"), None))),
        (ChannelKind::Heartbeat, Arc::new(Heartbeat::new(client(), url("beat/{database}")))),
        (ChannelKind::Discord, Arc::new(Discord::new(client(), url("discord")))),
        (ChannelKind::Teams, Arc::new(Teams::new(client(), url("teams")))),
    ]
}

fn notice(event: Event) -> Notice {
    Notice {
        event,
        severity: if event == Event::Info { Severity::Info } else { Severity::Critical },
        database: "main".to_owned(),
        place: "s3://b/database/".to_owned(),
        problem: "backups".to_owned(),
        title: "main: there is no fresh backup".to_owned(),
        findings: vec!["last_run: failed at upload".to_owned()],
        next: vec!["Look at the bucket.".to_owned()],
        commands: vec!["reliquary status -d main".to_owned()],
        since: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
        at: DateTime::from_timestamp(1_795_000_300, 0).unwrap(),
    }
}

/// What a channel of a kind is told of a problem: the dead man's switch hears
/// signs of life, and all others an alert.
fn message(kind: ChannelKind) -> Message {
    if kind == ChannelKind::Heartbeat {
        Message::Pulse(Pulse { database: "main".to_owned(), kind: PulseKind::Success })
    } else {
        Message::Notice(notice(Event::Opened))
    }
}
