//! `pg_dump` misbehaves.

use std::time::Duration;

use reliquary::words::Stage;

use super::{
    bench::{Bench, PATIENCE},
    children::{FakeDump, gone},
};
use crate::support::postgres::{Server, bin_dir};

/// Where the script ends as the real one does, for all that it changes.
const REAL: &str = "exec \"$real\" \"$@\"";

/// What a run with this script fails with.
async fn message_of(bench: &mut Bench, stage: Stage, script: &str) -> String {
    let fake = FakeDump::new(bench, script);
    bench.use_tools(fake.path());
    bench.fails_at(stage).await
}

#[tokio::test]
async fn a_dump_that_ends_badly_is_never_listed() {
    let mut bench = Bench::new().await;
    for (what, script, stage, expected) in [
        (
            "an error after output",
            "if [ $section = data ]; then \"$real\" \"$@\"; echo 'pg_dump: error: the disk is on fire' >&2; exit 1; fi",
            Stage::Dump,
            vec!["pg_dump ended with exit code 1", "the disk is on fire"],
        ),
        (
            "a signal after output",
            "if [ $section = data ]; then \"$real\" \"$@\"; kill -SEGV $$; fi",
            Stage::Dump,
            vec!["pg_dump was ended by SIGSEGV"],
        ),
        (
            "killed in the post-data section",
            "if [ $section = post-data ]; then echo 'out of memory' >&2; kill -KILL $$; fi",
            Stage::Dump,
            vec!["pg_dump was ended by SIGKILL", "out of memory"],
        ),
        ("success with nothing", "exit 0", Stage::Dump, vec!["pre-data"]),
        ("no data section", "[ $section = data ] && exit 0", Stage::Dump, vec!["data"]),
        (
            "a table is missing",
            "[ $section = data ] && exec \"$real\" \"$@\" --exclude-table-data=donation",
            Stage::Completeness,
            vec!["public.donation"],
        ),
        (
            "cut in the middle of a row",
            "if [ $section = data ]; then \"$real\" \"$@\" | head -c 20000; exit 0; fi",
            Stage::Dump,
            vec!["data"],
        ),
        (
            "the end of the script is missing",
            "if [ $section = post-data ]; then \"$real\" \"$@\" | head -n 20; exit 0; fi",
            Stage::Dump,
            vec!["post-data"],
        ),
    ] {
        let message = message_of(&mut bench, stage, &format!("{script}\n{REAL}")).await;
        for part in expected {
            assert!(message.contains(part), "{what}: {message}");
        }
    }
    bench.use_tools(bench.server.bin_dir().to_owned().as_path());
    bench.recovers().await;
}

#[tokio::test]
async fn beginning_and_end_of_stderr_are_what_an_error_quotes() {
    let mut bench = Bench::new().await;
    let script = "i=0; while [ $i -lt 3000 ]; do echo \"line $i of it\" >&2; i=$((i+1)); done\n\
                  echo 'pg_dump: error: at last' >&2; exit 1";
    let message = message_of(&mut bench, Stage::Dump, script).await;
    assert!(message.trim_end().ends_with("at last"), "{message}");
    for (line, is_quoted) in [(1, true), (1500, false), (2999, true)] {
        assert_eq!(message.contains(&format!("line {line} of it")), is_quoted, "{message}");
    }
    assert!(message.len() < 20_000, "{}", message.len());
}

#[tokio::test]
async fn warnings_are_kept_in_the_manifest() {
    let mut bench = Bench::new().await;
    let script = "[ $section = data ] && { echo 'pg_dump: warning: the moon is full' >&2\n\
                  echo 'pg_dump: detail: It rises at nine.' >&2; }\n";
    let fake = FakeDump::new(&bench, &format!("{script}{REAL}"));
    bench.use_tools(fake.path());
    let manifest = bench.recovers().await;
    assert_eq!(manifest.warnings, ["the moon is full\ndetail: It rises at nine."]);
}

#[tokio::test]
async fn a_hung_dump_is_ended_at_the_deadline_and_the_next_run_works() {
    let mut bench = Bench::new().await;
    // It hears no polite request, and neither does what it has started.
    let script = "[ $section = data ] && { trap '' TERM; reach; }";
    let mut fake = FakeDump::new(&bench, &format!("{script}\n{REAL}"));
    bench.use_tools(fake.path());
    bench.set("RELIQUARY__DATABASES__MAIN__TIMEOUT", "3s");
    let (message, child) = tokio::join!(bench.fails_at(Stage::Timeout), fake.reached());
    assert!(message.contains("not done within 3 s; it was at stage dump"), "{message}");
    gone(child).await;
    bench.no_sessions().await;
    bench.use_tools(bench.server.bin_dir().to_owned().as_path());
    bench.set("RELIQUARY__DATABASES__MAIN__TIMEOUT", "10m");
    bench.recovers().await;
}

#[tokio::test]
async fn a_dump_that_does_not_end_after_its_last_byte_is_given_up() {
    let mut bench = Bench::new().await;
    // Its output is whole and its pipe is closed, but it stays.
    let script = "[ $section = post-data ] && { \"$real\" \"$@\"; exec >&-; reach; }";
    let mut fake = FakeDump::new(&bench, &format!("{script}\n{REAL}"));
    bench.use_tools(fake.path());
    bench.set("RELIQUARY__DATABASES__MAIN__TIMEOUT", "3s");
    let run = tokio::time::timeout(PATIENCE, bench.fails_at(Stage::Timeout));
    let (message, child) = tokio::join!(run, fake.reached());
    assert!(message.unwrap().contains("stage dump"));
    gone(child).await;
}

#[tokio::test]
async fn an_older_pg_dump_is_refused_with_both_versions_before_anything_is_written() {
    let server = Server::start(18);
    if server.bin_dir().starts_with("/usr") {
        eprintln!("SKIPPED: this machine has PostgreSQL 18 where it is always found");
        return;
    }
    let message = Bench::on(server).await.fails_at(Stage::Preflight).await;
    for part in ["pg_dump 15.", "PostgreSQL 18 server", "older", "postgresql-client-18"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_newer_pg_dump_is_used_with_a_warning() {
    let server = Server::start(16);
    if server.bin_dir().starts_with("/usr") {
        eprintln!("SKIPPED: this machine has PostgreSQL 16 where it is always found");
        return;
    }
    let mut bench = Bench::on(server).await;
    bench.use_tools(&bin_dir(18));
    let manifest = bench.recovers().await;
    assert!(manifest.tool.pg_dump.contains("18."), "{}", manifest.tool.pg_dump);
    assert!(manifest.warnings[0].contains("newer than the PostgreSQL 16"), "{manifest:?}");
}

#[tokio::test]
async fn a_pg_dump_that_does_not_answer_its_version_is_passed_over() {
    let mut bench = Bench::new().await;
    let fake = FakeDump::of_version(&bench, "echo 'cannot load libpq' >&2; exit 127", REAL);
    bench.use_tools(fake.path());
    let manifest = tokio::time::timeout(Duration::from_secs(30), bench.recovers()).await.unwrap();
    assert!(manifest.tool.pg_dump.contains("15."), "{}", manifest.tool.pg_dump);
}
