//! The command line, as a person meets it.

mod mistakes;
mod shell;
mod verify;

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use crate::support::{postgres::Server, product::Product};

/// Takes out of a text what differs from run to run.
pub(crate) fn filters(product: &Product) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    let folder = product.dir().canonicalize().unwrap();
    // In this order: the first that fits changes what the next ones see.
    for (volatile, stands_for) in [
        (folder.to_str().unwrap(), "[folder]"),
        (r"/\d{4}/\d\d/", "/[year]/[month]/"),
        (r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", "[id]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"[0-9a-f]{64}", "[sha256]"),
        (r"127\.0\.0\.1:\d+", "[address]"),
        (r"/tmp/reliquary-pg-\w+", "[socket]"),
        (r"\(\d+\.\d s\)", "([seconds])"),
        (r"took \d+\.\d s", "took [seconds]"),
        (r" *\b\d+(\.\d)? [KM]?i?B\b", " [size]"),
        (r"\b\d+s (old|ago)", "[age] $1"),
        (r"up for \d+s", "up for [age]"),
        (r"\[id\] +\d+s", "[id]  [age]"),
        (r"bytes \d+ to \d+", "bytes [from] to [to]"),
        (r"WAL position [0-9A-F]+/[0-9A-F]+", "WAL position [lsn]"),
        (r"PostgreSQL 15\.\d+ \([^)]*\)", "PostgreSQL [15.x]"),
        (r"pg_dump \(PostgreSQL\) 15[^\n]*", "[pg_dump 15]"),
        (r"reliquary \d+\.\d+\.\d+", "reliquary [version]"),
    ] {
        settings.add_filter(volatile, stands_for);
    }
    settings
}

/// Exit code, stdout and stderr of a command, in one text.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "exit: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn snapshot(name: &str, product: &Product, arguments: &[&str]) {
    let told = told(&product.run(arguments));
    snapshot_of(name, product, &told);
}

fn snapshot_of(name: &str, product: &Product, text: &str) {
    filters(product).bind(|| insta::assert_snapshot!(name, text));
}

/// A database of three tables, one of which has rows that are left out, and the
/// product for it. The port is its own, so that no daemon of this machine answers.
fn shop(server: &Server) -> Product {
    server.create_database("shop");
    server.psql(
        "shop",
        "create table donors (id int primary key, name text);
         insert into donors select i, 'donor ' || i from generate_series(1, 1234) i;
         create table donations (donor int, amount numeric);
         create table sessions (t text); insert into sessions values ('left out');",
    );
    Product::of(server, "shop")
        .set("RELIQUARY__HTTP__LISTEN", format!("127.0.0.1:{}", free_port()))
        .set("RELIQUARY__DATABASES__MAIN__EXCLUDE__TABLE_DATA", "public.sessions")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_first_hour_with_the_product() {
    let server = Server::start(15);
    let product = shop(&server);
    fs::create_dir(product.store_dir()).unwrap();
    snapshot("list_of_nothing", &product, &["list"]);
    snapshot("status_without_a_backup", &product, &["status"]);
    snapshot("backup", &product, &["backup"]);
    snapshot("list", &product, &["list"]);
    snapshot("show", &product, &["show"]);
    snapshot("status", &product, &["status"]);
    snapshot("status_live_without_a_daemon", &product, &["status", "--live"]);
    snapshot("backup_quietly", &product, &["-q", "backup", "--manual"]);
}

/// Whatever else has the port says nothing about backups; the store does.
#[test]
fn a_stranger_on_the_daemon_s_port_does_not_hide_the_store() {
    let server = Server::start(15);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It takes the call and hangs up, until the test is over.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let product = shop(&server).set("RELIQUARY__HTTP__LISTEN", address);
    product.backup(&[]);
    let output = product.run(&["status"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("ok  (says the store; what listens at"), "{}", told(&output));
    let output = product.run(&["status", "--live"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
}

#[test]
fn the_demo_proves_its_backup_and_takes_everything_away() {
    let dir = tempfile::tempdir().unwrap();
    // The throwaway server runs as a user of its own where we are root.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let product = Product::bare().set("TMPDIR", dir.path().to_str().unwrap());
    let output = product.run(&["--json", "demo", "--once"]);
    assert!(output.status.success(), "{}", told(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["proven"], true, "{document:#}");
    assert!(document["rows"].as_u64().unwrap() > 50_000, "{document:#}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// One document on stdout, nothing on stderr.
#[test]
fn every_report_can_be_json() {
    let server = Server::start(15);
    let product = shop(&server);
    for (arguments, keys) in [
        (
            &["backup"][..],
            "archive_bytes database dump_bytes id kind outcome rows seconds sha256 tables uri warnings",
        ),
        (&["verify"], "backups damaged database failed verified"),
        (&["fetch"], "bytes bytes_there_before checksum_file checksum_known file id sha256"),
        (&["list"], "backups database foreign_keys not_shown prefix"),
        (
            &["show"],
            "archive database excluded finished format id kind rows sections source started tables tool",
        ),
        (&["status"], "databases now started_at status store version"),
        (&["config", "check"], "ok warnings"),
        (&["config", "show"], "archive daemon databases file http log postgres store"),
    ] {
        let output = product.run(&[&["--json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", told(&output));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for key in keys.split(' ') {
            assert!(document.get(key).is_some(), "{arguments:?} lacks {key}: {document}");
        }
    }
    // One that fails has its document too, and says on stderr why.
    drop(server);
    let output = product.run(&["--json", "backup"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = ["outcome", "stage"].map(|key| document[key].as_str().unwrap());
    assert_eq!(said, ["failed", "connect"], "{document:#}");
    assert!(document["stands"].is_null() && !output.stderr.is_empty(), "{document:#}");
}

#[test]
fn the_settings_are_shown_with_their_secrets_masked() {
    let product = Product::bare()
        .set("DIRECT_URL", "postgresql://app:hunter2@db.example.com/shop")
        .set("RELIQUARY__STORE__URL", "s3://a-bucket")
        .set("RELIQUARY__STORE__ACCESS_KEY_ID", "AKIAEXAMPLE")
        .set("RELIQUARY__STORE__SECRET_ACCESS_KEY", "hunter3")
        .set("RELIQUARY__ARCHIVE__THREADS", "2")
        .set("RELIQUARY__HTTP__TOKEN", "hunter4-hunter4-hunter4")
        .set("RELIQUARY__HTTP__PASSWORD", "hunter5-hunter5-hunter5");
    snapshot("config_check", &product, &["config", "check"]);
    snapshot("config_show", &product, &["config", "show"]);
    for arguments in [&["config", "show"][..], &["--json", "config", "show"]] {
        assert!(!told(&product.run(arguments)).contains("hunter"));
    }
}

#[test]
fn help_is_there_for_every_command() {
    let product = Product::bare();
    snapshot("help", &product, &["--help"]);
    snapshot("help_of_nothing", &product, &[]);
    for name in [
        "run",
        "backup",
        "list",
        "show",
        "status",
        "verify",
        "fetch",
        "restore",
        "notify",
        "config",
        "completions",
        "man",
    ] {
        snapshot(&format!("help_{name}"), &product, &[name, "--help"]);
    }
}
