//! What the last audit found, as it is kept in the bucket: `audit/latest.json`.
//! The runbook's hardening checklist shows it, and the daemon's next audit is
//! held against it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Baseline, Report, Worse},
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
    #[serde(default)]
    baseline: Baseline,
}

/// What an audit is to the ones after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The daemon's: it is held against those before it, and those after it are
    /// held against it.
    Compared,
    /// A person's, who may look from another machine and with other rights.
    Aside,
    /// A person's, who says that it is as it is meant to be.
    Accepted,
}

/// Keeps what an audit found; it replaces what the one before it did. Says which
/// checks are worse than they were, where it is compared.
///
/// # Errors
/// When the store fails.
pub async fn keep(
    store: &dyn Store,
    layout: &Layout,
    report: &Report,
    standing: Standing,
) -> Result<Vec<Worse>, StoreError> {
    let mut baseline = match standing {
        // The daemon's next one makes it anew.
        Standing::Accepted => Baseline::default(),
        _ => read(store, layout).await?.map(|kept| kept.baseline).unwrap_or_default(),
    };
    let worse = match standing {
        Standing::Compared => baseline.hold(report),
        _ => Vec::new(),
    };
    let kept = Kept { format: FORMAT.to_owned(), report: report.clone(), baseline };
    let mut text = serde_json::to_vec_pretty(&kept).unwrap_or_default();
    text.push(b'\n');
    store.put(&layout.key(Key::Audit), Bytes::from(text)).await?;
    Ok(worse)
}

/// What the last audit found; `None` where none was kept that this version can read.
///
/// # Errors
/// When the store fails.
pub async fn last(store: &dyn Store, layout: &Layout) -> Result<Option<Report>, StoreError> {
    Ok(read(store, layout).await?.map(|kept| kept.report))
}

async fn read(store: &dyn Store, layout: &Layout) -> Result<Option<Kept>, StoreError> {
    match store.get(&layout.key(Key::Audit), LIMIT).await {
        Ok(bytes) => {
            let kept = serde_json::from_slice::<Kept>(&bytes).ok();
            Ok(kept.filter(|kept| kept.format == FORMAT))
        }
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::TooLarge) => Ok(None),
        Err(error) => Err(error),
    }
}
