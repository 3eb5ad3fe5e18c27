//! The throwaway cluster that a drill restores into.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    disk::{self, DiskError},
    record::PlaceFacts,
    remains::{self, Owner},
    tuning,
};
use crate::postgres::{
    ConnectionUrl, SessionError, Target, TargetError, UrlError,
    cluster::{Cluster, ClusterError, ClusterOptions},
    confine::{close_to_others, confine},
    quote,
    server_bins::{FindServerError, ServerBins, find_nearest},
};
use crate::words::DrillPlace;

/// The database that is restored into.
const DATABASE: &str = "drill";

/// Databases that every new cluster has: one that nobody needs, and what others are
/// made from.
const SPARE: &str = "postgres";
const TEMPLATE: &str = "template1";

/// The encoding that every cluster is made with.
const USUAL_ENCODING: &str = "UTF8";

const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// What a sandbox must be.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The source's major version.
    pub major: u32,
    /// The source's encoding.
    pub encoding: String,
    /// Size of the dump, in bytes.
    pub dump_bytes: u64,
    /// Where server programs may be, beside the usual places.
    pub server_dirs: Vec<PathBuf>,
    /// Where its folder is made; `None` takes the system's temporary directory.
    pub dir: Option<PathBuf>,
    /// How much of the disk stays free, in bytes.
    pub keep_free: u64,
}

/// A running sandbox. Dropping it ends the server and removes everything.
#[derive(Debug)]
pub struct Sandbox {
    cluster: Cluster,
    bins: ServerBins,
    facts: PlaceFacts,
    // Dropped after the cluster, in this order.
    folder: TempDir,
    _owner: Owner,
}

/// A sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There are no server programs for it.
    #[error(transparent)]
    Bins(#[from] FindServerError),
    /// There is no room for it.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its folder cannot be made.
    #[error("make the sandbox's folder in {}: {source}; drill.dir names another place", .root.display())]
    Folder {
        /// Where.
        root: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server's account cannot get at something it needs.
    #[error(
        "let the account {account} reach {}: a directory on the way is closed to it; set {} to \
         where everyone may look",
        .path.display(), if *.is_folder { "drill.dir" } else { "drill.server_dirs" }
    )]
    Closed {
        /// The account.
        account: String,
        /// What it must reach.
        path: PathBuf,
        /// Whether that is the sandbox's own folder, and no program.
        is_folder: bool,
    },
    /// The kernel would refuse the socket.
    #[error(
        "make a socket at {}: a socket's path is limited to 107 bytes; set drill.dir to a shorter \
         one",
        .0.display()
    )]
    SocketPath(PathBuf),
    /// Its server does not start.
    #[error(transparent)]
    Cluster(ClusterError),
    /// Its own connection string cannot be read.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// It cannot be connected to.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// It does not do what it is told.
    #[error("prepare the sandbox: {0}")]
    Server(#[from] TargetError),
}

impl Sandbox {
    /// Clears what killed drills have left, and starts a sandbox with an empty
    /// database.
    ///
    /// # Errors
    /// When there is no room, there are no programs, or the server does not start.
    pub async fn start(options: &SandboxOptions) -> Result<Self, SandboxError> {
        let root = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let at = root.clone();
        let cleared = apart(&root, move |stop| {
            fs::metadata(&at)?;
            Ok(remains::clear(&at, stop))
        });
        for folder in cleared.await? {
            let folder = folder.display();
            tracing::info!(%folder, "cleared what a killed drill had left");
        }
        let bins = find_nearest(&options.server_dirs, options.major).await?;
        let (at, needed) = (root.clone(), disk::needed(options.dump_bytes));
        let keep_free = options.keep_free;
        let free = apart(&root, move |_| Ok(disk::enough(&at, needed, keep_free))).await??;
        let at = root.clone();
        let made = apart(&root, move |_| {
            let folder = tempfile::Builder::new()
                .prefix(remains::PREFIX)
                // The server's account must be able to walk through it, no more.
                .permissions(Permissions::from_mode(0o711))
                .tempdir_in(&at)?;
            let owner = remains::own(folder.path())?;
            Ok((folder, owner))
        });
        let (folder, owner) = made.await?;
        // Before anything that we have not read can run beside us.
        close_to_others();
        let confinement = confine().await;
        let mut cluster = ClusterOptions::new(&bins.dir);
        cluster.root = Some(folder.path().to_owned());
        cluster.superuser = format!("drill_{:016x}", rand::random::<u64>());
        let free = free.saturating_sub(options.keep_free);
        cluster.settings = tuning::tuning(tuning::memory(), free, tuning::processors());
        cluster.wrap.clone_from(&confinement.wrap);
        cluster.own_processes = confinement.own_processes;
        cluster.least = true;
        let facts = PlaceFacts {
            place: DrillPlace::Sandbox,
            server_version: bins.version.clone(),
            network: if confinement.no_network { "none" } else { "the machine's" }.to_owned(),
        };
        let cluster = Cluster::start(cluster).await;
        let cluster = cluster.map_err(|error| in_words(error, folder.path()))?;
        let sandbox = Self { cluster, bins, facts, folder, _owner: owner };
        sandbox.make_database(&options.encoding).await?;
        Ok(sandbox)
    }

