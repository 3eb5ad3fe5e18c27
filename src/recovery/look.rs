//! What the catalog says about an incident.

use chrono::{DateTime, Utc};

use super::entry::{Condemned, Expected, Found, Looked};
use crate::{
    archive::Manifest,
    catalog::{self, BackupId, Catalog, CatalogError, Entry, Layout, Query, State},
    clock::Clock,
    drill::{self, Mark, Marks, Record},
    store::Store,
    words::DrillVerdict,
};

/// Looks for the newest good backup whose snapshot is not younger than the
/// failure, and for what is known of it.
///
/// # Errors
/// When the store cannot be listed or read.
pub async fn look(
    store: &dyn Store,
    layout: &Layout,
    failed_at: DateTime<Utc>,
) -> Result<Looked, CatalogError> {
    let catalog = catalog::read(store, layout).await?;
    let records = drill::read(store, layout, &catalog.drills).await?.records;
    let marks = drill::marks(&records, Clock::system().now());
    let newest = newest(store, layout, &catalog, &marks, failed_at).await?;
    let mut looked = Looked {
        place: store.uri(layout.prefix()),
        backup: None,
        why_none: None,
        legacy: newest.legacy,
        unusable: newest.unusable,
        condemned: newest.condemned,
        newer: newest.newer,
        loss_seconds: None,
        expected: None,
    };
    let Some((entry, manifest)) = newest.backup else {
        looked.why_none = Some(why_none(&catalog, &looked, failed_at));
        return Ok(looked);
    };
    let mark = drill::mark(entry, &marks);
    // A second that has begun is lost.
    let lost = (failed_at - manifest.source.snapshot_at).num_milliseconds();
    looked.loss_seconds = Some(u64::try_from(lost).unwrap_or(0).div_ceil(1000));
    looked.expected = expected(&records, entry.archive_bytes);
    looked.backup = Some(Found {
        id: entry.id,
        kind: entry.kind,
        snapshot_at: manifest.source.snapshot_at,
        archive_bytes: entry.archive_bytes,
        rows: manifest.rows,
        tables: manifest.tables.len() as u64,
        verified: entry.verified,
        drilled: mark.map(|Mark { verdict, time, .. }| (*verdict, *time)),
    });
    // An older one is of no interest beside a backup.
    looked.legacy = looked.legacy.filter(|legacy| *legacy > entry.id);
    Ok(looked)
}

/// The newest good backup whose snapshot is not younger than the failure. What a
/// log names is held against it, since more people may write logs than backups.
///
/// # Errors
/// When the store cannot be read.
pub async fn newest_before<'c>(
    store: &dyn Store,
    layout: &Layout,
    catalog: &'c Catalog,
    failed_at: DateTime<Utc>,
) -> Result<Option<&'c Entry>, CatalogError> {
    let records = drill::read(store, layout, &catalog.drills).await?.records;
    let marks = drill::marks(&records, Clock::system().now());
    let newest = newest(store, layout, catalog, &marks, failed_at).await?;
    Ok(newest.backup.map(|(entry, _)| entry))
}

/// What a catalog says of the time before a failure.
#[derive(Default)]
struct Newest<'c> {
    backup: Option<(&'c Entry, Manifest)>,
    legacy: Option<BackupId>,
    unusable: Vec<BackupId>,
    condemned: Vec<Condemned>,
    newer: u64,
}

async fn newest<'c>(
    store: &dyn Store,
    layout: &Layout,
    catalog: &'c Catalog,
    marks: &Marks,
    failed_at: DateTime<Utc>,
) -> Result<Newest<'c>, CatalogError> {
    let newer = catalog.good().filter(|entry| entry.time() > failed_at).count() as u64;
    let mut newest = Newest { newer, ..Newest::default() };
    let mut before: Vec<_> =
        catalog.entries.iter().filter(|entry| entry.time() <= failed_at).collect();
    before.sort_by_key(|entry| std::cmp::Reverse((entry.time(), entry.id)));
    for entry in before {
        match entry.state {
            State::Good => {}
            State::Damaged | State::Broken => {
                newest.unusable.push(entry.id);
                continue;
            }
            State::Legacy if newest.legacy.is_none() => {
                newest.legacy = Some(entry.id);
                continue;
            }
            _ => continue,
        }
        match catalog::read_manifest(store, layout, catalog, entry.kind, entry.id).await {
            // The id is when it began; what was damaged in between is in it.
            Ok(manifest) if manifest.source.snapshot_at > failed_at => newest.newer += 1,
            Ok(manifest) => {
                let Some(reason) = drill::condemned(entry, marks) else {
                    newest.backup = Some((entry, manifest));
                    break;
                };
                newest.condemned.push(Condemned { id: entry.id, kind: entry.kind, reason });
            }
            Err(CatalogError::Store(error)) => return Err(error.into()),
            Err(_) => newest.unusable.push(entry.id),
        }
    }
    Ok(newest)
}

fn why_none(catalog: &Catalog, looked: &Looked, failed_at: DateTime<Utc>) -> String {
    if let Some(condemned) = looked.condemned.first() {
        return format!(
            "{} began before it, and did not come back in its drill ({}); `reliquary restore {}` \
             takes it all the same",
            condemned.id,
            condemned.reason,
            condemned.named()
        );
    }
    match Query::At(failed_at).find(catalog) {
        Err(error) => error.to_string(),
        Ok(entry) if looked.unusable.contains(&entry.id) => {
            format!("{} began before it, and its manifest cannot be used", entry.id)
        }
        Ok(entry) => format!("{} began before it, and its snapshot was taken after it", entry.id),
    }
}

/// How long the restore of so many bytes of archive will take, by the newest
/// drill that passed; `None` where none has.
#[must_use]
pub fn expected(records: &[Record], archive_bytes: u64) -> Option<Expected> {
    let timed = records
        .iter()
        .filter(|record| record.verdict == DrillVerdict::Passed)
        .filter_map(|record| Some((record, record.restore_seconds?)))
        .filter(|(record, _)| record.backup.archive_bytes > 0);
    let (record, drill_seconds) = timed.max_by_key(|(record, _)| record.id)?;
    let drill_bytes = record.backup.archive_bytes;
    // By the share: for the same archive it is exactly what the drill took.
    let seconds = drill_seconds * (archive_bytes as f64 / drill_bytes as f64);
    Some(Expected { seconds, drill: record.id, drill_seconds, drill_bytes })
}
