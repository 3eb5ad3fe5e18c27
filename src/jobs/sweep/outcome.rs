//! What a sweep decides, and what it comes to.

use chrono::{DateTime, Utc};

use crate::{
    catalog::Inventory,
    retention::{Debris, Plan, Policy, Refusal, lifecycle::Finding},
    store::StoreError,
    words::Stage,
};

/// Everything that was decided, before anything is removed.
#[derive(Debug)]
pub struct Decided {
    /// What the prefix holds.
    pub inventory: Inventory,
    /// What retention says.
    pub policy: Policy,
    /// What stays and what goes, by the inventory's entries.
    pub plan: Plan,
    /// What was never a backup, or is none any more.
    pub debris: Debris,
    /// Why unfinished uploads could not be listed; they are left alone then.
    pub uploads_unknown: Option<StoreError>,
    /// What is to be said of drills that could not be read; whatever they may have
    /// been of is kept.
    pub drills_unknown: Option<String>,
    /// The time that it was decided for.
    pub now: DateTime<Utc>,
    /// Why nothing may be removed, whatever the plan says.
    pub refusal: Option<Refusal>,
}

/// What became of what was to go.
#[derive(Debug, Default)]
pub struct Removal {
    /// Backups and legacy archives that are gone with all that belonged to
    /// them, as places in the inventory.
    pub gone: Vec<usize>,
    /// Size of their archives, in bytes.
    pub bytes: u64,
    /// Debris that is gone, unfinished uploads included.
    pub debris: u64,
    /// The first of the objects that are still there; [`Removal::left_count`]
    /// counts all of them.
    pub left: Vec<Left>,
    /// Objects that were to go and are still there.
    pub left_count: u64,
    /// Objects that are only hidden behind a delete marker.
    pub hidden: u64,
    /// Why it ended before its end; what it had not come to is left to the next one.
    pub stopped: Option<Stopped>,
}

/// An object that could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its key.
    pub key: String,
    /// Why.
    pub error: String,
}

/// Why a sweep ended before its end.
#[derive(Debug)]
pub enum Stopped {
    /// It was told to.
    Cancelled,
    /// A request failed as a whole, so that nothing is known of its objects.
    Failed(StoreError),
}

impl Removal {
    /// Whether all that was to go is gone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.left_count == 0 && self.stopped.is_none()
    }

    /// What is left and why, in words; `None` where nothing is.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(Stopped::Failed(error)) = &self.stopped {
            parts.push(format!("failed to {error}; the next sweep goes on"));
        }
        if let Some(first) = self.left.first() {
            parts.push(format!("{} objects are still there: {}", self.left_count, first.error));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// What a sweep came to.
#[derive(Debug)]
pub enum Done {
    /// It removed what it could.
    Swept(Removal),
    /// It held the bucket's own rules against retention.
    Checked(Vec<Finding>),
}

/// A sweep that removed nothing.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Nothing may be removed.
    #[error("the sweep is refused: {0}")]
    Refused(Refusal),
    /// The bucket's lifecycle rules are not known.
    #[error("failed to {0}")]
    Rules(StoreError),
    /// It was told to stop before anything was decided.
    #[error("the sweep was told to stop")]
    Cancelled,
}

impl SweepError {
    /// Where it failed.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Refused(Refusal::Listing(_) | Refusal::DrillsUnreadable(_)) => Stage::Catalog,
            Self::Refused(_) | Self::Cancelled => Stage::Plan,
            Self::Rules(_) => Stage::Lifecycle,
        }
    }
}
