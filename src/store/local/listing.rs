//! A page of the objects below a directory.
//!
//! The directory is a person's: whatever else lies in it must not keep the
//! backups from being listed. A name that is no text is listed as well as it
//! can be written, and is nobody's key; a link that leads in a circle or
//! nowhere is passed over.

use std::{io, path::Path};

use walkdir::WalkDir;

use super::{is_hidden, removal};
use crate::store::{ObjectMeta, Page};

/// The objects whose keys begin with `prefix` and come after `after`, in key
/// order, at most `limit` of them. `folder` is the part of the prefix that names
/// a folder, below `root`.
///
/// # Errors
/// When a folder cannot be read: a partial listing decides nothing.
pub(super) fn page(
    root: &Path,
    folder: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> io::Result<Page> {
    let mut keys = Vec::new();
    for entry in WalkDir::new(root.join(folder)).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            // Files come and go while we look.
            Err(error) if passes(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let Ok(below) = entry.path().strip_prefix(root) else { continue };
        let key = below.to_string_lossy();
        let wanted = key.starts_with(prefix)
            && after.is_none_or(|after| *key > *after)
            && !is_hidden(&key)
            && !removal::is_staging(&key);
        if wanted && entry.file_type().is_file() {
            keys.push((key.into_owned(), entry.into_path()));
        }
    }
    let more = keys.len() > limit;
    if more {
        keys.select_nth_unstable(limit);
        keys.truncate(limit);
    }
    keys.sort_unstable();
    let next = keys.last().filter(|_| more).map(|(key, _)| key.clone());
    let mut objects = Vec::with_capacity(keys.len());
    for (key, path) in keys {
        match path.metadata() {
            Ok(found) => {
                let last_modified = found.modified()?.into();
                objects.push(ObjectMeta { key, size: found.len(), last_modified });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Page { objects, next })
}

fn passes(error: &walkdir::Error) -> bool {
    let gone = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
    gone || error.loop_ancestor().is_some()
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        fs,
        os::unix::{ffi::OsStrExt as _, fs::symlink},
    };

    use super::*;

    #[test]
    fn whatever_lies_there_the_rest_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("database/2026")).unwrap();
        fs::write(root.join("database/2026/good"), "12345").unwrap();
        fs::write(root.join("database/two\nlines"), "").unwrap();
        fs::write(root.join("database").join(OsStr::from_bytes(b"no text \xff")), "").unwrap();
        symlink("../database", root.join("database/circle")).unwrap();
        symlink("nowhere", root.join("database/dangling")).unwrap();
        fs::create_dir(root.join("elsewhere")).unwrap();
        fs::write(root.join("elsewhere/linked"), "").unwrap();
        symlink("../elsewhere", root.join("database/linked")).unwrap();
        let page = page(root, "database", "database/", None, 10).unwrap();
        let keys: Vec<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
        let odd = "database/no text \u{fffd}";
        let expected = ["database/2026/good", "database/linked/linked", odd, "database/two\nlines"];
        assert_eq!(keys, expected);
        assert_eq!((page.objects[0].size, page.next), (5, None));
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..25 {
            fs::write(dir.path().join(format!("n{number:02}")), "").unwrap();
        }
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = page(dir.path(), "", "n", after.as_deref(), 10).unwrap();
            keys.extend(page.objects.into_iter().map(|object| object.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(keys, (0..25).map(|number| format!("n{number:02}")).collect::<Vec<_>>());
        assert!(page(dir.path(), "none", "none/", None, 10).unwrap().objects.is_empty());
    }
}
