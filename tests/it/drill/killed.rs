//! Drills that are stopped half way.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::*;

/// Longer than any of this takes.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn inside(room: &TempDir, file: &str) -> Option<PathBuf> {
    let folders = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let homes = folders(room.path()).into_iter().flat_map(|outer| folders(&outer));
    homes.map(|home| home.join(file)).find(|path| path.exists())
}

/// A drill that hangs in a check, with its server up.
pub(super) fn hanging(product: &Product, room: &TempDir) -> (Child, Pid) {
    let child = product
        .command(&["--json", "drill"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut server = None;
    until("the sandbox's start", || {
        let path = inside(room, "data/postmaster.pid");
        let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        server = postmaster(room);
        text.contains("ready") && server.is_some()
    });
    (child, server.unwrap())
}

/// Those of a sandbox's processes whose arguments fit.
fn of_sandbox(room: &TempDir, fits: impl Fn(&[&str]) -> bool) -> Option<Pid> {
    let data = inside(room, "data")?;
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let line: Vec<&str> = line.split('\0').collect();
        (line.contains(&data.to_str()?) && fits(&line)).then_some(Pid::from_raw(pid))
    })
}

/// Its server, by our own count of processes: its file may have its own.
pub(super) fn postmaster(room: &TempDir) -> Option<Pid> {
    of_sandbox(room, |line| line[0].ends_with("/postgres"))
}

const SLOW: &str =
    "[[drill.checks]]\nname = 'slow'\nsql = 'select pg_sleep(3600)'\nexpect = 'rows = 1'\n";

#[test]
fn a_killed_drill_leaves_no_server_and_the_next_one_clears_its_folder() {
    let (_server, room, product, _backup) = backed_up();
    let slow = product.configured(SLOW);
    let (mut child, server) = hanging(&slow, &room);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the server's end", || kill(server, None).is_err());
    let slow = slow.configured("");
    let record = slow.drill(0, &[]);
    assert_eq!(record["verdict"], "passed");
    assert!(is_empty(room.path()), "the killed drill's folder is gone too");
    let drills = slow.store_dir().join("database/drills");
    let pages = fs::read_dir(drills)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "md"));
    assert_eq!(pages.count(), 1, "a killed drill claims nothing");
}

#[test]
fn a_drill_whose_watcher_was_killed_too_is_cleared_with_its_server_by_the_next() {
    let (_server, room, product, _backup) = backed_up();
    let slow = product.configured(SLOW);
    let (mut child, server) = hanging(&slow, &room);
    let watcher = of_sandbox(&room, |line| line.iter().any(|word| word.contains("read -r _")));
    kill(watcher.expect("a watcher"), Signal::SIGKILL).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(kill(server, None).is_ok(), "nobody was left to end it");
    let record = slow.configured("").drill(0, &[]);
    assert_eq!(record["verdict"], "passed");
    assert!(is_empty(room.path()));
    until("the server's end", || kill(server, None).is_err());
}

#[test]
fn a_sandbox_that_dies_under_a_drill_proves_nothing() {
    let (_server, room, product, _backup) = backed_up();
    let slow = product.configured(SLOW);
    let (child, server) = hanging(&slow, &room);
    until("the question", || stages::asked(&room));
    kill(server, Signal::SIGKILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["verdict"], "unproven", "{record:#}");
    assert_eq!(record["failure"]["reason"], "incomplete", "{record:#}");
    assert!(is_empty(room.path()));
}

#[test]
fn a_drill_that_is_told_to_stop_is_unproven_says_so_and_leaves_nothing() {
    let (_server, room, product, _backup) = backed_up();
    let slow = product.configured(SLOW);
    let (child, _) = hanging(&slow, &room);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", said(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["verdict"], "unproven");
    assert_eq!(record["failure"]["reason"], "interrupted");
    assert_eq!(record["recorded"], true);
    assert!(is_empty(room.path()));
}
