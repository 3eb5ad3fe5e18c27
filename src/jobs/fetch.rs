//! Downloads an archive under its own name, with its checksum file, and goes on
//! where an earlier download broke off.
//!
//! What has come stands in a file whose name says which archive it belongs to,
//! so that it can never be continued with another one's bytes. The final name
//! appears only when the SHA-256 of the whole file is right.

mod partial;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use self::partial::Partial;
use crate::{
    archive::{Checksum, Finding, Lost, Verifier, leading_sha256},
    catalog::{
        self, BackupId, Catalog, CatalogError, Entry, Key, Layout, Remains, State, legacy_sha256,
        remains,
    },
    state::Progress,
    store::{Patience, Store, StoreError, read_on},
};

/// How much of a file is read at once to check it, in bytes.
const READ_SIZE: usize = 1024 * 1024;

/// What is fetched, and where to.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What the bucket holds.
    pub catalog: &'a Catalog,
    /// The backup or legacy archive.
    pub entry: &'a Entry,
    /// The final name.
    pub file: PathBuf,
    /// Whether a different file of that name may be replaced.
    pub force: bool,
    /// Whether the bytes are wanted as they are, although they are not what was stored.
    pub damaged: bool,
    /// How long the store is asked for what it does not give.
    pub patience: Patience,
}

/// An archive that is there, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Which one.
    pub id: BackupId,
    /// Where it is.
    pub file: PathBuf,
    /// Its checksum file.
    pub checksum_file: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Whether that is what it was when it was made; a legacy archive may have
    /// nothing to be held against but its own gzip.
    pub known: bool,
    /// How many bytes were there before, in bytes.
    pub had: u64,
    /// Where the bytes are not what was stored: the SHA-256 that was.
    pub was: Option<String>,
}

/// An archive that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is known of the backup cannot be trusted.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The manifest holds something else where the SHA-256 should be.
    #[error(
        "the manifest of {0} holds no SHA-256; `reliquary verify {0}` says what else is wrong with it"
    )]
    NoSha256(BackupId),
    /// The disk failed.
    #[error("{what} {}: {error}{}", .path.display(), advice(.error))]
    Disk {
        /// What was tried: `write`.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// Another file has the name.
    #[error(
        "{} is there already, and is another file; --force replaces it", .0.display()
    )]
    Exists(PathBuf),
    /// A file has the name of a legacy archive of which no checksum is known.
    #[error(
        "{} is there already, and no checksum is known that tells whether it is the same; \
         --force replaces it", .0.display()
    )]
    Untold(PathBuf),
    /// Another process is at it.
    #[error("another fetch is writing {}", .0.display())]
    Busy(PathBuf),
    /// The bytes are wrong.
    #[error(
        "the bytes of {id} have the SHA-256 {found}, and should have {expected}; they were thrown \
         away: `reliquary verify {id}` says whether the archive is damaged, and --damaged keeps \
         them as they are"
    )]
    Different {
        /// Which archive.
        id: BackupId,
        /// What its SHA-256 was when it was made.
        expected: String,
        /// What that of the bytes is.
        found: String,
    },
    /// A legacy archive without a checksum is no gzip.
    #[error("the legacy archive {0} is damaged, and was thrown away: {1}")]
    Damaged(BackupId, Box<Finding>),
    /// A thread broke down.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It was told to stop. What has come is kept.
    #[error("the fetch was told to stop")]
    Cancelled,
}

/// What a person should do about an error of the disk.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room, and run the same again: it goes on where it stopped"
        }
        io::ErrorKind::NotFound => "; the folder that it goes to must be there",
        _ => "",
    }
}

/// What is known of an archive before it is fetched.
struct Expected {
    id: BackupId,
    /// When the store last wrote to it, in seconds since 1970.
    written: i64,
    key: String,
    bytes: u64,
    sha256: Option<String>,
}

/// Fetches an archive. Nothing is transferred where it is there already.
///
/// # Errors
/// When it cannot be fetched whole, or is not what it was. What has come is
/// kept for the next time, unless it is wrong.
pub async fn run(
    store: &Arc<dyn Store>,
    layout: &Layout,
    request: &Request<'_>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Fetched, FetchError> {
    let (id, file) = (request.entry.id, &request.file);
    let expected = expected(store.as_ref(), layout, request).await?;
    if file.try_exists().map_err(disk("look at", file))? {
        let (bytes, sha256) = partial::hash_of(file.clone()).await?;
        if expected.sha256.as_ref() == Some(&sha256) {
            progress.add_archive_bytes(bytes);
            let checksum_file = write_checksum(file, &sha256, request.force)?;
            let file = file.clone();
            let (known, had, was) = (true, bytes, None);
            return Ok(Fetched { id, file, checksum_file, bytes, sha256, known, had, was });
        }
        if !request.force {
            let is_told = expected.sha256.is_some();
            let path = file.clone();
            return Err(if is_told { FetchError::Exists(path) } else { FetchError::Untold(path) });
        }
    }
    if let Some(sha256) = expected.sha256.as_ref().filter(|_| !request.damaged) {
        // Said before anything is transferred.
        checksum_of(file, sha256, request.force)?;
    }
    let mut partial = Partial::open(file, &expected).await?;
    let had = partial.length();
    progress.add_archive_bytes(had);
    let mut stream =
        read_on(Arc::clone(store), &expected.key, had, expected.bytes, request.patience);
    loop {
        let piece = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(FetchError::Cancelled),
            piece = stream.try_next() => piece.map_err(FetchError::from),
        };
        match piece {
            Ok(Some(piece)) => {
                progress.add_archive_bytes(piece.len() as u64);
                partial.write(piece).await?;
            }
            Ok(None) => break,
            Err(error) => {
                partial.keep().await?;
                return Err(error);
            }
        }
    }
    let (path, sha256) = partial.finish().await?;
    let known = expected.sha256.is_some();
    let was = expected.sha256.filter(|expected| *expected != sha256);
    if let Some(expected) = was.clone().filter(|_| !request.damaged) {
        remove(&path)?;
        return Err(FetchError::Different { id, expected, found: sha256 });
    }
    if !known
        && !request.damaged
        && let Some(finding) = test_gzip(&path).await?
    {
        remove(&path)?;
        return Err(FetchError::Damaged(id, Box::new(finding)));
    }
    checksum_of(file, &sha256, request.force)?;
    name(&path, file, request.force)?;
    let checksum_file = write_checksum(file, &sha256, request.force)?;
    let file = file.clone();
    Ok(Fetched { id, file, checksum_file, bytes: expected.bytes, sha256, known, had, was })
}

