//! Restores that are interrupted, killed, cut off or run out of room, each at a
//! point that the test chooses: statements of the restored database wait for an
//! advisory lock, which the test holds.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, chown, geteuid},
};

use super::{restored, said};
use crate::support::{
    postgres::{Run as _, Server, assert_same_dump},
    product::Product,
    tools::command,
};

/// A deadline that only a hang reaches.
const PATIENCE: Duration = Duration::from_secs(40);

/// A database in which something waits for the lock: rows of a table, or its index.
pub(super) fn waits(server: &Server, name: &str, for_rows: bool) {
    server.create_database(name);
    let (check, index) = if for_rows {
        ("check (waits(id) = id)", "")
    } else {
        ("", "create index slow on waiting (waits(id));")
    };
    server.psql(
        name,
        &format!(
            "create function waits(i int) returns int immutable language plpgsql as $$
               begin perform pg_advisory_lock_shared(42); perform pg_advisory_unlock_shared(42);
                     return i; end $$;
             create table before (a int primary key);
             insert into before select generate_series(1, 10);
             create table waiting (id int primary key {check}, t text);
             insert into waiting select i, repeat('x', 1000) from generate_series(1, 2000) i;
             {index}"
        ),
    );
}

/// Holds the lock in a database until it is dropped.
pub(super) struct Lock {
    psql: Child,
}

impl Lock {
    pub(super) fn hold(server: &Server, database: &str) -> Self {
        let mut psql = server
            .psql_command(database)
            .args(["-c", "select pg_advisory_lock(42)", "-c", "select pg_sleep(600)"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let held =
            "select count(*) from pg_locks where locktype = 'advisory' and granted and objid = 42";
        until("the lock is held", || {
            assert!(psql.try_wait().unwrap().is_none());
            server.psql(database, held).trim() == "1"
        });
        Self { psql }
    }

    /// Ends the session that holds it.
    pub(super) fn release(mut self, server: &Server, database: &str) {
        let end = "select count(pg_terminate_backend(pid)) from pg_locks
                   where locktype = 'advisory' and granted and mode = 'ExclusiveLock'
                     and objid = 42";
        server.psql(database, end);
        self.psql.wait().unwrap();
    }
}

pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const WAITING: &str = "select count(*) from pg_stat_activity
                       where wait_event = 'advisory' and application_name like 'reliquary restore%'";

/// Starts a restore and waits until one of its sessions waits for the lock.
pub(super) fn stuck(
    product: &Product,
    server: &Server,
    database: &str,
    arguments: &[&str],
) -> Child {
    let url = server.url(database);
    let mut restore = product.command(&[&["restore", "--to", &url], arguments].concat());
    start(&mut restore, server, database)
}

/// The same for a command of one's own.
pub(super) fn start(restore: &mut Command, server: &Server, database: &str) -> Child {
    let mut child = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the restore waits for the lock", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended: {}", rest(&mut child));
        server.psql(database, WAITING).trim() != "0"
    });
    child
}

pub(super) fn rest(child: &mut Child) -> String {
    let (mut out, mut err) = (String::new(), String::new());
    let _ = child.stdout.as_mut().unwrap().read_to_string(&mut out);
    let _ = child.stderr.as_mut().unwrap().read_to_string(&mut err);
    out + &err
}

pub(super) fn no_sessions(server: &Server, database: &str) -> bool {
    let ours = "select count(*) from pg_stat_activity where application_name like 'reliquary%'";
    server.psql(database, ours).trim() == "0"
}

