//! Extensions that a table stands on: those that the target can have come with it, and
//! what cannot be made without one is refused before anything is touched.

use super::{fails, restored};
use crate::support::{postgres::Server, product::Product};

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
    // Rows come back without what is not to be had for them.
    let said = fails(&product, &target, "copy", &["--table", "public.booking"]);
    assert!(said.contains("the extension pg_trgm, which brings public.gin_trgm_ops"), "{said}");
    let rows = ["--table", "public.booking", "--section", "pre-data", "--section", "data"];
    restored(&product, &target, "copy", &rows);
    assert_eq!(target.psql("copy", "select note from booking"), "crème\n");
}
