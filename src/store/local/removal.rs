//! What goes away: deleted objects, and what unfinished writes leave behind.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};

use super::HIDDEN;
use crate::store::{UnfinishedUpload, UploadHandle};

/// The folder, below the hidden one, that holds a folder for each upload.
pub(super) const UPLOADS: &str = "uploads";

/// What an upload occupies.
pub(super) enum Files {
    /// Of an upload in parts: its folder.
    Folder(PathBuf),
    /// Of a put that was cut short: its staging file.
    Staging(PathBuf),
}

/// A name for an upload that no other has.
pub(super) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Whether a key is that of one of `object_store`'s staging files.
pub(super) fn is_staging(key: &str) -> bool {
    staging(key).is_some()
}

/// Where an upload's files are; `None` where its id was not made here.
pub(super) fn files_of(root: &Path, upload: &UploadHandle) -> Option<Files> {
    if upload.id.starts_with('#') {
        let staged = format!("{}{}", upload.key, upload.id);
        let inside = object_store::path::Path::parse(&staged).is_ok();
        return (inside && is_staging(&staged)).then(|| Files::Staging(root.join(staged)));
    }
    let ours = upload.id.len() == 32 && upload.id.bytes().all(|byte| byte.is_ascii_hexdigit());
    ours.then(|| Files::Folder(root.join(HIDDEN).join(UPLOADS).join(&upload.id)))
}

/// Removes an upload's files; that they are gone is fine.
pub(super) fn remove(files: &Files) -> io::Result<()> {
    let removed = match files {
        Files::Folder(folder) => fs::remove_dir_all(folder),
        Files::Staging(file) => fs::remove_file(file),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Deletes files so that a power cut does not bring them back: the removal of
/// a manifest comes before that of its archive on the disk too. Returns those
/// that are left, by index; what is not there is not left.
///
/// # Errors
/// When the folders cannot be synced.
pub(super) fn delete(files: Vec<PathBuf>) -> io::Result<Vec<(usize, io::Error)>> {
    let mut left = Vec::new();
    let mut folders = BTreeSet::new();
    for (index, file) in files.into_iter().enumerate() {
        match fs::remove_file(&file) {
            Ok(()) => folders.extend(file.parent().map(Path::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => left.push((index, error)),
        }
    }
    for folder in folders {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(left)
}

/// Everything unfinished whose key begins with `prefix`, in order of keys.
pub(super) fn find(root: &Path, prefix: &str) -> io::Result<Vec<UnfinishedUpload>> {
    let mut found = Vec::new();
    let uploads = root.join(HIDDEN).join(UPLOADS);
    for folder in entries(&uploads)? {
        let id = folder.file_name().to_string_lossy().into_owned();
        let started = modified(&folder.metadata()?)?;
        for key in files_below(&folder.path())? {
            let key = staging(&key).map_or(key.as_str(), |(name, _)| name).to_owned();
            let upload = UploadHandle { key, id: id.clone() };
            found.push(UnfinishedUpload { upload, started });
        }
    }
    for path in files_below(root)? {
        if let Some((key, number)) = staging(&path)
            && !path.starts_with(HIDDEN)
        {
            // One that went while we look is no debris.
            let started = match root.join(&path).symlink_metadata() {
                Ok(found) => modified(&found)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let upload = UploadHandle { key: key.to_owned(), id: format!("#{number}") };
            found.push(UnfinishedUpload { upload, started });
        }
    }
    found.retain(|unfinished| unfinished.upload.key.starts_with(prefix));
    found.sort_unstable_by(|a, b| a.upload.key.cmp(&b.upload.key));
    Ok(found)
}

/// Splits the name of a staging file into what it is to become and its number.
fn staging(path: &str) -> Option<(&str, &str)> {
    let (name, number) = path.rsplit_once('#')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some((name, number))
}

/// Every file below a folder, as path from there.
fn files_below(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in entries(&next)? {
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                // Files come and go while we look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if kind.is_dir() {
                open.push(entry.path());
            } else if let Ok(path) = entry.path().strip_prefix(folder) {
                files.push(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(files)
}

/// What a folder holds; one that is not there holds nothing.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn modified(metadata: &fs::Metadata) -> io::Result<DateTime<Utc>> {
    Ok(metadata.modified()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_here_is_removed() {
        let root = Path::new("/backups");
        for (key, id) in [
            ("a", "../../etc"),
            ("a", ""),
            ("../a", "#1"),
            ("a", "#"),
            ("a", "#x"),
            ("a", "0123456789abcdef0123456789abcde/"),
        ] {
            let upload = UploadHandle { key: key.to_owned(), id: id.to_owned() };
            assert!(files_of(root, &upload).is_none(), "{upload:?}");
        }
        let upload = UploadHandle { key: "a".to_owned(), id: new_id() };
        assert!(matches!(files_of(root, &upload), Some(Files::Folder(_))));
    }
}