#[test]
fn an_interrupted_restore_leaves_no_session_and_can_be_run_again() {
    let server = Server::start(15);
    for (name, for_rows, stage) in [("rows", true, "data"), ("index", false, "indexes")] {
        waits(&server, name, for_rows);
        let product = Product::of(&server, name);
        product.backup(&[]);
        let copy = format!("copy_{name}");
        server.create_database(&copy);
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
            let lock = Lock::hold(&server, &copy);
            let mut child = stuck(&product, &server, &copy, &["--clean", "--yes"]);
            kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
            let ended = child.wait().unwrap();
            let said = rest(&mut child);
            assert_eq!(ended.code(), Some(code), "{said}");
            assert!(said.contains(&format!("stopped at stage {stage}")), "{said}");
            assert!(said.contains("run it again with --clean"), "{said}");
            // At once: none of them is waited for.
            assert!(no_sessions(&server, &copy), "{stage}: a session stayed");
            lock.release(&server, &copy);
        }
        restored(&product, &server, &copy, &["--clean", "--yes"]);
        assert_same_dump(&server.dump_plain(name), &server.dump_plain(&copy));
    }
}

/// Where psql runs the statement, and where a session of our own does.
#[test]
fn no_stage_that_defines_something_leaves_a_session() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    for (tag, stage) in [("CREATE TABLE", "pre_data"), ("CREATE TRIGGER", "post_data")] {
        let copy = format!("copy_{stage}");
        server.create_database(&copy);
        server.psql(
            &copy,
            &format!(
                "create function hold() returns event_trigger language plpgsql as $$
                   begin perform pg_advisory_lock_shared(42);
                         perform pg_advisory_unlock_shared(42); end $$;
                 create event trigger hold on ddl_command_start when tag in ('{tag}')
                   execute function hold();"
            ),
        );
        let lock = Lock::hold(&server, &copy);
        let mut child = stuck(&product, &server, &copy, &["--table", "public.donor"]);
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        let ended = child.wait().unwrap();
        let said = rest(&mut child);
        assert_eq!(ended.code(), Some(130), "{said}");
        assert!(said.contains(&format!("stopped at stage {stage}")), "{said}");
        assert!(no_sessions(&server, &copy), "{stage}: a session stayed");
        // The server's own end of the session is noticed as well, whoever runs it.
        server.psql(&copy, "drop table if exists donor");
        let mut child = stuck(&product, &server, &copy, &["--table", "public.donor"]);
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
                   where wait_event = 'advisory' and application_name like 'reliquary%'";
        server.psql(&copy, end);
        let ended = child.wait().unwrap();
        let said = rest(&mut child);
        assert_eq!(ended.code(), Some(1), "{said}");
        assert!(said.contains(&format!("stopped at stage {stage}")), "{said}");
        assert!(no_sessions(&server, &copy), "{stage}: a session stayed");
        lock.release(&server, &copy);
    }
}

#[test]
fn a_killed_restore_can_be_run_again() {
    let server = Server::start(15);
    for (name, for_rows) in [("rows", true), ("index", false)] {
        waits(&server, name, for_rows);
        let product = Product::of(&server, name);
        product.backup(&[]);
        let copy = format!("copy_{name}");
        server.create_database(&copy);
        let lock = Lock::hold(&server, &copy);
        let mut child = stuck(&product, &server, &copy, &[]);
        child.kill().unwrap();
        child.wait().unwrap();
        // The server looks after its clients now and then, whatever it waits for.
        until("the server notices", || no_sessions(&server, &copy));
        lock.release(&server, &copy);
        restored(&product, &server, &copy, &["--clean", "--yes"]);
        assert_same_dump(&server.dump_plain(name), &server.dump_plain(&copy));
    }
}

/// Two would spoil each other; who only looks keeps nobody out and is not kept out.
#[test]
fn a_second_restore_into_a_database_is_refused_while_the_first_runs() {
    let server = Server::start(15);
    waits(&server, "rows", true);
    let product = Product::of(&server, "rows");
    product.backup(&[]);
    for database in ["copy", "other"] {
        server.create_database(database);
    }
    let lock = Lock::hold(&server, "copy");
    let mut first = stuck(&product, &server, "copy", &[]);
    let text = super::fails(&product, &server, "copy", &["--clean", "--yes"]);
    let holder = "select pid from pg_locks where locktype = 'advisory' and objid <> 42";
    let holder = format!("SELECT pg_terminate_backend({})", server.psql("copy", holder).trim());
    for part in ["nothing was touched: another restore is in database copy", &holder] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let plan = super::restore(&product, &server, "copy", &["--clean", "--dry-run"]);
    assert!(!said(&plan).contains("another restore"), "{}", said(&plan));
    restored(&product, &server, "other", &[]);
    lock.release(&server, "copy");
    let ended = first.wait().unwrap();
    assert!(ended.success(), "{}", rest(&mut first));
    // It is free at once.
    restored(&product, &server, "copy", &["--clean", "--yes"]);
}

