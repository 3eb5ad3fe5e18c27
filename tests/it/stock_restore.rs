//! A backup that was taken here comes back with nothing but `sha256sum`,
//! `gunzip` and `psql`, and its manifest tells the truth about it.

mod truth;

use rstest::rstest;

use crate::support::{
    postgres::{Run, Server, assert_same_dump, fixture},
    product::{Product, contents},
};

/// A server with the nasty schema, bulk included.
fn nasty(major: u32, extensions: bool) -> Server {
    let server = Server::start(major);
    server.create_database("nasty");
    let mut psql = server.psql_command("nasty");
    if extensions {
        psql.args(["-v", "extensions=1"]);
    }
    psql.arg("-f").arg(fixture("nasty.sql")).output_of(b"");
    server
}

/// The builds of the newer servers lack the extensions.
#[rstest]
fn stock_tools_restore_an_equal_database(#[values(15, 16, 18)] major: u32) {
    let server = nasty(major, major == 15);
    let product = Product::of(&server, "nasty");
    let backup = product.backup(&[]);
    server.create_database("copy");
    backup.restore_with_stock_tools(&server, "copy");
    assert_same_dump(&server.dump_plain("nasty"), &server.dump_plain("copy"));
}

#[test]
fn newer_servers_take_it_without_an_error() {
    let old = nasty(15, false);
    let product = Product::of(&old, "nasty");
    let backup = product.backup(&[]);
    // Sequences and large objects are no tables.
    let rest = "select schemaname, sequencename, last_value from pg_sequences order by 1, 2;
                select loid, pageno, md5(data) from pg_largeobject order by 1, 2;";
    let was = (contents(&old, "nasty", &backup.manifest), old.psql("nasty", rest));
    for major in [16, 18] {
        let new = Server::start(major);
        // Roles belong to the server and not to the dump.
        new.psql_file("postgres", fixture("nasty/roles.sql"));
        new.create_database("copy");
        backup.restore_with_stock_tools(&new, "copy");
        let is = (contents(&new, "copy", &backup.manifest), new.psql("copy", rest));
        assert_eq!(was, is, "on {major}");
    }
}
