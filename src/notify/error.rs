//! Why a message did not arrive.

use std::time::Duration;

/// A message that did not arrive. No text of it holds an address, a token or
/// what was to be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody is there.
    #[error("reach it: {0}")]
    Unreachable(String),
    /// No answer came in time.
    #[error("get an answer within {} s", .0.as_secs_f64())]
    Slow(Duration),
    /// It does not want it.
    #[error("deliver: it answered {status}{}", quoted(.said))]
    Refused {
        /// The HTTP or SMTP status.
        status: u16,
        /// What it said, shortened; empty where that is nothing fit to be shown.
        said: String,
        /// When it may be asked again.
        retry_after: Option<Duration>,
        /// Whether another attempt may succeed.
        transient: bool,
    },
    /// It answered something that it should not.
    #[error("understand its answer: {0}")]
    Answer(&'static str),
    /// The message cannot be written for this channel.
    #[error("write the message: {0}")]
    Message(String),
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl SendError {
    /// Whether another attempt may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Slow(_) => true,
            Self::Refused { transient, .. } => *transient,
            Self::Answer(_) | Self::Message(_) => false,
        }
    }

    /// When it may be asked again, where it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