/// Its lock is free as soon as one of its sessions has ended.
#[test]
fn what_a_killed_restore_still_does_is_waited_for_and_then_named() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    let left = "select pid from pg_stat_activity where application_name = 'reliquary restore left'
                and wait_event = 'PgSleep'";
    let mut orphan = server
        .psql_command("copy")
        .env("PGAPPNAME", "reliquary restore left")
        .args(["-c", "select pg_sleep(600)"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("it is at work", || !server.psql("copy", left).trim().is_empty());
    let end = format!("SELECT pg_terminate_backend({})", server.psql("copy", left).trim());
    let text = super::fails(&product, &server, "copy", &[]);
    for part in ["nothing was touched", "killed are still at work in database copy", &end] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // As it was told to.
    server.psql("copy", &end);
    orphan.wait().unwrap();
    restored(&product, &server, "copy", &[]);
}

#[test]
fn a_lost_connection_is_said_with_what_was_loaded() {
    let server = Server::start(15);
    for (name, for_rows, at) in [
        ("rows", true, "at rows of table public.waiting"),
        ("index", false, "at index public.slow"),
    ] {
        waits(&server, name, for_rows);
        let product = Product::of(&server, name);
        product.backup(&[]);
        let copy = format!("copy_{name}");
        server.create_database(&copy);
        let lock = Lock::hold(&server, &copy);
        let mut child = stuck(&product, &server, &copy, &[]);
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
                   where wait_event = 'advisory'";
        server.psql(&copy, end);
        let ended = child.wait().unwrap();
        let said = rest(&mut child);
        assert_eq!(ended.code(), Some(1), "{said}");
        for part in [at, "loaded until then", "run it again with --clean"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // Whichever is noticed first: that nobody reads, or the server's goodbye.
        let lost = ["the connection to the target was lost", "terminating connection"];
        assert!(lost.iter().any(|part| said.contains(part)), "{said}");
        assert!(no_sessions(&server, &copy));
        lock.release(&server, &copy);
        restored(&product, &server, &copy, &["--clean", "--yes"]);
    }
}

/// A tablespace on a file system of a few megabytes.
#[test]
fn a_full_disk_is_said_and_running_again_with_room_works() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "create table small (a int); insert into small values (1);
         create table big (id int, t text);
         insert into big select i, repeat(md5(i::text), 30) from generate_series(1, 40000) i;",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    let folder = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::new(folder.path(), "24m") else {
        eprintln!("SKIPPED: this user may mount no file system, so no disk can be made full");
        return;
    };
    let place = folder.path().display();
    server.psql("postgres", &format!("create tablespace tight location '{place}'"));
    server.psql("postgres", "create database tight template template0 tablespace tight");
    let url = server.url("tight");
    let output = product.run(&["restore", "--to", &url]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["at stage data", "at rows of table public.big", "No space left on device"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    mounted.grow("200m");
    restored(&product, &server, "tight", &["--clean", "--yes"]);
    server.psql("postgres", "drop database tight");
    server.psql("postgres", "drop tablespace tight");
}

/// A file system in memory; gone when dropped.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(at: &Path, size: &str) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let mut mount = command("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        if !mount.output().is_ok_and(|output| output.status.success()) {
            return None;
        }
        let postgres = User::from_name("postgres").unwrap()?;
        chown(at, Some(postgres.uid), Some(postgres.gid)).unwrap();
        // The way there must be open to the server's account, as it is for its socket.
        Some(Self(at.to_owned()))
    }

    fn grow(&self, size: &str) {
        command("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).output_of(b"");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = command("umount").arg("-l").arg(&self.0).output();
    }
}
