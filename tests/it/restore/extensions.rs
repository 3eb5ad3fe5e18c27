//! Extensions that a table stands on: those that the target can have come with it, and
//! what cannot be made without one is refused before anything is touched.

use super::{fails, restored, said};
use crate::support::{
    postgres::{Run, Server, ServerOptions},
    product::Product,
};

#[test]
fn extensions_that_only_indexes_and_triggers_need_come_with_their_table() {
    let source = Server::start(15);
    source.create_database("app");
    source.psql(
        "app",
        "create schema ext; create extension citext schema ext;
         create extension unaccent schema ext; create extension pgcrypto schema ext;
         create extension pg_trgm; create extension moddatetime; create extension btree_gist;
         create table plain (id int); insert into plain values (1);
         create type ext.span as range (subtype = int);
         create table spans (s ext.span_multirange); insert into spans values ('{[1,3),[5,6)}');
         create table person (email ext.citext primary key);
         create function bare(text) returns text language sql immutable as
           $$ select ext.unaccent('ext.unaccent', $1) $$;
         create table booking (room int, during tsrange, note text, seen timestamp,
                               exclude using gist (room with =, during with &&));
         create index alike on booking using gin (note gin_trgm_ops);
         create index bare on booking (bare(note));
         create trigger seen before update on booking for each row
           execute function moddatetime(seen);
         insert into booking values (1, '[2026-01-01,2026-01-02)', 'crème');",
    );
    let product = Product::of(&source, "app");
    product.backup(&[]);
    source.create_database("part");
    restored(&product, &source, "part", &["--table", "public.booking"]);
    let made = "select string_agg(extname, ' ' order by extname) from pg_extension;
                select count(*) from pg_indexes where tablename = 'booking';
                update booking set note = 'x' returning seen is not null;";
    assert_eq!(
        source.psql("part", made),
        "btree_gist moddatetime pg_trgm plpgsql unaccent\n3\nt\n"
    );

    // The builds of the newer server have none of them.
    let target = Server::start(16);
    target.create_database("copy");
    let product = product.with_client_dir(target.bin_dir());
    for more in [&["--dry-run"][..], &[], &["--table", "public.person"]] {
        let said = fails(&product, &target, "copy", more);
        for part in [
            "does not have the extension citext, which brings ext.citext in column email of table \
             public.person",
            "install it there",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("--clean"), "{said}");
    }
    let tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(target.psql("copy", tables), "0\n");
    restored(&product, &target, "copy", &["--table", "public.plain"]);
    // What comes with a type of the archive's own is nobody else's.
    restored(&product, &target, "copy", &["--table", "public.spans"]);
    assert_eq!(target.psql("copy", "select s from spans"), "{[1,3),[5,6)}\n");
    // Rows come back without what is not to be had for them.
    let said = fails(&product, &target, "copy", &["--table", "public.booking"]);
    assert!(said.contains("the extension pg_trgm, which brings public.gin_trgm_ops"), "{said}");
    let rows = ["--table", "public.booking", "--section", "pre-data", "--section", "data"];
    restored(&product, &target, "copy", &rows);
    assert_eq!(target.psql("copy", "select note from booking"), "crème\n");
}

/// A column may be called as an extension is, and an extension that a role may not create
/// may be needed by nobody.
#[test]
fn extensions_that_are_only_guessed_stop_nothing() {
    let server = Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() });
    server.create_database("app");
    server.psql(
        "app",
        "create schema ext; create extension dblink schema ext;
         create schema odd; create extension btree_gist schema odd;
         create table host (dblink int, during tsrange); insert into host values (1, '[2026-01-01,)');
         create index on host using gist (during);",
    );
    server.psql("postgres", "create role app login password 'hunter2'");
    let product = Product::of(&server, "app");
    product.backup(&[]);
    for database in ["rich", "poor"] {
        server.create_database(database);
    }
    let extensions = "select string_agg(extname || ' ' || nspname, ', ' order by extname)
                      from pg_extension join pg_namespace n on n.oid = extnamespace";
    let report = restored(&product, &server, "rich", &["--table", "public.host"]);
    assert_eq!(report["left_out"].as_array().map(Vec::len), Some(0), "{report}");
    assert_eq!(server.psql("rich", extensions), "btree_gist odd, dblink ext, plpgsql pg_catalog\n");
    // One that may make only what is its own.
    server.psql("postgres", "alter database poor owner to app");
    server.psql("poor", "grant create on schema public to app");
    let product = product.set("TARGET_URL", server.tcp_url("poor", "app", "hunter2"));
    let part = ["--json", "restore", "--to", "env:TARGET_URL", "--table", "public.host"];
    let output = product.run(&part);
    assert!(output.status.success(), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let left_out = report["left_out"].to_string();
    assert!(left_out.contains("extension dblink") && !left_out.contains("gist"), "{report}");
    assert!(left_out.contains("permission denied to create extension"), "{report}");
    // btree_gist is one that whoever owns the database may create.
    assert_eq!(server.psql("poor", extensions), "btree_gist odd, plpgsql pg_catalog\n");
    assert_eq!(
        server.psql("poor", "select count(*) from pg_namespace where nspname = 'ext'"),
        "0\n"
    );
    assert_eq!(server.psql("poor", "select dblink from host"), "1\n");
    // As SQL, too.
    let sql = product.run(&["restore", "--to", "-", "--table", "public.host"]).stdout;
    server.create_database("file");
    server.psql_command("file").output_of(&sql);
    assert_eq!(server.psql("file", "select dblink from host"), "1\n");
}

/// It is there, and what looks for it by its schema does not find it.
#[test]
fn an_extension_in_another_schema_is_refused_with_what_moves_it() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "create schema ext; create extension citext schema ext;
         create table person (email ext.citext primary key); insert into person values ('a')",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    server.create_database("copy");
    server.psql("copy", "create extension citext");
    for more in [&["--dry-run"][..], &[], &["--table", "public.person"]] {
        let said = fails(&product, &server, "copy", more);
        for part in [
            "the target has the extension citext in schema public, and not in ext, where the source",
            "ext.citext in column email of table public.person",
            "ALTER EXTENSION citext SET SCHEMA ext)",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    // As it was told to.
    server.psql("copy", "drop extension citext");
    restored(&product, &server, "copy", &[]);
    assert_eq!(server.psql("copy", "select email from person"), "a\n");
}
