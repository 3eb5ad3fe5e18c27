//! Looks at what the store holds: at start, and whenever it may have changed.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, hash_map},
};

use chrono::{DateTime, Utc};

use super::{due, recent};
use crate::{
    archive::{Manifest, manifest::Kind},
    catalog::{self, BackupId, Catalog, CatalogError, Entry, Layout, Origin, Others, State},
    clock,
    state::{self, BackupSize, CatalogTotals},
    store::{ErrorKind, Store, StoreError},
};

/// How many backups are looked at to tell whose they are: one of another database
/// between two of ours shows in three.
const LOOK_BACK: usize = 3;

/// How many at most, where another database's are among them.
const LOOK_FURTHER_BACK: usize = 50;

/// Whose backups are, as far as manifests were read: they do not change.
pub type Origins = HashMap<(Kind, BackupId), Origin>;

/// What a look at the store found.
#[derive(Debug)]
pub struct Survey {
    /// What it holds. Backups whose manifest was found to be wrong are not good in it.
    pub catalog: Catalog,
    /// The newest good backup's manifest. What is dated in the future is passed over.
    pub newest: Option<Manifest>,
    /// The newest good scheduled backup's, where that is another one.
    scheduled: Option<Manifest>,
    /// When it looked.
    now: DateTime<Utc>,
}

/// Lists the store and reads the newest manifest. Changes nothing.
///
/// That is one request for each thousand keys and a handful more, however many
/// backups there are. The look goes on to an older manifest only where a newer
/// one cannot be read or does not fit its archive.
///
/// # Errors
/// When the store cannot be listed or read.
pub async fn survey(
    store: &dyn Store,
    layout: &Layout,
    now: DateTime<Utc>,
) -> Result<Survey, CatalogError> {
    let mut catalog = catalog::read(store, layout).await?;
    let newest = newest(store, layout, &mut catalog, |entry| has_come(entry, now)).await?;
    let scheduled = match &newest {
        Some(manifest) if manifest.kind == Kind::Scheduled => None,
        _ => {
            let is_scheduled =
                |entry: &Entry| entry.kind == Kind::Scheduled && has_come(entry, now);
            self::newest(store, layout, &mut catalog, is_scheduled).await?
        }
    };
    Ok(Survey { catalog, newest, scheduled, now })
}

impl Survey {
    /// Tells the newest backups of another database from ours, who is taken for the
    /// newest one's where it is not known. What is dated in the future is passed over.
    /// Manifests are read only where their origin is not `known`.
    ///
    /// # Errors
    /// When the store cannot be read at the moment. A manifest that can never be read
    /// says nothing of whose it is, and is passed over.
    pub async fn tell_apart(
        &mut self,
        store: &dyn Store,
        layout: &Layout,
        ours: Option<&Origin>,
        known: &mut Origins,
    ) -> Result<(), CatalogError> {
        let Some(newest) = &self.newest else { return Ok(()) };
        let newest_origin = Origin::from(&newest.source);
        if let Ok(id) = newest.id.parse() {
            known.insert((newest.kind, id), newest_origin.clone());
        }
        known.retain(|(kind, id), _| self.catalog.get(*kind, *id).is_some());
        let ours = ours.unwrap_or(&newest_origin);
        let mut good: Vec<&Entry> =
            self.catalog.good().filter(|entry| has_come(entry, self.now)).collect();
        good.sort_by_key(|entry| Reverse((entry.time(), entry.id)));
        let mut good = good.into_iter();
        let mut read = Vec::new();
        let (mut served, mut another, mut turned) = (false, false, false);
        for (at, entry) in (1..=LOOK_FURTHER_BACK).zip(good.by_ref()) {
            let (kind, id) = (entry.kind, entry.id);
            if let hash_map::Entry::Vacant(place) = known.entry((kind, id)) {
                match catalog::read_manifest(store, layout, &self.catalog, kind, id).await {
                    Ok(manifest) => drop(place.insert(Origin::from(&manifest.source))),
                    Err(CatalogError::Store(error)) if error.is_transient() => {
                        return Err(error.into());
                    }
                    Err(error) => tracing::warn!(backup = %id, %error, "a manifest is passed over"),
                }
            }
            if let Some(origin) = known.get(&(kind, id)) {
                let is_another = origin.is_another(ours);
                served |= kind == Kind::Scheduled && !is_another;
                another |= is_another;
                turned |= another && !is_another;
                read.push((kind, id, origin.clone()));
            }
            // With one of ours behind one of theirs, all is known that matters.
            if served && at >= LOOK_BACK && (turned || !another) {
                break;
            }
        }
        self.catalog.others = Others::of(&read, good.map(|entry| entry.id), ours);
        Ok(())
    }

