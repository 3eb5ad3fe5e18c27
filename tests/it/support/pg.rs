//! A throwaway PostgreSQL cluster of the installed version 15.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, chown, geteuid},
};
use reliquary::{
    postgres::{
        Client, ConnectionUrl, Dump, Exclude, Part, Section, Session, SessionError, clients,
    },
    process::{ProcessError, Program},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// A deadline that only a hang reaches.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// Ends when it is dropped.
pub(crate) struct Pg {
    root: TempDir,
    pub(crate) port: u16,
    /// The CA that signed the server's certificate (for `localhost`), where it has one.
    pub(crate) ca: PathBuf,
}

/// Where the programs are.
pub(crate) fn bin(program: &str) -> PathBuf {
    Path::new("/usr/lib/postgresql/15/bin").join(program)
}

impl Pg {
    /// A cluster with trust on its socket and passwords over TCP.
    pub(crate) async fn start() -> Self {
        Self::build(false, "", None).await
    }

    /// The same with TLS.
    pub(crate) async fn start_with_tls() -> Self {
        Self::build(true, "", None).await
    }

    /// The same with further settings, one `name = value` a line.
    pub(crate) async fn start_with(settings: &str) -> Self {
        Self::build(false, settings, None).await
    }

    /// The same with TLS and other rules of who may come in how.
    pub(crate) async fn start_with_rules(rules: &str) -> Self {
        Self::build(true, "", Some(rules)).await
    }

    async fn build(tls: bool, settings: &str, rules: Option<&str>) -> Self {
        let root = TempDir::new().unwrap();
        own(root.path());
        let data = root.path().join("data");
        run(as_owner("initdb")
            .args(["--no-sync", "--username=postgres", "--auth-host=scram-sha-256"])
            .args(["--auth-local=trust", "--encoding=UTF8", "--locale=C"])
            .arg("--pgdata")
            .arg(&data))
        .await;
        if let Some(rules) = rules {
            fs::write(data.join("pg_hba.conf"), rules).unwrap();
        }
        let pg = Self { port: free_port(), ca: root.path().join("ca.pem"), root };
        if tls {
            certify(pg.root.path()).await;
        }
        pg.launch(&data, tls, settings).await;
        pg
    }

    /// A standby that follows this cluster.
    pub(crate) async fn standby(&self, settings: &str) -> Self {
        let root = TempDir::new().unwrap();
        own(root.path());
        let data = root.path().join("data");
        run(as_owner("pg_basebackup")
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--username=postgres", "--port", &self.port.to_string(), "--host"])
            .arg(self.root.path())
            .arg("--pgdata")
            .arg(&data))
        .await;
        let standby = Self { port: free_port(), ca: root.path().join("ca.pem"), root };
        standby.launch(&data, false, settings).await;
        standby
    }

    async fn launch(&self, data: &Path, tls: bool, settings: &str) {
        let root = self.root.path().display();
        let ssl = if tls {
            format!(
                "ssl = on\nssl_cert_file = '{root}/server.pem'\nssl_key_file = '{root}/server.key'\nssl_ca_file = '{root}/ca.pem'\n"
            )
        } else {
            String::new()
        };
        let config = format!(
            "port = {}\nunix_socket_directories = '{root}'\nlisten_addresses = '127.0.0.1'\n\
             fsync = off\nwal_level = replica\nmax_wal_senders = 4\n{ssl}{settings}\n",
            self.port
        );
        fs::write(
            data.join("postgresql.auto.conf"),
            [fs::read_to_string(data.join("postgresql.auto.conf")).unwrap_or_default(), config]
                .concat(),
        )
        .unwrap();
        run(as_owner("pg_ctl")
            .args(["start", "--wait", "--silent", "--pgdata"])
            .arg(data)
            .arg("--log")
            .arg(self.root.path().join("log")))
        .await;
    }

    /// The superuser's URL, over the socket.
    pub(crate) fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@/{database}?host={}&port={}",
            self.root.path().display(),
            self.port
        )
    }

    /// A role's URL over TCP.
    pub(crate) fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where the socket and the rest are.
    pub(crate) fn dir(&self) -> &Path {
        self.root.path()
    }

    /// A superuser's connection.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect_with(&parse(&self.url(database)).sqlx().unwrap()[0]).await.unwrap()
    }

    /// Runs SQL as the superuser.
    pub(crate) async fn sql(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        execute(&mut connection, sql).await;
    }

    /// A new database with what `sql` makes in it.
    pub(crate) async fn database(&self, name: &str, sql: &str) {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\"")).await;
        self.sql(name, sql).await;
    }
}

