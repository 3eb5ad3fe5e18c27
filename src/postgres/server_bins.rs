//! Finding PostgreSQL's server programs: `initdb` and `postgres`.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::process::Program;

/// Where Debian, Ubuntu and their images put each major's programs.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// Asking a program for its version must not hang a start.
const VERSION_DEADLINE: Duration = Duration::from_secs(10);

/// A directory that holds one release's server programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBins {
    /// The directory with `initdb` and `postgres`.
    pub dir: PathBuf,
    /// The major release, such as 16.
    pub major: u32,
    /// The whole version, such as `16.14`.
    pub version: String,
}

/// No usable server programs were found.
#[derive(Debug, thiserror::Error)]
pub enum FindServerError {
    /// None at all.
    #[error(
        "find PostgreSQL's server programs (initdb and postgres) in {}; \
         install a server, on Debian or Ubuntu with `apt-get install postgresql`",
        list(.tried)
    )]
    Missing {
        /// The directories that were looked into.
        tried: Vec<PathBuf>,
    },
    /// Only older ones than are needed.
    #[error(
        "find PostgreSQL {at_least} or newer server programs: the newest here is {} in {}; \
         on Debian or Ubuntu `apt-get install postgresql-{at_least}` installs them",
        .newest.version,
        .newest.dir.display()
    )]
    TooOld {
        /// The least major that would do.
        at_least: u32,
        /// The newest that was found.
        newest: ServerBins,
    },
}

impl fmt::Display for ServerBins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} in {}", self.version, self.dir.display())
    }
}

/// Finds server programs of major `at_least` or newer.
///
/// Directories in `extra` win, in their order; after them the newest release
/// wins among the Debian layout, `PATH` and the directory that `pg_config` names.
///
/// # Errors
/// When there are none, or only older ones; the message names the package.
pub async fn find_server_bins(
    extra: &[PathBuf],
    at_least: Option<u32>,
) -> Result<ServerBins, FindServerError> {
    let mut tried = Vec::new();
    let mut too_old = Vec::new();
    let fits = |bins: &ServerBins| at_least.is_none_or(|least| bins.major >= least);

    for dir in extra {
        match probe(dir, &mut tried).await {
            Some(bins) if fits(&bins) => return Ok(bins),
            Some(bins) => too_old.push(bins),
            None => {}
        }
    }
    let mut usual = Vec::new();
    for dir in usual_dirs().await {
        usual.extend(probe(&dir, &mut tried).await);
    }
    if let Some(bins) = usual.iter().filter(|bins| fits(bins)).max_by_key(|bins| bins.major) {
        return Ok(bins.clone());
    }
    too_old.extend(usual);
    match (at_least, too_old.into_iter().max_by_key(|bins| bins.major)) {
        (Some(at_least), Some(newest)) => Err(FindServerError::TooOld { at_least, newest }),
        _ => Err(FindServerError::Missing { tried }),
    }
}

/// Finds server programs of major `major`, or else of the nearest newer one,
/// among `extra` and the usual places.
///
/// # Errors
/// When there are none, or only older ones; the message names the package.
pub async fn find_nearest(extra: &[PathBuf], major: u32) -> Result<ServerBins, FindServerError> {
    let (mut tried, mut found) = (Vec::new(), Vec::new());
    for dir in extra.iter().cloned().chain(usual_dirs().await) {
        found.extend(probe(&dir, &mut tried).await);
    }
    // Of two of the same major the first wins: it was named.
    let fits = found.iter().filter(|bins| bins.major >= major).min_by_key(|bins| bins.major);
    if let Some(bins) = fits {
        return Ok(bins.clone());
    }
    match found.into_iter().max_by_key(|bins| bins.major) {
        Some(newest) => Err(FindServerError::TooOld { at_least: major, newest }),
        None => Err(FindServerError::Missing { tried }),
    }
}

async fn usual_dirs() -> BTreeSet<PathBuf> {
    let mut dirs = BTreeSet::new();
    if let Ok(entries) = std::fs::read_dir(DEBIAN_ROOT) {
        dirs.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    if let Some(path) = std::env::var_os("PATH") {
        dirs.extend(std::env::split_paths(&path).filter(|dir| dir.join("postgres").is_file()));
    }
    let named = Program::new("pg_config").arg("--bindir").output(VERSION_DEADLINE).await;
    if let Ok(dir) = named {
        dirs.insert(PathBuf::from(String::from_utf8_lossy(&dir).trim().to_owned()));
    }
    dirs
}

async fn probe(dir: &Path, tried: &mut Vec<PathBuf>) -> Option<ServerBins> {
    tried.push(dir.to_owned());
    if !dir.join("initdb").is_file() {
        return None;
    }
    let banner =
        Program::new(dir.join("postgres")).arg("--version").output(VERSION_DEADLINE).await.ok()?;
    let (major, version) = parse_version(&String::from_utf8_lossy(&banner))?;
    Some(ServerBins { dir: dir.to_owned(), major, version })
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and `… 19beta1`.
fn parse_version(banner: &str) -> Option<(u32, String)> {
    let version = banner.split("(PostgreSQL)").nth(1)?.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version[..digits].parse().ok()?, version.to_owned()))
}

fn list(dirs: &[PathBuf]) -> String {
    let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    if dirs.is_empty() { format!("{DEBIAN_ROOT} and PATH") } else { dirs.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fake(dir: &Path, banner: &str) {
        for name in ["initdb", "postgres"] {
            let path = dir.join(name);
            std::fs::write(&path, format!("#!/bin/sh\necho '{banner}'\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn versions_of_every_shape_are_read() {
        let read = |banner: &str| parse_version(banner).map(|(major, _)| major);
        assert_eq!(read("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(read("postgres (PostgreSQL) 18.4\n"), Some(18));
        assert_eq!(read("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(read("mysqld 8"), None);
    }

    #[tokio::test]
    async fn the_same_major_wins_and_else_the_nearest_newer_one() {
        let dirs: Vec<_> =
            [901, 903, 902].map(|major| (major, tempfile::tempdir().unwrap())).into();
        for (major, dir) in &dirs {
            fake(dir.path(), &format!("postgres (PostgreSQL) {major}.1"));
        }
        let extra: Vec<PathBuf> = dirs.iter().map(|(_, dir)| dir.path().to_owned()).collect();
        for (wanted, got) in [(900, 901), (901, 901), (902, 902), (903, 903)] {
            assert_eq!(find_nearest(&extra, wanted).await.unwrap().major, got);
        }
        let error = find_nearest(&extra, 904).await.unwrap_err();
        assert!(matches!(error, FindServerError::TooOld { at_least: 904, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_named_directory_wins_and_an_old_one_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), "postgres (PostgreSQL) 9.6.24");
        let extra = [dir.path().to_owned()];

        let found = find_server_bins(&extra, None).await.unwrap();
        assert_eq!((found.major, found.dir.as_path()), (9, dir.path()));

        let error = find_server_bins(&extra, Some(999)).await.unwrap_err();
        assert!(matches!(error, FindServerError::TooOld { .. }), "{error}");
        assert!(error.to_string().contains("postgresql-999"), "{error}");
    }
}
