//! One table, a few tables, a schema.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use reliquary::{
    metrics::Observer,
    restore::{self, Options, Progress, Request, Stored},
    store::{LocalStore, Metered},
    words::{Direction, StoreOperation},
};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use super::{fails, nasty, only, restored, shop};
use crate::support::{
    postgres::{Run as _, Server, assert_same_dump},
    product::{Product, contents, identifier},
};

/// Each table of the nasty database in a database of its own; and, on the newer
/// majors, all of them one after another, in any order, in one.
#[rstest]
fn every_table_comes_back_alone(#[values(15, 16, 18)] major: u32) {
    let variables: &[&str] = if major == 15 { &["small=1", "extensions=1"] } else { &["small=1"] };
    let server = nasty(major, variables);
    let product = Product::of(&server, "nasty");
    let backup = product.backup(&[]);
    let mut tables: Vec<_> = backup.manifest.tables.iter().collect();
    // The same order each time, so that a failure can be repeated.
    tables.shuffle(&mut StdRng::seed_from_u64(3));
    server.create_database("together");
    for (nth, table) in tables.into_iter().enumerate() {
        let name = format!("{}.{}", identifier(&table.schema), identifier(&table.name));
        // The one in the common database needs what others have brought already.
        let alone = format!("alone_{nth}");
        let database = if major == 15 {
            server.create_database(&alone);
            &alone
        } else {
            "together"
        };
        if table.name == "others" {
            // Its rows hold names of other tables and functions, which the
            // server looks up; they are not there.
            let said = fails(&product, &server, database, &["--table", &name]);
            assert!(said.contains("rows of table nasty.others"), "{said}");
            continue;
        }
        restored(&product, &server, database, &["--table", &name, "--jobs", "2"]);
        let one = only(&backup.manifest, table);
        let (was, is) = (contents(&server, "nasty", &one), contents(&server, database, &one));
        assert_eq!(was, is, "{name} in {database}");
    }
}

#[test]
fn a_table_comes_with_what_it_needs_and_says_what_it_lacks() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    let report = restored(&product, &server, "copy", &["--table", "public.donor"]);
    let left_out = report["left_out"].to_string();
    assert!(left_out.contains("foreign key donor_church_fkey of public.donor"), "{left_out}");
    assert!(left_out.contains("the target has no public.church"), "{left_out}");
    let there = "select count(*) from pg_indexes where tablename = 'donor';
                 select count(*) from pg_trigger where tgname = 'touched';
                 select 'glad'::mood;
                 select count(*) from donor;";
    assert_eq!(server.psql("copy", there), "2\n1\nglad\n500\n");
    // Its neighbours later, with their foreign keys and the next id.
    let report = restored(
        &product,
        &server,
        "copy",
        &["--table", "public.church", "--table", "public.donation"],
    );
    assert_eq!(report["left_out"].as_array().unwrap().len(), 0, "{report}");
    let next = "insert into church (name) values ('new') returning id;
                insert into donation (donor, cents) values (1, 1) returning id;
                select count(*) from pg_constraint where conname = 'donation_donor_fkey';";
    assert_eq!(server.psql("copy", next), "51\n5001\n1\n");
}

