//! A bucket that the old workflow filled: `pg_dump | gzip`, no manifest.

use std::{fs, path::PathBuf};

use super::{fails, nasty, restored};
use crate::support::{
    postgres::{Server, assert_same_dump},
    product::{Product, shell},
};

const ID: &str = "2026-01-02T03-00-00Z";

/// Puts a legacy archive of a database where the old workflow did.
fn leave(product: &Product, server: &Server, database: &str) -> PathBuf {
    let folder = product.store_dir().join("database/2026/01");
    fs::create_dir_all(&folder).unwrap();
    let line = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {ID}.sql.gz");
    shell(&folder, server, &[("URL", server.url(database))], &line);
    folder.join(format!("{ID}.sql.gz"))
}

#[test]
fn a_legacy_archive_comes_back_and_is_compared_with_itself() {
    let server = nasty(15, &["small=1"]);
    let product = Product::of(&server, "nasty");
    let archive = leave(&product, &server, "nasty");
    server.create_database("copy");
    let report = restored(&product, &server, "copy", &[ID]);
    assert_same_dump(&server.dump_plain("nasty"), &server.dump_plain("copy"));
    assert!(report["tables_compared"].as_u64().unwrap() > 50, "{report}");
    assert_eq!(report["rows"], report["rows_compared"]);
    // Not twice, but with --clean as often as one likes.
    let said = fails(&product, &server, "copy", &[ID]);
    assert!(said.contains("database copy is not empty"), "{said}");
    restored(&product, &server, "copy", &[ID, "--clean", "--yes"]);
    assert_same_dump(&server.dump_plain("nasty"), &server.dump_plain("copy"));
    // As SQL it is what gunzip says.
    let sql = product.succeed(&["restore", ID, "--to", "-"]);
    let stock = shell(archive.parent().unwrap(), &server, &[], &format!("gunzip -c {ID}.sql.gz"));
    assert!(sql == stock, "not what gunzip says");
    // It has no parts.
    let output = super::restore(&product, &server, "copy", &[ID, "--table", "nasty.parent"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_damaged_legacy_archive_is_refused_before_anything_is_touched() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let archive = leave(&product, &server, "shop");
    let good = fs::read(&archive).unwrap();
    server.create_database("copy");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let half = good[..middle].to_vec();
    let folder = archive.parent().unwrap();
    let hostile = {
        let line = "printf 'select 1;\\n\\\\! touch hacked\\n' | gzip > h.gz; cat h.gz; rm h.gz";
        let mut cat = crate::support::tools::command("bash");
        cat.args(["-c", line]).current_dir(folder).output().unwrap().stdout
    };
    for (bytes, what) in [
        (flipped, "sql.gz: its "),
        (half, "it is cut short"),
        (hostile, "which no dump of one database holds"),
    ] {
        fs::write(&archive, bytes).unwrap();
        let said = fails(&product, &server, "copy", &[ID]);
        assert!(said.contains(what) && said.contains("nothing was touched"), "{said}");
        assert_eq!(
            server.psql("copy", "select count(*) from pg_class where relname = 'donor'"),
            "0\n"
        );
    }
    assert!(!folder.join("hacked").exists());
    // A checksum file that says otherwise.
    fs::write(&archive, &good).unwrap();
    let sum = format!("{}  {ID}.sql.gz\n", "0".repeat(64));
    fs::write(archive.with_extension("gz.sha256"), sum).unwrap();
    let said = fails(&product, &server, "copy", &[ID]);
    assert!(said.contains("its SHA-256 is"), "{said}");
    let output = product.run(&["restore", ID, "--to", "-"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "it was written before it was checked");
    fs::remove_file(archive.with_extension("gz.sha256")).unwrap();
    restored(&product, &server, "copy", &[ID]);
}

/// Some tools take the comments away, the last of which says that all is there.
#[test]
fn an_archive_that_does_not_say_that_it_is_complete_is_not_proven() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let archive = leave(&product, &server, "shop");
    let folder = archive.parent().unwrap();
    let run = |line: &str| shell(folder, &server, &[], line);
    // Cut between two statements, and without comments.
    run(&format!(
        "gunzip -c {ID}.sql.gz > x.sql; sed -i '/^-- Name: donation.*CONSTRAINT/,$d' x.sql; gzip -c x.sql > {ID}.sql.gz"
    ));
    server.create_database("copy");
    let said = fails(&product, &server, "copy", &[ID]);
    assert!(said.contains("it does not say at its end that it is complete"), "{said}");
    run(&format!("sed -i '/^--/d; /^.restrict/d' x.sql; gzip -c x.sql > {ID}.sql.gz; rm x.sql"));
    let output = super::restore(&product, &server, "copy", &[ID]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("cannot be told"), "{said}");
    assert!(!super::said(&output).contains("proven:"), "{said}");
}

/// The statement is named by which the stream stopped.
#[test]
fn a_statement_that_fails_is_named() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    server.psql(
        "shop",
        "create role nobody_else; create policy p on donor to nobody_else using (true)",
    );
    let product = Product::of(&server, "shop");
    let archive = leave(&product, &server, "shop");
    let other = Server::start(15);
    other.create_database("copy");
    let said = fails(&product, &other, "copy", &[ID]);
    for part in [
        "at stage legacy",
        "at policy p of public.donor",
        "role \"nobody_else\" does not exist",
        "loaded until then: 5550 rows, 3 tables whole",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Everything was sent, and psql had stopped before the first row.
    let line = format!(
        "gunzip -c {ID}.sql.gz | sed '0,/^COPY /s//SELECT 1 \\/ 0;\\nCOPY /' > x.sql; \
         gzip -c x.sql > {ID}.sql.gz; rm x.sql"
    );
    shell(archive.parent().unwrap(), &server, &[], &line);
    other.create_database("copy1");
    let said = fails(&product, &other, "copy1", &[ID]);
    assert!(said.contains("division by zero"), "{said}");
    assert!(said.contains("loaded until then: 0 rows, 0 tables whole"), "{said}");
    // A missing role of a backup of ours is found before.
    product.backup(&[]);
    other.create_database("copy2");
    let output = super::restore(&product, &other, "copy2", &[]);
    let said = super::said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("policy p of public.donor: the target has no role nobody_else"),
        "{said}"
    );
    assert!(said.contains("data loss"), "{said}");
    restored(&product, &other, "copy2", &["--clean", "--yes", "--create-roles"]);
    assert_same_dump(&server.dump_plain("shop"), &other.dump_plain("copy2"));
}

/// A dry run asks what the real one would ask.
#[test]
fn a_dry_run_asks_every_guard() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let archive = leave(&product, &server, "shop");
    server.create_database("copy");
    let output = super::restore(&product, &server, "copy", &[ID, "--dry-run"]);
    let said = super::said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("holds      5,550 rows of 3 tables"), "{said}");
    for database in ["shop", "copy"] {
        server.psql("copy", "create table if not exists precious (a int)");
        let said = fails(&product, &server, database, &[ID, "--dry-run"]);
        let why = if database == "shop" { "the target is the source" } else { "is not empty" };
        assert!(said.contains("refused    ") && said.contains(why), "{said}");
    }
    server.psql("copy", "drop table precious");
    let sum = format!("{}  {ID}.sql.gz\n", "0".repeat(64));
    fs::write(archive.with_extension("gz.sha256"), sum).unwrap();
    let said = fails(&product, &server, "copy", &[ID, "--dry-run"]);
    assert!(said.contains("refused    ") && said.contains("its SHA-256 is"), "{said}");
    let url = server.url("copy");
    let output = product.run(&["--json", "restore", ID, "--to", &url, "--dry-run"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&plan["outcome"], output.status.code()), (&"refused".into(), Some(1)), "{plan}");
    let there = "select count(*) from pg_class where relname = 'donor'";
    assert_eq!(server.psql("copy", there), "0\n");
}

