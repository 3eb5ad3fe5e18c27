//! The source goes away, refuses, or changes under a backup.

use std::{io::Read as _, time::Duration};

use flate2::read::MultiGzDecoder;
use reliquary::{jobs::backup::BackupError, process::Program, store::Store as _, words::Stage};
use rstest::rstest;

use super::{
    bench::{Bench, PATIENCE, eventually},
    children::FakeDump,
};
use crate::support::postgres::{Run as _, Server, ServerOptions};

/// Passes most of the data section on, then waits in the middle of a COPY.
const WITHIN_COPY: &str = "[ $section = data ] || exec \"$real\" \"$@\"\n\
     mkfifo \"$dir/pipe\"; \"$real\" \"$@\" >\"$dir/pipe\" & dump=$!\n\
     { head -c 1000000; reach; cat; } <\"$dir/pipe\"; wait $dump";

/// Stops when the snapshot is taken, before any `pg_dump` has connected.
const BEFORE_ALL: &str =
    "if [ $section = pre-data ]; then reach; else hold; fi; exec \"$real\" \"$@\"";

/// Stops when two of the three have read the definitions, and hold their locks.
const BEFORE_POST_DATA: &str = "[ $section = post-data ] && reach; exec \"$real\" \"$@\"";

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
    // A look at the present may find the database gone, and that is final.
    let gone = error.message.contains("there is no database");
    assert!(error.transient || gone, "{error}");
    error
}

/// One of each kind of definition that the server deparses.
const DEFINITIONS: &str =
    "create table note as select 1 as n; create index cents on donation (cents);
    create function f() returns trigger language plpgsql as 'begin return new; end';
    create trigger checked before update on church for each row execute function f();
    create type mood as enum ('ok'); create view rich as select 1 as n;
    create materialized view digest as select count(*) from donation";

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
async fn a_snapshot_whose_session_is_lost_before_it_is_read_fails_the_run() {
    let mut bench = Bench::new().await;
    let mut fake = FakeDump::new(&bench, BEFORE_POST_DATA);
    bench.use_tools(fake.path());
    let harm = async {
        fake.reached().await;
        // Ours was there first. The server must have forgotten the snapshot.
        let ended = bench.server.psql(
            "app",
            "select pg_terminate_backend(pid, 20000) from pg_stat_activity
             where datname = 'app' and pid <> pg_backend_pid() order by backend_start limit 1",
        );
        assert_eq!(ended.trim(), "t");
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
    let mut fake = FakeDump::new(&bench, BEFORE_ALL);
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

/// A dump that is taken around one of these may not restore, or may lack rows or
/// an index, and nothing of it would say so.
#[rstest]
#[case::truncated("truncate donation", "table public.donation")]
#[case::rewritten("alter table donation alter cents type bigint", "table public.donation")]
#[case::replaced(
    "begin; create table n (like note); drop table note; alter table n rename to note; commit",
    "table public.note"
)]
#[case::swapped(
    "begin; create table n (like note); alter table note rename to old;
     alter table n rename to note; commit",
    "table public.note"
)]
#[case::dropped("drop table donation cascade", "public.donation")]
#[case::moved("create schema s; alter table church set schema s", "public.church")]
#[case::column("alter table church rename name to title", "columns of public.church")]
#[case::unindexed("drop index cents", "index public.cents")]
#[case::unconstrained(
    "alter table donation drop constraint donation_church_fkey",
    "constraint public.donation_church_fkey"
)]
#[case::untriggered("drop trigger checked on church", "trigger checked on public.church")]
#[case::function(
    "create or replace function f() returns trigger language plpgsql as 'begin return old; end'",
    "function public.f"
)]
#[case::view("create or replace view rich as select 2 as n", "rule \"_RETURN\" on public.rich")]
#[case::renamed_type("alter type mood rename value 'ok' to 'fine'", "value of type public.mood")]
#[tokio::test]
async fn what_changes_after_the_snapshot_is_never_backed_up(
    #[case] change: &str,
    #[case] named: &str,
) {
    let mut bench = Bench::new().await;
    bench.server.psql("app", DEFINITIONS);
    let mut fake = FakeDump::new(&bench, BEFORE_ALL);
    bench.use_tools(fake.path());
    let changes = async {
        fake.reached().await;
        bench.server.psql("app", change);
        fake.release().await;
    };
    let (error, ()) = tokio::join!(bench.fails(), changes);
    // `pg_dump` itself finds no table under a name that is gone.
    assert!(matches!(error.stage, Stage::Snapshot | Stage::Dump), "{error}");
    assert!(error.transient && error.message.contains(named), "{error}");
    use_real_tools(&mut bench);
    bench.recovers().await;
}

/// What comes meanwhile is not in the snapshot, and what is no part of a
/// definition is no change of one.
#[tokio::test]
async fn what_does_not_concern_the_dump_disturbs_no_backup() {
    let mut bench = Bench::new().await;
    bench.server.psql("app", DEFINITIONS);
    let mut fake = FakeDump::new(&bench, BEFORE_ALL);
    bench.use_tools(fake.path());
    let changes = async {
        fake.reached().await;
        bench.server.psql(
            "app",
            "create table later (n int); create index on church (name); analyze;
             grant select on church to public; refresh materialized view digest;
             insert into donation values (9999, 1, 1); vacuum church",
        );
        fake.release().await;
    };
    let (manifest, ()) = tokio::join!(bench.backup(), changes);
    let rows = |name: &str| {
        let manifest = manifest.as_ref().unwrap();
        manifest.tables.iter().find(|table| table.name == name).map(|table| table.rows)
    };
    assert_eq!((rows("donation"), rows("later")), (Some(2000), None));
}

/// A migration that waits for the rows to be copied must not come between them
/// and the indexes: whatever it renames or drops is in the archive as it was.
#[tokio::test]
async fn a_migration_that_waits_for_the_copy_changes_nothing_of_the_archive() {
    let mut bench = Bench::new().await;
    bench.fatten();
    bench.server.psql("app", DEFINITIONS);
    let mut fake = FakeDump::new(&bench, WITHIN_COPY);
    bench.use_tools(fake.path());
    let migration = async {
        fake.reached().await;
        let mut migration = bench.server.psql_command("app");
        let mut migration = migration
            .args(["-c", "alter table blob rename id to renamed", "-c", "drop index cents"])
            .spawn()
            .unwrap();
        // It stands in the queue behind the dump's lock.
        let waits = "select count(*) from pg_locks where not granted";
        eventually("it waits", || bench.server.psql("app", waits).trim() != "0").await;
        fake.release().await;
        tokio::task::spawn_blocking(move || assert!(migration.wait().unwrap().success()))
            .await
            .unwrap();
    };
    let (manifest, ()) = tokio::join!(bench.backup(), migration);
    bench.server.create_database("restored");
    let archive = bench.local.get(&manifest.unwrap().archive.key, 64 << 20).await.unwrap();
    let mut script = Vec::new();
    MultiGzDecoder::new(&archive[..]).read_to_end(&mut script).unwrap();
    bench.server.psql_command("restored").output_of(&script);
    let ask = "select (select count(id) from blob), to_regclass('public.cents')";
    assert_eq!(bench.server.psql("restored", ask).trim(), "380|cents");
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
