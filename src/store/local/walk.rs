//! Walks the files below a folder in the order of their keys, one after another,
//! and can be told to begin anywhere.
//!
//! It holds the names of the folders that it is in, sorted, and opens a folder
//! when it comes to it: however many files there are, each folder is read once.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{is_hidden, removal};

/// A walk under way.
#[derive(Debug)]
pub(super) struct Walk {
    prefix: String,
    after: Option<String>,
    /// The folders that it is in, the outermost first.
    open: Vec<Folder>,
    /// What comes next, where it was looked at already.
    next: Option<(String, PathBuf)>,
}

/// A folder, and what of it is still to come.
#[derive(Debug)]
struct Folder {
    /// Where its files' keys begin; empty, or with a slash at its end.
    key: String,
    path: PathBuf,
    /// Device and number, which tell that a link leads in a circle.
    identity: (u64, u64),
    /// The last one comes next.
    left: Vec<Name>,
}

/// A name in a folder.
#[derive(Debug)]
struct Name {
    /// As a key has it: that of a folder ends with a slash, as the keys below it
    /// go on, so that names are in the order of keys.
    text: String,
    /// What it is called, where that is no text.
    odd: Option<OsString>,
}

impl Walk {
    /// Begins with the keys that begin with `prefix` and come after `after`.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there holds nothing.
    pub(super) fn new(root: &Path, prefix: &str, after: Option<&str>) -> io::Result<Self> {
        let key = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]).to_owned();
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let mut walk = Self { prefix, after, open: Vec::new(), next: None };
        // A key never begins with a slash, and a path that does leads elsewhere.
        if !key.starts_with('/') {
            walk.enter(root.join(&key), key)?;
        }
        Ok(walk)
    }

    /// Opens a folder, unless it is open already or is none any more.
    fn enter(&mut self, path: PathBuf, key: String) -> io::Result<()> {
        let read = read(&path, &key, &self.prefix, self.after.as_deref());
        let Some((identity, left)) = there(read)? else { return Ok(()) };
        if self.open.iter().all(|folder| folder.identity != identity) {
            self.open.push(Folder { key, path, identity, left });
        }
        Ok(())
    }

    /// The next file, key and path.
    ///
    /// # Errors
    /// When a folder cannot be read: a partial listing decides nothing.
    pub(super) fn next(&mut self) -> io::Result<Option<(String, PathBuf)>> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        while let Some(folder) = self.open.last_mut() {
            let Some(name) = folder.left.pop() else {
                self.open.pop();
                continue;
            };
            let key = format!("{}{}", folder.key, name.text);
            let path = match &name.odd {
                Some(odd) => folder.path.join(odd),
                None => folder.path.join(name.text.trim_end_matches('/')),
            };
            if !key.ends_with('/') {
                return Ok(Some((key, path)));
            }
            self.enter(path, key)?;
        }
        Ok(None)
    }

    /// Whether there is a next file.
    ///
    /// # Errors
    /// As [`Walk::next`].
    pub(super) fn has_more(&mut self) -> io::Result<bool> {
        self.next = self.next()?;
        Ok(self.next.is_some())
    }
}

/// Which folder it is, and the names in it that are wanted, the last one first.
fn read(
    path: &Path,
    key: &str,
    prefix: &str,
    after: Option<&str>,
) -> io::Result<((u64, u64), Vec<Name>)> {
    let folder = fs::metadata(path)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        // What a link leads to counts; one that leads nowhere is passed over.
        let (is_folder, is_file) = if kind.is_symlink() {
            match there(fs::metadata(entry.path()))? {
                Some(target) => (target.is_dir(), target.is_file()),
                None => continue,
            }
        } else {
            (kind.is_dir(), kind.is_file())
        };
        let name = entry.file_name();
        let mut text = name.to_string_lossy().into_owned();
        let odd = (name.to_str() != Some(&text)).then_some(name);
        if is_folder {
            text.push('/');
        }
        let whole = format!("{key}{text}");
        let wanted = if is_folder {
            (whole.starts_with(prefix) || prefix.starts_with(&whole))
                // Every key below it comes before `after`, or after it.
                && after.is_none_or(|after| after.starts_with(&whole) || *whole > *after)
        } else {
            is_file
                && whole.starts_with(prefix)
                && after.is_none_or(|after| *whole > *after)
                && !removal::is_staging(&whole)
        };
        if wanted && !is_hidden(&whole) {
            names.push(Name { text, odd });
        }
    }
    names.sort_unstable_by(|a, b| b.text.cmp(&a.text));
    Ok(((folder.dev(), folder.ino()), names))
}

/// What was read; `None` where it is gone: files come and go while we look.
fn there<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn keys(root: &Path, prefix: &str, after: Option<&str>) -> Vec<String> {
        let mut walk = Walk::new(root, prefix, after).unwrap();
        std::iter::from_fn(|| walk.next().unwrap()).map(|(key, _)| key).collect()
    }

    #[test]
    fn keys_come_in_their_order_whatever_folders_they_lie_in() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a-b", "a/b", "a/b.c", "a/b/c", "a/c", "a.b", "b/x/y", "b0", "c#1", ".hidden"];
        // A file and a folder have different names.
        let names: Vec<&str> = names.into_iter().filter(|name| *name != "a/b").collect();
        for name in &names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::create_dir(dir.path().join(super::super::HIDDEN)).unwrap();
        fs::write(dir.path().join(super::super::HIDDEN).join("x"), "").unwrap();
        let mut sorted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        sorted.retain(|name| name != "c#1");
        sorted.sort();
        assert_eq!(keys(dir.path(), "", None), sorted);
        for prefix in ["a", "a/", "a/b", "a/b/", "b", "x", "a-b/", "nowhere/x"] {
            for after in [None, Some("a"), Some("a/b"), Some("a/b/c"), Some("a/bz"), Some("zz")] {
                let wanted = sorted.iter().filter(|key| {
                    key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
                });
                let wanted: Vec<String> = wanted.cloned().collect();
                assert_eq!(keys(dir.path(), prefix, after), wanted, "{prefix} after {after:?}");
            }
        }
    }

    #[test]
    fn a_folder_is_opened_when_its_turn_comes_and_what_went_away_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/1", "b/2", "c/3"] {
            fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            fs::write(dir.path().join(name), "").unwrap();
        }
        symlink(".", dir.path().join("a/up")).unwrap();
        let mut walk = Walk::new(dir.path(), "", None).unwrap();
        assert_eq!(walk.next().unwrap().unwrap().0, "a/1");
        fs::remove_dir_all(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("c/4"), "").unwrap();
        assert!(walk.has_more().unwrap());
        assert_eq!(walk.next().unwrap().unwrap().0, "c/3");
        assert_eq!(walk.next().unwrap().unwrap().0, "c/4");
        assert!(!walk.has_more().unwrap());
    }
}
