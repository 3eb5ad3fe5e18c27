//! Reads what earlier backups measured, once after a start.
//!
//! A listing tells sizes, and only manifests tell rows and how long a backup
//! took. So one manifest a day is read, thirty at most however many backups
//! there are, one after another and behind everything else; what is made from
//! here on is remembered as it is made. Nothing depends on it but a picture.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use tokio_util::sync::CancellationToken;

use super::survey::size;
use crate::{
    archive::manifest::{self, Kind, Manifest},
    catalog::{BackupId, Key, Layout},
    state::{DatabaseState, State},
    store::{ErrorKind, Store},
    words::Worth,
};

/// Days that are asked for.
const DAYS: usize = 30;

/// Waits for the first listing, then reads, until `cancel` is cancelled.
pub async fn recall(
    store: Arc<dyn Store>,
    layout: Layout,
    state: State,
    name: String,
    cancel: CancellationToken,
) {
    let read = async {
        let mut changes = state.changes();
        let known = loop {
            match state.database(&name) {
                None => return,
                Some(known) if known.catalog.is_some() => break known,
                Some(_) => {}
            }
            if changes.changed().await.is_err() {
                return;
            }
        };
        for (kind, id) in wanted(&known) {
            match measure(store.as_ref(), &layout, kind, id).await {
                Ok(Some(manifest)) => {
                    let (time, size) = (manifest.started, size(&manifest));
                    state.update(&name, |database| database.measured(time, size));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(database = name, %error, "earlier backups are not measured");
                    return;
                }
            }
        }
    };
    cancel.run_until_cancelled(read).await;
}

/// The newest good backup of each day, the newest day first, but for those
/// that are known.
fn wanted(known: &DatabaseState) -> Vec<(Kind, BackupId)> {
    let mut days: BTreeMap<NaiveDate, (DateTime<Utc>, Kind, BackupId)> = BTreeMap::new();
    for (hour, stored) in known.stored.iter() {
        let (Worth::Good, Ok(id)) = (stored.worth, stored.id.parse()) else { continue };
        let kind = if stored.manual { Kind::Manual } else { Kind::Scheduled };
        days.insert(hour.date_naive(), (stored.time, kind, id));
    }
    let newest = days.into_values().rev().take(DAYS);
    newest
        .filter(|(time, ..)| known.measures.get(*time).is_none())
        .map(|(_, kind, id)| (kind, id))
        .collect()
}

/// A manifest; `None` where it is gone or cannot be read, which others tell of.
async fn measure(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
) -> Result<Option<Manifest>, crate::store::StoreError> {
    match store.get(&layout.key(Key::Manifest(kind, id)), manifest::LIMIT).await {
        Ok(bytes) => Ok(Manifest::parse(&bytes).ok().filter(|read| read.id == id.to_string())),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::TooLarge) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use chrono::TimeDelta;

    use super::*;
    use crate::{
        catalog::{Catalog, Entry, State as Found},
        clock::Clock,
        jobs::survey::tell,
        store::LocalStore,
    };

    fn at(hour: i64) -> DateTime<Utc> {
        let start: DateTime<Utc> = "2026-11-01T00:00:00Z".parse().unwrap();
        start + TimeDelta::hours(hour)
    }

    /// The golden manifest, as if it were of another time.
    fn text(id: BackupId, rows: u64) -> Bytes {
        let golden = include_bytes!("../../tests/fixtures/manifests/0.1.0.json");
        let mut manifest: serde_json::Value = serde_json::from_slice(golden).unwrap();
        manifest["id"] = id.to_string().into();
        manifest["rows"] = rows.into();
        manifest["started"] = crate::rfc3339::format(id.time()).into();
        serde_json::to_vec(&manifest).unwrap().into()
    }

    #[tokio::test]
    async fn one_manifest_a_day_is_read_and_one_that_is_broken_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).await.unwrap();
        let (layout, mut catalog) = (Layout::new("x/"), Catalog::default());
        for hour in 0..60 {
            let id = BackupId::at(at(hour));
            catalog.add(Entry {
                id,
                kind: Kind::Scheduled,
                state: Found::Good,
                archive_bytes: 1,
                last_modified: at(hour),
                verified: None,
            });
            let body =
                if hour == 47 { Bytes::from("{") } else { text(id, u64::try_from(hour).unwrap()) };
            store.put(&layout.key(Key::Manifest(Kind::Scheduled, id)), body).await.unwrap();
        }
        let clock = Clock::manual(at(60));
        let state = State::new(clock, at(60), "0.1.0");
        state.add(DatabaseState::new("main", "x/", "0 0 * * * *", Duration::from_hours(2)));
        let store: Arc<dyn Store> = Arc::new(store);
        let task =
            recall(store, layout, state.clone(), "main".to_owned(), CancellationToken::new());
        let task = tokio::spawn(task);
        // It waits for the first listing, however late that comes.
        tokio::task::yield_now().await;
        tell(&state, "main", &catalog, None);
        task.await.unwrap();
        let known = state.database("main").unwrap();
        let rows: Vec<u64> = known.measures.iter().map(|(_, one)| one.size.rows).collect();
        assert_eq!(rows, [23, 59]);
    }
}
