//! Every way in which a restore can end, as a machine reads it.

use std::{fs, io::Read as _, process::Child};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{
    process::{self, Lock},
    said, shop,
};
use crate::support::{
    postgres::Server,
    product::{Product, shell},
};

const ID: &str = "2026-01-02T03-00-00Z";

/// The one document that a run wrote, which ended with this code.
fn document(product: &Product, code: i32, arguments: &[&str]) -> Value {
    let output = product.run(&[&["--json", "restore"], arguments].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
}

/// The same of one that is waited for.
fn document_of(mut child: Child) -> (Option<i32>, Value) {
    let code = child.wait().unwrap().code();
    let mut text = String::new();
    child.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
    let document = serde_json::from_str(&text);
    (code, document.unwrap_or_else(|_| panic!("{text}{}", process::rest(&mut child))))
}

/// Puts a legacy archive where the old workflow did.
fn legacy(product: &Product, server: &Server, database: &str) {
    let folder = product.store_dir().join("database/2026/01");
    fs::create_dir_all(&folder).unwrap();
    let line = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {ID}.sql.gz");
    shell(&folder, server, &[("URL", server.url(database))], &line);
}

#[test]
fn a_restore_that_does_not_begin_says_why_in_one_document() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let backup = product.backup(&[]);
    legacy(&product, &server, "shop");
    server.create_database("full");
    server.psql("full", "create table precious (a int)");
    let (full, shop) = (server.url("full"), server.url("shop"));
    for id in ["latest", ID] {
        let refused = document(&product, 1, &[id, "--to", &full]);
        assert_eq!(refused["outcome"], "refused", "{refused}");
        assert_eq!(refused["touched"], false, "{refused}");
        assert_eq!(refused["loaded"]["rows"], 0, "{refused}");
        let why = refused["refusals"][0].as_str().unwrap();
        assert!(why.contains("database full is not empty"), "{refused}");
        assert_eq!(refused["backup"], if id == ID { ID } else { &backup.id });
    }
    let source = document(&product, 1, &["--to", &shop]);
    assert_eq!(source["outcome"], "refused", "{source}");
    let misused = document(&product, 2, &["--to", &full, "--clean"]);
    assert_eq!(misused["outcome"], "misused", "{misused}");
    let nothing = document(&product, 1, &["2020-01-01T00-00-00Z", "--to", &full]);
    assert_eq!((&nothing["outcome"], &nothing["stage"]), (&"failed".into(), &Value::Null));
    assert!(nothing["error"].as_str().unwrap().contains("2020-01-01"), "{nothing}");
    let nowhere = document(&product, 1, &["--to", "postgresql:///x?host=/nonexistent"]);
    assert_eq!(nowhere["outcome"], "failed", "{nowhere}");
    // Damage that is found while the archive is checked.
    let mut bytes = fs::read(&backup.archive).unwrap();
    let table = backup.manifest.tables.iter().max_by_key(|table| table.bytes).unwrap();
    let at = usize::try_from(table.members[0].offset).unwrap();
    bytes[at + 100] ^= 1;
    fs::write(&backup.archive, bytes).unwrap();
    server.create_database("copy");
    let damaged = document(&product, 1, &["--to", &server.url("copy")]);
    assert_eq!((&damaged["outcome"], &damaged["stage"]), (&"failed".into(), &"check".into()));
    assert_eq!(damaged["touched"], false, "{damaged}");
}

