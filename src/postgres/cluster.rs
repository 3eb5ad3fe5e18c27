//! A throwaway PostgreSQL cluster: initialised, started, used, and gone.
//!
//! It lives in one private directory, listens on a unix socket inside it and
//! nowhere else, and runs as an unprivileged user even when we are root. No
//! way out leaves it behind: [`Cluster::stop`] shuts it down and says so, `Drop`
//! does as much, and a watcher process that holds our end of a pipe ends it and
//! removes its directory when we are killed with no time to do either. Where it
//! runs what nobody has read ([`ClusterOptions::least`]), what that has started and
//! left behind ends with it.

mod error;

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions, postgres::PgSslMode};
use tempfile::TempDir;
use tokio::process::ChildStdin;

pub use self::error::ClusterError;
use super::unprivileged::{Account, reachable};
use crate::process::{Adoption, Child, Program, Stream};

/// The bootstrap superuser of a cluster, unless it is told another name.
pub const SUPERUSER: &str = "postgres";

/// Names the socket; a unix socket needs no free port.
const DEFAULT_PORT: u16 = 5432;

const INITDB_DEADLINE: Duration = Duration::from_mins(2);
const START_DEADLINE: Duration = Duration::from_mins(1);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// `Drop` blocks its thread, so it is less patient.
const DROP_DEADLINE: Duration = Duration::from_secs(3);
/// What is killed is gone in a moment; what it has started by then takes another.
const ORPHANS_DEADLINE: Duration = Duration::from_secs(2);
/// How often it is looked whether something has ended.
const POLL: Duration = Duration::from_millis(5);

/// The kernel's limit for a unix socket's path, its closing NUL included.
const SOCKET_PATH_LIMIT: usize = 108;

/// Nothing here outlives the process, so nothing waits for a disk.
const THROWAWAY: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("wal_init_zero", "off"),
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0777"),
    ("logging_collector", "off"),
];

/// Replaces itself with what starts the server, after starting a watcher that reads
/// our pipe: its end means that we are gone, whatever killed us.
///
/// The server is told to end by way of its process group, because it need not be the
/// process that we have started: that may be a program which waits for it, and must
/// not end before it. Whoever means to hear SIGQUIT, as the server does, says so.
const WATCHED: &str = r#"trap '' QUIT
dir=$1; shift
exec 3<&0
{ read -r _ <&3
  tries=0
  while [ $tries -lt 150 ] && kill -0 $$; do
    if [ $tries -lt 100 ]; then kill -s QUIT -- "-$$"; else kill -s KILL $$; fi
    tries=$((tries + 1)); sleep 0.1
  done
  rm -rf -- "$dir"
} >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-"#;

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The directory with `initdb` and `postgres`.
    pub bin_dir: PathBuf,
    /// Where its directory is made; `None` takes the system's temporary directory.
    pub root: Option<PathBuf>,
    /// An initialised data directory that is copied instead of running `initdb`.
    pub template: Option<PathBuf>,
    /// Names the socket. It only needs to be free where `settings` make the
    /// server listen on the network too.
    pub port: u16,
    /// Server settings, over those that make it fast and forgetful.
    pub settings: Vec<(String, String)>,
    /// The name of its bootstrap superuser.
    pub superuser: String,
    /// Programs that start the server in their turn, such as `nice -n 10`. One that
    /// stays must end as soon as the server does.
    pub wrap: Vec<String>,
    /// It runs what nobody has read. Where we are root, it runs as an account that
    /// owns nothing else; and no process that comes from it outlives it.
    pub least: bool,
    /// `wrap` gives it processes of its own, so that the kernel ends them with it.
    pub own_processes: bool,
}

/// A running throwaway cluster. Dropping it ends the server and removes its directory.
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    /// Closing it is what the watcher waits for.
    watch: Option<ChildStdin>,
    bin_dir: PathBuf,
    port: u16,
    superuser: String,
    home: Option<TempDir>,
    /// Brings us what it leaves behind, where the kernel does not end that.
    adoption: Option<Adoption>,
}

