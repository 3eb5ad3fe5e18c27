//! Slack: a message by an incoming webhook, in blocks.
//!
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Client, Deliver, Message, Notice, SendError,
    client::Ask,
    text::{cut, facts, fenced},
};

/// A header takes 150 characters, a section 3000.
const LONGEST_HEADER: usize = 150;
const LONGEST_SECTION: usize = 2900;

/// Tells in a Slack channel.
#[derive(Debug)]
pub struct Slack {
    client: Client,
    url: SecretString,
}

impl Slack {
    /// Tells through this client, at the webhook's URL.
    #[must_use]
    pub fn new(client: Client, url: SecretString) -> Self {
        Self { client, url }
    }
}

fn message(notice: &Notice) -> Value {
    let mut blocks = vec![
        json!({
            "type": "header",
            "text": { "type": "plain_text", "text": cut(&notice.title, LONGEST_HEADER) },
        }),
        section(&escaped(&facts(notice))),
    ];
    // The block is cut before it is fenced, so that the fence stays closed.
    let block = |lines: &[String]| {
        fenced(&[cut(&escaped(&lines.join("\n")), LONGEST_SECTION - 100)]).trim_end().to_owned()
    };
    if !notice.findings.is_empty() {
        blocks.push(section(&format!("*Found*\n{}", block(&notice.findings))));
    }
    if !notice.next.is_empty() {
        let lines: String = notice.next.iter().map(|line| format!("\n• {line}")).collect();
        blocks.push(section(&format!("*What to do*{}", escaped(&lines))));
    }
    if !notice.commands.is_empty() {
        blocks.push(section(&format!("*Commands*\n{}", block(&notice.commands))));
    }
    // The text is what a notification shows.
    json!({ "text": escaped(&cut(&notice.title, LONGEST_SECTION)), "blocks": blocks })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut(text, LONGEST_SECTION) } })
}

/// The three characters that mean something to Slack, so that nobody is
/// mentioned and nothing is a link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[async_trait]
impl Deliver for Slack {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Notice(notice) = message else { return Ok(()) };
        let ask = Ask::json(self.url.expose_secret(), &self::message(notice));
        self.client.ask(ask).await.map(drop)
    }

    async fn probe(&self) -> Result<(), SendError> {
        self.client.knock(self.url.expose_secret()).await
    }

    fn takes(&self, message: &Message) -> bool {
        matches!(message, Message::Notice(_))
    }
}
