//! Discord: a message by a webhook.
//!
//! <https://discord.com/developers/docs/resources/webhook#execute-webhook>

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    Client, Deliver, Message, SendError,
    client::Ask,
    text::{cut, plain},
};

/// A message takes 2000 characters.
const LONGEST: usize = 1900;

/// Tells in a Discord channel.
#[derive(Debug)]
pub struct Discord {
    client: Client,
    url: SecretString,
}

impl Discord {
    /// Tells through this client, at the webhook's URL.
    #[must_use]
    pub fn new(client: Client, url: SecretString) -> Self {
        Self { client, url }
    }
}

#[async_trait]
impl Deliver for Discord {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Notice(notice) = message else { return Ok(()) };
        let text = format!("{}\n{}", notice.title, plain(notice)).replace("```", "'''");
        // Within a fence nothing is formatted, and nobody is to be mentioned.
        let body = json!({
            "content": format!("```\n{}\n```", cut(&text, LONGEST)),
            "allowed_mentions": { "parse": [] },
        });
        self.client.ask(Ask::json(self.url.expose_secret(), &body)).await.map(drop)
    }

    async fn probe(&self) -> Result<(), SendError> {
        self.client.knock(self.url.expose_secret()).await
    }

    fn takes(&self, message: &Message) -> bool {
        matches!(message, Message::Notice(_))
    }
}
