//! The program itself: interrupted, and overheard.

use std::{os::unix::process::ExitStatusExt as _, path::Path, sync::Arc};

use nix::sys::signal::Signal;
use reliquary::store::LocalStore;

use super::{
    bench::{Bench, uploads, whole},
    children::{FakeDump, Reliquary, arguments, gone, is_alive},
};
use crate::support::postgres::{Server, ServerOptions};

const PASSWORD: &str = "Tr0ub4dor-and-3-secrets";

#[tokio::test]
async fn a_backup_that_is_interrupted_leaves_nothing_and_says_so() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut bench = Bench::new().await;
        bench.fatten();
        // The first part is on its way when the signal comes.
        let script = "[ $section = data ] || exec \"$real\" \"$@\"\n\
                      \"$real\" \"$@\" | { head -c 11900000; reach; cat; }";
        let mut fake = FakeDump::new(&bench, script);
        bench.use_tools(fake.path());
        let mut process = Reliquary::on(&bench, &["backup"]);
        let child = fake.reached().await;
        process.signal(signal);
        let ended = process.ended().await;
        assert_eq!(ended.status.code(), Some(code), "{ended:?} {:?}", ended.status.signal());
        assert!(ended.stderr.contains("nothing was committed"), "{ended:?}");
        gone(child).await;
        bench.no_sessions().await;
        bench.holds(0).await;
    }
}

/// A second process finds the database taken. For the schedule that is as good
/// as done; a person who asked for a backup of their own has got none.
#[tokio::test]
async fn a_backup_that_another_process_keeps_from_being_made_is_said_to_be_skipped() {
    let mut bench = Bench::new().await;
    let mut fake = FakeDump::new(&bench, "[ $section = data ] && reach; exec \"$real\" \"$@\"");
    bench.use_tools(fake.path());
    let mut first = Reliquary::on(&bench, &["backup"]);
    fake.reached().await;
    for (arguments, code) in [(&["backup"][..], 0), (&["backup", "--manual"], 1)] {
        let ended = Reliquary::on(&bench, arguments).ended().await;
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert!(ended.stdout.contains("skipped: another process"), "{ended:?}");
    }
    fake.release().await;
    assert!(first.ended().await.status.success());
    bench.holds(1).await;
}

#[tokio::test]
async fn a_second_signal_ends_the_daemon_at_once() {
    let mut bench = Bench::new().await;
    bench.set("RELIQUARY__DAEMON__GRACE", "10m");
    let script = "[ $section = data ] && reach; exec \"$real\" \"$@\"";
    let mut fake = FakeDump::new(&bench, script);
    bench.use_tools(fake.path());
    let mut process = Reliquary::on(&bench, &["run"]);
    let child = fake.reached().await;
    // The first lets the running backup finish, for up to ten minutes.
    process.signal(Signal::SIGTERM);
    process.signal(Signal::SIGINT);
    let ended = process.ended().await;
    assert!(ended.status.code().is_some(), "{ended:?}");
    gone(child).await;
    bench.no_sessions().await;
    bench.holds(0).await;
}

/// A good run, a bad one and a refused one are overheard in every way there is.
#[tokio::test]
async fn the_password_is_said_nowhere() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let mut bench = Bench::on(Server::start_with(15, options)).await;
    let sql = format!("create role keeper superuser login password '{PASSWORD}'");
    bench.server.psql("app", &sql);
    bench.set("DIRECT_URL", bench.server.tcp_url("app", "keeper", PASSWORD));
    bench.set("RELIQUARY__LOG__FILTER", "trace");
    let mut said = Vec::new();

    let script = "[ $section = data ] && reach; exec \"$real\" \"$@\"";
    let mut fake = FakeDump::new(&bench, script);
    bench.use_tools(fake.path());
    let mut good = Reliquary::on(&bench, &["-vv", "backup"]);
    let child = fake.reached().await;
    assert!(is_alive(child) && is_alive(good.pid()));
    let seen = arguments();
    assert!(seen.iter().any(|line| line.contains("--section=data")), "pg_dump was not overheard");
    said.extend(seen);
    fake.release().await;
    let ended = good.ended().await;
    assert!(ended.status.success(), "{ended:?}");
    said.extend([ended.stdout, ended.stderr]);

    // It prints even what it was given in confidence.
    let bad = FakeDump::new(&bench, "env >&2; exit 1");
    bench.use_tools(bad.path());
    let mut process = Reliquary::on(&bench, &["backup"]);
    let ended = process.ended().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    said.extend([ended.stdout, ended.stderr]);

    bench.set("DIRECT_URL", bench.server.tcp_url("nowhere", "keeper", PASSWORD));
    for arguments in [&["backup"][..], &["config", "show"], &["--json", "config", "show"]] {
        let ended = Reliquary::on(&bench, arguments).ended().await;
        said.extend([ended.stdout, ended.stderr]);
    }
    said.extend(files_below(bench.files.path()));
    for text in &said {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let store = Arc::clone(&bench.local) as Arc<LocalStore>;
    assert_eq!(whole(store.as_ref()).await.len(), 1);
    assert_eq!(uploads(store.as_ref()).await, 0);
}

/// The text of every file, but for archives, which hold what the database does.
fn files_below(dir: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            texts.extend(files_below(&path));
        } else if path.extension().is_none_or(|extension| extension != "gz") {
            texts.push(String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
        }
    }
    texts
}
