//! Decides what stays and what goes. Removes nothing.

use chrono::{DateTime, Utc};

use super::{Decided, SweepError};
use crate::{
    catalog::{self, Catalog, CatalogError, Key, Layout, State},
    drill,
    jobs::Environment,
    retention::{self, Drilled, Policy, Refusal},
    settings::DatabaseSettings,
    state::Progress,
    store::{ErrorKind, Store, StoreError, UnfinishedUpload},
    words::Stage,
};

/// Decides on everything under one database's prefix. `more_than_half` says
/// that a person wants even more than half of the good backups to go.
///
/// # Errors
/// When nothing can be decided: the clock or the listing is not to be trusted, or
/// nobody knows which backups are proven.
/// A plan that must not be carried out is [`Decided::refusal`] instead, so that
/// it can be looked at.
pub async fn decide(
    environment: &Environment,
    settings: &DatabaseSettings,
    layout: &Layout,
    more_than_half: bool,
    progress: &Progress,
) -> Result<Decided, SweepError> {
    let store = environment.store.as_ref();
    let policy = Policy::of(settings);
    progress.enter(Stage::Plan);
    let stores = store
        .server_time()
        .await
        .map_err(|error| SweepError::Refused(Refusal::ClockUnknown(error.to_string())))?;
    let now = environment.clock.now();
    retention::check_clock(now, stores).map_err(SweepError::Refused)?;

    progress.enter(Stage::Catalog);
    let listing =
        |error: &dyn std::fmt::Display| SweepError::Refused(Refusal::Listing(error.to_string()));
    let mut inventory = catalog::inventory(store, layout).await.map_err(|error| listing(&error))?;
    let (uploads, uploads_unknown) =
        uploads(store, layout).await.map_err(|error| listing(&error))?;

    progress.enter(Stage::Plan);
    let read = drill::read(store, layout, &inventory.catalog.drills)
        .await
        .map_err(|error| SweepError::Refused(Refusal::DrillsUnreadable(error.to_string())))?;
    let drilled = drill::marks(&read.records, now);
    let stale_before = now - chrono::TimeDelta::from_std(settings.stale_after).unwrap_or_default();
    let readable = read_newest(store, layout, &mut inventory.catalog, &drilled, stale_before).await;
    let entries = &inventory.catalog.entries;
    let mut plan = retention::plan(entries, &drilled, &policy, now);
    for unknown in &read.unknown {
        plan.keep_what_was_there(unknown.id, entries, &drilled);
    }
    let drills_unknown = read.warning();
    let debris = retention::debris(&inventory, uploads, layout, &policy, stores);
    let (lost, stale) = (debris.archives(), settings.stale_after);
    let checked = retention::check(entries, &plan, lost, stale, more_than_half, now);
    let refusal = readable.and(checked).err();
    Ok(Decided { inventory, policy, plan, debris, uploads_unknown, drills_unknown, now, refusal })
}

/// Unfinished uploads, or why a store that answers will not list them: then
/// they are left alone, and the rest need not wait for them.
async fn uploads(
    store: &dyn Store,
    layout: &Layout,
) -> Result<(Vec<UnfinishedUpload>, Option<StoreError>), StoreError> {
    match store.unfinished_uploads(layout.prefix()).await {
        Ok(uploads) => Ok((uploads, None)),
        Err(error) if matches!(error.kind, ErrorKind::Denied(_) | ErrorKind::Other) => {
            Ok((Vec::new(), Some(error)))
        }
        Err(error) => Err(error),
    }
}

/// Reads the newest good backup's manifest and looks at its archive, since
/// everything that goes relies on it. One that cannot be trusted counts for
/// nothing, as if it were damaged, and the next one is looked at, as long as
/// there is one that is not stale.
async fn read_newest(
    store: &dyn Store,
    layout: &Layout,
    catalog: &mut Catalog,
    drilled: &Drilled,
    stale_before: DateTime<Utc>,
) -> Result<(), Refusal> {
    loop {
        // One that did not come back in a drill is nothing to rely on.
        let newest = drill::newest_good(catalog, drilled, None).entry;
        let Some((kind, id)) =
            newest.filter(|entry| entry.time() >= stale_before).map(|entry| (entry.kind, entry.id))
        else {
            return Ok(());
        };
        let unreadable =
            |error: &StoreError| Refusal::NewestUnreadable { id, error: error.to_string() };
        match catalog::read_manifest(store, layout, catalog, kind, id).await {
            Ok(manifest) => {
                let head = store.head(&layout.key(Key::Archive(kind, id))).await;
                let found = head.map_err(|error| unreadable(&error))?;
                if found.is_some_and(|found| found.size == manifest.archive.bytes) {
                    return Ok(());
                }
                tracing::error!(backup = %id, "a backup's archive is not what was listed");
            }
            Err(CatalogError::Store(error)) if error.kind == ErrorKind::NotFound => {}
            Err(CatalogError::Store(error)) => return Err(unreadable(&error)),
            Err(error) => tracing::error!(backup = %id, %error, "a backup cannot be trusted"),
        }
        for entry in &mut catalog.entries {
            if (entry.kind, entry.id) == (kind, id) {
                entry.state = State::Damaged;
            }
        }
    }
}
