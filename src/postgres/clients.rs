//! Finding PostgreSQL's client programs of the server's own major version.
//!
//! `pg_dump` refuses servers newer than itself, and what a newer one writes may
//! hold settings that an older server refuses to restore. So the same major is
//! wanted, an older one is refused, and a newer one is used with a warning.

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::process::Program;

/// A client program that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where it is.
    pub path: PathBuf,
    /// Its major version.
    pub major: u32,
    /// Its minor version; zero for a development version.
    pub minor: u32,
    /// What it says of itself, as in `pg_dump (PostgreSQL) 15.14`.
    pub text: String,
    /// What should be known when it is used for this server.
    pub warning: Option<String>,
}

/// No client program fits the server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none at all.
    #[error(
        "find {program} for the PostgreSQL {server_major} server: there is none in {searched}{}; install the package postgresql-client-{server_major} (from apt.postgresql.org where the distribution has another), or name its folder in postgres.client_dirs",
        skipped(.broken)
    )]
    Missing {
        /// As in `pg_dump`.
        program: String,
        /// The server's major version.
        server_major: u32,
        /// Where it was looked for.
        searched: String,
        /// Programs that do not run, and why.
        broken: Vec<String>,
    },
    /// It takes commands that run programs from any script.
    #[error(
        "use {found} ({path}): it would run commands that stand in an archive on this machine, since it is older than its `\\restrict` (13.22, 14.19, 15.14, 16.10, 17.6, 18); install the newest postgresql-client-{major} (from apt.postgresql.org where the distribution has another), or name its folder in postgres.client_dirs"
    )]
    Unguarded {
        /// What it says of itself.
        found: String,
        /// Where it is.
        path: String,
        /// Its major version.
        major: u32,
    },
    /// All are older than the server.
    #[error(
        "use {program} {found} for the PostgreSQL {server_major} server: it is older than the server and cannot read it; install the package postgresql-client-{server_major} (from apt.postgresql.org where the distribution has another), or name its folder in postgres.client_dirs{}",
        skipped(.broken)
    )]
    TooOld {
        /// As in `pg_dump`.
        program: String,
        /// The newest version there is.
        found: String,
        /// The server's major version.
        server_major: u32,
        /// Programs that do not run, and why.
        broken: Vec<String>,
    },
}

fn skipped(broken: &[String]) -> String {
    if broken.is_empty() { String::new() } else { format!(" (skipped: {})", broken.join("; ")) }
}

/// How long a program may take to tell its version.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// Parents of folders named after versions: before, after, and below the name.
const LAYOUTS: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// Finds `program` (such as `pg_dump`) for a server of `server_major`: in
/// `dirs` first, then where distributions put it, then in `PATH`.
///
/// # Errors
/// When there is none, or only older ones.
pub async fn find(
    dirs: &[PathBuf],
    program: &str,
    server_major: u32,
) -> Result<Client, ClientError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = dirs
        .iter()
        .cloned()
        .chain(LAYOUTS.iter().flat_map(layout))
        .chain(env::split_paths(&path))
        .collect();
    find_in(&places, program, server_major).await
}

/// Finds a `psql` that can be told to take no commands from its script.
///
/// # Errors
/// When there is none, only older ones, or the one that fits cannot be told so.
pub async fn find_psql(dirs: &[PathBuf], server_major: u32) -> Result<Client, ClientError> {
    let client = find(dirs, "psql", server_major).await?;
    if knows_restrict(client.major, client.minor) {
        return Ok(client);
    }
    let (found, path) = (client.text, client.path.display().to_string());
    Err(ClientError::Unguarded { found, path, major: client.major })
}

/// Whether `psql` of a version knows `\restrict`.
fn knows_restrict(major: u32, minor: u32) -> bool {
    const SINCE: [(u32, u32); 5] = [(13, 22), (14, 19), (15, 14), (16, 10), (17, 6)];
    major >= 18 || SINCE.iter().any(|&(of, since)| of == major && minor >= since)
}

async fn find_in(
    places: &[PathBuf],
    program: &str,
    server_major: u32,
) -> Result<Client, ClientError> {
    let mut found: Vec<Client> = Vec::new();
    let mut broken = Vec::new();
    let mut seen = HashSet::new();
    for place in places {
        let path = place.join(program);
        let Ok(real) = path.canonicalize() else {
            continue;
        };
        // Debian's wrapper picks a version by the clusters of this machine,
        // which say nothing about the source; the real ones stand elsewhere.
        if real.file_name().is_some_and(|name| name == "pg_wrapper") || !seen.insert(real) {
            continue;
        }
        match ask(&path).await {
            Ok(client) if client.major == server_major => return Ok(client),
            Ok(client) => found.push(client),
            Err(reason) => broken.push(format!("{}: {reason}", path.display())),
        }
    }
    choose(found, program, server_major).map_err(|newest| match newest {
        Some(newest) => ClientError::TooOld {
            program: program.to_owned(),
            found: format!("{}.{}", newest.major, newest.minor),
            server_major,
            broken,
        },
        None => ClientError::Missing {
            program: program.to_owned(),
            server_major,
            searched: describe(places),
            broken,
        },
    })
}

