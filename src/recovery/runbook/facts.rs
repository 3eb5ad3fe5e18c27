//! What the bucket says that a runbook should hold.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::super::{audited, entry::Expected, look::expected};
use crate::{
    audit::Report,
    catalog::{self, BackupId, CatalogError, Layout, State},
    clock::Clock,
    drill::{self, Record},
    store::Store,
    words::Review,
};

/// What is known at a time, by the databases' names.
#[derive(Debug)]
pub struct Facts {
    /// When it was looked at.
    pub now: DateTime<Utc>,
    /// What was found, or why nothing was.
    pub databases: BTreeMap<String, Result<Known, String>>,
}

/// What is known of one database.
#[derive(Debug, Default)]
pub struct Known {
    /// The newest good backup.
    pub newest: Option<BackupId>,
    /// Good backups and legacy archives.
    pub stored: u64,
    /// When verify last came to a verdict.
    pub verified: Option<DateTime<Utc>>,
    /// The last drill.
    pub drill: Option<Record>,
    /// How long a restore of the newest backup will take.
    pub expected: Option<Expected>,
    /// When people last reviewed what.
    pub reviews: BTreeMap<Review, DateTime<Utc>>,
    /// What the last audit found.
    pub audit: Option<Report>,
}

impl Known {
    /// Looks at one database's prefix.
    ///
    /// # Errors
    /// When the store cannot be listed or read.
    pub async fn look(store: &dyn Store, layout: &Layout) -> Result<Self, CatalogError> {
        let catalog = catalog::read(store, layout).await?;
        let records = drill::read(store, layout, &catalog.drills).await?.records;
        let totals = catalog.totals();
        let marks = drill::marks(&records, Clock::system().now());
        let newest = drill::newest_good(&catalog, &marks, None).entry;
        let counts = |state| matches!(state, State::Good | State::Legacy);
        Ok(Self {
            newest: newest.map(|entry| entry.id),
            stored: catalog.entries.iter().filter(|entry| counts(entry.state)).count() as u64,
            verified: totals.last_verify,
            expected: newest.and_then(|entry| expected(&records, entry.archive_bytes)),
            drill: records.into_iter().max_by_key(|record| record.id),
            reviews: catalog.reviews.iter().map(|(what, id)| (*what, id.time())).collect(),
            audit: audited::last(store, layout).await?,
        })
    }
}
