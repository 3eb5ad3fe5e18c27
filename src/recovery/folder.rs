//! Incidents on this machine: `<dir>/<id>.md`, and beside it the entries that it
//! is made from, `<dir>/<id>/<entry>.json`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use nix::fcntl::{Flock, FlockArg};

use super::hand::{Edits, edits};
use crate::catalog::{BackupId, EntryId};

/// Entries as they are stored.
pub(super) type Stored = BTreeMap<EntryId, Bytes>;

const PAGE: &str = ".md";
const ENTRY: &str = ".json";
/// What the document was made as, to find what somebody wrote into it since;
/// and what it is about to be made as, should the process end in between.
const MADE: &str = "made.md";
const NEXT: &str = "made.next.md";
const LOCK: &str = "lock";

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} {path:?}: {source}", path = .path.display().to_string())]
pub struct FolderError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A folder of incidents.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The one at `dir`, which is made when something is written.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where the document of an incident is.
    #[must_use]
    pub fn page(&self, id: BackupId) -> PathBuf {
        self.dir.join(format!("{id}{PAGE}"))
    }

    /// Every incident that has entries here.
    pub(super) fn ids(&self) -> Result<Vec<BackupId>, FolderError> {
        let names = names(&self.dir)?;
        let mut ids: Vec<BackupId> = names.iter().filter_map(|name| name.parse().ok()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Takes an id for an incident; false where one has it already.
    pub(super) fn claim(&self, id: BackupId) -> Result<bool, FolderError> {
        let dir = self.entries(id);
        fs::create_dir_all(&self.dir).map_err(failed("create", &self.dir))?;
        match fs::create_dir(&dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("create", &dir)(error)),
        }
    }

    /// The entries of an incident.
    pub(super) fn read(&self, id: BackupId) -> Result<Stored, FolderError> {
        let dir = self.entries(id);
        let mut stored = Stored::new();
        for name in names(&dir)? {
            let Some(entry) = name.strip_suffix(ENTRY).and_then(|name| name.parse().ok()) else {
                continue;
            };
            let path = dir.join(&name);
            let bytes = fs::read(&path).map_err(failed("read", &path))?;
            stored.insert(entry, bytes.into());
        }
        Ok(stored)
    }

    /// Writes entries that are not there yet.
    pub(super) fn write<'s>(
        &self,
        id: BackupId,
        entries: impl IntoIterator<Item = (&'s EntryId, &'s Bytes)>,
    ) -> Result<(), FolderError> {
        let dir = self.entries(id);
        fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
        for (entry, bytes) in entries {
            let path = dir.join(format!("{entry}{ENTRY}"));
            if !path.exists() {
                put(&dir, &path, bytes)?;
            }
        }
        Ok(())
    }

    /// Keeps other processes from making the document meanwhile.
    pub(super) fn lock(&self, id: BackupId) -> Result<Flock<File>, FolderError> {
        let dir = self.entries(id);
        fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
        let path = dir.join(LOCK);
        let file = File::create(&path).map_err(failed("create", &path))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| failed("lock", &path)(error.into()))
    }

    /// What somebody wrote into the document since it was made; `usual` is what
    /// it would be made as now, for a document that this folder never made.
    pub(super) fn edits(&self, id: BackupId, usual: &str) -> Result<Edits, FolderError> {
        let page = self.page(id);
        let Some(edited) = text(&page)? else { return Ok(Edits::default()) };
        let dir = self.entries(id);
        let (made, next) = (text(&dir.join(MADE))?, text(&dir.join(NEXT))?);
        if next.as_ref() == Some(&edited) || made.as_ref() == Some(&edited) {
            return Ok(Edits::default());
        }
        Ok(edits(made.as_deref().unwrap_or(usual), &edited))
    }

    /// Makes the document.
    pub(super) fn publish(&self, id: BackupId, page: &str) -> Result<(), FolderError> {
        let dir = self.entries(id);
        let (made, next) = (dir.join(MADE), dir.join(NEXT));
        put(&dir, &next, page.as_bytes())?;
        put(&self.dir, &self.page(id), page.as_bytes())?;
        fs::rename(&next, &made).map_err(failed("rename", &next))
    }

    fn entries(&self, id: BackupId) -> PathBuf {
        self.dir.join(id.to_string())
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError { what, path, source }
}

/// The names in a folder; none where there is no such folder.
fn names(dir: &Path) -> Result<Vec<String>, FolderError> {
    match fs::read_dir(dir) {
        Ok(entries) => {
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect::<io::Result<_>>().map_err(failed("read", dir))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("read", dir)(error)),
    }
}

fn text(path: &Path) -> Result<Option<String>, FolderError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes a file in one step: a reader sees the old one or the new one.
fn put(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(failed("write", path))
}
