//! Rows that row-level security hides from the role that restores: counted all
//! the same, or refused with the reason, and never said to be missing.

use super::{process, said};
use crate::support::{
    postgres::{Server, ServerOptions},
    product::{Product, shell},
};

const ID: &str = "2026-01-02T03-00-00Z";

/// A table whose policies bind its owner too, and what stands on it.
fn secret(server: &Server) {
    server.create_database("app");
    server.psql(
        "app",
        "create role keeper login password 'hunter2';
         create table secret (id int primary key, t text);
         insert into secret select i, 'x' from generate_series(1, 100) i;
         create materialized view counted as select count(*) as rows from secret;
         create unique index on counted (rows);
         create policy nobody on secret using (false);
         alter table secret enable row level security; alter table secret force row level security;",
    );
}

fn target(server: &Server, name: &str) {
    server.create_database(name);
    let sql =
        format!("grant create on database {name} to keeper; grant all on schema public to keeper");
    server.psql(name, &sql);
}

#[test]
fn an_owner_who_may_not_see_his_rows_gets_them_back_and_proven() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    secret(&server);
    let product = Product::of(&server, "app");
    product.backup(&[]);
    target(&server, "copy");
    let product = product.set("TARGET", server.tcp_url("copy", "keeper", "hunter2"));
    for more in [&[][..], &["--clean", "--yes"]] {
        let all = [&["--json", "restore", "--to", "env:TARGET"], more].concat();
        let output = product.run(&all);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["proven"], true, "{report}");
        assert_eq!(report["rows_compared"], 100, "{report}");
    }
    let is = |sql: &str| server.psql("copy", sql).trim().to_owned();
    assert_eq!(is("select rows from counted"), "100");
    assert_eq!(
        is("select relforcerowsecurity and relrowsecurity from pg_class where relname = 'secret'"),
        "t"
    );
    // A table that is there can neither be filled nor asked whether it is empty.
    for more in [&[][..], &["--clean", "--yes"], &["--dry-run"]] {
        let part = ["restore", "--to", "env:TARGET", "--table", "public.secret"];
        let output = product.run(&[&part[..], more].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in [
            "row-level security of public.secret hides its rows from role keeper",
            "ALTER ROLE keeper BYPASSRLS",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(is("select count(*) from secret"), "100");
    server.psql("copy", "alter role keeper bypassrls");
    let all = ["restore", "--to", "env:TARGET", "--table", "public.secret", "--clean", "--yes"];
    let output = product.run(&all);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// The same for a legacy archive, where nothing but the proof is ours.
#[test]
fn a_legacy_archive_s_hidden_rows_are_counted() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    secret(&server);
    server.psql("app", "drop materialized view counted");
    let product = Product::of(&server, "app");
    let folder = product.store_dir().join("database/2026/01");
    std::fs::create_dir_all(&folder).unwrap();
    let line = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {ID}.sql.gz");
    shell(&folder, &server, &[("URL", server.url("app"))], &line);
    target(&server, "copy");
    let product = product.set("TARGET", server.tcp_url("copy", "keeper", "hunter2"));
    let output = product.run(&["--json", "restore", ID, "--to", "env:TARGET"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows_compared"], 100, "{report}");
}

/// What may not be read is refused before, with what mends it.
#[test]
fn a_table_that_may_not_be_read_is_refused() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    server.create_database("app");
    server.psql(
        "app",
        "create role keeper login password 'hunter2'; create schema closed;
         create table closed.t (id int); insert into closed.t values (1), (2);",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    server.create_database("copy");
    server.psql(
        "copy",
        "create schema closed; create table closed.t (id int);
         grant usage on schema closed to keeper; grant insert on closed.t to keeper;",
    );
    let product = product.set("TARGET", server.tcp_url("copy", "keeper", "hunter2"));
    let output = product.run(&["restore", "--to", "env:TARGET", "--section", "data"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("rows of closed.t cannot be restored") && text.contains("GRANT SELECT"),
        "{text}"
    );
    server.psql("copy", "grant select on closed.t to keeper");
    let output = product.run(&["restore", "--to", "env:TARGET", "--section", "data"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// What nobody could count is said to be uncounted: neither lost nor proven.
#[test]
fn what_could_not_be_counted_is_neither_lost_nor_proven() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    server.psql("postgres", "create role keeper login password 'hunter2'");
    process::waits(&server, "index", false);
    let product = Product::of(&server, "index");
    product.backup(&[]);
    target(&server, "copy");
    let product = product.set("TARGET", server.tcp_url("copy", "keeper", "hunter2"));
    let lock = process::Lock::hold(&server, "copy");
    let mut restore = product.command(&["restore", "--to", "env:TARGET"]);
    let mut child = process::start(&mut restore, &server, "copy");
    // Somebody takes the table away while it is restored.
    server
        .psql("copy", "alter table before owner to current_user; revoke all on before from keeper");
    lock.release(&server, "copy");
    let ended = child.wait().unwrap();
    let text = process::rest(&mut child);
    assert_eq!(ended.code(), Some(0), "{text}");
    for part in
        ["the rows of public.before could not be counted", "NOT proven: the rows of 1 table could"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("instead of"), "{text}");
}