/// The nearest newer one; else the newest of those that are too old.
fn choose(
    mut found: Vec<Client>,
    program: &str,
    server_major: u32,
) -> Result<Client, Option<Client>> {
    found.sort_by_key(|client| client.major);
    let Some(at) = found.iter().position(|client| client.major >= server_major) else {
        return Err(found.pop());
    };
    let mut client = found.swap_remove(at);
    client.warning = Some(format!(
        "{program} {}.{} is newer than the PostgreSQL {server_major} server: an older server may \
         refuse settings that its scripts hold; install postgresql-client-{server_major}",
        client.major, client.minor
    ));
    Ok(client)
}

async fn ask(path: &Path) -> Result<Client, String> {
    let output = Program::new(path)
        .arg("--version")
        .output(VERSION_WITHIN)
        .await
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output).trim().to_owned();
    let (major, minor) =
        version(&text).ok_or_else(|| format!("its --version says no version: {text:.80}"))?;
    Ok(Client { path: path.to_owned(), major, minor, text, warning: None })
}

/// Reads `pg_dump (PostgreSQL) 15.14 (Debian …)`, `… 18beta2`.
fn version(text: &str) -> Option<(u32, u32)> {
    let rest = text.split_once("(PostgreSQL) ")?.1;
    let (major, rest) = number(rest)?;
    let minor = rest.strip_prefix('.').and_then(number).map_or(0, |(minor, _)| minor);
    Some((major, minor))
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn layout(&(parent, prefix, below): &(&str, &str, &str)) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut dirs: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.strip_prefix(prefix))
                .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        })
        .map(|entry| entry.path().join(below))
        .collect();
    // Newest first is of no consequence for the choice, but makes it stable.
    dirs.sort();
    dirs.reverse();
    dirs
}

fn describe(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|dir| dir.display().to_string()).collect();
    if places.is_empty() { "any known place".to_owned() } else { places.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    fn install(root: &TempDir, dir: &str, script: &str) -> PathBuf {
        let dir = root.path().join(dir);
        fs::create_dir_all(&dir).unwrap();
        // Written under another name first: a file that is still open for
        // writing in a child forked meanwhile could not be run.
        let path = dir.join("pg_dump");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    fn says(version: &str) -> String {
        format!("echo 'pg_dump (PostgreSQL) {version}'")
    }

    #[test]
    fn versions_are_read_in_all_their_forms() {
        assert_eq!(version("pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some((15, 14)));
        assert_eq!(version("psql (PostgreSQL) 19devel"), Some((19, 0)));
        assert_eq!(version("pg_dump (PostgreSQL) 18beta2"), Some((18, 0)));
        assert_eq!(version("something else 15.1"), None);
    }

    #[test]
    fn psql_knows_restrict_since_a_minor_of_each_major() {
        for (major, minor, knows) in [
            (12, 22, false),
            (13, 21, false),
            (13, 22, true),
            (14, 18, false),
            (15, 13, false),
            (15, 14, true),
            (16, 9, false),
            (17, 6, true),
            (18, 0, true),
            (19, 0, true),
        ] {
            assert_eq!(knows_restrict(major, minor), knows, "{major}.{minor}");
        }
    }

    #[tokio::test]
    async fn the_server_s_own_major_wins_over_newer_and_older_ones() {
        let root = TempDir::new().unwrap();
        let places = ["17.1", "14.9", "15.3"].map(|v| install(&root, v, &says(v)));
        let client = find_in(&places, "pg_dump", 15).await.unwrap();
        assert_eq!((client.major, client.minor, client.warning), (15, 3, None));
        assert_eq!(client.path, places[2].join("pg_dump"));
    }

    #[tokio::test]
    async fn the_nearest_newer_one_is_used_with_a_warning() {
        let root = TempDir::new().unwrap();
        let places = ["18.0", "14.9", "16.3"].map(|v| install(&root, v, &says(v)));
        let client = find_in(&places, "pg_dump", 15).await.unwrap();
        assert_eq!(client.major, 16);
        let warning = client.warning.unwrap();
        assert!(warning.contains("16.3") && warning.contains("PostgreSQL 15"), "{warning}");
    }

    #[tokio::test]
    async fn an_older_one_is_refused_with_both_versions_and_the_package() {
        let root = TempDir::new().unwrap();
        let places = ["13.2", "14.9"].map(|v| install(&root, v, &says(v)));
        let error = find_in(&places, "pg_dump", 15).await.unwrap_err().to_string();
        for part in ["14.9", "PostgreSQL 15", "postgresql-client-15"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn a_broken_one_is_skipped_and_named() {
        let root = TempDir::new().unwrap();
        let places = [
            install(&root, "broken", "echo libpq is missing >&2; exit 127"),
            install(&root, "odd", "echo hello"),
            root.path().join("empty"),
        ];
        let error = find_in(&places, "pg_dump", 15).await.unwrap_err();
        assert!(matches!(error, ClientError::Missing { .. }), "{error}");
        let error = error.to_string();
        for part in ["libpq is missing", "says no version: hello", "postgresql-client-15"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn debian_s_wrapper_is_passed_over() {
        let root = TempDir::new().unwrap();
        let real = install(&root, "real", &says("15.3"));
        let bin = root.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::copy(real.join("pg_dump"), root.path().join("pg_wrapper")).unwrap();
        symlink(root.path().join("pg_wrapper"), bin.join("pg_dump")).unwrap();
        let client = find_in(&[bin, real.clone()], "pg_dump", 15).await.unwrap();
        assert_eq!(client.path, real.join("pg_dump"));
    }
}
