//! The last writes of a backup: checksum file, confirmation, manifest.

use bytes::Bytes;

use super::{BackupError, already_there, is_absent};
use crate::{
    archive::{
        Checksum, Manifest,
        manifest::{self, Archive},
    },
    catalog::{BackupId, Key, Layout},
    store::{Created, Store},
    words::Stage,
};

/// Writes `<archive>.sha256`.
pub(super) async fn put_checksum(
    store: &dyn Store,
    layout: &Layout,
    manifest: &Manifest,
    id: BackupId,
) -> Result<(), BackupError> {
    let sha256 = manifest.archive.sha256.clone();
    let checksum = Checksum { sha256, file: Layout::file_name(id) };
    let key = layout.key(Key::Checksum(manifest.kind, id));
    write_once(store, &key, Bytes::from(checksum.to_string()), Stage::Checksum).await
}

/// Asks the store whether it holds the archive as it was sent.
pub(super) async fn confirm(store: &dyn Store, archive: &Archive) -> Result<(), BackupError> {
    let found = store.head(&archive.key).await.map_err(BackupError::store(Stage::Confirm))?;
    let size = found.map(|object| object.size);
    if size == Some(archive.bytes) {
        return Ok(());
    }
    let holds = size.map_or("nothing".to_owned(), |size| format!("{size} bytes"));
    let uri = store.uri(&archive.key);
    let message =
        format!("confirm {uri}: {} bytes were sent, the store holds {holds}", archive.bytes);
    Err(BackupError::new(Stage::Confirm, true, &message))
}

/// Writes the manifest.
pub(super) async fn commit(
    store: &dyn Store,
    layout: &Layout,
    manifest: &Manifest,
    id: BackupId,
) -> Result<(), BackupError> {
    let key = layout.key(Key::Manifest(manifest.kind, id));
    let bytes =
        manifest.to_bytes().map_err(|error| BackupError::new(Stage::Commit, false, &error))?;
    write_once(store, &key, Bytes::from(bytes), Stage::Commit).await
}

/// Whether the store holds this very manifest; false where it cannot be asked.
pub(super) async fn stands(store: &dyn Store, layout: &Layout, manifest: &Manifest) -> bool {
    let Ok(id) = manifest.id.parse() else { return false };
    let key = layout.key(Key::Manifest(manifest.kind, id));
    let stored = store.get(&key, manifest::LIMIT).await;
    matches!((stored, manifest.to_bytes()), (Ok(stored), Ok(bytes)) if stored == bytes)
}

/// Writes a small object under a key that nothing else may have. Whatever the
/// store answers, what counts is what it holds afterwards.
async fn write_once(
    store: &dyn Store,
    key: &str,
    bytes: Bytes,
    stage: Stage,
) -> Result<(), BackupError> {
    let answer = store.put_if_absent(key, bytes.clone()).await;
    if matches!(answer, Ok(Created::Yes)) {
        return Ok(());
    }
    // Written and not confirmed, or another's: the object itself decides.
    let failed = match (store.get(key, manifest::LIMIT).await, answer) {
        (Ok(stored), _) if stored == bytes => return Ok(()),
        (Ok(_), _) => return Err(already_there(stage, &store.uri(key))),
        (Err(error), Err(answer)) if is_absent(&error) => answer,
        (Err(error), _) => error,
    };
    Err(BackupError::store(stage)(failed))
}
