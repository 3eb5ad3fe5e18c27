//! What a person is told who did something wrong, and the exit code.

use std::fs;

use super::{shop, snapshot, told};
use crate::support::{
    postgres::{Server, ServerOptions},
    product::Product,
};

#[test]
fn no_settings_at_all() {
    let product = Product::bare();
    for command in ["run", "backup", "list", "show", "status"] {
        let output = product.run(&[command]);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", told(&output));
        assert!(output.stdout.is_empty());
    }
    snapshot("no_settings", &product, &["backup"]);
    snapshot("no_settings_check", &product, &["config", "check"]);
    snapshot("no_such_file", &product, &["-c", "nowhere.toml", "config", "check"]);
}

#[test]
fn bad_usage() {
    let product = Product::bare();
    snapshot("unknown_command", &product, &["bakcup"]);
    snapshot("unknown_option", &product, &["backup", "--manul"]);
    snapshot("bad_time", &product, &["show", "--at", "yesterday"]);
}

/// Settings without a prefix for each would mix their backups.
#[test]
fn several_databases_in_one_place() {
    let product = Product::bare()
        .set("RELIQUARY__DATABASES__MAIN__URL", "postgresql://a:hunter2@localhost/main")
        .set("RELIQUARY__DATABASES__BILLING__URL", "postgresql://a:hunter2@localhost/billing")
        .set("RELIQUARY__DATABASES__BILLING__PREFIX", "billing/")
        .set("RELIQUARY__STORE__URL", "s3://a-bucket");
    snapshot("one_prefix_for_several", &product, &["config", "check"]);
}

#[test]
fn which_of_several_databases() {
    let product = Product::bare()
        .set("RELIQUARY__DATABASES__MAIN__URL", "postgresql://a:hunter2@localhost/main")
        .set("RELIQUARY__DATABASES__MAIN__PREFIX", "main/")
        .set("RELIQUARY__DATABASES__BILLING__URL", "postgresql://a:hunter2@localhost/billing")
        .set("RELIQUARY__DATABASES__BILLING__PREFIX", "billing/");
    let url = product.store_url();
    let product = product.set("RELIQUARY__STORE__URL", url);
    fs::create_dir(product.store_dir()).unwrap();
    snapshot("several_databases", &product, &["backup"]);
    snapshot("unknown_database", &product, &["backup", "-d", "biling"]);
    snapshot("named_database", &product, &["list", "-d", "billing"]);
    // What only reads needs no name: it shows each.
    let listed = told(&product.run(&["list"]));
    let at = |what: &str| listed.find(what).unwrap_or_else(|| panic!("{what}: {listed}"));
    assert!(at("billing\n") < at("main\n"), "{listed}");
    let document = product.succeed(&["--json", "list"]);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let names: Vec<&str> = document["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|database| database["database"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["billing", "main"]);
    snapshot("config_check_of_several", &product, &["config", "check"]);
}

#[test]
fn an_id_that_leads_nowhere() {
    let server = Server::start(15);
    let product = shop(&server);
    fs::create_dir(product.store_dir()).unwrap();
    snapshot("show_of_nothing", &product, &["show"]);
    let id = product.backup(&[]).id;
    product.backup(&["--manual"]);
    snapshot("unknown_id", &product, &["show", "1999-12-31T23-59-59Z"]);
    snapshot("no_id", &product, &["show", "latset"]);
    snapshot("ambiguous_id", &product, &["show", &id[..2]]);
    snapshot("too_early", &product, &["show", "--at", "1999-12-31 23:59Z"]);
    let whole = product.succeed(&["--json", "show", &id]);
    assert!(whole.contains(&id));
}

#[test]
fn a_source_that_lets_nobody_in() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let server = Server::start_with(15, options);
    server.psql("postgres", "create role app login password 'hunter2'; create table t (a int);");
    let with = |user: &str, password: &str, database: &str| {
        Product::of(&server, "postgres").set("DIRECT_URL", server.tcp_url(database, user, password))
    };
    snapshot("wrong_password", &with("app", "hunter3", "postgres"), &["backup"]);
    snapshot("unknown_database_on_server", &with("app", "hunter2", "nowhere"), &["backup"]);
    snapshot("no_select", &with("app", "hunter2", "postgres"), &["backup"]);
    let product = with("app", "hunter2", "postgres");
    assert!(!told(&product.run(&["-vv", "backup"])).contains("hunter2"));
    // Nothing was stored on the way.
    snapshot("list_after_failures", &product, &["list"]);
    drop(server);
    snapshot("no_server", &product, &["backup"]);
}

#[test]
fn a_store_that_is_no_folder() {
    let server = Server::start(15);
    let product = shop(&server);
    fs::write(product.store_dir(), "a file").unwrap();
    snapshot("store_is_a_file", &product, &["backup"]);
    snapshot("store_is_a_file_list", &product, &["list"]);
}

/// The old machine and the provider are gone; what is known is where the bucket is.
#[test]
fn a_new_machine_reads_backups_with_nothing_but_the_store() {
    let server = Server::start(15);
    let old = shop(&server);
    old.backup(&[]);
    let product = Product::bare()
        .client_dir(server.bin_dir())
        .set("RELIQUARY__STORE__URL", old.store_url())
        .set("RELIQUARY__HTTP__LISTEN", format!("127.0.0.1:{}", super::free_port()));
    server.create_database("fresh");
    let target = server.url("fresh");
    for command in [
        &["list"][..],
        &["show"],
        &["status"],
        &["verify"],
        &["fetch"],
        &["restore", "--to", &target],
        &["list", "-d", "main"],
    ] {
        let output = product.run(command);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {}", told(&output));
    }
    assert_eq!(server.psql("fresh", "select count(*) from donors").trim(), "1234");
    for command in ["run", "backup", "audit", "sweep"] {
        let output = product.run(&[command]);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", told(&output));
        assert!(told(&output).contains("databases: none is configured"), "{}", told(&output));
    }
}

/// A disk that is not mounted must not look like a store without backups.
#[test]
fn reading_a_folder_that_is_not_there_fails_and_does_not_create_it() {
    let product = Product::bare();
    let url = product.store_url();
    let product = product
        .set("RELIQUARY__STORE__URL", url)
        .set("RELIQUARY__HTTP__LISTEN", format!("127.0.0.1:{}", super::free_port()));
    for command in
        [&["list"][..], &["show"], &["status"], &["verify"], &["fetch"], &["restore", "--to", "-"]]
    {
        let output = product.run(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {}", told(&output));
        assert!(told(&output).contains("there is no such folder"), "{}", told(&output));
        assert!(!product.store_dir().exists(), "{command:?}");
    }
}

#[test]
fn a_list_of_nothing_says_what_stands_elsewhere_in_the_store() {
    let product = Product::bare();
    let url = product.store_url();
    let product = product.set("RELIQUARY__STORE__URL", url);
    fs::create_dir_all(product.store_dir().join("app")).unwrap();
    fs::write(product.store_dir().join("app/LATEST.txt"), "x").unwrap();
    let text = product.succeed(&["list"]);
    assert!(text.contains("holds no backup yet"), "{text}");
    assert!(text.contains("such as app/LATEST.txt: is databases.main.prefix right?"), "{text}");
}
