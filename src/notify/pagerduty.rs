//! PagerDuty: an event of the Events API v2, with a key by which it knows
//! problems apart, and a resolve when it is over.
//!
//! <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Client, Deliver, Message, Notice, SendError,
    client::Ask,
    text::{cut, digest},
};
use crate::{rfc3339, words::Event};

const LONGEST_SUMMARY: usize = 1024;

/// Pages a person.
#[derive(Debug)]
pub struct PagerDuty {
    client: Client,
    url: String,
    routing_key: SecretString,
}

impl PagerDuty {
    /// Pages through this client. `api` is `https://events.pagerduty.com`, or
    /// that of another region.
    #[must_use]
    pub fn new(client: Client, api: &str, routing_key: SecretString) -> Self {
        let url = format!("{}/v2/enqueue", api.trim_end_matches('/'));
        Self { client, url, routing_key }
    }

    async fn send(&self, event: &Value) -> Result<(), SendError> {
        let ask = Ask { secrets: vec![&self.routing_key], ..Ask::json(&self.url, event) };
        self.client.ask(ask).await.map(drop)
    }

    fn event(&self, action: &str, notice: &Notice) -> Value {
        let mut event = json!({
            "routing_key": self.routing_key.expose_secret(),
            "event_action": action,
            "dedup_key": format!("reliquary-{}", digest(notice)),
        });
        if action == "trigger" {
            event["client"] = json!("Reliquary");
            event["payload"] = json!({
                "summary": cut(&notice.title, LONGEST_SUMMARY),
                "source": notice.place,
                "severity": notice.severity.as_str(),
                "timestamp": rfc3339::format(notice.at),
                "component": notice.database,
                "class": notice.problem,
                "custom_details": {
                    "found": notice.findings,
                    "what_to_do": notice.next,
                    "commands": notice.commands,
                    "since": rfc3339::format(notice.since),
                },
            });
        }
        event
    }
}

#[async_trait]
impl Deliver for PagerDuty {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Notice(notice) = message else { return Ok(()) };
        if notice.event != Event::Resolved {
            self.send(&self.event("trigger", notice)).await?;
        }
        if matches!(notice.event, Event::Resolved | Event::Test) {
            self.send(&self.event("resolve", notice)).await?;
        }
        Ok(())
    }

    async fn probe(&self) -> Result<(), SendError> {
        self.client.knock(&self.url).await
    }

    /// What is only good to know pages nobody.
    fn takes(&self, message: &Message) -> bool {
        matches!(message, Message::Notice(notice) if notice.event != Event::Info)
    }
}
