//! Reads the catalog from a store, and moves the pointer.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};

use super::{
    id::BackupId,
    key::{Key, Layout},
    known::small,
    listing::{Catalog, Entry, State},
    pointer::{Pointer, Stored, next},
    sort::{Inventory, Sorter},
};
use crate::{
    archive::{
        Manifest, ManifestError,
        manifest::{self, Kind},
    },
    clock,
    store::{ErrorKind, Store, StoreError},
    visible::visible,
};

/// Enough of an archive to read the comment in its first member's header, in bytes.
const HEADER: u64 = 128;

/// Headers read at once.
const AT_ONCE: usize = 16;

/// The catalog could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A manifest cannot be read.
    #[error("{0}: {1}")]
    Manifest(String, ManifestError),
    /// A manifest stands under another backup's key.
    #[error("{uri}: it is the manifest of {}", visible(.found))]
    Misplaced {
        /// The manifest's address.
        uri: String,
        /// The archive that it describes.
        found: String,
    },
    /// A manifest and its archive do not belong together.
    #[error("{key}: the manifest says {expected} bytes, the archive has {found}")]
    Size {
        /// The archive's key.
        key: String,
        /// What the manifest says, in bytes.
        expected: u64,
        /// What the listing says, in bytes.
        found: u64,
    },
}

/// Lists a database's prefix: one request for each thousand keys, and one for
/// each archive that might be an unfinished one of ours.
///
/// # Errors
/// When any request fails; a partial catalog is never returned.
pub async fn read(store: &dyn Store, layout: &Layout) -> Result<Catalog, CatalogError> {
    Ok(inventory(store, layout).await?.catalog)
}

