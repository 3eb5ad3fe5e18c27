//! Microsoft Teams: an Adaptive Card to a workflow's webhook.
//!
//! <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Client, Deliver, Message, SendError,
    client::Ask,
    text::{cut, plain},
};

/// A whole message takes 28 KB.
const LONGEST: usize = 6000;

/// Tells in a Teams channel.
#[derive(Debug)]
pub struct Teams {
    client: Client,
    url: SecretString,
}

impl Teams {
    /// Tells through this client, at the workflow's URL.
    #[must_use]
    pub fn new(client: Client, url: SecretString) -> Self {
        Self { client, url }
    }
}

#[async_trait]
impl Deliver for Teams {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Notice(notice) = message else { return Ok(()) };
        let body = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": Value::Null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.2",
                    "body": [
                        {
                            "type": "TextBlock", "wrap": true, "weight": "Bolder",
                            "size": "Medium", "text": cut(&notice.title, LONGEST),
                        },
                        {
                            "type": "TextBlock", "wrap": true, "fontType": "Monospace",
                            "text": cut(&plain(notice), LONGEST).replace('\n', "\n\n"),
                        },
                    ],
                },
            }],
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
