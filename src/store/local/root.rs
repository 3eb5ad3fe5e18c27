//! Whether the store's directory is still the one that was opened.
//!
//! A disk that is unmounted leaves an empty directory behind, or none. Backups that
//! went there would fill the machine's own disk, and be gone with the next mount.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

/// What a directory is to its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    device: u64,
    inode: u64,
    /// Whether it lies on the machine's own disk: what comes over it then is the disk
    /// that was meant.
    on_own_disk: bool,
}

impl Place {
    /// What stands at a path.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let on_own_disk = found.dev() == fs::metadata("/")?.dev();
        Ok(Self { device: found.dev(), inode: found.ino(), on_own_disk })
    }

    /// Whether a directory is another one than it was. A network file system that
    /// was mounted again may have another device, and some file systems number
    /// their files anew: one of the two says too little.
    fn is_another(self, than: Self) -> bool {
        !than.on_own_disk && self.device != than.device && self.inode != than.inode
    }
}

/// Looks whether what was opened still stands there.
///
/// # Errors
/// Says what stands there instead, and what to do.
pub(super) fn check(root: &Path, opened: Place) -> Result<(), String> {
    let found = match Place::of(root) {
        Ok(found) if !found.is_another(opened) => return Ok(()),
        Ok(_) => "another directory stands there than when it was opened".to_owned(),
        Err(error) => format!("the directory cannot be found any more: {error}"),
    };
    Err(format!(
        "{found}; if its disk was unmounted, mount it again, and if it was replaced on purpose, \
         restart"
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::{ErrorKind, LocalStore, Store as _};

    #[test]
    fn a_directory_is_another_one_where_device_and_inode_say_so() {
        let opened = Place { device: 1, inode: 2, on_own_disk: false };
        for (device, inode, is_another) in
            [(1, 2, false), (7, 2, false), (1, 9, false), (7, 9, true)]
        {
            let found = Place { device, inode, on_own_disk: true };
            assert_eq!(found.is_another(opened), is_another);
            // A disk that is mounted late comes over an empty directory.
            assert!(!found.is_another(Place { on_own_disk: true, ..opened }));
        }
    }

    #[tokio::test]
    async fn nothing_is_written_where_the_disk_was_unmounted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("disk/backups");
        let store = LocalStore::open(&root).await.unwrap();
        store.put("a", Bytes::from_static(b"1")).await.unwrap();
        fs::rename(dir.path().join("disk"), dir.path().join("away")).unwrap();
        for result in [
            store.put("b", Bytes::from_static(b"2")).await,
            store.head("a").await.map(drop),
            store.list_page("", None).await.map(drop),
            store.delete("a").await,
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable);
            assert!(error.to_string().contains("mount it again"), "{error}");
        }
        assert!(!root.exists());
        fs::rename(dir.path().join("away"), dir.path().join("disk")).unwrap();
        assert_eq!(store.get("a", 1).await.unwrap(), Bytes::from_static(b"1"));
    }
}
