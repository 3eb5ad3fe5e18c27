//! What is refused before anything is touched.

use std::fs;

use super::{fails, restore, restored, said, shop};
use crate::support::{
    postgres::{Server, ServerOptions, assert_same_dump, bin_dir},
    product::Product,
};

/// Nothing of the target is different from before.
fn untouched(server: &Server, database: &str, what: impl FnOnce()) {
    let before = server.dump_plain(database);
    what();
    assert_same_dump(&before, &server.dump_plain(database));
}

#[test]
fn a_target_that_is_the_source_is_refused() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    untouched(&server, "shop", || {
        for arguments in [&[][..], &["--clean", "--yes"], &["--table", "public.donor"]] {
            let said = fails(&product, &server, "shop", arguments);
            assert!(said.contains("the target is the source: database shop"), "{said}");
            assert!(said.contains("nothing was touched"), "{said}");
        }
    });
    // Another database of the same server is another matter.
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
}

#[test]
fn a_target_that_is_not_empty_is_refused() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    for (name, sql, holds) in [
        ("table", "create table public.precious (a int)", "public.precious"),
        ("function", "create function f() returns int language sql as 'select 1'", "public.f"),
        ("type", "create schema x; create type x.y as enum ('z')", "x.y"),
        ("object", "select lo_create(7)", "1 large object"),
    ] {
        server.create_database(name);
        server.psql(name, sql);
        untouched(&server, name, || {
            let said = fails(&product, &server, name, &[]);
            assert!(
                said.contains(&format!("database {name} is not empty: it holds {holds}")),
                "{said}"
            );
        });
    }
    // A table that is asked for alone only has to be empty itself.
    server.psql("table", "create table public.donation (id bigint, donor int, cents int)");
    restored(&product, &server, "table", &["--table", "public.donation"]);
    untouched(&server, "table", || {
        let said = fails(&product, &server, "table", &["--table", "public.donation"]);
        assert!(said.contains("not empty: public.donation; add --clean"), "{said}");
    });
}

#[test]
fn an_archive_that_is_not_what_was_stored_is_refused() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let backup = product.backup(&[]);
    let good = fs::read(&backup.archive).unwrap();
    server.create_database("copy");
    untouched(&server, "copy", || {
        // In the middle of the rows of the largest table, and in the definitions.
        let largest = backup.manifest.tables.iter().max_by_key(|table| table.bytes).unwrap();
        let member = largest.members[0];
        for (at, what) in
            [(member.offset + member.length / 2, "its SHA-256 is"), (200, "member at byte 0")]
        {
            let mut bytes = good.clone();
            bytes[usize::try_from(at).unwrap()] ^= 1;
            fs::write(&backup.archive, &bytes).unwrap();
            let said = fails(&product, &server, "copy", &[]);
            assert!(said.contains(what), "{said}");
            let output = product.run(&["restore", "--to", "-"]);
            assert_eq!(output.status.code(), Some(1));
            assert!(output.stdout.is_empty(), "it was written before it was checked");
        }
        fs::write(&backup.archive, &good[..good.len() - 1]).unwrap();
        let said = fails(&product, &server, "copy", &[]);
        assert!(said.contains("the manifest says"), "{said}");
    });
    fs::write(&backup.archive, &good).unwrap();
    restored(&product, &server, "copy", &[]);
}

#[test]
fn a_server_older_than_the_dump_s_is_refused() {
    let new = Server::start(16);
    shop(&new, "shop");
    let product = Product::of(&new, "shop");
    product.backup(&[]);
    let old = Server::start(15);
    old.create_database("copy");
    let said = fails(&product, &old, "copy", &[]);
    assert!(said.contains("the target is PostgreSQL 15.") && said.contains("older than"), "{said}");
    assert_eq!(
        old.psql("copy", "select count(*) from pg_class where relname = 'donor'").trim(),
        "0"
    );
}

