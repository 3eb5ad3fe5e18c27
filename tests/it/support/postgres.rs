//! Throwaway PostgreSQL servers of several majors.
//!
//! Every test process starts its own server; what makes that cheap is a data
//! directory that `initdb` filled once and that is copied from then on. The
//! API blocks, so that synchronous and asynchronous tests use it alike.

use std::{
    fs::{File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{OnceLock, mpsc},
    thread::JoinHandle,
};

use reliquary::postgres::cluster::{Cluster, ClusterOptions, init_data_dir};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{
    replay,
    tools::{command, tool_dirs},
};

/// A running server that is this test's alone; dropping it, by a panic too,
/// ends it and removes its data.
pub(crate) struct Server {
    bin_dir: PathBuf,
    url: String,
    tcp_port: Option<u16>,
    replay: OnceLock<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

/// How a server is to differ from the usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerOptions {
    /// Listen on a free port of 127.0.0.1 as well; passwords are asked for there.
    pub(crate) tcp: bool,
    /// Server settings.
    pub(crate) settings: Vec<(String, String)>,
}

impl Server {
    /// Starts a server that listens on a unix socket only.
    pub(crate) fn start(major: u32) -> Self {
        Self::start_with(major, ServerOptions::default())
    }

    /// Starts a server with options.
    #[expect(clippy::needless_pass_by_value, reason = "options are made where they are given")]
    pub(crate) fn start_with(major: u32, options: ServerOptions) -> Self {
        let bin_dir = bin_dir(major);
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(major, &bin_dir, &options) {
                Ok(server) => return server,
                // Between choosing a free port and listening on it another
                // process may have taken it.
                Err(error) if options.tcp && tries < 5 => eprintln!("{error}; once more"),
                Err(error) => panic!("failed to start PostgreSQL {major}: {error}"),
            }
        }
    }

    fn try_start(major: u32, bin_dir: &Path, options: &ServerOptions) -> Result<Self, String> {
        let tcp_port = options.tcp.then(free_port);
        let mut cluster_options = ClusterOptions::new(bin_dir);
        cluster_options.settings.clone_from(&options.settings);
        if let Some(port) = tcp_port {
            cluster_options = cluster_options.set("listen_addresses", "127.0.0.1");
            cluster_options.port = port;
        }
        let bins = bin_dir.to_owned();
        let (started, starts) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        // A thread of its own keeps the server's runtime alive whatever kind
        // of runtime the test has, and lets `drop` wait for the end.
        let keeper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                cluster_options.template = Some(template(&bins, major).await);
                match Cluster::start(cluster_options).await {
                    Ok(cluster) => {
                        let _ = started.send(Ok(cluster.url("DATABASE")));
                        // An error says that the sender is gone, which is as good.
                        let _ = stopped.await;
                        drop(cluster);
                    }
                    Err(error) => {
                        let _ = started.send(Err(error.to_string()));
                    }
                }
            });
        });
        let url = starts.recv().map_err(|_| "its thread panicked".to_owned())??;
        let server = Self {
            bin_dir: bin_dir.to_owned(),
            url,
            tcp_port,
            replay: OnceLock::new(),
            stop: Some(stop),
            keeper: Some(keeper),
        };
        if options.tcp {
            server.ask_for_passwords_over_tcp();
        }
        Ok(server)
    }

    /// The connection string of a database, over the unix socket, as the superuser.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url.replace("DATABASE", database)
    }

    /// The connection string of a database over TCP, for a role with a
    /// password, as `create role x login password 'y'` makes it.
    pub(crate) fn tcp_url(&self, database: &str, user: &str, password: &str) -> String {
        let port = self.tcp_port.expect("a server started with tcp");
        format!("postgresql://{user}:{password}@127.0.0.1:{port}/{database}")
    }

    /// A client program of this server's own major.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// The directory of the programs of this server's own major.
    pub(crate) fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// A directory whose `pg_dump` dumps a database once and says the same from
    /// then on; for one database, in which nothing changes.
    pub(crate) fn replayed_dump(&self) -> &Path {
        self.replay.get_or_init(|| replay::folder(&self.bin("pg_dump"))).path()
    }

    /// Makes an empty database and returns its connection string.
    pub(crate) fn create_database(&self, name: &str) -> String {
        self.psql("postgres", &format!(r#"create database "{name}" template template0"#));
        self.url(name)
    }

    /// Runs SQL and returns what it printed, unaligned and without headings.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        self.psql_command(database).arg("-f-").output_of(sql.as_bytes())
    }

    /// Runs a file of SQL.
    pub(crate) fn psql_file(&self, database: &str, file: impl AsRef<Path>) -> String {
        self.psql_command(database).arg("-f").arg(file.as_ref()).output_of(b"")
    }

    /// Loads the nasty schema of `tests/fixtures` into a database that exists.
    pub(crate) fn load_nasty(&self, database: &str) {
        self.psql_file(database, fixture("nasty.sql"));
    }

    /// A psql that stops at the first error and reads nobody's settings.
    pub(crate) fn psql_command(&self, database: &str) -> Command {
        let mut psql = command(self.bin("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.url(database))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("PGOPTIONS");
        psql
    }

    /// What `pg_dump` says about a database, without what differs from run to
    /// run or from server to server: equal texts are equal databases.
    pub(crate) fn dump_plain(&self, database: &str) -> Vec<u8> {
        normalise_dump(
            &command(self.bin("pg_dump"))
                .args(["--no-owner", "--no-privileges", "-d"])
                .arg(self.url(database))
                .bytes_of(b""),
        )
    }

    /// Trusts the socket, but not the network.
    fn ask_for_passwords_over_tcp(&self) {
        let file = self.psql("postgres", "show hba_file");
        std::fs::write(
            file.trim(),
            "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
        )
        .expect("write pg_hba.conf");
        self.psql("postgres", "select pg_reload_conf()");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// A file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Takes versions and the random keys of `\restrict` out of a dump's comments and psql commands.
pub(crate) fn normalise_dump(dump: &[u8]) -> Vec<u8> {
    let varies = |line: &[u8]| {
        [
            b"\\restrict ".as_slice(),
            b"\\unrestrict ",
            b"-- Dumped from database version ",
            b"-- Dumped by pg_dump version ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    // The header stands before the first statement and `\unrestrict` after the
    // last one, so a line of data that looks like them is kept.
    let header_end = find(dump, b"\nSET ").unwrap_or(0);
    let footer_start = dump
        .windows(1 + b"\\unrestrict ".len())
        .rposition(|window| window == b"\n\\unrestrict ")
        .unwrap_or(dump.len());
    let mut kept = Vec::with_capacity(dump.len());
    let mut offset = 0;
    for line in dump.split_inclusive(|&byte| byte == b'\n') {
        let at_an_end = offset <= header_end || offset > footer_start;
        if !(at_an_end && varies(line)) {
            kept.extend_from_slice(line);
        }
        offset += line.len();
    }
    kept
}

/// As [`assert_same_dump`], whatever the order of their lines: sessions that share
/// a table mix its rows.
pub(crate) fn assert_same_lines(left: &[u8], right: &[u8]) {
    let sorted = |dump: &[u8]| {
        let mut lines: Vec<&[u8]> = dump.split(|&byte| byte == b'\n').collect();
        lines.sort_unstable();
        lines.join(&b'\n')
    };
    assert_same_dump(&sorted(left), &sorted(right));
}

/// Fails with the first lines that differ; `assert_eq!` would print both whole dumps.
pub(crate) fn assert_same_dump(left: &[u8], right: &[u8]) {
    if left == right {
        return;
    }
    let at = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right)
        .unwrap_or(left.len().min(right.len()));
    let around = |dump: &[u8]| {
        let slice = &dump[at.saturating_sub(600).min(dump.len())..(at + 300).min(dump.len())];
        String::from_utf8_lossy(slice).into_owned()
    };
    panic!(
        "the dumps ({} and {} bytes) differ at byte {at}\n--- left\n{}\n--- right\n{}",
        left.len(),
        right.len(),
        around(left),
        around(right),
    );
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Where the programs of a major are.
pub(crate) fn bin_dir(major: u32) -> PathBuf {
    let mut dirs = vec![PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))];
    dirs.extend(tool_dirs().iter().map(|dir| dir.join(format!("postgresql/{major}/bin"))));
    dirs.iter()
        .find(|dir| dir.join("postgres").is_file() && dir.join("pg_dump").is_file())
        .unwrap_or_else(|| {
            panic!("PostgreSQL {major} is in none of {dirs:?}; `bash tests/run.sh` installs it")
        })
        .clone()
}

/// A data directory fresh from `initdb`, made once a release and target directory.
async fn template(bin_dir: &Path, major: u32) -> PathBuf {
    let version = command(bin_dir.join("postgres")).arg("--version").output_of(b"");
    let version = version.split_whitespace().nth(2).expect("a version");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgresql-templates");
    std::fs::create_dir_all(&cache).expect("make the directory of templates");
    let ready = cache.join(format!("{version}-{}", nix::unistd::geteuid()));
    let lock = File::create(cache.join(format!("{major}.lock"))).expect("make a lock file");
    lock.lock().expect("wait for the template");
    if !ready.is_dir() {
        // The server's account writes it where everyone may; we copy it to
        // where that account may have no business.
        let work = tempfile::tempdir().expect("make a directory");
        std::fs::set_permissions(work.path(), Permissions::from_mode(0o777))
            .expect("open it to the server's account");
        let data = work.path().join("data");
        init_data_dir(bin_dir, &data).await.expect("initialise a template");
        let copy = ready.with_extension("partial");
        let _ = std::fs::remove_dir_all(&copy);
        command("cp").arg("-a").args([&data, &copy]).output_of(b"");
        std::fs::rename(&copy, &ready).expect("put the template in its place");
    }
    ready
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// Runs a child to its end; a failure is the test's failure.
pub(crate) trait Run {
    /// What it wrote to stdout, as text.
    fn output_of(&mut self, stdin: &[u8]) -> String;
    /// What it wrote to stdout.
    fn bytes_of(&mut self, stdin: &[u8]) -> Vec<u8>;
}

impl Run for Command {
    fn output_of(&mut self, stdin: &[u8]) -> String {
        String::from_utf8(self.bytes_of(stdin)).expect("text")
    }

    fn bytes_of(&mut self, stdin: &[u8]) -> Vec<u8> {
        let mut child = self
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {self:?}: {error}"));
        let mut pipe = child.stdin.take().expect("a pipe");
        let output = std::thread::scope(|scope| {
            // A child that ends early does not read everything; its exit code tells.
            scope.spawn(move || pipe.write_all(stdin));
            child.wait_with_output().expect("wait for a child")
        });
        assert!(
            output.status.success(),
            "{} {}: {}",
            self.get_program().display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }
}
