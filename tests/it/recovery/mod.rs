//! Recoveries: the log of an incident, the runbook, the calendar, the reviews.

mod calendar;
mod incident;
mod rehearsal;
mod reviews;
mod runbook;
mod secrecy;
mod together;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{postgres::Server, product::Product};

/// A folder for sandboxes that their account can walk into.
fn room() -> TempDir {
    let room = TempDir::new().unwrap();
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o711)).unwrap();
    room
}

/// The application of the first user, as far as its drill asks for it.
fn donations(server: &Server, name: &str) {
    server.create_database(name);
    server.psql(
        name,
        "create table \"Church\" (id int primary key, name text);
         create table \"DonationTransaction\" (id int primary key, cents int,
           \"churchId\" int references \"Church\", \"createdAt\" timestamptz default now());
         insert into \"Church\" select i, 'church ' || i from generate_series(1, 20) i;
         insert into \"DonationTransaction\"
           select i, i, 1 + i % 20 from generate_series(1, 2000) i;",
    );
}

/// A server with the application, and an installation that backs it up.
fn installation() -> (Server, Product) {
    let server = Server::start(15);
    donations(&server, "app");
    let product = Product::of(&server, "app");
    (server, product)
}

/// Runs a command that must succeed; its report.
fn report(product: &Product, arguments: &[&str]) -> Value {
    let output = product.run(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must end with this code; what it said.
fn ends(product: &Product, code: i32, arguments: &[&str]) -> String {
    let output = product.run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// The document of an incident on this machine.
fn document(product: &Product, id: &str) -> PathBuf {
    product.dir().join(format!("incidents/{id}.md"))
}

/// The document in the store, where that is a folder.
fn stored_document(product: &Product, id: &str) -> PathBuf {
    product.store_dir().join(format!("database/incidents/{id}.md"))
}
