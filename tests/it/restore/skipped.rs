//! What is skipped takes along what is said of it, and stops nothing.

use super::{fails, said};
use crate::support::{
    postgres::{Server, ServerOptions},
    product::Product,
};

/// What only a superuser may make, and what is said of it.
#[test]
fn what_is_said_of_something_skipped_is_skipped_and_listed() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let source = Server::start_with(15, options.clone());
    source.create_database("app");
    source.psql(
        "app",
        "create table plain (id int primary key); insert into plain values (1), (2);
         create table others (id int);
         create function on_ddl() returns event_trigger language plpgsql as $$ begin end $$;
         create event trigger watch on ddl_command_end execute function on_ddl();
         alter event trigger watch disable;
         comment on event trigger watch is 'of an event trigger';
         create publication everything for all tables;
         comment on publication everything is 'of a publication';
         create publication those for table plain; comment on publication those is 'of another';
         create role reader; create role late;
         alter table plain enable row level security;
         create policy p on plain to reader using (true); create policy p on others using (true);
         comment on policy p on plain is 'of a policy'; comment on policy p on others is 'of its namesake';
         create access method mine type table handler heap_tableam_handler;
         comment on access method mine is 'of an access method';
         create table stored (a int) using mine; insert into stored values (1);
         create foreign data wrapper wrapper; comment on foreign data wrapper wrapper is 'x';
         create server far foreign data wrapper wrapper; comment on server far is 'x';
         create user mapping for public server far;
         create foreign table distant (a int default 1) server far;
         comment on foreign table distant is 'x'; comment on column distant.a is 'x';
         create view above as select * from distant; create view higher as select * from above;
         create materialized view filled as select a + 1 as b from higher with no data;
         comment on view higher is 'x'; create index on filled (b);",
    );
    let product = Product::of(&source, "app");
    product.backup(&[]);
    let target = Server::start_with(15, options);
    target.create_database("copy");
    target.psql(
        "copy",
        "create role keeper login password 'hunter2'; grant create on database copy to keeper;
         grant all on schema public to keeper",
    );
    let url = target.tcp_url("copy", "keeper", "hunter2");
    let product = product.set("TARGET", url);
    let output = product.run(&["restore", "--to", "env:TARGET"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "comment on watch: event trigger watch is skipped (platform difference)",
        "comment on everything: publication everything is skipped (platform difference)",
        "comment on p of public.plain: policy p of public.plain is skipped (data loss)",
        "comment on mine: access method mine is skipped (platform difference)",
        "setting default_table_access_method: access method mine is skipped (platform difference)",
        "comment on wrapper: foreign data wrapper wrapper is skipped (platform difference)",
        "server far: foreign data wrapper wrapper is skipped (platform difference)",
        "comment on far: server far is skipped (platform difference)",
        "user mapping far: server far is skipped (platform difference)",
        "foreign table public.distant: server far is skipped (data loss)",
        "comment on public.distant: foreign table public.distant is skipped (data loss)",
        "comment on a of public.distant: foreign table public.distant is skipped (data loss)",
        "view public.above: foreign table public.distant is skipped (data loss)",
        "view public.higher: view public.above is skipped (data loss)",
        "comment on public.higher: view public.higher is skipped (data loss)",
        "materialized view public.filled: view public.higher is skipped (data loss)",
        "index public.filled_b_idx of public.filled: materialized view public.filled is skipped (data loss)",
        "NOT whole: 10 things",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let is = |sql: &str| target.psql("copy", sql).trim().to_owned();
    assert_eq!(is("select count(*) from plain"), "2");
    assert_eq!(is("select count(*) from stored"), "1");
    // The namesakes of what was skipped are there.
    let said_of = "select string_agg(description, ', ' order by description) from pg_description
                   where classoid in ('pg_policy'::regclass, 'pg_publication'::regclass)";
    assert_eq!(is(said_of), "of another, of its namesake");
    assert_eq!(is("select count(*) from pg_publication_rel"), "1");
}

/// Rows of an extension's own table and the value of its sequence, where the
/// extension is not there, or does not make them.
#[test]
fn rows_without_a_table_are_a_loss_and_the_rest_comes_back() {
    let source = Server::start(15);
    source.create_database("app");
    source.psql(
        "app",
        "create table plain (id int primary key); insert into plain values (1);
         create schema of_extension; create extension hstore schema of_extension;
         comment on extension hstore is 'mine';
         create table of_extension.config (n serial);
         insert into of_extension.config values (default), (default);
         alter extension hstore add table of_extension.config;
         alter extension hstore add sequence of_extension.config_n_seq;
         update pg_extension set extconfig = array['of_extension.config'::regclass::oid,
                                                   'of_extension.config_n_seq'::regclass::oid],
                                 extcondition = array['', ''] where extname = 'hstore';",
    );
    let product = Product::of(&source, "app");
    product.backup(&[]);
    // The builds of the newer server lack the extension; this one's makes no such table.
    for (major, reason) in [
        (15, "the extension that makes the table has not made it"),
        (16, "the extension that makes the table is not there: create hstore first"),
    ] {
        let target = Server::start(major);
        target.create_database("copy");
        let product = product.with_client_dir(target.bin_dir());
        let said = fails(&product, &target, "copy", &[]);
        let lost = format!("2 rows of of_extension.config: {reason} (data loss)");
        let value = "value of sequence of_extension.config_n_seq: the extension that makes the \
                     sequence has not made it (data loss)";
        let counted = said.contains("NOT whole: 2 things of");
        assert!(said.contains(&lost) && said.contains(value) && counted, "{said}");
        assert_eq!(target.psql("copy", "select count(*) from plain").trim(), "1");
        // What comes last is there.
        let keys = "select count(*) from pg_constraint where conname = 'plain_pkey'";
        assert_eq!(target.psql("copy", keys).trim(), "1");
        // Who asks for it is told so, and gets the extension where that can be made.
        target.create_database("part");
        let said = fails(&product, &target, "part", &["--table", "of_extension.config"]);
        assert!(said.contains(&lost), "{said}");
        let made = "select count(*) from pg_extension where extname = 'hstore'";
        assert_eq!(target.psql("part", made).trim(), if major == 15 { "1" } else { "0" });
    }
}