#[test]
fn a_role_without_rights_and_a_server_that_takes_no_writes_are_refused() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    shop(&server, "shop");
    server.psql("shop", "create schema more; create table more.t (a int)");
    server.psql("postgres", "create role app login password 'hunter2'");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    let url = server.tcp_url("copy", "app", "hunter2");
    let product = product.set("TARGET_URL", &url);
    untouched(&server, "copy", || {
        let output = product.run(&["restore", "--to", "env:TARGET_URL"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in [
            "role app may not create schemas in database copy",
            "role app may not create in schema public",
            "GRANT CREATE ON SCHEMA public TO app",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    });
    server.psql("postgres", "alter database copy set default_transaction_read_only = on");
    let said = fails(&product, &server, "copy", &[]);
    assert!(said.contains("the target takes no writes"), "{said}");
}

#[test]
fn without_a_psql_that_fits_nothing_is_touched() {
    let server = Server::start(18);
    if server.bin_dir().starts_with("/usr") {
        eprintln!("SKIPPED: this machine has PostgreSQL 18 where it is always found");
        return;
    }
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    let old = product.with_client_dir(&bin_dir(15));
    untouched(&server, "copy", || {
        let said = fails(&old, &server, "copy", &[]);
        assert!(said.contains("psql 15.") && said.contains("PostgreSQL 18 server"), "{said}");
    });
}

#[test]
fn what_the_archive_does_not_hold_is_said() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    let said_of = |arguments: &[&str]| said(&restore(&product, &server, "copy", arguments));
    let said = said_of(&["--table", "public.donations"]);
    assert!(said.contains("no table public.donations; did you mean public.donation?"), "{said}");
    let said = said_of(&["--schema", "nothing"]);
    assert!(said.contains("nothing of a schema \"nothing\""), "{said}");
    for arguments in [&["--table", "donation"][..], &["--clean"], &["--jobs", "0"]] {
        let output = restore(&product, &server, "copy", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

/// Dropping takes along what stands on what is dropped; what is not the
/// archive's own must not go.
#[test]
fn clean_drops_nothing_but_what_the_archive_creates() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
    server.psql("copy", "create table mine (a int); create view above as select * from donor");
    untouched(&server, "copy", || {
        let said = fails(&product, &server, "copy", &["--clean", "--yes"]);
        assert!(said.contains("without also dropping relation public.above"), "{said}");
        assert!(said.contains("nothing was touched"), "{said}");
    });
    server.psql("copy", "drop view above");
    // What is neither a relation nor anything's own goes as silently.
    for (sql, named, undo) in [
        (
            "create publication others for table donor",
            "member of publication others of public.donor",
            "drop publication others",
        ),
        (
            "alter table mine add m mood; create index by_mood on mine ((m::mood))",
            "index by_mood of public.mine",
            "alter table mine drop m",
        ),
        (
            "create rule r as on insert to mine do also delete from donor",
            "rule r of public.mine",
            "drop rule r on mine",
        ),
    ] {
        server.psql("copy", sql);
        untouched(&server, "copy", || {
            let said = fails(&product, &server, "copy", &["--clean", "--yes"]);
            assert!(said.contains(named) && said.contains("nothing was touched"), "{said}");
        });
        server.psql("copy", undo);
    }
    restored(&product, &server, "copy", &["--clean", "--yes"]);
    server.psql("copy", "drop table mine");
    assert_same_dump(&server.dump_plain("shop"), &server.dump_plain("copy"));
}

/// The rows of one table may take along those of others, or leave them orphaned.
#[test]
fn clean_removes_no_rows_but_those_it_brings_back() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
    for action in ["cascade", "set null", "no action"] {
        server.psql(
            "copy",
            &format!(
                "alter table donation drop constraint donation_donor_fkey;
                 alter table donation add constraint donation_donor_fkey
                   foreign key (donor) references donor on delete {action};"
            ),
        );
        untouched(&server, "copy", || {
            let only = ["--table", "public.donor", "--clean", "--yes"];
            let said = fails(&product, &server, "copy", &only);
            assert!(said.contains("public.donor cannot be emptied"), "{said}");
            assert!(said.contains("public.donation (donation_donor_fkey)"), "{said}");
        });
    }
    let both = ["--table", "public.donor", "--table", "public.donation", "--clean", "--yes"];
    restored(&product, &server, "copy", &both);
}

/// However the target's URL spells the server.
#[test]
fn the_live_source_is_known_by_what_it_says_of_itself() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    shop(&server, "shop");
    server.psql("postgres", "create role keeper superuser login password 'hunter2'");
    let product = Product::of(&server, "shop");
    let id = legacy_of(&product, &server, "shop");
    let tcp = product.set("TARGET_URL", server.tcp_url("shop", "keeper", "hunter2"));
    untouched(&server, "shop", || {
        let output = tcp.run(&["restore", id, "--to", "env:TARGET_URL", "--clean", "--yes"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("the target is the source: database shop"), "{said}");
        assert!(said.contains("nothing was touched"), "{said}");
    });
    // A source that is gone is known by its newest backup, unless one knows better.
    tcp.backup(&[]);
    let gone = tcp.set("DIRECT_URL", "postgresql:///shop?host=/nonexistent");
    untouched(&server, "shop", || {
        for arguments in [&[][..], &[id]] {
            let all = [arguments, &["--clean", "--yes"]].concat();
            let said = fails(&gone, &server, "shop", &all);
            for part in ["the target is the source", "cannot be asked", "--not-the-source"] {
                assert!(said.contains(part), "{said}");
            }
        }
    });
    let clone = ["--clean", "--not-the-source", "--dry-run"];
    let output = restore(&gone, &server, "shop", &clone);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cannot be asked whether it is the target"), "{said}");
}

/// What an older backup says of it is of another time.
#[test]
fn an_older_backup_does_not_empty_a_source_that_has_moved() {
    // Servers of one version are clones here, with one system identifier.
    let [before, now, third] = [15, 16, 18].map(Server::start);
    for server in [&before, &now, &third] {
        shop(server, "shop");
    }
    let product = Product::of(&before, "shop").client_dir(third.bin_dir());
    let older = product.backup(&[]).id;
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let moved = product.set("DIRECT_URL", now.url("shop"));
    moved.backup(&["--manual"]);
    // On a machine that knows the bucket alone.
    let recovery = moved.set("DIRECT_URL", "");
    let scheduled = format!("scheduled/{older}");
    let clean = [&*scheduled, "--clean", "--yes"];
    for server in [&now, &before] {
        untouched(server, "shop", || {
            let said = fails(&recovery, server, "shop", &clean);
            assert!(said.contains("by its system identifier"), "{said}");
        });
    }
    // One that has the settings, and not the file that they name.
    fs::create_dir_all(recovery.dir().join("config")).unwrap();
    let settings = "[databases.main]\nurl_file = \"gone\"\n";
    fs::write(recovery.dir().join("config/reliquary.toml"), settings).unwrap();
    untouched(&third, "shop", || {
        let said = fails(&recovery, &third, "shop", &clean);
        for part in ["databases.main.url_file cannot be read", "--not-the-source"] {
            assert!(said.contains(part), "{said}");
        }
    });
}

/// The settings may name another server than the one that the backup was made of.
#[test]
fn a_source_that_the_settings_no_longer_name_is_not_emptied() {
    let [live, other] = [15, 16].map(Server::start);
    for server in [&live, &other] {
        shop(server, "shop");
    }
    let product = Product::of(&live, "shop").client_dir(other.bin_dir());
    product.backup(&[]);
    let id = legacy_of(&product, &live, "shop");
    let repointed = product.set("DIRECT_URL", other.url("shop"));
    live.psql("shop", "insert into church (name) values ('built since')");
    untouched(&live, "shop", || {
        for arguments in [&[][..], &[id]] {
            let said =
                fails(&repointed, &live, "shop", &[arguments, &["--clean", "--yes"]].concat());
            for part in
                ["the settings name another source", "--not-the-source", "nothing was touched"]
            {
                assert!(said.contains(part), "{said}");
            }
        }
    });
}

/// The guards of a legacy archive are those of a backup.
#[test]
fn a_legacy_archive_is_guarded_like_a_backup() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let id = legacy_of(&product, &server, "shop");
    server.create_database("object");
    server.psql("object", "select lo_create(7)");
    let said_of = |database: &str| fails(&product, &server, database, &[id]);
    let text = said_of("object");
    assert!(text.contains("it holds 1 large object"), "{text}");
    server.create_database("fixed");
    server.psql("postgres", "alter database fixed set default_transaction_read_only = on");
    let text = said_of("fixed");
    assert!(text.contains("the target takes no writes"), "{text}");
    server.create_database("copy");
    server.psql("postgres", "create role app login password 'hunter2'");
    let product = product.set("TARGET_URL", server.tcp_url("copy", "app", "hunter2"));
    let output = product.run(&["restore", id, "--to", "env:TARGET_URL"]);
    let text = said(&output);
    assert!(text.contains("role app may not create in schema public"), "{text}");
}

/// It is found out by dropping, which is taken back.
#[test]
fn a_dry_run_of_clean_is_refused_where_the_restore_is() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    let id = legacy_of(&product, &server, "shop");
    server.create_database("copy");
    restored(&product, &server, "copy", &["latest"]);
    let refuses = |why: &str| {
        untouched(&server, "copy", || {
            for which in ["latest", id] {
                for how in ["--yes", "--dry-run"] {
                    let said = fails(&product, &server, "copy", &[which, "--clean", how]);
                    assert!(said.contains(why), "{which} {how}: {said}");
                }
            }
        });
    };
    server.psql("copy", "create schema other; create view other.v as select * from church");
    refuses("without also dropping relation other.v, which would not come back; drop that first");
    server.psql("copy", "drop schema other cascade; drop table donation");
    server.psql("copy", "create view donation as select 1 as id");
    refuses("something of another kind has that name there");
    server.psql("copy", "drop view donation");
    untouched(&server, "copy", || {
        for which in ["latest", id] {
            let output = restore(&product, &server, "copy", &[which, "--clean", "--dry-run"]);
            assert!(output.status.success(), "{which}: {}", said(&output));
        }
    });
}

/// What the old workflow leaves of a database; returns its id.
fn legacy_of(product: &Product, server: &Server, database: &str) -> &'static str {
    let id = "2026-01-02T03-00-00Z";
    let folder = product.store_dir().join("database/2026/01");
    fs::create_dir_all(&folder).unwrap();
    let line = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {id}.sql.gz");
    let url = [("URL", server.url(database))];
    crate::support::product::shell(&folder, server, &url, &line);
    id
}