#[test]
fn a_restore_that_stops_says_where_and_what_was_loaded() {
    let server = Server::start(15);
    process::waits(&server, "rows", true);
    let product = Product::of(&server, "rows");
    product.backup(&[]);
    server.create_database("copy");
    let url = server.url("copy");
    let all = ["--json", "restore", "--to", &url, "--clean", "--yes", "--jobs", "2"];
    let lock = Lock::hold(&server, "copy");

    // The target ends the session.
    let child = process::start(&mut product.command(&all), &server, "copy");
    let end =
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'advisory'";
    server.psql("copy", end);
    let (code, stopped) = document_of(child);
    assert_eq!(code, Some(1), "{stopped}");
    assert_eq!((&stopped["outcome"], &stopped["stage"]), (&"failed".into(), &"data".into()));
    assert_eq!(stopped["at"], "rows of table public.waiting", "{stopped}");
    assert_eq!((&stopped["loaded"]["rows"], &stopped["loaded"]["tables"]), (&10.into(), &1.into()));
    assert_eq!((&stopped["touched"], &stopped["left_behind"]), (&true.into(), &0.into()));

    // A person interrupts it.
    for (signal, name, expected) in
        [(Signal::SIGINT, "SIGINT", 130), (Signal::SIGTERM, "SIGTERM", 143)]
    {
        let child = process::start(&mut product.command(&all), &server, "copy");
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let (code, interrupted) = document_of(child);
        assert_eq!(code, Some(expected), "{interrupted}");
        assert_eq!(
            (&interrupted["outcome"], &interrupted["signal"]),
            (&"interrupted".into(), &name.into())
        );
        assert_eq!(
            (&interrupted["stage"], &interrupted["touched"]),
            (&"data".into(), &true.into())
        );
        assert_eq!(interrupted["left_behind"], 0, "{interrupted}");
    }

    // The target goes away, and nobody can be asked what still runs there.
    let child = process::start(&mut product.command(&all), &server, "copy");
    drop(server);
    let (code, gone) = document_of(child);
    drop(lock);
    assert_eq!(code, Some(1), "{gone}");
    assert_eq!((&gone["touched"], &gone["left_behind"]), (&true.into(), &Value::Null));
    let error = gone["error"].as_str().unwrap();
    assert!(error.contains("whether sessions of it still run on the server is unknown"), "{gone}");
}

/// Tables that were there are filled all at once.
#[test]
fn what_was_taken_back_is_not_called_loaded() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    super::restored(&product, &server, "copy", &[]);
    server.psql(
        "copy",
        "truncate church cascade; alter table donation add constraint few check (cents < 100)",
    );
    let url = server.url("copy");
    let stopped = document(&product, 1, &["--to", &url, "--section", "data"]);
    assert_eq!((&stopped["stage"], &stopped["touched"]), (&"fill".into(), &true.into()));
    let at = stopped["at"].as_str().unwrap();
    assert!(at.contains("public.donation"), "{stopped}");
    assert_eq!(stopped["loaded"], serde_json::json!({ "tables": 0, "rows": 0 }), "{stopped}");
    assert_eq!(server.psql("copy", "select count(*) from church"), "0\n");
}

/// What holds a table keeps a drop waiting; whoever stops it then has lost nothing.
#[test]
fn a_drop_that_waits_was_warned_of_and_touches_nothing() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    legacy(&product, &server, "shop");
    server.create_database("copy");
    super::restored(&product, &server, "copy", &[]);
    let product = product.set("DIRECT_URL", "postgresql:///other?host=/nonexistent");
    let before = server.dump_plain("copy");
    for id in ["latest", ID] {
        let mut holder = server
            .psql_command("copy")
            .args(["-c", "begin; lock table donor in access share mode; select pg_sleep(600)"])
            .spawn()
            .unwrap();
        process::until("the table is held", || {
            let held = "select count(*) from pg_locks where mode = 'AccessShareLock' and granted
                        and relation = 'donor'::regclass";
            server.psql("copy", held).trim() == "1"
        });
        let url = server.url("copy");
        let mut restore = product.command(&["restore", id, "--to", &url, "--clean", "--yes"]);
        let mut child = restore
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        process::until("the drop waits", || {
            let waits = "select count(*) from pg_stat_activity
                         where wait_event_type = 'Lock' and application_name like 'reliquary r%'";
            assert!(child.try_wait().unwrap().is_none(), "it ended: {}", process::rest(&mut child));
            server.psql("copy", waits).trim() != "0"
        });
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        let code = child.wait().unwrap().code();
        let text = process::rest(&mut child);
        assert_eq!(code, Some(130), "{text}");
        for part in
            ["cannot be asked whether it is the target", "at stage clean", "nothing was touched"]
        {
            assert!(text.contains(part), "{id}: {part}: {text}");
        }
        assert!(!text.contains("run it again"), "{text}");
        assert!(process::no_sessions(&server, "copy"));
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()";
        server.psql("copy", end);
        holder.wait().unwrap();
        crate::support::postgres::assert_same_dump(&before, &server.dump_plain("copy"));
    }
}
