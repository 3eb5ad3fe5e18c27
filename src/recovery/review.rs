//! That people reviewed a drill or the runbook: `<prefix>reviews/<id>.<what>.json`.
//! When they last did is in the names already.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{BackupId, Key, Layout},
    store::{Created, Store, StoreError},
    words::Review,
};

/// The format that this version writes and reads.
pub const FORMAT: &str = "reliquary-review/1";

/// How many seconds in a row may be taken.
const TRIES: usize = 60;

/// One review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// [`FORMAT`]
    pub format: String,
    /// Its id: when it was recorded.
    pub id: BackupId,
    /// What was reviewed.
    pub what: Review,
    /// Name of the database in the configuration.
    pub database: String,
    /// Who did it.
    pub by: String,
    /// What they said of it.
    pub note: Option<String>,
}

/// Writes a review down, never over another one.
///
/// # Errors
/// When the store fails.
pub async fn record(
    store: &dyn Store,
    layout: &Layout,
    reviewed: &mut Reviewed,
) -> Result<String, StoreError> {
    for _ in 1..TRIES {
        let key = layout.key(Key::Review(reviewed.what, reviewed.id));
        let mut text = serde_json::to_vec_pretty(reviewed).unwrap_or_default();
        text.push(b'\n');
        if store.put_if_absent(&key, Bytes::from(text)).await? == Created::Yes {
            break;
        }
        reviewed.id = reviewed.id.next();
    }
    Ok(store.uri(&layout.key(Key::Review(reviewed.what, reviewed.id))))
}

/// Whole days from a review to now.
#[must_use]
pub fn days_since(review: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    (now - review).num_days().max(0)
}
