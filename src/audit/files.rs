//! Checks of this machine: files that hold secrets, and a folder as a store.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::Finding;
use crate::words::Check;

/// Who may do what with a file or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is for, as the settings name it.
    pub what: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its permissions, the lowest nine bits.
    pub mode: u32,
    /// Its owner's number.
    pub owner: u32,
    /// The device it is on.
    pub device: u64,
}

impl FileFacts {
    /// Looks at a file, or at what a link leads to.
    ///
    /// # Errors
    /// When it is not there or may not be looked at.
    pub fn read(what: impl Into<String>, path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            what: what.into(),
            path: path.to_owned(),
            mode: metadata.permissions().mode() & 0o777,
            owner: metadata.uid(),
            device: metadata.dev(),
        })
    }

    fn name(&self) -> String {
        format!("{} ({})", self.path.display(), self.what)
    }
}

/// Only its owner and its group can read a file that holds a secret, and
/// nobody but its owner can put another in its place. `user` is who we are.
#[must_use]
pub fn secret_files(files: &[FileFacts], user: u32) -> Finding {
    let check = Check::SecretFiles;
    let (mut open, mut doubtful, mut chmod, mut chown) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for file in files {
        if file.mode & 0o007 != 0 || file.mode & 0o020 != 0 {
            open.push(format!("{} has mode {:03o}", file.name(), file.mode));
            chmod.push(file.path.display().to_string());
        }
        if file.owner != user && file.owner != 0 {
            doubtful.push(format!("{} belongs to user {}", file.name(), file.owner));
            chown.push(file.path.display().to_string());
        }
    }
    if !open.is_empty() {
        open.append(&mut doubtful);
        return Finding::fail(
            check,
            format!("others may read or write secrets: {}", open.join("; ")),
            format!("chmod 640 {}", chmod.join(" ")),
        );
    }
    if !doubtful.is_empty() {
        let fix = format!("chown root {}, with a group that may read", chown.join(" "));
        return Finding::warn(check, doubtful.join("; "), fix);
    }
    let found = match files.len() {
        0 => "no file holds a secret; they come from the environment".to_owned(),
        1 => format!("{} is closed to others", files[0].name()),
        count => format!("{count} files with secrets are closed to others"),
    };
    Finding::pass(check, found)
}

/// A folder as a store: who may read and write it.
#[must_use]
pub fn store_folder(folder: &FileFacts, user: u32) -> Finding {
    let check = Check::StoreFolder;
    let path = folder.path.display();
    let found = format!("{path} has mode {:03o}", folder.mode);
    if folder.mode & 0o022 != 0 {
        let found = format!("{found}: others may remove and replace backups");
        return Finding::fail(check, found, format!("chmod 750 {path}"));
    }
    if folder.mode & 0o005 != 0 {
        let found = format!("{found}: every user of this machine may read backups");
        return Finding::fail(check, found, format!("chmod 750 {path}"));
    }
    if folder.owner != user && folder.owner != 0 {
        return Finding::warn(
            check,
            format!("{path} belongs to user {}, who may remove every backup", folder.owner),
            format!("chown {user} {path}"),
        );
    }
    Finding::pass(check, format!("{found}, and belongs to us or to root"))
}

/// Where the source's data are, as far as that can be told from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPlace {
    /// On another machine.
    Elsewhere,
    /// On this machine, on that device.
    Here(u64),
    /// On this machine, and our role or our user may not know where.
    Hidden,
}

/// A folder as a store: it is not on the database's own disk.
#[must_use]
pub fn store_disk(folder: &FileFacts, data: DataPlace) -> Finding {
    let check = Check::StoreDisk;
    let path = folder.path.display();
    let fix = "name a folder on another machine's disk (a mounted one), or better a bucket: \
               store.url = \"s3://…\"";
    match data {
        DataPlace::Elsewhere => Finding::pass(check, "the database is on another machine"),
        DataPlace::Here(device) if device == folder.device => Finding::fail(
            check,
            format!("{path} is on the disk of the database itself: one loss takes both"),
            fix,
        ),
        DataPlace::Here(_) => Finding::warn(
            check,
            format!("{path} is on another disk, and on the same machine as the database"),
            fix,
        ),
        DataPlace::Hidden => Finding::unknown(
            check,
            "the database is on this machine, and its data directory is not known",
            format!("compare `df {path}` with df of what SHOW data_directory says; or {fix}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::CheckResult;

    fn file(mode: u32, owner: u32) -> FileFacts {
        FileFacts {
            what: "databases.main.url_file".to_owned(),
            path: "/run/secrets/url".into(),
            mode,
            owner,
            device: 7,
        }
    }

    #[test]
    fn a_secret_that_others_may_read_is_a_failure() {
        let of = |mode, owner| secret_files(&[file(mode, owner)], 1000).result;
        assert_eq!(of(0o600, 1000), CheckResult::Pass);
        assert_eq!(of(0o640, 0), CheckResult::Pass);
        assert_eq!(of(0o644, 1000), CheckResult::Fail);
        assert_eq!(of(0o660, 1000), CheckResult::Fail, "a group that may replace it");
        assert_eq!(of(0o600, 1001), CheckResult::Warn);
        assert_eq!(secret_files(&[], 1000).result, CheckResult::Pass);
        let finding = secret_files(&[file(0o600, 0), file(0o604, 0)], 0);
        assert_eq!(finding.fix.as_deref(), Some("chmod 640 /run/secrets/url"));
        assert!(finding.found.contains("databases.main.url_file"), "{}", finding.found);
    }

    #[test]
    fn a_folder_that_others_may_use_is_a_failure() {
        let of = |mode, owner| store_folder(&file(mode, owner), 1000).result;
        assert_eq!(of(0o700, 1000), CheckResult::Pass);
        assert_eq!(of(0o750, 0), CheckResult::Pass);
        assert_eq!(of(0o755, 1000), CheckResult::Fail);
        assert_eq!(of(0o770, 1000), CheckResult::Fail);
        assert_eq!(of(0o700, 1001), CheckResult::Warn);
    }

    #[test]
    fn a_backup_on_the_database_s_own_disk_is_a_failure() {
        let of = |data| store_disk(&file(0o700, 0), data).result;
        assert_eq!(of(DataPlace::Elsewhere), CheckResult::Pass);
        assert_eq!(of(DataPlace::Here(7)), CheckResult::Fail);
        assert_eq!(of(DataPlace::Here(8)), CheckResult::Warn);
        assert_eq!(of(DataPlace::Hidden), CheckResult::Unknown);
    }
}
