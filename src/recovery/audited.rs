//! What the last audit found, as it is kept in the bucket: `audit/latest.json`.
//! The runbook's hardening checklist shows it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    audit::Report,
    catalog::{Key, Layout},
    store::{ErrorKind, Store, StoreError},
};

/// The format that this version writes and reads.
const FORMAT: &str = "reliquary-audit/1";

/// The largest one that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

#[derive(Deserialize, Serialize)]
struct Kept {
    format: String,
    report: Report,
}

/// Keeps what an audit found; it replaces what the one before it did.
///
/// # Errors
/// When the store fails.
pub async fn keep(store: &dyn Store, layout: &Layout, report: &Report) -> Result<(), StoreError> {
    let kept = Kept { format: FORMAT.to_owned(), report: report.clone() };
    let mut text = serde_json::to_vec_pretty(&kept).unwrap_or_default();
    text.push(b'\n');
    store.put(&layout.key(Key::Audit), Bytes::from(text)).await
}

/// What the last audit found; `None` where none was kept that this version can read.
///
/// # Errors
/// When the store fails.
pub async fn last(store: &dyn Store, layout: &Layout) -> Result<Option<Report>, StoreError> {
    match store.get(&layout.key(Key::Audit), LIMIT).await {
        Ok(bytes) => {
            let kept = serde_json::from_slice::<Kept>(&bytes).ok();
            Ok(kept.filter(|kept| kept.format == FORMAT).map(|kept| kept.report))
        }
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::TooLarge) => Ok(None),
        Err(error) => Err(error),
    }
}
