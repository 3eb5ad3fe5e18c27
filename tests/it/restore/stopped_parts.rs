//! A part of a backup that stopped in the middle, and was run again.

use super::{
    fails,
    process::{Lock, no_sessions, stuck, until},
    restored, shop,
};
use crate::support::{
    postgres::{Server, assert_same_dump, assert_same_lines},
    product::Product,
};

#[test]
fn a_part_that_stopped_names_what_is_not_whole_and_what_it_lacks_is_said_later() {
    let server = Server::start(15);
    shop(&server, "shop");
    server.psql(
        "shop",
        "alter table donor enable row level security; alter table donor force row level security; create policy own on donor using (true);",
    );
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    server.psql(
        "copy",
        "create function stop() returns event_trigger language plpgsql as
           $$ begin raise exception 'not today'; end $$;
         create event trigger stop on ddl_command_start when tag in ('CREATE INDEX')
           execute function stop();",
    );
    let one = ["--table", "public.donor", "--jobs", "1"];
    let url = server.url("copy");
    let output = product.run(&[&["--json", "restore", "--to", &url], &one[..]].concat());
    let said = super::said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["not_whole"], serde_json::json!(["public.donor"]), "{document}");
    assert!(said.contains("SQLSTATE P0001") && !said.contains("not today"));
    assert!(said.contains("stopped at stage indexes"), "{said}");
    let made = "made by this run and not whole: public.donor; to have that made anew, run it again \
                with --clean";
    assert!(said.contains(made), "{said}");
    server.psql("copy", "drop event trigger stop; drop function stop()");
    let said = fails(&product, &server, "copy", &one);
    assert!(said.contains("never came to its end: public.donor; add --clean"), "{said}");

    // As it was told to.
    let report = restored(&product, &server, "copy", &[&one[..], &["--clean", "--yes"]].concat());
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1, "{report}");
    assert!(report["left_out"].to_string().contains("donor_church_fkey"), "{report}");

    // Whoever fills one that lacks something is told what.
    server.psql(
        "copy",
        "alter table donor drop constraint donor_pkey, no force row level security;
         drop index donor_church_idx; drop trigger touched on donor; drop policy own on donor",
    );
    let report = restored(&product, &server, "copy", &[&one[..], &["--clean", "--yes"]].concat());
    let left_out = report["left_out"].to_string();
    for part in [
        "constraint donor_pkey of public.donor",
        "index public.donor_church_idx of public.donor",
        "foreign key donor_church_fkey of public.donor",
        "trigger touched of public.donor",
        "policy own of public.donor",
        "row-level security of public.donor",
        "the target's table has none of this name",
    ] {
        assert!(left_out.contains(part), "{part}: {left_out}");
    }
}

/// Killed, it says nothing: the next run must know what is not whole, and who follows
/// its advice has what a first run would have given.
#[test]
fn a_part_that_was_killed_comes_back_as_a_first_run_gives_it() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "create schema x; set search_path = x;
         create function waits(i int) returns int immutable language plpgsql as $$
           begin perform pg_advisory_lock_shared(42); perform pg_advisory_unlock_shared(42);
                 return i; end $$;
         create sequence free; select setval('free', 42);
         create table parent (id serial primary key, t text unique);
         create table child (id int primary key, parent int not null references parent);
         create index slow on child (x.waits(id));
         create index on child (parent);
         alter table child enable row level security; alter table child force row level security;
         create policy own on child using (true);
         comment on table parent is 'mine'; comment on column child.id is 'its number';
         create view v as select * from parent; comment on view v is 'seen';
         create materialized view m as select count(*) from parent;
         create function parents() returns setof parent language sql as $$ select * from x.parent $$;
         insert into parent (t) select i::text from generate_series(1, 50) i;
         insert into child select i, 1 + i % 50 from generate_series(1, 500) i;
         refresh materialized view m;",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    for (database, part) in [("whole", ["--schema", "x"]), ("one", ["--table", "x.child"])] {
        server.create_database(database);
        let lock = Lock::hold(&server, database);
        let mut child = stuck(&product, &server, database, &part);
        child.kill().unwrap();
        child.wait().unwrap();
        until("the server notices", || no_sessions(&server, database));
        lock.release(&server, database);
        let said = fails(&product, &server, database, &part);
        assert!(said.contains("never came to its end: ") && said.contains("x.child"), "{said}");
        assert!(said.contains("add --clean"), "{said}");
        let clean = [&part[..], &["--clean", "--yes"]].concat();
        restored(&product, &server, database, &clean);
        // A run that nothing stopped.
        let first = format!("first_{database}");
        server.create_database(&first);
        restored(&product, &server, &first, &part);
        assert_same_dump(&server.dump_plain(&first), &server.dump_plain(database));
        if database == "whole" {
            assert_same_dump(&server.dump_plain("app"), &server.dump_plain(database));
        }
        // Nothing of it is marked, and so it is only filled.
        restored(&product, &server, database, &clean);
        assert_same_dump(&server.dump_plain(&first), &server.dump_plain(database));
    }
}

