//! The nasty database, whole.

use rstest::rstest;

use super::{nasty, restored, said};
use crate::support::{
    postgres::{Run as _, Server, assert_same_dump, assert_same_lines, fixture},
    product::{Product, contents},
};

/// The builds of the newer servers lack the extensions.
fn variables(major: u32) -> &'static [&'static str] {
    if major == 15 { &["extensions=1"] } else { &[] }
}

#[rstest]
fn an_equal_database_comes_back_with_one_session_and_with_four(#[values(15, 16, 18)] major: u32) {
    let server = nasty(major, variables(major));
    let product = Product::of(&server, "nasty");
    let backup = product.backup(&[]);
    let source = server.dump_plain("nasty");
    for jobs in ["1", "4"] {
        let copy = format!("copy_{jobs}");
        server.create_database(&copy);
        let report = restored(&product, &server, &copy, &["--jobs", jobs]);
        let same = if jobs == "1" { assert_same_dump } else { assert_same_lines };
        same(&source, &server.dump_plain(&copy));
        assert_eq!(report["outcome"], "ok");
        assert_eq!(report["rows"], backup.manifest.rows);
        assert_eq!(report["rows_compared"], backup.manifest.rows);
        assert_eq!(report["tables_compared"], backup.manifest.tables.len());
    }
    // Again over what is there, and once more as SQL.
    restored(&product, &server, "copy_1", &["--clean", "--yes"]);
    assert_same_lines(&source, &server.dump_plain("copy_1"));
    server.create_database("sql");
    let sql = product.command(&["restore", "--to", "-"]).output().unwrap();
    assert!(sql.status.success());
    server.psql_command("sql").arg("-f-").bytes_of(&sql.stdout);
    assert_same_dump(&source, &server.dump_plain("sql"));
    // Whoever reads that may have seen enough of it.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let unread = product.command(&["restore", "--to", "-"]).stdout(writer).output().unwrap();
    assert_eq!(unread.status.code(), Some(141), "{}", said(&unread));
    assert_eq!(String::from_utf8_lossy(&unread.stderr), "");
}

#[test]
fn newer_servers_take_it() {
    let old = nasty(15, &[]);
    let product = Product::of(&old, "nasty");
    let backup = product.backup(&[]);
    let was = contents(&old, "nasty", &backup.manifest);
    for major in [16, 18] {
        let new = Server::start(major);
        new.psql_file("postgres", fixture("nasty/roles.sql"));
        new.create_database("copy");
        let product = product.with_client_dir(new.bin_dir());
        restored(&product, &new, "copy", &[]);
        assert_eq!(was, contents(&new, "copy", &backup.manifest), "on {major}");
    }
}

/// Section by section, as a person may want who changes something in between.
#[test]
fn sections_can_be_restored_one_after_another() {
    let server = nasty(15, &["small=1"]);
    let product = Product::of(&server, "nasty");
    product.backup(&[]);
    server.create_database("copy");
    for section in ["pre-data", "data", "post-data"] {
        restored(&product, &server, "copy", &["--section", section]);
    }
    assert_same_dump(&server.dump_plain("nasty"), &server.dump_plain("copy"));
}
