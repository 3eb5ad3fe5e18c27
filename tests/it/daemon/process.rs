//! `reliquary run` as a process, by the machine's own clock.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Lines},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ExitStatus, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reliquary::store::LocalStore;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, backups, pointed_at, sample_server};
use crate::support::{
    postgres::{Run as _, Server},
    tools::{command, tool},
};

const TOKEN: &str = "a-token-of-some-length-0123456789";

/// A configuration and a directory to keep backups in.
struct Installation {
    dir: TempDir,
    file: PathBuf,
}

impl Installation {
    fn new(server: &Server) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("reliquary.toml");
        let text = format!(
            "store.url = \"file://{}/store\"\n\
             http.listen = \"127.0.0.1:0\"\nhttp.token = {TOKEN:?}\n\
             log.format = \"json\"\n\
             [databases.main]\nurl = {:?}\nschedule = \"*/2 * * * * *\"\nretry_delay = \"1s\"\n",
            dir.path().display(),
            server.url("app"),
        );
        std::fs::write(&file, text).unwrap();
        Self { dir, file }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn command(&self, more: &BTreeMap<&str, String>) -> std::process::Command {
        let mut command = command(env!("CARGO_BIN_EXE_reliquary"));
        command.arg("--config").arg(&self.file).envs(more);
        command
    }

    /// What `reliquary status` says of a daemon there, and with which code.
    fn status(&self, address: &str, more: &[(&'static str, String)]) -> (Option<i32>, Value) {
        let mut env: BTreeMap<&str, String> = more.iter().cloned().collect();
        env.insert("RELIQUARY__HTTP__LISTEN", address.to_owned());
        let output = self.command(&env).args(["--json", "status"]).output().unwrap();
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), document)
    }

    async fn backups(&self) -> Vec<String> {
        backups(&LocalStore::open(&self.store()).await.unwrap(), "database/").await
    }
}

