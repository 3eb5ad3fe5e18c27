//! What verify found of a backup, kept beside it: `<id>.verified.json` or
//! `<id>.damaged.json`. The name says how it ended, so that a listing is enough
//! to know; the object says the rest.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::BackupId,
    key::{Key, Layout},
};
use crate::{
    archive::{Finding, Remark, manifest::Kind},
    store::{ErrorKind, Store, StoreError},
    words::Verdict,
};

/// The format that this version writes and reads.
pub const FORMAT: &str = "reliquary-verify/1";

/// The largest one that is read, in bytes: findings are bounded.
const LIMIT: u64 = 2 * 1024 * 1024;

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// [`FORMAT`]
    pub format: String,
    /// The backup's id.
    pub id: BackupId,
    /// Which place it stands in.
    pub kind: Kind,
    /// What it was found to be.
    pub verdict: Verdict,
    /// When the reading ended.
    #[serde(with = "crate::rfc3339")]
    pub time: DateTime<Utc>,
    /// Reliquary's version.
    pub version: String,
    /// SHA-256 of the bytes that were read; `None` where there were none.
    pub sha256: Option<String>,
    /// How many bytes of archive there were.
    pub archive_bytes: u64,
    /// How many bytes of dump they held.
    pub dump_bytes: u64,
    /// How many members were looked at.
    pub members: u64,
    /// How many rows whole members held; `None` for a legacy archive.
    pub rows: Option<u64>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What is wrong; empty where nothing is.
    pub findings: Vec<Finding>,
    /// What is odd and no damage.
    #[serde(default)]
    pub remarks: Vec<Remark>,
}

/// Writes a verdict down, and takes the other one away where there is one.
///
/// The new one is written first: in between both are there, and then damage
/// counts.
///
/// # Errors
/// When the store fails. The verdict may have been written; running again
/// puts it right.
pub async fn record(
    store: &dyn Store,
    layout: &Layout,
    judgement: &Judgement,
    other_is_there: bool,
) -> Result<(), StoreError> {
    let Judgement { kind, id, verdict, .. } = *judgement;
    let mut text = serde_json::to_vec_pretty(judgement).unwrap_or_default();
    text.push(b'\n');
    store.put(&layout.key(Key::Verdict(kind, id, verdict)), Bytes::from(text)).await?;
    if other_is_there {
        withdraw(store, layout, kind, id, verdict.other()).await?;
    }
    Ok(())
}

/// Takes a verdict away.
///
/// # Errors
/// When the store fails.
pub async fn withdraw(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
    verdict: Verdict,
) -> Result<(), StoreError> {
    store.delete(&layout.key(Key::Verdict(kind, id, verdict))).await
}

/// Reads what verify found last; `None` where there is nothing that this
/// version can read.
///
/// # Errors
/// When the store fails.
pub async fn judgement(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
    verdict: Verdict,
) -> Result<Option<Judgement>, StoreError> {
    match store.get(&layout.key(Key::Verdict(kind, id, verdict)), LIMIT).await {
        Ok(bytes) => {
            let read = serde_json::from_slice::<Judgement>(&bytes).ok();
            // One that was copied from elsewhere says nothing of this backup.
            let belongs = |read: &Judgement| {
                read.format == FORMAT && (read.kind, read.id, read.verdict) == (kind, id, verdict)
            };
            Ok(read.filter(belongs))
        }
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::TooLarge) => Ok(None),
        Err(error) => Err(error),
    }
}
