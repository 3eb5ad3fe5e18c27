//! Neither a secret nor a row of data gets into what a recovery leaves behind.

use std::{fs, path::Path};

use super::{donations, report, said};
use crate::support::{
    postgres::{Server, ServerOptions},
    product::Product,
};

/// Every file below a folder.
fn files(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
}

#[test]
fn no_document_of_a_recovery_holds_a_secret_or_a_row() {
    const SOURCE: &str = "source-hunter2";
    const TARGET: &str = "target-hunter3";
    const OTHER: &str = "other-hunter4";
    const ROW: &str = "anna@example.com";
    let server = Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() });
    donations(&server, "app");
    server.psql(
        "app",
        &format!(
            "create table people (email text); insert into people values ('{ROW}');
             create role keeper superuser login password '{SOURCE}';
             create role responder superuser login password '{TARGET}';"
        ),
    );
    let product = Product::of(&server, "app")
        .set("DIRECT_URL", server.tcp_url("app", "keeper", SOURCE))
        .set("RELIQUARY__HTTP__TOKEN", "token-hunter5-token-hunter5");
    product.backup(&[]);
    let written = format!("tried postgres://me:{OTHER}@h/d, then PGPASSWORD={OTHER}, and {SOURCE}");
    let opened = report(&product, &["incident", "open", "--cause", &written]);
    let id = opened["incident"].as_str().unwrap();
    product.succeed(&["incident", "note", &written]);
    // A restore that fails: somebody has filled the table with other rows.
    server.create_database("dest");
    server.psql(
        "dest",
        &format!("create table people (email text); insert into people values ('{ROW}')"),
    );
    let url = |base: &str| server.tcp_url(base, "responder", TARGET);
    let refused = product.run(&["restore", "--to", &url("dest"), "--incident", id]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    server.create_database("empty");
    let done = product.run(&["restore", "--to", &url("empty"), "--incident", "latest"]);
    assert!(done.status.success(), "{}", said(&done));
    // And one that a check refuses, which says of whom.
    server.psql(
        "app",
        "create function has_church(text) returns bool language plpgsql as $$begin return true; end$$;
         alter table people add check (has_church(email));
         create or replace function has_church(text) returns bool language plpgsql
           as $$begin raise 'donor % has no church', $1; end$$;",
    );
    product.backup(&[]);
    server.create_database("checked");
    let newest = ["restore", "latest", "--to", &url("checked"), "--incident", id];
    let failed = product.run(&newest);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert!(!said(&failed).contains(ROW), "{}", said(&failed));
    assert!(said(&failed).contains("(SQLSTATE P0001)"), "{}", said(&failed));
    let path = product.dir().join(format!("incidents/{id}.md"));
    let by_hand = format!("{}\nwith {written} by hand\n", fs::read_to_string(&path).unwrap());
    fs::write(&path, by_hand).unwrap();
    product.succeed(&["incident", "close", "--cause", &written, "--next", &written]);
    product.succeed(&["runbook", "reviewed", "--note", &written]);
    let runbook = product.succeed(&["runbook"]);
    let calendar = product.succeed(&["calendar"]);

    let mut found = vec![runbook, calendar];
    files(&product.dir().join("incidents"), &mut found);
    for folder in ["incidents", "reviews"] {
        files(&product.store_dir().join("database").join(folder), &mut found);
    }
    assert!(found.len() > 12, "{}", found.len());
    for text in &found {
        for secret in [SOURCE, TARGET, OTHER, "token-hunter5", ROW] {
            assert!(!text.contains(secret), "{secret} stands in:\n{text}");
        }
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("(SQLSTATE P0001)"), "{text}");
    let command = format!("--to {} --incident latest", url("empty").replace(TARGET, "********"));
    assert!(text.contains(&command), "{command}\n{text}");
    assert!(text.contains("tried postgres://me:********@h/d"), "{text}");
}