    async fn make_database(&self, encoding: &str) -> Result<(), SandboxError> {
        let mut session = Target::another(&self.url_of(TEMPLATE)?, CONNECT_WITHIN).await?;
        let sql = if encoding == USUAL_ENCODING {
            // Nothing is in it yet, and copying another takes its time.
            format!("ALTER DATABASE {SPARE} RENAME TO {DATABASE}")
        } else {
            // Any encoding fits this locale, and few fit another.
            let encoding = encoding.replace('\'', "''");
            format!(
                "CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' \
                 LC_CTYPE 'C'"
            )
        };
        session.run(&sql).await?;
        session.close().await;
        Ok(())
    }

    fn url_of(&self, database: &str) -> Result<ConnectionUrl, UrlError> {
        ConnectionUrl::parse(&SecretString::from(self.cluster.url(database)))
    }

    /// The database's connection string, as the sandbox's superuser.
    ///
    /// # Errors
    /// Never in practice: it is our own.
    pub fn url(&self) -> Result<ConnectionUrl, UrlError> {
        self.url_of(DATABASE)
    }

    /// Creates roles that are not there yet, without login; returns which.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_roles(&self, roles: &[String]) -> Result<Vec<String>, SandboxError> {
        self.create(roles, "NOLOGIN").await
    }

    /// The same with roles that own what a legacy archive makes: of event triggers, foreign
    /// data wrappers and the like only a superuser may be the owner, and nothing says which
    /// of them was one. What runs as it may do no more than the archive itself, which is
    /// restored by a superuser.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_owners(&self, roles: &[String]) -> Result<Vec<String>, SandboxError> {
        self.create(roles, "NOLOGIN SUPERUSER").await
    }

    async fn create(&self, roles: &[String], how: &str) -> Result<Vec<String>, SandboxError> {
        let mut session = Target::another(&self.url()?, CONNECT_WITHIN).await?;
        let there = session.names("SELECT rolname::text FROM pg_catalog.pg_roles").await?;
        let mut created = Vec::new();
        for role in roles {
            if !there.contains(role) && !created.contains(role) && !role.starts_with("pg_") {
                session.run(&format!("CREATE ROLE {} {how}", quote(role))).await?;
                created.push(role.clone());
            }
        }
        session.close().await;
        Ok(created)
    }

    /// What it is.
    #[must_use]
    pub fn facts(&self) -> &PlaceFacts {
        &self.facts
    }

    /// Its programs.
    #[must_use]
    pub fn bins(&self) -> &ServerBins {
        &self.bins
    }

    /// Its cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Its database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        DATABASE
    }

    /// Ends the server in order and removes everything.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn stop(self) -> Result<(), SandboxError> {
        let Self { cluster, folder, _owner: owner, .. } = self;
        cluster.stop().await.map_err(SandboxError::Cluster)?;
        let root = folder.path().to_owned();
        apart(&root, move |_| {
            remains::remove(folder.path())?;
            // It is gone already.
            let _ = folder.close();
            drop(owner);
            Ok(())
        })
        .await
    }
}

/// Does what may block, as a disk does that hangs, where it holds nobody up. Whoever
/// waits for it may stop waiting at any time, which it is told.
async fn apart<T: Send + 'static>(
    root: &Path,
    work: impl FnOnce(&CancellationToken) -> io::Result<T> + Send + 'static,
) -> Result<T, SandboxError> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let _waits = stop.drop_guard();
    let done = tokio::task::spawn_blocking(move || work(&told)).await;
    let done = done.unwrap_or_else(|error| Err(error.into()));
    done.map_err(|source| SandboxError::Folder { root: root.to_owned(), source })
}

/// A cluster knows nothing of the settings that say where a sandbox is made.
fn in_words(error: ClusterError, folder: &Path) -> SandboxError {
    match error {
        ClusterError::Unreachable { account, path } => {
            let is_folder = path.starts_with(folder);
            SandboxError::Closed { account, path, is_folder }
        }
        ClusterError::SocketPath(path) => SandboxError::SocketPath(path),
        other => SandboxError::Cluster(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_does_not_do_is_told_with_the_setting_that_names_it() {
        let folder = Path::new("/srv/closed/reliquary-drill-x");
        let closed = |path: &str| {
            let (account, path) = ("nobody".to_owned(), PathBuf::from(path));
            in_words(ClusterError::Unreachable { account, path }, folder).to_string()
        };
        let long = in_words(ClusterError::SocketPath(folder.join("s")), folder).to_string();
        for (said, setting) in [
            (closed("/srv/closed/reliquary-drill-x/reliquary-pg-y"), "drill.dir"),
            (closed("/root/pgsql/bin/postgres"), "drill.server_dirs"),
            (long, "drill.dir"),
        ] {
            assert!(said.contains(setting) && !said.contains("TMPDIR"), "{said}");
        }
    }

    #[tokio::test]
    async fn what_hangs_on_a_disk_keeps_nobody_from_waiting_no_longer() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let hangs = apart(Path::new("/"), move |stop| {
            while !stop.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = sender.send(());
            Ok(())
        });
        // Nobody else is on this thread, which a time that is up needs.
        assert!(tokio::time::timeout(Duration::from_millis(20), hangs).await.is_err());
        receiver.recv_timeout(Duration::from_secs(20)).expect("it is told");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_no_full_disk() {
        let options = SandboxOptions {
            major: 15,
            encoding: USUAL_ENCODING.to_owned(),
            dump_bytes: 1,
            server_dirs: Vec::new(),
            dir: Some(PathBuf::from("/no/such/folder")),
            keep_free: 1,
        };
        let error = Sandbox::start(&options).await.unwrap_err();
        assert!(matches!(error, SandboxError::Folder { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("/no/such/folder") && said.contains("drill.dir"), "{said}");
    }
}
