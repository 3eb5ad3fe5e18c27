//! What a channel is given to tell.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    rfc3339,
    words::{Event, Severity},
};

/// One alert, as every channel gets it. It can be understood by itself: a
/// channel that missed the first one can still make something of a reminder.
///
/// Its JSON is what the webhook sends, so its fields are a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it tells.
    pub event: Event,
    /// How much it matters.
    pub severity: Severity,
    /// The database's name in the settings.
    pub database: String,
    /// Where its backups stand, as `s3://bucket/prefix/`. Together with
    /// `problem` it is the same for every alert about the same problem.
    pub place: String,
    /// The problem: `backups`, the name of a check of `/healthz`, or of an anomaly.
    pub problem: String,
    /// One line.
    pub title: String,
    /// What was found, one line each.
    pub findings: Vec<String>,
    /// What a person should do, one sentence each.
    pub next: Vec<String>,
    /// Commands that help with it.
    pub commands: Vec<String>,
    /// When the problem began.
    #[serde(with = "rfc3339")]
    pub since: DateTime<Utc>,
    /// When this was decided.
    #[serde(with = "rfc3339")]
    pub at: DateTime<Utc>,
}

impl Notice {
    /// The same for every alert about the same problem, and only for those.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}#{}", self.place, self.problem)
    }

    /// The same alert with every text passed through `change`.
    #[must_use]
    pub fn map_texts(self, change: impl Fn(&str) -> String) -> Self {
        let all = |lines: Vec<String>| lines.iter().map(|line| change(line)).collect();
        Self {
            title: change(&self.title),
            findings: all(self.findings),
            next: all(self.next),
            commands: all(self.commands),
            ..self
        }
    }
}

/// A sign of life, for the service that alerts when it stays away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The database's name in the settings.
    pub database: String,
    /// What is told.
    pub kind: PulseKind,
}

/// What a sign of life tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PulseKind {
    /// A backup begins.
    Start,
    /// There is a new good backup.
    Success,
    /// Every attempt of a slot failed.
    Fail,
}
