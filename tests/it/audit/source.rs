//! The source's checks, against real servers.

use std::os::unix::fs::PermissionsExt as _;

use reliquary::{
    audit::Report,
    clock::Clock,
    words::{
        Check,
        CheckResult::{Fail, Pass, Unknown, Warn},
    },
};
use tempfile::TempDir;

use super::{Installation, NOBODY, came_to, finding};
use crate::support::{
    pg::{Pg, bin},
    postgres::{Server, ServerOptions},
};

/// A closed folder as a store.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder.path(), closed).unwrap();
    folder
}

async fn audit(url: &str) -> Report {
    audit_with(url, |installation| installation).await
}

async fn audit_with(url: &str, with: impl FnOnce(Installation) -> Installation) -> Report {
    let folder = folder();
    with(Installation::new(url).folder(folder.path())).audit().await
}

const SCHEMA: &str = "CREATE ROLE backup LOGIN PASSWORD 'secret' BYPASSRLS;
    GRANT pg_read_all_data TO backup";

#[tokio::test]
async fn a_role_that_reads_and_no_more_passes() {
    let pg = Pg::start().await;
    pg.sql("postgres", SCHEMA).await;
    pg.database("shop", "CREATE TABLE t (i int); CREATE SEQUENCE s").await;
    let report = audit(&pg.url_of("backup", "secret", "shop")).await;
    for check in [
        Check::Source,
        Check::ClockSource,
        Check::ServerVersion,
        Check::ClientPrograms,
        Check::RoleRights,
        Check::TablesReadable,
        Check::RowSecurity,
        Check::LargeObjects,
        Check::LeftOut,
    ] {
        came_to(&report, check, Pass);
    }
}