    /// Puts the pointer right. Returns whether it is right now, `None` where
    /// there is nothing to point at.
    pub async fn point(
        &self,
        store: &dyn Store,
        layout: &Layout,
    ) -> Option<Result<(), StoreError>> {
        let scheduled = self.scheduled.as_ref();
        let manifest = scheduled.or(self.newest.as_ref().filter(|m| m.kind == Kind::Scheduled))?;
        let moved =
            catalog::advance_pointer(store, layout, &self.catalog, manifest, self.now).await;
        if let Ok(Some(pointer)) = &moved {
            tracing::info!(backup = %pointer.id, "the pointer did not name the newest good backup and was put right");
        }
        Some(moved.map(drop))
    }
}

/// Tells the live state what the store holds.
pub fn tell(state: &state::State, name: &str, catalog: &Catalog, newest: Option<&Manifest>) {
    let last_success = due::last_success(catalog, state.now());
    let (totals, stored) = (totals(catalog), recent::stored(catalog, state.now()));
    let newest_good = recent::newest(catalog, state.now());
    let ahead = catalog.ahead_of(state.now()).map(|entry| entry.id).max();
    let two_sources = catalog.others.two_sources().cloned();
    let reviews = catalog.reviews.iter().map(|(what, id)| (*what, id.time())).collect();
    state.update(name, |database| {
        database.reviews = reviews;
        database.catalog = Some(totals);
        database.stored = stored;
        database.newest = newest_good;
        database.ahead = ahead.map(BackupId::time);
        database.catalog_error = None;
        database.last_success = last_success;
        database.two_sources = two_sources;
        if let Some(manifest) = newest {
            database.last_backup = Some(size(manifest));
            database.measured(manifest.started, size(manifest));
        }
    });
}

/// The measures of a backup.
#[must_use]
pub fn size(manifest: &Manifest) -> BackupSize {
    let took = manifest.finished.signed_duration_since(manifest.started);
    BackupSize {
        archive_bytes: manifest.archive.bytes,
        dump_bytes: manifest.archive.uncompressed_bytes,
        rows: manifest.rows,
        seconds: took.to_std().unwrap_or_default().as_secs_f64(),
    }
}

fn totals(catalog: &Catalog) -> CatalogTotals {
    let totals = catalog.totals();
    CatalogTotals {
        scheduled: totals.scheduled,
        manual: totals.manual,
        legacy: totals.legacy,
        damaged: totals.damaged,
        verified: totals.verified,
        debris: totals.debris,
        foreign: totals.foreign,
        bytes: totals.bytes,
        oldest: totals.oldest.map(BackupId::time),
        newest: totals.newest.map(BackupId::time),
        last_verify: totals.last_verify,
    }
}

/// Whether a backup is not dated in the future.
fn has_come(entry: &Entry, now: DateTime<Utc>) -> bool {
    entry.time() <= now + clock::TOLERANCE
}

/// The manifest of the newest good backup that is wanted. One that cannot be
/// trusted takes its backup out of the good ones.
async fn newest(
    store: &dyn Store,
    layout: &Layout,
    catalog: &mut Catalog,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<Option<Manifest>, CatalogError> {
    let good = catalog.entries.iter().enumerate().filter(|(_, entry)| entry.state == State::Good);
    // However many cannot be trusted, the catalog is gone through once.
    let mut newest: BinaryHeap<_> = good
        .filter(|(_, entry)| wanted(entry))
        .map(|(at, entry)| (entry.time(), entry.id, Reverse(at)))
        .collect();
    while let Some((_, id, Reverse(at))) = newest.pop() {
        let kind = catalog.entries[at].kind;
        match catalog::read_manifest(store, layout, catalog, kind, id).await {
            Ok(manifest) => return Ok(Some(manifest)),
            // It was listed a moment ago, and somebody has removed it since.
            Err(CatalogError::Store(error)) if error.kind == ErrorKind::NotFound => {}
            Err(CatalogError::Store(error)) => return Err(error.into()),
            Err(error) => tracing::error!(backup = %id, %error, "a backup cannot be trusted"),
        }
        catalog.entries[at].state = State::Broken;
    }
    Ok(None)
}
