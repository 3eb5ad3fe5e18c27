//! What the newest backup says of the database that it comes from.

use super::{
    id::BackupId,
    key::Layout,
    listing::{Catalog, Entry, State},
    read::{CatalogError, own_manifest},
};
use crate::{archive::manifest::Source, store::Store};

/// How many manifests are tried to be read, from the newest on.
const TRIED: usize = 5;

/// What was found of it.
#[derive(Debug, Default)]
pub struct NewestSource {
    /// What the newest manifest says that could be read.
    pub source: Option<Source>,
    /// The newer ones, and why they could not be.
    pub unread: Vec<(BackupId, CatalogError)>,
}

/// Reads it. Whether the archive is whole is no matter: where the source was, its
/// manifest says all the same.
pub async fn newest_source(store: &dyn Store, layout: &Layout, catalog: &Catalog) -> NewestSource {
    let has_manifest =
        |entry: &&Entry| matches!(entry.state, State::Good | State::Damaged | State::Broken);
    let mut entries: Vec<&Entry> = catalog.entries.iter().filter(has_manifest).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.time(), entry.id)));
    let mut newest = NewestSource::default();
    for entry in entries.into_iter().take(TRIED) {
        match own_manifest(store, layout, entry.kind, entry.id).await {
            Ok(manifest) => {
                newest.source = Some(manifest.source);
                break;
            }
            Err(error) => newest.unread.push((entry.id, error)),
        }
    }
    newest
}