/// A daemon, killed when dropped.
struct Process {
    child: Child,
    address: String,
    /// What it logs, line by line.
    said: Option<JoinHandle<Vec<String>>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it and waits until it says where it listens.
    fn start(installation: &Installation, more: &[(&'static str, String)]) -> Self {
        let (mut daemon, lines) = Self::listening(installation, more);
        // Read to the end: a full pipe would stop it.
        daemon.said = Some(std::thread::spawn(move || lines.map_while(Result::ok).collect()));
        daemon
    }

    /// The same, and from then on nobody reads its log.
    fn unheard(installation: &Installation) -> Self {
        Self::listening(installation, &[]).0
    }

    fn listening(
        installation: &Installation,
        more: &[(&'static str, String)],
    ) -> (Self, Lines<BufReader<ChildStderr>>) {
        let mut child = installation
            .command(&more.iter().cloned().collect())
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended without listening").unwrap();
            assert!(!line.contains(TOKEN), "{line}");
            let line: Value = serde_json::from_str(&line).expect("one JSON object a line");
            let address = line.pointer("/fields/address").or_else(|| line.get("address"));
            if let Some(address) = address {
                break address.as_str().unwrap().to_owned();
            }
        };
        (Self { child, address, said: None }, lines)
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn healthy(&self) -> Value {
        let begun = Instant::now();
        loop {
            let (status, text) = self.get("/healthz").await;
            if status == StatusCode::OK {
                return serde_json::from_str(&text).unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks it to end, and waits until it has.
    fn terminate(self) -> ExitStatus {
        self.last_words().0
    }

    /// The same; returns what it logged as well.
    fn last_words(mut self) -> (ExitStatus, Vec<Value>) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        let said = self.said.take().map_or_else(Vec::new, |said| said.join().unwrap());
        (status, said.iter().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_left_alone_makes_backups_and_a_new_one_knows_them() {
    let server = sample_server();
    let installation = Installation::new(&server);
    let daemon = Process::start(&installation, &[]);
    daemon.healthy().await;
    let begun = Instant::now();
    while installation_ids(&installation.store()).len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "it makes no backups by itself");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (code, document) = installation.status(&daemon.address, &[]);
    assert_eq!((code, document["status"].as_str()), (Some(0), Some("ok")), "{document:#}");
    assert!(document["uptime_seconds"].as_u64().unwrap() < 600);
    assert_eq!(daemon.get("/livez").await.0, StatusCode::OK);
    let (_, metrics) = daemon.get("/metrics").await;
    check_metrics(&metrics);
    let post = Client::new().post(format!("http://{}/backups", daemon.address));
    let answer = post.try_clone().unwrap().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = post.bearer_auth(TOKEN).send().await.unwrap().status();
    assert!([StatusCode::ACCEPTED, StatusCode::CONFLICT].contains(&answer), "{answer}");
    let (status, log) = daemon.last_words();
    assert_eq!(status.code(), Some(0));

    // Every id once, every one whole, and the pointer at the newest.
    let made = installation.backups().await;
    // One line for each, with its numbers in units.
    let outcomes = |id: &str| log.iter().filter(|line| line["backup"] == id).collect::<Vec<_>>();
    for id in &made {
        let [line] = outcomes(id)[..] else { panic!("{id}: {log:#?}") };
        let said = (line["message"].as_str(), line["outcome"].as_str(), line["rows"].as_u64());
        assert_eq!(said, (Some("backup"), Some("ok"), Some(20)), "{line:#}");
        for number in ["seconds", "tables", "archive_bytes", "dump_bytes"] {
            assert!(line[number].as_f64().unwrap() > 0.0, "{line:#}");
        }
    }
    let store = LocalStore::open(&installation.store()).await.unwrap();
    assert_eq!(pointed_at(&store, "database/").await.as_ref(), made.last());

    // From now on it is due once a year.
    let yearly = ("RELIQUARY__DATABASES__MAIN__SCHEDULE", "0 0 0 1 1 *".to_owned());
    let yearly = [yearly, ("RELIQUARY__DATABASES__MAIN__STALE_AFTER", "365d".to_owned())];
    let daemon = Process::start(&installation, &yearly);
    let health = daemon.healthy().await;
    let newest = made.last().unwrap();
    let (date, time) = newest.split_once('T').unwrap();
    let time = format!("{date}T{}", time.replace('-', ":"));
    assert_eq!(health["databases"][0]["last_success"], time);
    assert_eq!(daemon.get("/last-success").await.1, format!("{time}\n"));
    let (_, status) = daemon.get("/status").await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["databases"][0]["last_run"], Value::Null, "no backup was needed to know");
    assert_eq!(daemon.terminate().code(), Some(0));
    assert_eq!(installation.backups().await, made);

    // One that finds them too old says so, as does the command without a daemon.
    let stale = [yearly[0].clone(), ("RELIQUARY__DATABASES__MAIN__STALE_AFTER", "1s".to_owned())];
    let daemon = Process::start(&installation, &stale);
    let begun = Instant::now();
    loop {
        let (code, document) = installation.status(&daemon.address, &stale);
        assert_eq!(code, Some(if document["status"] == "ok" { 0 } else { 3 }), "{document:#}");
        if document["status"] == "stale" {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{document:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let address = daemon.address.clone();
    assert_eq!(daemon.terminate().code(), Some(0));
    let (code, document) = installation.status(&address, &stale);
    assert_eq!((code, document["status"].as_str()), (Some(3), Some("stale")));
    let (code, document) = installation.status(&address, &yearly);
    assert_eq!((code, document["status"].as_str()), (Some(0), Some("ok")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_log_nobody_reads_makes_backups_all_the_same() {
    let server = sample_server();
    let installation = Installation::new(&server);
    let daemon = Process::unheard(&installation);
    let begun = Instant::now();
    while installation_ids(&installation.store()).len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "it makes no backups any more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.healthy().await;
    assert_eq!(daemon.terminate().code(), Some(0));
}

/// The health check of a container asks this way.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_the_password_that_the_daemon_asks_for() {
    let server = sample_server();
    let installation = Installation::new(&server);
    let key = "RELIQUARY__HTTP__PASSWORD";
    let password = |text: &str| (key, text.to_owned());
    let daemon = Process::start(&installation, &[password("open-sesame-0123456789")]);
    daemon.healthy().await;
    assert_eq!(daemon.get("/status").await.0, StatusCode::UNAUTHORIZED);
    let live = |shown: &str| {
        let env = [password(shown), ("RELIQUARY__HTTP__LISTEN", daemon.address.clone())];
        let mut command = installation.command(&env.into_iter().collect());
        command.args(["status", "--live"]).output().unwrap()
    };
    let output = live("open-sesame-0123456789");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = live("open-barley-0123456789");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("it asks for the password that is http.password where it runs"),
        "{said}"
    );
    assert!(!said.contains("sesame") && !said.contains("barley"), "{said}");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_starts_a_backup_over_http() {
    let server = sample_server();
    let installation = Installation::new(&server);
    let text = std::fs::read_to_string(&installation.file).unwrap();
    let text = text.replace(&format!("http.token = {TOKEN:?}\n"), "");
    std::fs::write(&installation.file, text).unwrap();
    let daemon = Process::start(&installation, &[]);
    let post = Client::new().post(format!("http://{}/backups", daemon.address));
    assert_eq!(post.bearer_auth(TOKEN).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_serves_until_it_is_interrupted_and_takes_everything_away() {
    let dir = tempfile::tempdir().unwrap();
    // The throwaway server runs as a user of its own where we are root.
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let mut child = command(env!("CARGO_BIN_EXE_reliquary"))
        .args(["demo", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("it ended without listening").unwrap();
        if let Some((address, _)) = line.trim().trim_start_matches("http://").split_once("/healthz")
        {
            break address.to_owned();
        }
    };
    let mut demo = Process { child, address, said: None };
    let health = demo.healthy().await;
    assert_eq!(health["databases"][0]["name"], "demo", "{health:#}");
    let pid = Pid::from_raw(i32::try_from(demo.child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// The ids whose manifests are there.
fn installation_ids(store: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![store.join("database")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if let Some(id) = name.strip_suffix(".manifest.json") {
                found.push(id.to_owned());
            }
        }
    }
    found
}

/// What `promtool` says, where there is one; with `$PROMTOOL` there must be.
fn check_metrics(text: &str) {
    let named = std::env::var_os("PROMTOOL").map(PathBuf::from);
    let program = named.unwrap_or_else(|| tool("promtool"));
    if !program.is_file() && std::env::var_os("PROMTOOL").is_none() {
        eprintln!("SKIPPED promtool check metrics: there is no promtool");
        return;
    }
    let said = command(program).args(["check", "metrics"]).output_of(text.as_bytes());
    assert_eq!(said, "");
}
