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
use crate::markdown;

/// A whole message takes 28 KB.
const LONGEST: usize = 5000;
const LONGEST_TITLE: usize = 500;

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
        // A block of text is Markdown.
        let title = markdown::plain(&cut(&notice.title, LONGEST_TITLE));
        let text = markdown::plain(&cut(&plain(notice), LONGEST)).replace('\n', "\n\n");
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
                            "size": "Medium", "text": title,
                        },
                        {
                            "type": "TextBlock", "wrap": true, "fontType": "Monospace",
                            "text": text,
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