impl ClusterOptions {
    /// A fresh cluster in the system's temporary directory.
    pub fn new(bin_dir: impl Into<PathBuf>) -> Self {
        Self {
            bin_dir: bin_dir.into(),
            root: None,
            template: None,
            port: DEFAULT_PORT,
            settings: Vec::new(),
            superuser: SUPERUSER.to_owned(),
            wrap: Vec::new(),
            least: false,
            own_processes: false,
        }
    }

    fn account(&self) -> Result<Account, ClusterError> {
        let account = if self.least { Account::for_sandbox() } else { Account::for_server() };
        account.map_err(ClusterError::Account)
    }

    /// Adds a server setting.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

/// Runs `initdb` for `data`, which must not exist yet; its parent must belong
/// to the account that the server will run as.
///
/// # Errors
/// When there is no such account or `initdb` fails.
pub async fn init_data_dir(bin_dir: &Path, data: &Path) -> Result<(), ClusterError> {
    let account = Account::for_server().map_err(ClusterError::Account)?;
    init(&account, bin_dir, data, SUPERUSER).await
}

async fn init(
    account: &Account,
    bin_dir: &Path,
    data: &Path,
    superuser: &str,
) -> Result<(), ClusterError> {
    let program = |locale: &str| {
        account
            .run(Program::new(bin_dir.join("initdb")))
            .args(["--no-sync", "-A", "trust", "-E", "UTF8", "-U", superuser])
            // It sorts by the same bytes, and faster than by a library.
            .args([&format!("--locale={locale}"), "--lc-collate=C"])
            .arg("-D")
            .arg(data)
            .dir("/")
    };
    // C.UTF-8 sorts like C everywhere and knows letters beyond ASCII; a
    // machine without it still gets a working cluster.
    if program("C.UTF-8").output(INITDB_DEADLINE).await.is_ok() {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(data);
    program("C").output(INITDB_DEADLINE).await.map(drop).map_err(ClusterError::Init)
}

impl Cluster {
    /// Makes a cluster and waits until it answers.
    ///
    /// # Errors
    /// When its directory, `initdb` or the server fails; nothing is left behind.
    pub async fn start(options: ClusterOptions) -> Result<Self, ClusterError> {
        let account = options.account()?;
        let home = make_home(&options, &account)?;
        let server = options.bin_dir.join("postgres");
        for path in [home.path(), server.as_path()] {
            if account.differs() && !reachable(path) {
                return Err(ClusterError::Unreachable {
                    account: account.name,
                    path: path.to_owned(),
                });
            }
        }
        let data = home.path().join("data");
        match &options.template {
            Some(template) => copy_template(template, &data).await?,
            None => init(&account, &options.bin_dir, &data, &options.superuser).await?,
        }
        let mut program = account
            .run(Program::new("/bin/sh"))
            // The watcher stays out of what confines the server.
            .args(["-c", WATCHED, "sh"])
            .arg(home.path())
            .args(&options.wrap)
            .arg(&server)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(home.path())
            .args(["-p", &options.port.to_string()])
            .env("HOME", home.path())
            .dir("/");
        for (name, value) in THROWAWAY
            .iter()
            .copied()
            .chain(options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        {
            program = program.arg("-c").arg(format!("{name}={value}"));
        }
        let mut child = program.spawn(Stream::Piped, Stream::Null)?;
        // It runs what nobody has read only after it was connected to.
        let adopts = options.least && !options.own_processes;
        let adoption = adopts.then(|| Adoption::of(&child, account.user())).flatten();
        let watch = child.stdin();
        let ClusterOptions { bin_dir, port, superuser, .. } = options;
        let home = Some(home);
        let mut cluster = Self { child, watch, bin_dir, port, superuser, home, adoption };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// The private directory; the socket is in it.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.home.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// Where the programs came from.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// The name of its superuser.
    #[must_use]
    pub fn superuser(&self) -> &str {
        &self.superuser
    }

    /// The number in its socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connection string of one of its databases, as its superuser. It holds
    /// no secret: whoever may enter the private directory is trusted.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let part = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes())
                .collect::<String>()
                // libpq reads a plus as a plus.
                .replace('+', "%20")
        };
        format!(
            "postgresql://{}@localhost:{}/{}?host={}",
            part(&self.superuser),
            self.port,
            part(database),
            part(&self.socket_dir().to_string_lossy()),
        )
    }

    /// The same for sqlx.
    #[must_use]
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.socket_dir())
            .port(self.port)
            .username(&self.superuser)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// Shuts it down, then removes its directory.
    ///
    /// # Errors
    /// When the directory cannot be removed; the server is gone in any case.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        // An immediate shutdown: a checkpoint would write gigabytes of pages
        // into files that are about to go.
        self.signal(Signal::SIGQUIT);
        let _ = tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await;
        self.child.stop(Duration::ZERO).await;
        let deadline = Instant::now() + ORPHANS_DEADLINE;
        while !self.has_left_nothing() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        match self.home.take() {
            Some(home) => {
                let path = home.path().to_owned();
                let closed = tokio::task::spawn_blocking(move || home.close()).await;
                let closed = closed.unwrap_or_else(|error| Err(error.into()));
                closed.map_err(|source| ClusterError::Directory { path, source })
            }
            None => Ok(()),
        }
    }