/// Whose rows point at rows that are not there: they come back all the same, and
/// the foreign key holds for what comes after.
#[test]
fn a_table_whose_parents_are_not_there_comes_back_and_says_what_helps() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    server.psql("copy", "create table church (id int primary key, name text unique)");
    let plan = super::restore(&product, &server, "copy", &["--table", "public.donor", "--dry-run"]);
    let said = super::said(&plan);
    assert!(said.contains("points at public.church, which is empty"), "{said}");
    let report = restored(&product, &server, "copy", &["--table", "public.donor"]);
    let left_out = report["left_out"].to_string();
    for part in [
        "foreign key donor_church_fkey of public.donor",
        "made NOT VALID",
        "restore --table public.church, then ALTER TABLE public.donor VALIDATE CONSTRAINT",
    ] {
        assert!(left_out.contains(part), "{part}: {left_out}");
    }
    let valid = "select convalidated from pg_constraint where conname = 'donor_church_fkey';
                 select count(*) from donor";
    assert_eq!(server.psql("copy", valid), "f\n500\n");
    // As it was told to.
    restored(&product, &server, "copy", &["--table", "public.church"]);
    server.psql("copy", "alter table donor validate constraint donor_church_fkey");

    // Tables that are there are refused where no row could come.
    server.psql("copy", "truncate church, donor");
    let said = fails(&product, &server, "copy", &["--table", "public.donor"]);
    for part in
        ["nothing was touched", "must point at rows of public.church", "--table public.church"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let both = ["--table", "public.donor", "--table", "public.church"];
    restored(&product, &server, "copy", &both);
    // Where some parents are missing, it is one transaction.
    server.psql("copy", "truncate church, donor; insert into church values (51, 'x')");
    let said = fails(&product, &server, "copy", &["--table", "public.donor"]);
    assert!(said.contains("with another --table"), "{said}");
    assert_eq!(server.psql("copy", "select count(*) from donor").trim(), "0");
}

#[test]
fn a_table_that_is_there_is_filled_in_one_transaction_without_its_triggers() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
    server.psql(
        "copy",
        "create trigger always before insert on donor for each row execute function touch();
         alter table donor enable always trigger always;
         create trigger off before insert on donor for each row execute function touch();
         alter table donor disable trigger off;
         create index mine on donation (cents);
         delete from donation; update donor set seen = null; delete from church where id > 50;",
    );
    let triggers = "select tgname, tgenabled from pg_trigger where not tgisinternal order by 1";
    let before = server.psql("copy", triggers);
    let tables = ["--table", "public.donation", "--table", "public.donor"];
    let all = [&tables[..], &["--clean", "--yes"]].concat();
    restored(&product, &server, "copy", &all);
    assert_eq!(server.psql("copy", triggers), before);
    let is =
        "select count(*) from donation; select count(*) from pg_indexes where indexname = 'mine';
              select count(*) from donor where seen is not null;";
    // As the source had them: its own trigger had set the time.
    assert_eq!(server.psql("copy", is), "5000\n1\n500\n");
    // What cannot be put back leaves everything as it was.
    server.psql("copy", "alter table donation add check (cents < 4000) not valid");
    let said = fails(&product, &server, "copy", &all);
    assert!(said.contains("at rows of table public.donation"), "{said}");
    assert_eq!(server.psql("copy", is), "5000\n1\n500\n");
}

#[test]
fn a_schema_comes_back_with_all_that_is_in_it() {
    let server = nasty(15, &["small=1"]);
    let product = Product::of(&server, "nasty");
    let backup = product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &["--schema", "nasty"]);
    let mut part = backup.manifest.clone();
    part.tables.retain(|table| table.schema == "nasty");
    assert!(part.tables.len() > 40);
    assert_eq!(contents(&server, "nasty", &part), contents(&server, "copy", &part));
    let objects = "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
                   where nspname = 'nasty' and relkind in ('r', 'p', 'i', 'I', 'v', 'm', 'S')";
    assert_eq!(server.psql("nasty", objects), server.psql("copy", objects));
}

