//! A webhook: the alert as JSON, signed, to whoever wants it.
//!
//! `POST` with `Content-Type: application/json`. The body is
//!
//! ```json
//! {
//!   "format": "reliquary-alert/1",
//!   "key": "s3://bucket/database/#backups",
//!   "event": "opened",
//!   "severity": "critical",
//!   "database": "main",
//!   "place": "s3://bucket/database/",
//!   "problem": "backups",
//!   "title": "…",
//!   "findings": ["…"], "next": ["…"], "commands": ["…"],
//!   "since": "2026-11-23T14:00:00Z",
//!   "at": "2026-11-23T14:05:00Z"
//! }
//! ```
//!
//! `event` is `opened`, `reminder`, `resolved`, `info` or `test`; `severity` is
//! `info`, `warning` or `critical`. `key` is the same for every alert about one
//! problem. A receiver ignores fields that it does not know. The same alert may
//! come twice, with the same `key`, `event` and `at`.
//!
//! Where `secret` is set, `X-Reliquary-Signature` is `sha256=` and the
//! HMAC-SHA256 of the body's bytes with it, in lower-case hexadecimal digits.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::Sha256;

use super::{Client, Deliver, Message, Notice, SendError, client::Ask};

/// The header that holds the signature.
pub const SIGNATURE_HEADER: &str = "x-reliquary-signature";

/// Tells whoever listens.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    url: SecretString,
    secret: Option<SecretString>,
}

impl Webhook {
    /// Tells through this client, signed where there is a secret.
    #[must_use]
    pub fn new(client: Client, url: SecretString, secret: Option<SecretString>) -> Self {
        Self { client, url, secret }
    }

    fn signature(&self, body: &[u8]) -> Option<String> {
        let secret = self.secret.as_ref()?;
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
        mac.update(body);
        let digits: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("sha256={digits}"))
    }
}

fn body(notice: &Notice) -> serde_json::Value {
    let mut body = json!(notice);
    body["format"] = json!("reliquary-alert/1");
    body["key"] = json!(notice.key());
    body
}

#[async_trait]
impl Deliver for Webhook {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Notice(notice) = message else { return Ok(()) };
        let mut ask = Ask::json(self.url.expose_secret(), &body(notice));
        let signature = ask.body.as_ref().and_then(|(_, body)| self.signature(body));
        ask.headers.extend(signature.map(|signature| (SIGNATURE_HEADER, signature)));
        ask.secrets.extend(&self.secret);
        self.client.ask(ask).await.map(drop)
    }

    async fn probe(&self) -> Result<(), SendError> {
        self.client.knock(self.url.expose_secret()).await
    }

    fn takes(&self, message: &Message) -> bool {
        matches!(message, Message::Notice(_))
    }
}
