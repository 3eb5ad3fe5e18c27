//! The fixtures hold what they promise, on every major.

use rstest::rstest;

use crate::support::postgres::{Server, ServerOptions, assert_same_dump, fixture};

#[rstest]
fn the_nasty_schema_survives_stock_tools(#[values(15, 16, 18)] major: u32) {
    let server = Server::start(major);
    server.create_database("nasty");
    server.load_nasty("nasty");
    let dump = server.dump_plain("nasty");

    server.create_database("copy");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &dump).unwrap();
    server.psql_file("copy", file.path());
    assert_same_dump(&dump, &server.dump_plain("copy"));
}

#[test]
fn the_sample_of_the_demo_loads() {
    let server = Server::start(15);
    server.create_database("demo");
    let sample = fixture("../../src/cli/demo/sample.sql");
    server.psql_file("demo", sample);
    let rows = server.psql("demo", r#"select count(*) from "DonationTransaction""#);
    assert!(rows.trim().parse::<u32>().unwrap() >= 50_000, "{rows}");
}

#[test]
fn a_server_with_tcp_asks_for_the_password() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    server.psql("postgres", "create role reader login password 's3cret'");
    let ask = |password: &str| {
        crate::support::tools::command(server.bin("psql"))
            .args(["-X", "-w", "-c", "select 1", "-d"])
            .arg(server.tcp_url("postgres", "reader", password))
            .output()
            .unwrap()
    };
    assert!(ask("s3cret").status.success());
    assert!(!ask("wrong").status.success());
}