/// As SQL, and without a target.
#[test]
fn a_table_can_be_written_as_sql() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let backup = product.backup(&[]);
    server.create_database("copy");
    let arguments = ["restore", "--to", "-", "--table", "public.donor"];
    let sql = product.succeed(&arguments);
    server.psql_command("copy").arg("-f-").bytes_of(sql.as_bytes());
    let donor = backup.manifest.tables.iter().find(|table| table.name == "donor").unwrap();
    let one = only(&backup.manifest, donor);
    assert_eq!(contents(&server, "shop", &one), contents(&server, "copy", &one));
    let data = product.succeed(&[&arguments[..], &["--section", "data"]].concat());
    assert!(data.contains("COPY public.donor") && !data.contains("CREATE TABLE"), "{data}");
    // What a drop would take along can only be seen at a target.
    let output = product.run(&[&arguments[..], &["--clean"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(super::said(&output).contains("restore with --to URL"));
}

/// Counts what is read.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Observer for Counter {
    fn request(&self, _: StoreOperation, _: bool, _: f64) {}

    fn bytes(&self, direction: Direction, count: u64) {
        if direction == Direction::Received {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// A table that is a hundredth of the archive costs less than two hundredths of it.
#[test]
fn a_small_table_reads_only_its_members() {
    let server = Server::start(15);
    server.create_database("big");
    server.psql(
        "big",
        "create table big (id int primary key, t text);
         insert into big select i, md5(i::text) || md5('b' || i) from generate_series(1, 400000) i;
         create table small (id int primary key, t text);
         insert into small select i, md5(i::text) || md5('b' || i) from generate_series(1, 4000) i;",
    );
    let product = Product::of(&server, "big");
    let backup = product.backup(&[]);
    server.create_database("copy");
    let counter = Arc::new(Counter::default());
    let url = reliquary::postgres::ConnectionUrl::parse(&server.url("copy").into()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(async {
        let local = LocalStore::open(&product.store_dir()).await.unwrap();
        let store = Arc::new(Metered::new(Arc::new(local), counter.clone()));
        let layout = reliquary::catalog::Layout::new("database/");
        let catalog = reliquary::catalog::read(store.as_ref(), &layout).await.unwrap();
        let entry = catalog.good().next().unwrap();
        let read = reliquary::catalog::read_manifest;
        let manifest = read(store.as_ref(), &layout, &catalog, entry.kind, entry.id).await.unwrap();
        let options =
            Options { tables: vec![restore::table("public.small").unwrap()], ..Options::default() };
        let request = Request {
            stored: Stored::new(store, manifest),
            damage: None,
            target: url,
            source: restore::Live::Unnamed,
            others: Vec::new(),
            newest: None,
            client_dirs: vec![server.bin_dir().to_owned()],
            options,
            alone: true,
        };
        let prepared = restore::prepare(request).await.unwrap();
        let (progress, never) = (Progress::default(), CancellationToken::new());
        Box::pin(restore::run(prepared, &progress, &never)).await.unwrap()
    });
    assert!(report.is_whole() && report.rows == 4000, "{report:?}");
    let (read, archive) = (counter.0.load(Ordering::Relaxed), backup.manifest.archive.bytes);
    eprintln!("{read} of {archive} bytes read: {:.2} %", 100.0 * read as f64 / archive as f64);
    assert!(read * 50 < archive, "{read} of {archive} bytes");
}

/// Where only rows come back, a large object may be there, and longer.
#[test]
fn a_large_object_that_is_there_keeps_nothing_of_its_own() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql("app", "select lo_from_bytea(4242, 'short')");
    let product = Product::of(&server, "app");
    product.backup(&[]);
    server.create_database("copy");
    server.psql("copy", "select lo_from_bytea(4242, 'a much longer one')");
    restored(&product, &server, "copy", &["--section", "data"]);
    let is = "select convert_from(lo_get(4242), 'UTF8')";
    assert_eq!(server.psql("copy", is).trim(), "short");
}

/// Policies belong to their table: another may have one of the same name.
#[test]
fn policies_of_one_name_come_back_each_to_its_table() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "create table a (id int); create table b (id int); create table c (id int);
         create policy own on a using (id = 1); create policy own on b using (id = 2);
         create policy own on c using (id = 3);
         comment on policy own on a is 'of a'; comment on policy own on b is 'of b';",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    let policies = "select polrelid::regclass::text, pg_get_expr(polqual, polrelid),
                           obj_description(oid, 'pg_policy') from pg_policy order by 1";
    server.create_database("whole");
    restored(&product, &server, "whole", &["--jobs", "3"]);
    restored(&product, &server, "whole", &["--jobs", "3", "--clean", "--yes"]);
    assert_eq!(server.psql("whole", policies), "a|(id = 1)|of a\nb|(id = 2)|of b\nc|(id = 3)|\n");
    server.create_database("part");
    restored(&product, &server, "part", &["--table", "public.b"]);
    assert_eq!(server.psql("part", policies), "b|(id = 2)|of b\n");
    restored(&product, &server, "part", &["--table", "public.a"]);
    assert_eq!(server.psql("part", policies), "a|(id = 1)|of a\nb|(id = 2)|of b\n");
}

/// A server has room for some 7,000 locks, and each large object is one.
#[test]
fn more_large_objects_than_a_server_has_locks_are_replaced() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql(
        "app",
        "do $$ begin for i in 1..7500 loop
           perform lo_from_bytea(100000 + i, convert_to('bytes of ' || i, 'UTF8'));
           if i % 500 = 0 then commit; end if; end loop; end $$;
         create table t (id int); insert into t values (1);",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    let id = "2026-01-02T03-00-00Z";
    let folder = product.store_dir().join("database/2026/01");
    std::fs::create_dir_all(&folder).unwrap();
    let line = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {id}.sql.gz");
    let url = [("URL", server.url("app"))];
    crate::support::product::shell(&folder, &server, &url, &line);
    let digest =
        "select count(*), md5(string_agg(convert_from(lo_get(oid), 'UTF8'), ' ' order by oid))
                  from pg_largeobject_metadata";
    let was = server.psql("app", digest);
    server.create_database("copy");
    let clean = ["--clean", "--yes"];
    for arguments in
        [&["latest"][..], &[&["latest"], &clean[..]].concat(), &[&[id], &clean[..]].concat()]
    {
        restored(&product, &server, "copy", arguments);
        assert_eq!(server.psql("copy", digest), was, "{arguments:?}");
    }
}

/// Only the rows that a dump brings of an extension's own table are replaced,
/// and only those are compared.
#[test]
fn an_extension_s_own_rows_stay_and_are_not_counted_as_ours() {
    let folder = tempfile::tempdir().unwrap();
    let extensions = folder.path().join("extension");
    std::fs::create_dir(&extensions).unwrap();
    let control = "default_version = '1'\nrelocatable = false\nschema = keeps\n";
    std::fs::write(extensions.join("keeps.control"), control).unwrap();
    let script = "create table config (name text primary key, own bool default false);
                  insert into config values ('built in', true), ('as well', true);
                  select pg_extension_config_dump('config', 'where not own');";
    std::fs::write(extensions.join("keeps--1.sql"), script).unwrap();
    for path in [folder.path(), &extensions] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("$system:{}", folder.path().display());
    let settings = vec![("extension_control_path".to_owned(), path)];
    let options = crate::support::postgres::ServerOptions { tcp: false, settings };
    let server = Server::start_with(18, options);
    server.create_database("app");
    server.psql(
        "app",
        "create schema keeps; create extension keeps;
         insert into keeps.config values ('mine'), ('of mine'), ('mine too');",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    let id = "2026-01-02T03-00-00Z";
    let archives = product.store_dir().join("database/2026/01");
    std::fs::create_dir_all(&archives).unwrap();
    let line = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {id}.sql.gz");
    let url = [("URL", server.url("app"))];
    crate::support::product::shell(&archives, &server, &url, &line);
    let rows = "select string_agg(name, ', ' order by name) from keeps.config";
    for (database, which) in [("ours", "latest"), ("legacy", id)] {
        server.create_database(database);
        for more in [&[][..], &["--clean", "--yes"], &["--clean", "--yes"]] {
            let report = restored(&product, &server, database, &[&[which], more].concat());
            assert_eq!(report["proven"], true, "{report}");
            assert_eq!((&report["rows"], &report["rows_compared"]), (&3.into(), &5.into()));
            assert_eq!(server.psql(database, rows), server.psql("app", rows), "{which}");
        }
    }
    // The table alone, twice.
    let one = ["--table", "keeps.config"];
    let said = fails(&product, &server, "ours", &one);
    assert!(said.contains("not empty: keeps.config"), "{said}");
    restored(&product, &server, "ours", &[&one[..], &["--clean", "--yes"]].concat());
    assert_eq!(server.psql("ours", rows), server.psql("app", rows));
    server.psql("ours", "delete from keeps.config where not own");
    restored(&product, &server, "ours", &one);
    assert_eq!(server.psql("ours", rows), server.psql("app", rows));
}

/// No order of filling satisfies them.
#[test]
fn tables_that_point_at_each_other_or_at_themselves_are_filled() {
    let server = Server::start(15);
    server.create_database("circles");
    server.psql(
        "circles",
        "create table a (id int primary key, b int);
         create table b (id int primary key, a int references a);
         alter table a add foreign key (b) references b deferrable;
         create table aa (id int primary key, a int references a);
         create table tree (id int primary key, parent int references tree, note text)
             partition by range (id);
         create table tree_1 partition of tree for values from (0) to (4000);
         create table tree_2 partition of tree for values from (4000) to (9999);
         create table yearly (id int) partition by range (id);
         create table yearly_1 partition of yearly for values from (0) to (10);
         create table yearly_2 partition of yearly for values from (10) to (20);
         insert into yearly select generate_series(1, 19);
         create table chain (id int primary key, next int references chain, note text);
         create function f() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger t before insert on b for each row execute function f();
         insert into a select n, null from generate_series(1, 9) n;
         insert into b select n, n from generate_series(1, 9) n;
         insert into aa select n, n from generate_series(1, 9) n;
         update a set b = 10 - id;
         insert into tree select n, nullif(n + 1, 9999), repeat(md5(n::text), 20)
             from generate_series(1, 9998) n;
         insert into chain select * from tree;",
    );
    let product = Product::of(&server, "circles").set("RELIQUARY__ARCHIVE__MEMBER_SIZE", "256KiB");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &["--section", "pre-data", "--section", "post-data"]);
    restored(&product, &server, "copy", &["--section", "data"]);
    assert_same_dump(&server.dump_plain("circles"), &server.dump_plain("copy"));
    server.psql(
        "copy",
        "update chain set note = 'other'; delete from aa;
         create table yearly_3 partition of yearly for values from (20) to (30);
         insert into yearly values (25)",
    );
    let files = "select string_agg(relfilenode::text, ' ' order by relname) from pg_class
                 where relname in ('tree_1', 'tree_2')";
    let before = server.psql("copy", files);
    for tables in [
        &["public.chain"][..],
        &["public.a", "public.b", "public.aa"],
        &["public.tree"],
        &["public.yearly"],
    ] {
        let tables = tables.iter().flat_map(|&table| ["--table", table]);
        let again: Vec<&str> = ["--clean", "--yes"].into_iter().chain(tables).collect();
        restored(&product, &server, "copy", &again);
    }
    // Emptied at once, and not row by row: its partitions have other files.
    assert_ne!(server.psql("copy", files), before);
    // A partition that the archive does not hold keeps its rows.
    assert_eq!(server.psql("copy", "select count(*) from yearly_3").trim(), "1");
    server.psql("copy", "drop table yearly_3");
    assert_same_dump(&server.dump_plain("circles"), &server.dump_plain("copy"));
    // A row that points at nothing is still seen, and nothing is changed.
    server.psql("copy", "alter table aa drop constraint aa_a_fkey; truncate a, b, aa");
    let text = fails(&product, &server, "copy", &["--table", "public.a"]);
    assert!(text.contains("is not present in table"), "{text}");
    assert_eq!(server.psql("copy", "select count(*) from a").trim(), "0");
}