/// The same, with every object of each entry and the keys that are not ours.
/// Pages are sorted as they come, so that what is held is the entries and not
/// their keys.
///
/// # Errors
/// When any request fails; a partial inventory is never returned.
pub async fn inventory(store: &dyn Store, layout: &Layout) -> Result<Inventory, CatalogError> {
    let mut sorter = Sorter::new(layout);
    let mut next: Option<String> = None;
    loop {
        let page = store.list_page(layout.prefix(), next.as_deref()).await?;
        for object in &page.objects {
            sorter.take(object);
        }
        match page.next {
            Some(token) => next = Some(token),
            None => break,
        }
    }
    let mut inventory = sorter.finish();
    let catalog = &mut inventory.catalog;
    let unclear: Vec<usize> = (0..catalog.entries.len())
        .filter(|&at| catalog.entries[at].state == State::Unclear)
        .collect();
    let states: Vec<(usize, State)> = futures::stream::iter(unclear)
        .map(|at| {
            let entry = &catalog.entries[at];
            let key = layout.key(Key::Archive(entry.kind, entry.id));
            let end = entry.archive_bytes.min(HEADER);
            async move { Ok::<_, StoreError>((at, settle(store, &key, end).await?)) }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    for (at, state) in states {
        catalog.entries[at].state = state;
    }
    Ok(inventory)
}

/// Whether an archive with a checksum file and without a manifest is ours.
///
/// One that was removed since it was listed is debris: it counts for nothing,
/// and must not keep anybody from what the others hold.
async fn settle(store: &dyn Store, key: &str, end: u64) -> Result<State, StoreError> {
    let header = match beginning(store, key, end).await {
        Ok(header) => header,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(State::Debris),
        Err(error) => return Err(error),
    };
    let ours = crate::archive::comment(&header)
        .is_some_and(|comment| comment.starts_with(manifest::FORMAT));
    Ok(if ours { State::Debris } else { State::Legacy })
}

/// The first `end` bytes of an object.
async fn beginning(store: &dyn Store, key: &str, end: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    if end > 0 {
        let mut stream = store.get_range(key, 0, end).await?;
        while let Some(piece) = stream.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
    }
    Ok(bytes)
}

/// Reads the manifest of a backup and holds it against the listing.
///
/// # Errors
/// When it cannot be read, when it is another backup's, or when the archive's
/// size is not what it says.
pub async fn read_manifest(
    store: &dyn Store,
    layout: &Layout,
    catalog: &Catalog,
    kind: Kind,
    id: BackupId,
) -> Result<Manifest, CatalogError> {
    let manifest = own_manifest(store, layout, kind, id).await?;
    let found = catalog.get(kind, id).map_or(0, |entry| entry.archive_bytes);
    if manifest.archive.bytes != found {
        let expected = manifest.archive.bytes;
        return Err(CatalogError::Size { key: manifest.archive.key, expected, found });
    }
    Ok(manifest)
}

/// Reads the manifest of a backup, whatever its archive is.
pub(super) async fn own_manifest(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
) -> Result<Manifest, CatalogError> {
    let key = layout.key(Key::Manifest(kind, id));
    let bytes = store.get(&key, manifest::LIMIT).await?;
    let manifest =
        Manifest::parse(&bytes).map_err(|error| CatalogError::Manifest(store.uri(&key), error))?;
    let archive = layout.key(Key::Archive(kind, id));
    if (&*manifest.id, manifest.kind, &*manifest.archive.key) != (&*id.to_string(), kind, &*archive)
    {
        let found = manifest.archive.key;
        return Err(CatalogError::Misplaced { uri: store.uri(&key), found });
    }
    Ok(manifest)
}

/// Makes the pointer name the newest good scheduled backup, where it does not
/// already. Returns what it was moved to. It stays with a newer one than `newest`,
/// unless that is dated in the future.
///
/// # Errors
/// When the store fails; the pointer may then be torn, and the next call puts it right.
pub async fn advance_pointer(
    store: &dyn Store,
    layout: &Layout,
    catalog: &Catalog,
    newest: &Manifest,
    now: DateTime<Utc>,
) -> Result<Option<Pointer>, StoreError> {
    let Ok(id) = newest.id.parse() else { return Ok(None) };
    let stored = Stored {
        text: small(store, &layout.key(Key::PointerText)).await?,
        checksum: small(store, &layout.key(Key::PointerChecksum)).await?,
    };
    let uri = store.uri(&newest.archive.key);
    let newest = Pointer { id, uri, sha256: newest.archive.sha256.clone() };
    let ahead = ahead(store, layout, catalog, &stored, id, now).await?;
    let exists = |id: BackupId| ahead == Some(id);
    let Some(pointer) = next(&stored, &newest, exists) else { return Ok(None) };
    let checksum = Bytes::from(pointer.checksum().to_string());
    store.put(&layout.key(Key::PointerChecksum), checksum).await?;
    store.put(&layout.key(Key::PointerText), Bytes::from(pointer.to_string())).await?;
    Ok(Some(pointer))
}

/// The backup that the pointer names, where it is newer than `newest` and there.
///
/// Another process may have committed it since the catalog was listed; so what
/// the catalog does not know is asked for, lest the pointer move back.
async fn ahead(
    store: &dyn Store,
    layout: &Layout,
    catalog: &Catalog,
    stored: &Stored,
    newest: BackupId,
    now: DateTime<Utc>,
) -> Result<Option<BackupId>, StoreError> {
    let named = stored.text.as_deref().and_then(|text| Pointer::parse(text).ok());
    let Some(id) = named.map(|pointer| pointer.id).filter(|id| *id > newest) else {
        return Ok(None);
    };
    let entry = match catalog.get(Kind::Scheduled, id) {
        Some(entry) => Some(entry.clone()),
        None => {
            store.head(&layout.key(Key::Archive(Kind::Scheduled, id))).await?.map(|object| Entry {
                id,
                kind: Kind::Scheduled,
                state: State::Good,
                archive_bytes: object.size,
                last_modified: object.last_modified,
                verified: None,
            })
        }
    };
    let counts = |entry: &Entry| {
        // One that a wrong clock has dated ahead holds older data than its id says.
        matches!(entry.state, State::Good | State::Legacy)
            && entry.time() == id.time()
            && entry.time() <= now + clock::TOLERANCE
    };
    Ok(entry.filter(counts).map(|_| id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;

    #[tokio::test]
    async fn an_archive_that_vanished_since_it_was_listed_is_debris() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path().to_owned()).await.unwrap();
        let key = "database/2025/11/2025-11-23T14-00-00Z.sql.gz";
        assert_eq!(settle(&store, key, HEADER).await.unwrap(), State::Debris);
    }
}
