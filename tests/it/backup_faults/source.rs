//! The source goes away, refuses, or changes under a backup.

use std::time::Duration;

use reliquary::{jobs::backup::BackupError, process::Program, words::Stage};

use super::{
    bench::{Bench, PATIENCE},
    children::FakeDump,
};
use crate::support::postgres::{Server, ServerOptions};

/// Passes most of the data section on, then waits in the middle of a COPY.
const WITHIN_COPY: &str = "[ $section = data ] || exec \"$real\" \"$@\"\n\
     mkfifo \"$dir/pipe\"; \"$real\" \"$@\" >\"$dir/pipe\" & dump=$!\n\
     { head -c 1000000; reach; cat; } <\"$dir/pipe\"; wait $dump";

/// Lets a backup come into the middle of the data, does something to the
/// source, and returns what the backup fails with: something that another
/// attempt may not meet.
async fn fails_in_the_middle(bench: &mut Bench, harm: impl AsyncFnOnce(&Bench)) -> BackupError {
    let mut fake = FakeDump::new(bench, WITHIN_COPY);
    bench.use_tools(fake.path());
    let harmed = async {
        fake.reached().await;
        harm(bench).await;
        fake.release().await;
    };
    let both = async { tokio::join!(bench.fails(), harmed) };
    let (error, ()) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    // Ours or pg_dump's session, whichever notices first.
    assert!(matches!(error.stage, Stage::Dump | Stage::Snapshot), "{error}");
    assert!(error.transient, "{error}");
    error
}

fn use_real_tools(bench: &mut Bench) {
    let real = bench.server.bin_dir().to_owned();
    bench.use_tools(&real);
}

#[tokio::test]
async fn a_connection_that_drops_in_the_middle_of_a_copy_fails_the_run_and_the_next_works() {
    let mut bench = Bench::new().await;
    bench.fatten();
    let error = fails_in_the_middle(&mut bench, async |bench| {
        let ended = bench.server.psql(
            "app",
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where query like 'COPY %blob%' and pid <> pg_backend_pid()",
        );
        assert_eq!(ended.trim(), "1");
    })
    .await;
    assert!(error.message.contains("COPY") && error.stage == Stage::Dump, "{error}");
    bench.no_sessions().await;
    use_real_tools(&mut bench);
    bench.without_rows_of("public.blob").recovers().await;
}

#[tokio::test]
async fn a_server_that_is_stopped_in_the_middle_fails_the_run() {
    let mut bench = Bench::new().await;
    bench.fatten();
    fails_in_the_middle(&mut bench, async |bench| {
        let data = bench.server.psql("app", "show data_directory");
        let owner = nix::unistd::User::from_name("postgres").unwrap().unwrap();
        let stop = Program::new(bench.server.bin("pg_ctl"))
            .args(["stop", "-m", "immediate", "-D", data.trim()])
            .dir("/");
        let stop = if nix::unistd::geteuid().is_root() {
            stop.user(owner.uid.as_raw(), owner.gid.as_raw())
        } else {
            stop
        };
        stop.output(PATIENCE).await.unwrap();
    })
    .await;
    // Another attempt finds nobody, and says so.
    use_real_tools(&mut bench);
    bench.fails_at(Stage::Connect).await;
}

#[tokio::test]
async fn a_snapshot_whose_session_is_lost_between_sections_fails_the_run() {
    let mut bench = Bench::new().await;
    let mut fake =
        FakeDump::new(&bench, "[ $section = post-data ] && reach; exec \"$real\" \"$@\"");
    bench.use_tools(fake.path());
    let harm = async {
        fake.reached().await;
        let ended = bench.server.psql(
            "app",
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where application_name = 'reliquary' and pid <> pg_backend_pid()",
        );
        assert_eq!(ended.trim(), "1");
        // The server must have forgotten the snapshot.
        bench.no_sessions().await;
        fake.release().await;
    };
    let (message, ()) = tokio::join!(bench.fails_at(Stage::Dump), harm);
    assert!(message.contains("snapshot"), "{message}");
    use_real_tools(&mut bench);
    bench.recovers().await;
}