async fn expected(
    store: &dyn Store,
    layout: &Layout,
    request: &Request<'_>,
) -> Result<Expected, FetchError> {
    let Entry { kind, id, state, archive_bytes, last_modified, .. } = *request.entry;
    let written = last_modified.timestamp();
    let key = layout.key(Key::Archive(kind, id));
    if request.damaged
        && let Remains::Members(manifest) = remains(store, layout, kind, id).await?
    {
        let sha256 = leading_sha256(&manifest.archive.sha256);
        return Ok(Expected { id, written, key, bytes: archive_bytes, sha256 });
    }
    if state == State::Good && !request.damaged {
        let manifest = catalog::read_manifest(store, layout, request.catalog, kind, id).await?;
        // It becomes part of a file's name.
        let sha256 = leading_sha256(&manifest.archive.sha256)
            .filter(|sha256| *sha256 == manifest.archive.sha256);
        let sha256 = Some(sha256.ok_or(FetchError::NoSha256(id))?);
        return Ok(Expected { id, written, key, bytes: manifest.archive.bytes, sha256 });
    }
    let sha256 = legacy_sha256(store, layout, kind, id).await?;
    Ok(Expected { id, written, key, bytes: archive_bytes, sha256 })
}

/// What is wrong with a legacy archive of which no checksum is known.
async fn test_gzip(path: &Path) -> Result<Option<Finding>, FetchError> {
    use tokio::io::AsyncReadExt as _;
    let mut file = tokio::fs::File::open(path).await.map_err(disk("read", path))?;
    let mut verifier = Verifier::of_legacy(None);
    loop {
        let mut piece = bytes::BytesMut::with_capacity(READ_SIZE);
        if file.read_buf(&mut piece).await.map_err(disk("read", path))? == 0 {
            return Ok(verifier.finish().await?.findings.into_iter().next());
        }
        verifier.push(piece.freeze()).await?;
    }
}

/// The file that `sha256sum -c` reads in the file's folder, and its line. A
/// person's own file of that name is left as it is.
fn checksum_of(file: &Path, sha256: &str, force: bool) -> Result<(PathBuf, String), FetchError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = partial::beside(file, ".sha256");
    let line = Checksum { sha256: sha256.to_owned(), file: name }.to_string();
    match std::fs::read(&path) {
        Ok(there) if there != line.as_bytes() && !force => Err(FetchError::Exists(path)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk("read", &path)(error)),
        _ => Ok((path, line)),
    }
}

/// Writes the checksum file, whole or not at all.
fn write_checksum(file: &Path, sha256: &str, force: bool) -> Result<PathBuf, FetchError> {
    let (path, line) = checksum_of(file, sha256, force)?;
    let staged = partial::beside(&path, ".partial");
    std::fs::write(&staged, line).map_err(disk("write", &staged))?;
    std::fs::rename(&staged, &path).map_err(disk("rename to", &path))?;
    Ok(path)
}

/// Gives what was fetched its name. A file that has come there meanwhile is not
/// replaced.
fn name(partial: &Path, file: &Path, force: bool) -> Result<(), FetchError> {
    if !force {
        match std::fs::hard_link(partial, file) {
            Ok(()) => return remove(partial),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(FetchError::Exists(file.to_owned()));
            }
            // A file system without hard links.
            Err(_) => {}
        }
    }
    std::fs::rename(partial, file).map_err(disk("rename to", file))
}

fn remove(path: &Path) -> Result<(), FetchError> {
    std::fs::remove_file(path).map_err(disk("remove", path))
}

fn disk(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |error| FetchError::Disk { what, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_s_files_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (file, sums) = (path("x.sql.gz"), path("x.sql.gz.sha256"));
        std::fs::write(&sums, "mine").unwrap();
        let refused = write_checksum(&file, "00", false).unwrap_err();
        assert!(matches!(refused, FetchError::Exists(path) if path == sums));
        assert_eq!(std::fs::read_to_string(&sums).unwrap(), "mine");
        write_checksum(&file, "00", true).unwrap();
        assert_eq!(std::fs::read_to_string(&sums).unwrap(), "00  x.sql.gz\n");

        std::fs::write(path("fetched"), "theirs").unwrap();
        std::fs::write(&file, "mine").unwrap();
        let refused = name(&path("fetched"), &file, false).unwrap_err();
        assert!(matches!(refused, FetchError::Exists(_)));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        name(&path("fetched"), &file, true).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "theirs");
    }

    #[test]
    fn a_full_disk_is_said_with_what_to_do() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = disk("write", Path::new("/x.sql.gz"))(full);
        assert_eq!(
            error.to_string(),
            "write /x.sql.gz: no storage space; make room, and run the same again: it goes on \
             where it stopped"
        );
    }
}
