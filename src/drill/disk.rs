//! Room on the disk: enough before a drill begins, and never the last of it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use nix::sys::statvfs::statvfs;

/// Rows take about their own size again in a table, and about that in indexes.
const TIMES_THE_DUMP: u64 = 3;

/// What a cluster takes that holds nothing, and its write-ahead log at least, in bytes.
const EMPTY_CLUSTER: u64 = 256 * 1024 * 1024;

/// How often the disk is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// There is no room for a drill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: {} free, and the drill needs about {} beside the {} of drill.keep_free; \
     free some, or set drill.dir to a larger disk",
    .dir.display(),
    size(*.free),
    size(*.needed),
    size(*.keep)
)]
pub struct NoRoom {
    /// Where the sandbox is.
    pub dir: PathBuf,
    /// Free bytes there.
    pub free: u64,
    /// What the drill takes, in bytes, by the estimate.
    pub needed: u64,
    /// What stays free, in bytes.
    pub keep: u64,
}

/// A drill has taken more room than it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: only {} free, which is less than the {} of drill.keep_free: the drill was ended before \
     it filled the disk; free some, or set drill.dir to a larger disk",
    .dir.display(),
    size(*.free),
    size(*.keep)
)]
pub struct Filled {
    /// Where the sandbox is.
    pub dir: PathBuf,
    /// Free bytes there.
    pub free: u64,
    /// What stays free, in bytes.
    pub keep: u64,
}

/// The disk cannot be asked, or has no room.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system does not say.
    #[error("ask how much room {} has: {source}", .dir.display())]
    Unknown {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is not enough.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// About how much a dump of so many bytes takes when it is restored, in bytes.
#[must_use]
pub fn needed(dump_bytes: u64) -> u64 {
    dump_bytes.saturating_mul(TIMES_THE_DUMP).saturating_add(EMPTY_CLUSTER)
}

/// Whether there is room; returns the free bytes.
///
/// # Errors
/// When there is not, or the system does not say.
pub fn enough(dir: &Path, needed: u64, keep: u64) -> Result<u64, DiskError> {
    let free = free(dir)?;
    if free < needed.saturating_add(keep) {
        return Err(NoRoom { dir: dir.to_owned(), free, needed, keep }.into());
    }
    Ok(free)
}

/// Returns when less than `keep` bytes are free, and never before.
pub async fn watch(dir: &Path, keep: u64) -> Filled {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        // One that hangs must hold up nobody but us.
        let asked = dir.to_owned();
        let free = tokio::task::spawn_blocking(move || free(&asked)).await;
        // A disk that cannot be asked was asked a moment ago.
        if let Ok(Ok(free)) = free
            && free < keep
        {
            return Filled { dir: dir.to_owned(), free, keep };
        }
    }
}

fn free(dir: &Path) -> Result<u64, DiskError> {
    let known = statvfs(dir)
        .map_err(|error| DiskError::Unknown { dir: dir.to_owned(), source: error.into() })?;
    // What the server's account may use, which is not root.
    #[allow(clippy::useless_conversion, reason = "the types differ from system to system")]
    Ok(u64::from(known.blocks_available()).saturating_mul(u64::from(known.fragment_size())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_without_room_is_noticed_before_and_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let free = enough(dir.path(), 1, 1).unwrap();
        assert!(free > 1);
        let error = enough(dir.path(), u64::MAX / 2, 1).unwrap_err();
        assert!(error.to_string().contains("drill.keep_free"), "{error}");
        let full = watch(dir.path(), u64::MAX).await;
        assert_eq!(full.keep, u64::MAX);
    }

    #[test]
    fn a_disk_that_fills_meanwhile_is_told_by_what_is_left_and_not_by_an_estimate() {
        let dir = PathBuf::from("/srv/drill");
        let full = Filled { dir, free: 2 * 1024 * 1024, keep: 16 * 1024 * 1024 };
        assert_eq!(
            full.to_string(),
            "/srv/drill: only 2.0 MiB free, which is less than the 16.0 MiB of drill.keep_free: \
             the drill was ended before it filled the disk; free some, or set drill.dir to a \
             larger disk"
        );
    }

    #[test]
    fn a_dump_without_end_needs_more_than_there_is() {
        assert_eq!(needed(u64::MAX), u64::MAX);
        assert_eq!(needed(0), EMPTY_CLUSTER);
    }
}
