//! What retention says of the store as it is.

use chrono::{DateTime, Utc};

use crate::words::Keep;

/// What stays, and what goes next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The rules in words, one line each.
    pub rules: Vec<String>,
    /// For when it was decided: the next sweep, where one is planned.
    pub at: DateTime<Utc>,
    /// Whether that sweep is Reliquary's own; `false` where nobody sweeps, or
    /// the bucket does.
    pub sweeps: bool,
    /// Backups and legacy archives that stay.
    pub kept: u64,
    /// How many stay for each reason; one may have several.
    pub reasons: Vec<(Keep, u64)>,
    /// Backups and legacy archives that go.
    pub going: u64,
    /// Size of their archives, in bytes.
    pub going_bytes: u64,
    /// The first of those that go, oldest first.
    pub next: Vec<Going>,
    /// The oldest that stays, and when its age no longer keeps it.
    pub oldest_kept: Option<(String, DateTime<Utc>)>,
    /// What retention no longer keeps for its age alone began before this.
    pub horizon: Option<DateTime<Utc>>,
}

/// Something that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Going {
    /// Its id.
    pub id: String,
    /// Size of its archive, in bytes.
    pub bytes: u64,
    /// Why, in words.
    pub why: String,
}
