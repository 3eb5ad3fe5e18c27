//! Signs of life for a dead man's switch, in the form that healthchecks-style
//! services take: the URL itself for a success, with `/start` and `/fail`
//! behind it for the others. The service alerts when they stay away, which is
//! the one alert that comes even when this machine is gone.
//!
//! <https://healthchecks.io/docs/http_api/>

use async_trait::async_trait;
use hyper::Method;
use secrecy::{ExposeSecret, SecretString};

use super::{Client, Deliver, Message, PulseKind, SendError, client::Ask};

/// What stands for the database's name in the URL.
pub(crate) const PLACEHOLDER: &str = "{database}";

/// Gives signs of life.
#[derive(Debug)]
pub struct Heartbeat {
    client: Client,
    url: SecretString,
}

impl Heartbeat {
    /// Gives them through this client. `{database}` in the URL stands for the
    /// database's name.
    #[must_use]
    pub fn new(client: Client, url: SecretString) -> Self {
        Self { client, url }
    }
}

#[async_trait]
impl Deliver for Heartbeat {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Pulse(pulse) = message else { return Ok(()) };
        let url = self.url.expose_secret().replace(PLACEHOLDER, &pulse.database);
        let mut url = url::Url::parse(&url)
            .map_err(|_| SendError::Message("its address is no URL".to_owned()))?;
        let ending = match pulse.kind {
            PulseKind::Start => "/start",
            PulseKind::Success => "",
            PulseKind::Fail => "/fail",
        };
        let path = format!("{}{ending}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let ask = Ask {
            method: Method::POST,
            url: url.as_str(),
            headers: Vec::new(),
            body: None,
            secrets: vec![&self.url],
        };
        self.client.ask(ask).await.map(drop)
    }

    /// A real sign of life would be a lie here.
    async fn probe(&self) -> Result<(), SendError> {
        self.client.knock(&self.url.expose_secret().replace(PLACEHOLDER, "x")).await
    }

    fn takes(&self, message: &Message) -> bool {
        matches!(message, Message::Pulse(_))
    }
}