/// What is killed at another moment leaves other things marked.
#[test]
fn what_is_not_whole_comes_back_with_its_rows_and_with_the_keys_of_others() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "create schema x; set search_path = x;
         create table parent (id int primary key);
         create table child (id int, parent int references parent) partition by range (id);
         create table child_1 partition of child for values from (0) to (100);
         create table other (parent int references parent);
         create view v as select * from parent;
         insert into parent select generate_series(1, 50);
         insert into child select i, i from generate_series(1, 50) i;",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
    let whole = server.dump_plain("copy");
    let mark = |name: &str| {
        let mark = format!("comment on {name} is '{}'", reliquary::postgres::UNFINISHED);
        server.psql("copy", &mark);
    };
    // Who asks for the view would lose the rows of the table.
    mark("table x.parent");
    for more in [&["--dry-run"][..], &["--yes"]] {
        let part = [&["--table", "x.v", "--clean"], more].concat();
        let said = fails(&product, &server, "copy", &part);
        assert!(said.contains("x.parent would be dropped, since not whole"), "{said}");
        assert!(said.contains("add --table x.parent"), "{said}");
    }
    let part = ["--table", "x.v", "--table", "x.parent", "--clean", "--yes"];
    restored(&product, &server, "copy", &[&part[..], &["--dry-run"]].concat());
    restored(&product, &server, "copy", &part);
    assert_same_dump(&whole, &server.dump_plain("copy"));

    // A key that the archive does not have does not come back, and so nothing goes.
    mark("table x.parent");
    server.psql(
        "copy",
        "alter table x.other add constraint mine foreign key (parent) references x.parent",
    );
    let said = fails(&product, &server, "copy", &part);
    assert!(said.contains("without also dropping constraint mine of x.other"), "{said}");
    server.psql("copy", "alter table x.other drop constraint mine");

    // One that is finished by hand says so in the source, and in no restore.
    server.psql(
        "app",
        &format!("comment on table x.parent is '{}'", reliquary::postgres::UNFINISHED),
    );
    product.backup(&[]);
    server.create_database("new");
    let report = restored(&product, &server, "new", &[]);
    assert!(report["warnings"].to_string().contains("x.parent may lack there"), "{report}");
    assert_same_dump(&whole, &server.dump_plain("new"));
    restored(&product, &server, "copy", &part);
    assert_same_dump(&whole, &server.dump_plain("copy"));
}

/// No statement of its own makes a multirange, which is there with its range.
#[test]
fn a_type_that_is_there_is_not_made_again() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "create schema s; comment on schema s is 'ours'; set search_path = s;
         create type span as range (subtype = float8, multirange_type_name = spans);
         create table one (id int primary key, r span); create table many (id int, r spans);
         create materialized view seen as select count(*) from many;
         insert into one select i, span(i, i + 1) from generate_series(1, 9) i;
         insert into many select i, spans(span(i, i + 1)) from generate_series(1, 9) i;
         refresh materialized view seen;",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &["--schema", "s"]);
    assert_same_dump(&server.dump_plain("app"), &server.dump_plain("copy"));
    restored(&product, &server, "copy", &["--schema", "s", "--clean", "--yes"]);
    server.psql("copy", "drop table s.many cascade");
    let report = restored(&product, &server, "copy", &["--table", "s.seen"]);
    let empty = "s.many is made without rows, because what was asked for stands on it, and none of \
                 its rows is in s.seen: add --table s.many";
    assert!(report["warnings"].to_string().contains(empty), "{report}");
    server.psql("copy", "drop table s.many cascade");
    restored(&product, &server, "copy", &["--table", "s.many"]);
    restored(&product, &server, "copy", &["--table", "s.seen"]);
    assert_same_dump(&server.dump_plain("app"), &server.dump_plain("copy"));
    // As one that was killed leaves it.
    let mark = format!("comment on table s.one is '{}'", reliquary::postgres::UNFINISHED);
    server.psql("copy", &mark);
    restored(&product, &server, "copy", &["--schema", "s", "--clean", "--yes"]);
    assert_same_dump(&server.dump_plain("app"), &server.dump_plain("copy"));
}

