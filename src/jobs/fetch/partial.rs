//! A file that is on its way: written and hashed on a thread of its own.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use super::{Expected, FetchError, READ_SIZE, disk};

/// Pieces that may wait for the disk.
const WAITING: usize = 4;

/// Digits of the SHA-256 that tell one archive's part from another's.
const DIGITS: usize = 16;

/// What has come of an archive.
pub(super) struct Partial {
    path: PathBuf,
    length: u64,
    pieces: mpsc::Sender<Bytes>,
    /// Ends when the pieces do, with their hash.
    writing: JoinHandle<io::Result<String>>,
}

/// The name beside a file's.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

impl Partial {
    /// Opens what an earlier fetch of the same archive left, and reads it
    /// again: its hash goes into that of the whole.
    pub(super) async fn open(file: &Path, expected: &Expected) -> Result<Self, FetchError> {
        let belongs_to = match &expected.sha256 {
            Some(sha256) => sha256.get(..DIGITS).unwrap_or(sha256).to_owned(),
            // Nothing but the archive's own place and date tells it from others.
            None => format!("{}-{}", expected.id, expected.written),
        };
        let path = beside(file, &format!(".{belongs_to}.partial"));
        let (opened, size) = (path.clone(), expected.bytes);
        let open = move || -> Result<(File, Sha256, u64), FetchError> {
            let mut options = File::options();
            let mut part = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&opened)
                .map_err(disk("open", &opened))?;
            match part.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(FetchError::Busy(opened)),
                Err(TryLockError::Error(error)) => return Err(disk("lock", &opened)(error)),
            }
            let mut length = part.metadata().map_err(disk("look at", &opened))?.len();
            if length > size {
                // It was never cut from this archive.
                part.set_len(0).map_err(disk("write", &opened))?;
                length = 0;
            }
            let hash = hash(&mut part).map_err(disk("read", &opened))?;
            Ok((part, hash, length))
        };
        let (part, hash, length) = joined(spawn_blocking(open).await, &path)??;
        let (pieces, coming) = mpsc::channel(WAITING);
        let writing = spawn_blocking(move || write(part, hash, coming));
        Ok(Self { path, length, pieces, writing })
    }

    /// How much was there, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes the next bytes; waits while the disk is behind.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), FetchError> {
        if self.pieces.send(piece).await.is_ok() {
            return Ok(());
        }
        // The thread has ended before its time, and says why.
        let ended = joined((&mut self.writing).await, &self.path)?;
        let error = ended.err().unwrap_or_else(|| io::Error::other("the writing ended early"));
        Err(disk("write", &self.path)(error))
    }

    /// No more comes for now: what there is stays.
    pub(super) async fn keep(self) -> Result<(), FetchError> {
        self.finish().await.map(drop)
    }

    /// Everything has come. Returns where it is, and its SHA-256.
    pub(super) async fn finish(self) -> Result<(PathBuf, String), FetchError> {
        let Self { path, pieces, writing, .. } = self;
        drop(pieces);
        let sha256 = joined(writing.await, &path)?.map_err(disk("write", &path))?;
        Ok((path, sha256))
    }
}

/// Size and SHA-256 of a file, in bytes.
pub(super) async fn hash_of(path: PathBuf) -> Result<(u64, String), FetchError> {
    let hashed = path.clone();
    let read = move || {
        let mut file = File::open(&hashed)?;
        let hash = hash(&mut file)?;
        Ok((file.metadata()?.len(), crate::archive::hex(&hash.finalize())))
    };
    joined(spawn_blocking(read).await, &path)?.map_err(disk("read", &path))
}

fn hash(file: &mut File) -> io::Result<Sha256> {
    let (mut hash, mut block) = (Sha256::new(), vec![0; READ_SIZE]);
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hash),
            Ok(count) => hash.update(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn write(
    mut part: File,
    mut hash: Sha256,
    mut pieces: mpsc::Receiver<Bytes>,
) -> io::Result<String> {
    while let Some(piece) = pieces.blocking_recv() {
        part.write_all(&piece)?;
        hash.update(&piece);
    }
    part.sync_all()?;
    Ok(crate::archive::hex(&hash.finalize()))
}

fn joined<T>(result: Result<T, tokio::task::JoinError>, path: &Path) -> Result<T, FetchError> {
    result.map_err(|error| disk("write", path)(io::Error::other(error)))
}
