//! Where alerts go: one file a channel, none of which decides whether to alert.
//!
//! The [`Desk`] takes what is to be told and returns at once; a task for each
//! channel delivers it, again and again until a deadline. What goes out has
//! been through [`Scrub`], which takes out secrets and rows.

mod client;
mod desk;
mod discord;
mod email;
mod error;
mod github;
mod heartbeat;
mod notice;
mod pagerduty;
mod scrub;
mod slack;
mod teams;
mod text;
mod webhook;

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;

pub use client::{Client, ClientError};
pub use desk::{Delivered, Delivery, Desk, Observer, Timing};
pub use discord::Discord;
pub use email::{Email, EmailOptions, EmailTls};
pub use error::SendError;
pub use github::{GitHub, GitHubOptions};
pub use heartbeat::Heartbeat;
pub use notice::{Notice, Pulse, PulseKind};
pub use pagerduty::PagerDuty;
pub use scrub::Scrub;
pub use slack::Slack;
pub use teams::Teams;
pub use webhook::{SIGNATURE_HEADER, Webhook};

use crate::words::{ChannelKind, Severity};

/// What is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An alert.
    Notice(Notice),
    /// A sign of life.
    Pulse(Pulse),
}

/// Delivers to one channel.
#[async_trait]
pub trait Deliver: Debug + Send + Sync {
    /// Delivers one message. Doing it again does no harm: the answer to the
    /// first time may have been lost.
    ///
    /// # Errors
    /// When it did not arrive, or nobody knows.
    async fn deliver(&self, message: &Message) -> Result<(), SendError>;

    /// Looks whether the channel can be reached, without telling anything.
    ///
    /// # Errors
    /// When it cannot.
    async fn probe(&self) -> Result<(), SendError>;

    /// Whether messages of this sort are for this channel at all.
    fn takes(&self, message: &Message) -> bool;
}

/// One configured channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Which.
    pub kind: ChannelKind,
    /// What it is told.
    pub route: Route,
    /// How.
    pub deliver: Arc<dyn Deliver>,
}

/// What a channel is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Nothing that matters less.
    pub severity: Severity,
    /// Nothing about other databases; empty for all.
    pub databases: Vec<String>,
}

impl Channel {
    /// Whether a message goes there.
    #[must_use]
    pub fn wants(&self, message: &Message) -> bool {
        let (database, matters) = match message {
            Message::Notice(notice) => (&notice.database, notice.severity >= self.route.severity),
            Message::Pulse(pulse) => (&pulse.database, true),
        };
        let databases = &self.route.databases;
        matters
            && (databases.is_empty() || databases.contains(database))
            && self.deliver.takes(message)
    }
}
