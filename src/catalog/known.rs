//! What small objects say of an archive's SHA-256: its checksum file, and the pointer.

use super::{
    id::BackupId,
    key::{Key, Layout},
    pointer::Pointer,
};
use crate::{
    archive::{Checksum, leading_sha256, manifest::Kind},
    store::{ErrorKind, Store, StoreError},
};

/// Such an object is a few lines; whatever is longer is torn, in bytes.
const LIMIT: u64 = 4096;

/// A checksum file that is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableChecksum {
    /// It is none.
    #[error(transparent)]
    Malformed(#[from] crate::archive::ChecksumError),
    /// It is another archive's.
    #[error("it is for {found:?}, and should be for {expected:?}")]
    OfAnother {
        /// The archive's name.
        expected: String,
        /// The name it holds.
        found: String,
    },
}

/// The SHA-256 that an archive's checksum file holds; `None` where there is no
/// such file.
///
/// # Errors
/// When the store fails. The inner error says that the file is of no use.
pub async fn checksum_file(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
) -> Result<Option<Result<String, UnusableChecksum>>, StoreError> {
    let Some(text) = small(store, &layout.key(Key::Checksum(kind, id))).await? else {
        return Ok(None);
    };
    let expected = Layout::file_name(id);
    Ok(Some(match Checksum::parse(&text) {
        Ok(checksum) if checksum.file == expected => Ok(checksum.sha256),
        Ok(Checksum { file: found, .. }) => Err(UnusableChecksum::OfAnother { expected, found }),
        Err(error) => Err(error.into()),
    }))
}

/// The SHA-256 that is known of an archive without a manifest: what its checksum
/// file begins with, in whichever form some tool wrote it, or else what the
/// pointer says. `None` where nothing is known.
///
/// # Errors
/// When the store fails.
pub async fn legacy_sha256(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
) -> Result<Option<String>, StoreError> {
    let text = small(store, &layout.key(Key::Checksum(kind, id))).await?;
    match text.as_deref().and_then(leading_sha256) {
        Some(sha256) => Ok(Some(sha256)),
        None => pointed_sha256(store, layout, kind, id).await,
    }
}

/// The SHA-256 that the pointer holds of an archive, where it names that one.
async fn pointed_sha256(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
) -> Result<Option<String>, StoreError> {
    if kind != Kind::Scheduled {
        return Ok(None);
    }
    if let Some(text) = small(store, &layout.key(Key::PointerText)).await?
        && let Ok(pointer) = Pointer::parse(&text)
        && pointer.id == id
    {
        return Ok(Some(pointer.sha256));
    }
    let text = small(store, &layout.key(Key::PointerChecksum)).await?;
    let checksum = text.and_then(|text| Checksum::parse(&text).ok());
    let of_this = checksum.filter(|checksum| checksum.file == Layout::file_name(id));
    Ok(of_this.map(|checksum| checksum.sha256))
}

/// A small object's text; `None` where there is none, nothing where it is too long.
pub(super) async fn small(store: &dyn Store, key: &str) -> Result<Option<String>, StoreError> {
    match store.get(key, LIMIT).await {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind == ErrorKind::TooLarge => Ok(Some(String::new())),
        Err(error) => Err(error),
    }
}