/// A key that points at the whole goes with each of its partitions, and what the whole
/// has, its partitions get from it.
#[test]
fn a_partition_that_was_dropped_comes_back_into_the_table_that_is_there() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "create schema parts;
         create table year (id int, d date, t text default 'x', primary key (id, d)) partition by range (d);
         create index on year (t);
         create table parts.one partition of year for values from ('2026-01-01') to ('2026-02-01');
         create table parts.two partition of year for values from ('2026-02-01') to ('2026-03-01')
           partition by range (d);
         create table parts.two_x partition of parts.two for values from ('2026-02-01') to ('2026-03-01');
         create index more on parts.one (id, t);
         create function seen() returns trigger language plpgsql as 'begin return new; end';
         create trigger seen before insert on year for each row execute function seen();
         create table points (id int, d date, foreign key (id, d) references year);
         insert into year select i, date '2026-01-01' + i from generate_series(1, 50) i;
         insert into points select id, d from year;",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
    let whole = server.dump_plain("copy");
    for (lost, part) in [
        ("parts.one", &["--table", "parts.one"][..]),
        ("parts.two", &["--table", "parts.two"]),
        ("parts.one, parts.two", &["--schema", "parts"]),
    ] {
        server.psql("copy", &format!("drop table {lost} cascade"));
        restored(&product, &server, "copy", part);
        assert_same_dump(&whole, &server.dump_plain("copy"));
    }
    // As one that was killed leaves it.
    let mark = format!("comment on table parts.one is '{}'", reliquary::postgres::UNFINISHED);
    server.psql("copy", &mark);
    let again = ["--table", "parts.one", "--clean", "--yes"];
    restored(&product, &server, "copy", &again);
    assert_same_dump(&whole, &server.dump_plain("copy"));
    // And before it was attached, when nothing goes along with it.
    server.psql("copy", "begin; alter table points drop constraint points_id_d_fkey; alter table year detach partition parts.one; delete from points where id <= 30; alter table points add foreign key (id, d) references year; commit");
    server.psql("copy", &mark);
    let report = restored(&product, &server, "copy", &again);
    assert!(!report["left_out"].to_string().contains("points_id_d_fkey"), "{report}");
    server.psql(
        "copy",
        "insert into points select id, d from parts.one where id not in (select id from points)",
    );
    assert_same_lines(&whole, &server.dump_plain("copy"));
}

/// What went with a table that somebody dropped with CASCADE.
#[test]
fn what_others_had_of_a_dropped_table_is_made_again_or_said() {
    let server = Server::start(15);
    shop(&server, "shop");
    server.psql(
        "shop",
        "create view names as select name from church; create view more as select * from names;
         create table heir (more int) inherits (church);
         create table note (church int references church);
         create policy known on donation using (exists (select from church));",
    );
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
    server.psql("copy", "drop table church cascade; insert into note values (51)");
    let report = restored(&product, &server, "copy", &["--table", "public.church"]);
    let keys = "select conname, convalidated from pg_constraint where contype = 'f'
                  and confrelid = 'church'::regclass order by 1";
    assert_eq!(server.psql("copy", keys), "donor_church_fkey|t\nnote_church_fkey|f\n");
    let left_out = report["left_out"].to_string();
    for part in [
        "foreign key note_church_fkey of public.note",
        "made NOT VALID",
        "view public.names",
        "add --table public.names",
        "view public.more",
        "table public.heir",
        "policy known of public.donation",
    ] {
        assert!(left_out.contains(part), "{part}: {left_out}");
    }
    assert_eq!(report["left_out"].as_array().unwrap().len(), 5, "{report}");
    // As it was told to.
    restored(&product, &server, "copy", &["--table", "public.names"]);
    assert_eq!(server.psql("copy", "select count(*) from names").trim(), "50");
}
