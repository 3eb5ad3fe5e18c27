//! A drill that is killed at each of its stages: it claims nothing, and the next
//! one clears what it has left.

use std::{
    os::unix::fs::symlink,
    process::{Child, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reliquary::words::DrillStage;
use rstest::rstest;

use super::{
    killed::{hanging, until},
    *,
};

/// A folder with a server's programs, of which one hangs where its arguments fit.
fn programs(server: &Server, name: &str, fits: &str, seconds: u32) -> TempDir {
    let dir = room();
    for entry in fs::read_dir(server.bin_dir()).unwrap().flatten() {
        if entry.file_name() != name {
            symlink(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in {fits}) exec sleep {seconds} ;; esac\nexec {} \"$@\"\n",
        server.bin(name).display()
    );
    let path = dir.path().join(name);
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// The process that sleeps for so long.
pub(super) fn sleeper(seconds: u32) -> Option<Pid> {
    let wanted = format!("sleep\0{seconds}\0");
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        (line == wanted.as_bytes()).then_some(Pid::from_raw(pid))
    })
}

fn spawn(product: &Product, arguments: &[&str]) -> Child {
    product
        .command(&[&["--json", "drill"], arguments].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a drill come to a stage and hang there, then kills it.
fn kill_at(stage: DrillStage, server: &Server, room: &TempDir, product: &Product) {
    let with = |dir: &TempDir| product.clone().with_client_dir(dir.path());
    // The programs of the client, and the server's, come from one folder. How long
    // they sleep tells them from those of other tests.
    let by_program = |name: &str, fits: &str| {
        let seconds = 30_000_000 + std::process::id() % 1_000_000 * 10 + stage as u32;
        let dir = programs(server, name, fits, seconds);
        let mut child = spawn(&with(&dir), &[]);
        until("the program", || sleeper(seconds).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(left) = sleeper(seconds) {
            let _ = kill(left, Signal::SIGKILL);
        }
    };
    match stage {
        DrillStage::Sandbox => by_program("initdb", "*"),
        DrillStage::Prepare => by_program("psql", "*--version*"),
        DrillStage::Restore => by_program("psql", "*-X*"),
        DrillStage::Compare => {
            // Its sequence is a view that takes its time.
            let sql = dump(
                "CREATE SEQUENCE public.s;\nSELECT pg_catalog.setval('public.s', 50, true);\n\
                 DROP SEQUENCE public.s;\nCREATE VIEW public.s AS SELECT (50 + 0 * \
                 pg_catalog.random())::bigint AS last_value, true AS is_called WHERE pg_catalog.pg_sleep(3600) IS NOT NULL;",
            );
            product.legacy("2025-01-02T03-00-00Z", &sql);
            let child = spawn(product, &["2025-01-02T03-00-00Z"]);
            kill_in_question(child, room);
        }
        DrillStage::Checks => {
            let slow = product.clone().configured(
                "[[drill.checks]]\nname = 'slow'\nsql = 'select pg_sleep(3600)'\nexpect = 'rows = 1'\n",
            );
            kill_in_question(spawn(&slow, &[]), room);
            slow.configured("");
        }
        DrillStage::Teardown => {
            // A server that is halted does not end when it is told to.
            let slow = product.clone().configured(
                "drill.amcheck = false\n[[drill.checks]]\nname = 'slow'\n\
                 sql = 'select pg_sleep(3)'\nexpect = 'rows = 1'\n",
            );
            let (mut child, postmaster) = hanging(&slow, room);
            until("the question", || asked(room));
            kill(postmaster, Signal::SIGSTOP).unwrap();
            until("the server is told to end", || is_told_to_end(postmaster));
            child.kill().unwrap();
            child.wait().unwrap();
            slow.configured("");
        }
    }
}

fn kill_in_question(mut child: Child, room: &TempDir) {
    until("the question", || asked(room));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whether a signal to end waits for a process that is halted.
fn is_told_to_end(process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    pending.is_some_and(|mask| mask & (1 << (Signal::SIGQUIT as i32 - 1)) != 0)
}

/// Whether a backend of the sandbox is in a query that takes its time.
pub(super) fn asked(room: &TempDir) -> bool {
    is_in_query(room) && {
        std::thread::sleep(std::time::Duration::from_millis(300));
        is_in_query(room)
    }
}

/// Whether one says in its title that it is in a query.
fn is_in_query(room: &TempDir) -> bool {
    let Some(postmaster) = killed::postmaster(room) else { return false };
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let parent = read("stat").rsplit_once(')').and_then(|(_, rest)| {
            rest.split_whitespace().nth(1).and_then(|parent| parent.parse::<i32>().ok())
        });
        parent == Some(postmaster.as_raw())
            && read("cmdline").trim_end_matches('\0').ends_with("SELECT")
    })
}

#[rstest]
#[case(DrillStage::Sandbox)]
#[case(DrillStage::Prepare)]
#[case(DrillStage::Restore)]
#[case(DrillStage::Compare)]
#[case(DrillStage::Checks)]
#[case(DrillStage::Teardown)]
fn a_drill_killed_at_any_stage_claims_nothing_and_the_next_clears_what_it_left(
    #[case] stage: DrillStage,
) {
    let (server, room, product, _backup) = backed_up();
    kill_at(stage, &server, &room, &product);
    assert!(!is_empty(room.path()), "it had begun, and could not tidy up");
    let drills = product.store_dir().join("database/drills");
    let left: Vec<PathBuf> = fs::read_dir(&drills).unwrap().flatten().map(|e| e.path()).collect();
    let [left] = &left[..] else { panic!("one record, and no page: {left:?}") };
    let left: Value = serde_json::from_slice(&fs::read(left).unwrap()).unwrap();
    assert_eq!(left["verdict"], "unproven");
    assert_eq!(left["failure"]["reason"], "interrupted");
    let list: Value = serde_json::from_str(&product.succeed(&["--json", "list"])).unwrap();
    let marks: Vec<&Value> = list["backups"].as_array().unwrap().iter().collect();
    assert!(marks.iter().all(|backup| backup["drilled"]["verdict"] != "passed"), "{list:#}");

    let record = product.drill(0, &[]);
    assert_eq!(record["verdict"], "passed", "{record:#}");
    assert!(is_empty(room.path()), "what was left is gone");
}

#[test]
fn every_stage_is_killed() {
    // The list of cases above, should a stage be added.
    assert_eq!(DrillStage::ALL.len(), 6);
}