    async fn ready(&mut self) -> Result<(), ClusterError> {
        let options = self.connect_options("postgres");
        let connects = async {
            let mut pause = Duration::from_millis(5);
            let mut last = String::from("no attempt was made");
            let deadline = Instant::now() + START_DEADLINE;
            while Instant::now() < deadline {
                match PgConnection::connect_with(&options).await {
                    Ok(connection) => {
                        let _ = connection.close().await;
                        return Ok(());
                    }
                    Err(error) => last = error.to_string(),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
            }
            Err(ClusterError::NotReady { deadline: START_DEADLINE, last })
        };
        tokio::select! {
            result = connects => result,
            exit = self.child.wait() => Err(ClusterError::Ended(exit?.stderr.trim().to_owned())),
        }
    }

    /// To all of its group, as the watcher does it.
    fn signal(&self, signal: Signal) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // An error only says that it is gone already.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }

    /// Ends what has come from the server and outlives it; returns whether there was
    /// nothing.
    fn has_left_nothing(&self) -> bool {
        self.adoption.as_ref().is_none_or(Adoption::end_orphans)
    }
}

impl Drop for Cluster {
    /// An immediate shutdown, waited for. The server's backends each lead a
    /// session of their own, so only the server can end them all; killing it
    /// outright would leave them writing into a directory that is going away.
    fn drop(&mut self) {
        let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) else {
            return;
        };
        let pid = Pid::from_raw(id);
        self.signal(Signal::SIGQUIT);
        let wait = |deadline: Duration, is_done: &dyn Fn() -> bool| {
            let deadline = Instant::now() + deadline;
            while !is_done() && Instant::now() < deadline {
                std::thread::sleep(POLL);
            }
        };
        wait(DROP_DEADLINE, &|| !runs(pid));
        // Whatever is left, and the watcher before it could act.
        let _ = killpg(pid, Signal::SIGKILL);
        wait(ORPHANS_DEADLINE, &|| !runs(pid) && self.has_left_nothing());
        self.watch = None;
    }
}

/// Whether our child still runs; it is looked at, not reaped, because tokio reaps it.
fn runs(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(pid), flags) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => true,
        Ok(_) | Err(_) => false,
    }
}

fn make_home(options: &ClusterOptions, account: &Account) -> Result<TempDir, ClusterError> {
    let root = options.root.clone().unwrap_or_else(std::env::temp_dir);
    let failed = |source| ClusterError::Directory { path: root.clone(), source };
    // Whoever reaches the socket is trusted, so nobody else may.
    let home = tempfile::Builder::new()
        .prefix("reliquary-pg-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&root)
        .map_err(failed)?;
    let socket = home.path().join(format!(".s.PGSQL.{}", options.port));
    if socket.as_os_str().len() >= SOCKET_PATH_LIMIT {
        return Err(ClusterError::SocketPath(socket));
    }
    account.give(home.path()).map_err(failed)?;
    Ok(home)
}

async fn copy_template(template: &Path, data: &Path) -> Result<(), ClusterError> {
    // Owners and modes must survive, and `cp` shares blocks where it can.
    Program::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(template)
        .arg(data)
        .output(INITDB_DEADLINE)
        .await
        .map(drop)
        .map_err(ClusterError::Init)
}

#[cfg(test)]
mod tests;