/// What the list calls broken is not the newest good one.
#[test]
fn a_newest_backup_whose_manifest_cannot_be_used_is_passed_over() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let good = product.backup(&[]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let broken = product.backup(&["--manual"]);
    let manifest = broken.dir().join(format!("{}.manifest.json", broken.id));
    fs::write(manifest, "{\"format\": \"reliquary/1\", \"id\"").unwrap();
    server.create_database("copy");
    let url = server.url("copy");
    let output = product.run(&["--json", "restore", "--to", &url]);
    let said = super::said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let passed_over = format!("{} is newer, and its manifest cannot be used", broken.id);
    assert!(said.contains(&passed_over), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["backup"], *good.id, "{said}");
    // By its id it is taken, and what is wrong with it is said.
    let said = fails(&product, &server, "copy", &[&broken.id, "--clean", "--yes"]);
    assert!(said.contains("restore an older backup"), "{said}");
}

/// It needs no manifest, and so no other backup's either.
#[test]
fn an_unreadable_manifest_of_another_backup_is_only_a_warning() {
    let server = Server::start(15);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    leave(&product, &server, "shop");
    let backup = product.backup(&[]);
    let manifest = backup.dir().join(format!("{}.manifest.json", backup.id));
    fs::write(manifest, "{\"format\": \"reliquary/1\", \"id\"").unwrap();
    server.create_database("copy");
    let output = super::restore(&product, &server, "copy", &[ID]);
    let said = super::said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("what backup") && said.contains("cannot be read"), "{said}");
    assert_same_dump(&server.dump_plain("shop"), &server.dump_plain("copy"));
}