#[tokio::test]
async fn a_table_that_ddl_holds_fails_the_run_soon_and_blocks_nobody() {
    let mut bench = Bench::new().await;
    bench.set("RELIQUARY__DATABASES__MAIN__LOCK_TIMEOUT", "1s");
    let mut fake = FakeDump::new(&bench, "[ $section = pre-data ] && reach; exec \"$real\" \"$@\"");
    bench.use_tools(fake.path());
    let holder = async {
        fake.reached().await;
        let pool = sqlx::postgres::PgPoolOptions::new().connect(&bench.server.url("app")).await;
        let mut ddl = pool.unwrap().begin().await.unwrap();
        sqlx::query("alter table donation add column note text").execute(&mut *ddl).await.unwrap();
        fake.release().await;
        // `pg_dump` waits behind the DDL now, until it gives up.
        ddl
    };
    let (message, ddl) = tokio::join!(bench.fails_at(Stage::Dump), holder);
    assert!(message.contains("LOCK TABLE public.donation"), "{message}");
    bench.no_sessions().await;
    // The application's own work goes on as if nothing had been.
    ddl.commit().await.unwrap();
    use_real_tools(&mut bench);
    bench.recovers().await;
}

#[tokio::test]
async fn a_table_that_is_truncated_after_the_snapshot_is_never_backed_up_as_empty() {
    let mut bench = Bench::new().await;
    let mut fake = FakeDump::new(&bench, "[ $section = pre-data ] && reach; exec \"$real\" \"$@\"");
    bench.use_tools(fake.path());
    let truncate = async {
        fake.reached().await;
        bench.server.psql("app", "truncate donation");
        fake.release().await;
    };
    let (message, ()) = tokio::join!(bench.fails_at(Stage::Snapshot), truncate);
    assert!(message.contains("public.donation"), "{message}");
    use_real_tools(&mut bench);
    let manifest = bench.recovers().await;
    let rows = |name: &str| manifest.tables.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!((rows("donation"), rows("church")), (0, 50));
}

#[tokio::test]
async fn what_the_source_refuses_is_said_before_anything_is_written() {
    let server = Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() });
    let mut bench = Bench::on(server).await;
    bench.server.psql(
        "app",
        "create role backup login password 'right';
         grant select on church to backup;
         create role hidden login password 'right';
         grant select on all tables in schema public to hidden;
         alter table donation enable row level security;
         create policy mine on donation using (cents > 5);",
    );
    let url =
        |user: &str, password: &str, database: &str| bench.server.tcp_url(database, user, password);
    let pooler = "postgres://postgres:right@aws-0-eu.pooler.supabase.com:6543/postgres";
    let cases = [
        (
            url("backup", "mistyped-1", "app"),
            Stage::Connect,
            vec!["password of user backup is wrong"],
        ),
        (url("backup", "right", "gone"), Stage::Connect, vec!["there is no database gone"]),
        (
            url("backup", "right", "app"),
            Stage::Preflight,
            vec![
                "may not SELECT table public.donation",
                "GRANT SELECT ON public.donation TO backup",
            ],
        ),
        (
            url("hidden", "right", "app"),
            Stage::Preflight,
            vec!["row-level security would hide rows", "public.donation", "BYPASSRLS"],
        ),
        (pooler.to_owned(), Stage::Connect, vec!["6543", "transaction pooler", "port 5432"]),
    ];
    for (url, stage, parts) in cases {
        bench.set("DIRECT_URL", url);
        let error = bench.backup().await.unwrap_err();
        assert_eq!(error.stage, stage, "{error}");
        assert!(!error.transient, "{error}");
        for part in parts {
            assert!(error.message.contains(part), "{error}");
        }
        assert!(!error.message.contains("right") && !error.message.contains("mistyped-1"));
    }
    bench.holds(0).await;
}

#[tokio::test]
async fn a_database_that_is_dropped_in_the_middle_fails_the_run() {
    let mut bench = Bench::new().await;
    bench.fatten();
    fails_in_the_middle(&mut bench, async |bench| {
        bench.server.psql("postgres", "drop database app with (force)");
    })
    .await;
    use_real_tools(&mut bench);
    let message = bench.fails_at(Stage::Connect).await;
    assert!(message.contains("there is no database app"), "{message}");
}

#[tokio::test]
async fn a_network_that_falls_silent_ends_with_the_deadline() {
    let mut bench = Bench::new().await;
    // The server answers nothing any more, as behind a broken link.
    bench.set("RELIQUARY__DATABASES__MAIN__TIMEOUT", "2s");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    bench.set("DIRECT_URL", format!("postgres://me@127.0.0.1:{port}/app"));
    let began = std::time::Instant::now();
    let message = bench.fails_at(Stage::Timeout).await;
    assert!(message.contains("it was at stage connect"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(20));
}