#[tokio::test]
async fn what_a_role_may_not_read_is_named_with_the_grant_that_mends_it() {
    let pg = Pg::start().await;
    pg.sql("postgres", "CREATE ROLE app LOGIN PASSWORD 'secret'").await;
    pg.database(
        "shop",
        "CREATE TABLE hidden (i int);
         CREATE TABLE guarded (i int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
         GRANT SELECT ON guarded TO app;
         CREATE TABLE mine (i int); GRANT ALL ON mine TO app;
         SELECT lo_create(4711)",
    )
    .await;
    let report = audit(&pg.url_of("app", "secret", "shop")).await;
    for (check, named) in [
        (Check::TablesReadable, "public.hidden"),
        (Check::RowSecurity, "public.guarded"),
        (Check::LargeObjects, "4711"),
    ] {
        came_to(&report, check, Fail);
        let found = &finding(&report, check).found;
        assert!(found.contains(named), "{found}");
    }
    came_to(&report, Check::RoleRights, Warn);
    assert!(finding(&report, Check::RoleRights).found.contains("1 table(s)"));
    let fix = finding(&report, Check::TablesReadable).fix.clone().unwrap();
    assert!(fix.contains("GRANT SELECT ON public.hidden TO app"), "{fix}");
}

#[tokio::test]
async fn a_superuser_is_a_failure_on_every_major() {
    for major in [15, 16, 18] {
        let server = tokio::task::spawn_blocking(move || {
            let server = Server::start(major);
            server.create_database("shop");
            server
        })
        .await
        .unwrap();
        let dirs = server.bin_dir().display().to_string();
        let report = audit_with(&server.url("shop"), |installation| {
            installation.set("RELIQUARY__POSTGRES__CLIENT_DIRS", dirs)
        })
        .await;
        came_to(&report, Check::RoleRights, Fail);
        came_to(&report, Check::ServerVersion, Pass);
        came_to(&report, Check::ClientPrograms, Pass);
        came_to(&report, Check::SourceTls, Pass);
        tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_whose_time_has_come_and_a_clock_that_is_off_fail() {
    let pg = Pg::start().await;
    pg.sql("postgres", SCHEMA).await;
    let folder = folder();
    let installation =
        Installation::new(&pg.url_of("backup", "secret", "postgres")).folder(folder.path());
    let later = Clock::manual("2028-01-01T00:00:00Z".parse().unwrap());
    let report = installation.audit_at(later).await;
    came_to(&report, Check::ServerVersion, Fail);
    came_to(&report, Check::ClockSource, Fail);
}

#[tokio::test]
async fn a_server_newer_than_every_client_program_fails() {
    let server = tokio::task::spawn_blocking(|| Server::start(18)).await.unwrap();
    // Only where no newer client program is installed on this machine.
    let path = std::env::var("PATH").unwrap_or_default();
    let newer = std::env::split_paths(&path).any(|dir| dir.join("pg_dump").is_file())
        && !bin("pg_dump").display().to_string().contains("/15/");
    let report = audit(&server.url("postgres")).await;
    if !newer {
        came_to(&report, Check::ClientPrograms, Fail);
    }
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[tokio::test]
async fn a_source_that_nobody_reaches_leaves_the_rest_unknown() {
    let report = audit(NOBODY).await;
    came_to(&report, Check::Source, Fail);
    for check in [Check::ClockSource, Check::RoleRights, Check::TablesReadable, Check::LeftOut] {
        came_to(&report, check, Unknown);
    }
    let said = serde_json::to_string(&report).unwrap();
    assert!(!said.contains("secret@"), "{said}");
}

#[tokio::test]
async fn what_a_dump_leaves_out_is_told() {
    let pg = Pg::start_with("wal_level = logical\n").await;
    pg.sql("postgres", SCHEMA).await;
    pg.database(
        "shop",
        "CREATE SUBSCRIPTION s CONNECTION 'host=/nonexistent' PUBLICATION p
         WITH (connect = false)",
    )
    .await;
    let report = audit(&pg.url_of("backup", "secret", "shop")).await;
    came_to(&report, Check::LeftOut, Warn);
    assert!(finding(&report, Check::LeftOut).found.contains("subscriptions"));
}

#[tokio::test]
async fn the_way_to_the_source_is_judged_by_how_it_is_guarded() {
    let pg = Pg::start_with_tls().await;
    pg.sql("postgres", SCHEMA).await;
    let port = pg.port;
    let ca = pg.ca.display();
    let at =
        |query: String| format!("postgresql://backup:secret@localhost:{port}/postgres?{query}");
    let verified = audit(&at(format!("sslmode=verify-full&sslrootcert={ca}"))).await;
    came_to(&verified, Check::SourceTls, Pass);
    assert!(finding(&verified, Check::SourceTls).found.contains("TLSv1"), "{verified:?}");
    came_to(&audit(&at("sslmode=require".to_owned())).await, Check::SourceTls, Warn);
    // On this machine alone; through a network both would fail.
    came_to(&audit(&at("sslmode=disable".to_owned())).await, Check::SourceTls, Warn);
    let away =
        audit("postgresql://backup:secret@192.0.2.1:5432/x?connect_timeout=2&sslmode=disable");
    came_to(&away.await, Check::SourceTls, Fail);
}

#[tokio::test]
async fn a_folder_is_judged_by_its_rights_and_by_where_it_is() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = tokio::task::spawn_blocking(|| Server::start_with(15, options)).await.unwrap();
    let closed = folder();
    let report = Installation::new(&server.url("postgres")).folder(closed.path()).audit().await;
    came_to(&report, Check::StoreFolder, Pass);
    // Both are under the folder for temporary files.
    came_to(&report, Check::StoreDisk, Fail);
    came_to(&report, Check::ConditionalWrites, Pass);
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(closed.path(), open).unwrap();
    let report = Installation::new("postgresql://u:p@192.0.2.1/x?connect_timeout=2")
        .folder(closed.path())
        .audit()
        .await;
    came_to(&report, Check::StoreFolder, Fail);
    came_to(&report, Check::StoreDisk, Pass);
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_everybody_reads_is_a_failure() {
    let folder = folder();
    let secret = folder.path().join("url");
    std::fs::write(&secret, NOBODY).unwrap();
    let installation = || {
        Installation(std::collections::BTreeMap::new())
            .folder(folder.path())
            .set("RELIQUARY__DATABASES__MAIN__URL_FILE", secret.display().to_string())
    };
    for (mode, result) in [(0o644, Fail), (0o600, Pass)] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let report = installation().audit().await;
        came_to(&report, Check::SecretFiles, result);
        let found = &finding(&report, Check::SecretFiles).found;
        assert!(found.contains("databases.main.url_file"), "{found}");
    }
}
