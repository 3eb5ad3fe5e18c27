//! What a bucket itself does with objects as they age, in our own words.

use chrono::{DateTime, Utc};

/// One rule of a bucket's lifecycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Its name; empty where it has none.
    pub id: String,
    /// Whether the bucket follows it.
    pub enabled: bool,
    /// What a key must begin with; empty for every key.
    pub prefix: String,
    /// Whether it takes only some of these keys: those with a tag, or of a size.
    pub narrowed: Option<Narrowed>,
    /// Objects go when they are so many days old.
    pub expire_after_days: Option<u32>,
    /// All objects go at this time.
    pub expire_at: Option<DateTime<Utc>>,
    /// Uploads that were not completed go after so many days.
    pub abort_uploads_after_days: Option<u32>,
    /// Versions that are no longer the current one go after so many days.
    pub expire_noncurrent_after_days: Option<u32>,
    /// Objects move to another storage class: after so many days, and which.
    pub moves: Vec<(u32, String)>,
}

/// What narrows a rule beside its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrowed {
    /// Only objects with a tag, which Reliquary's never have.
    ByTag,
    /// Only objects of some sizes.
    BySize,
}