impl Drop for Pg {
    fn drop(&mut self) {
        let Ok(text) = fs::read_to_string(self.root.path().join("data/postmaster.pid")) else {
            return;
        };
        let Some(pid) = text.lines().next().and_then(|line| line.parse().ok()) else {
            return;
        };
        // Immediate shutdown, so that its shared memory does not stay behind.
        let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        for _ in 0..500 {
            if !Path::new(&format!("/proc/{pid}/cwd")).exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Reads a URL that must be good.
pub(crate) fn parse(url: &str) -> ConnectionUrl {
    ConnectionUrl::parse(&url.into()).unwrap()
}

/// Opens a session with deadlines that only a hang reaches.
pub(crate) async fn open(url: &str) -> Result<Session, SessionError> {
    Session::open(&parse(url), SOON, Duration::from_secs(20)).await
}

/// Runs SQL that must succeed.
pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// The installed `pg_dump`.
pub(crate) async fn pg_dump() -> Client {
    clients::find(&[], "pg_dump", 15).await.unwrap()
}

/// One section of a dump of what `session` sees now.
pub(crate) async fn dump(
    url: &str,
    exclude: &Exclude,
    section: Section,
) -> Result<String, ProcessError> {
    let mut session = open(url).await.unwrap();
    let snapshot = session.snapshot(exclude).await.unwrap();
    let dump = Dump {
        client: pg_dump().await,
        url: parse(url),
        snapshot: snapshot.id,
        exclusions: snapshot.exclusions,
        encoding: snapshot.facts.encoding.clone(),
        shares: Vec::new(),
        in_turn: false,
        lock_timeout: Duration::from_secs(20),
    };
    run_dump(&dump, section).await
}

/// Runs `pg_dump` to its end.
pub(crate) async fn run_dump(dump: &Dump, section: Section) -> Result<String, ProcessError> {
    let mut child = dump.spawn(Part::Section(section)).unwrap();
    let mut text = String::new();
    child.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    child.wait().await?.success()?;
    Ok(text)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The servers refuse to run as root.
fn as_owner(program: &str) -> Program {
    owned(Program::new(bin(program)))
}

/// Runs a program as the user that owns the clusters.
pub(crate) fn owned(program: Program) -> Program {
    match owner() {
        Some(user) => program.user(user.uid.as_raw(), user.gid.as_raw()).dir("/"),
        None => program,
    }
}

fn owner() -> Option<User> {
    geteuid().is_root().then(|| User::from_name("postgres").unwrap().unwrap())
}

/// Gives a path to the user that owns the clusters.
pub(crate) fn own(path: &Path) {
    if let Some(user) = owner() {
        chown(path, Some(user.uid), Some(user.gid)).unwrap();
    }
    let mode = if path.is_dir() { 0o755 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn run(program: Program) {
    program.output(SOON).await.unwrap();
}

/// A CA, and a server's certificate for `localhost` that it signed.
async fn certify(dir: &Path) {
    authority(dir, "ca").await;
    certificate(dir, "server", "localhost", "subjectAltName = DNS:localhost").await;
    own(&dir.join("server.key"));
}

/// A certificate of the CA `ca` for `subject`, as `NAME.pem` and `NAME.key`.
pub(crate) async fn certificate(dir: &Path, name: &str, subject: &str, extension: &str) {
    let path = |file: String| dir.join(file).display().to_string();
    let (key, request) = (path(format!("{name}.key")), path(format!("{name}.csr")));
    run(openssl(&["req", "-newkey", "rsa:2048", "-nodes"]).args([
        "-subj",
        &format!("/CN={subject}"),
        "-keyout",
        &key,
        "-out",
        &request,
    ]))
    .await;
    let extensions = path(format!("{name}.ext"));
    fs::write(&extensions, extension).unwrap();
    run(openssl(&["x509", "-req", "-days", "2", "-CAcreateserial"])
        .args(["-in", &request, "-extfile", &extensions])
        .args(["-CA", &path("ca.pem".into()), "-CAkey", &path("ca.key".into())])
        .args(["-out", &path(format!("{name}.pem"))]))
    .await;
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A certificate authority, as `NAME.pem` and `NAME.key`.
pub(crate) async fn authority(dir: &Path, name: &str) {
    let path = |end: &str| dir.join(format!("{name}.{end}")).display().to_string();
    run(openssl(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]).args([
        "-subj",
        "/CN=A test authority",
        "-keyout",
        &path("key"),
        "-out",
        &path("pem"),
    ]))
    .await;
}

fn openssl(args: &[&str]) -> Program {
    Program::new("openssl").args(args)
}
