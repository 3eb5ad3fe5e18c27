//! The manifest as a format: what is written, and what is read.

use reliquary::archive::{Manifest, ManifestError};
use serde_json::json;

use crate::support::{
    postgres::{Server, fixture},
    product::{Backup, Product},
};

/// A small database with one of most things.
const SCHEMA: &str = r#"
create schema shop;
create table shop.donors (id int generated always as identity primary key, name text not null);
insert into shop.donors (name) select 'donor ' || i from generate_series(1, 5) i;
create table shop."Odd ""name""" ("a b" int, "é" text);
insert into shop."Odd ""name""" values (1, E'x\n\\.\n');
create table shop.empty (a int);
create table shop.no_columns ();
insert into shop.no_columns default values;
create table shop.cache (k text);
insert into shop.cache values ('left out');
create table shop.scratch (k text);
create role reader;
create policy mine on shop.donors for select to reader using (true);
select lo_from_bytea(4711, 'large');
"#;

fn backup() -> (Product, Backup) {
    let server = Server::start(15);
    server.create_database("shop");
    server.psql("shop", SCHEMA);
    let product = Product::of(&server, "shop")
        .set("RELIQUARY__DATABASES__MAIN__URL", server.url("shop"))
        .set("RELIQUARY__DATABASES__MAIN__EXCLUDE__TABLES", "shop.scratch")
        .set("RELIQUARY__DATABASES__MAIN__EXCLUDE__TABLE_DATA", "shop.cache");
    let backup = product.backup(&["--manual"]);
    (product, backup)
}

#[test]
fn a_manifest_looks_like_this() {
    let (_product, backup) = backup();
    let mut settings = insta::Settings::clone_current();
    for (volatile, stands_for) in [
        (r"\d{4}/\d\d/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", "[year]/[month]/[id]"),
        (r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", "[id]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"[0-9a-f]{64}", "[sha256]"),
        (r#""system_identifier": "\d+""#, r#""system_identifier": "[number]""#),
        (r#""lsn": "[0-9A-F]+/[0-9A-F]+""#, r#""lsn": "[lsn]""#),
        (r#""server_version": "[^"]+""#, r#""server_version": "[version]""#),
        (r#""server_version_num": 15\d{4}"#, r#""server_version_num": [15xxxx]"#),
        (r#""pg_dump": "pg_dump \(PostgreSQL\) 15[^"]*""#, r#""pg_dump": "[pg_dump 15]""#),
        (r#""version": "\d+\.\d+\.\d+""#, r#""version": "[reliquary]""#),
        (r#""(offset|length|uncompressed|bytes|uncompressed_bytes)": \d+"#, r#""$1": [bytes]"#),
    ] {
        settings.add_filter(volatile, stands_for);
    }
    settings.bind(|| insta::assert_snapshot!(backup.manifest_text));
}

/// A backup of each released version stays readable, byte for byte.
#[test]
fn the_manifest_of_every_released_version_is_read() {
    let text = std::fs::read(fixture("manifests/0.1.0.json")).unwrap();
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!(manifest.rows, 7);
    let last = manifest.members().into_iter().last().unwrap();
    assert_eq!(last.offset + last.length, manifest.archive.bytes);
    assert_eq!(manifest.to_bytes().unwrap(), text);
}

#[test]
fn what_a_later_version_adds_is_ignored() {
    let text = std::fs::read(fixture("manifests/0.1.0.json")).unwrap();
    let was = Manifest::parse(&text).unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let mut added = 0;
    add_fields(&mut document, &mut added);
    assert!(added > 20, "{added}");
    assert_eq!(Manifest::parse(document.to_string().as_bytes()).unwrap(), was);
}

/// A field that nobody knows, in every object there is.
fn add_fields(value: &mut serde_json::Value, added: &mut usize) {
    match value {
        serde_json::Value::Object(fields) => {
            for value in fields.values_mut() {
                add_fields(value, added);
            }
            fields.insert("of_a_later_version".to_owned(), json!({ "x": [1, null] }));
            *added += 1;
        }
        serde_json::Value::Array(items) => {
            for value in items {
                add_fields(value, added);
            }
        }
        _ => {}
    }
}

#[test]
fn another_format_is_refused_with_what_to_do() {
    // Nothing else of it needs to be as we know it.
    let error = Manifest::parse(br#"{ "format": "reliquary/2", "tables": 7 }"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "read the manifest: its format is \"reliquary/2\", and Reliquary {} reads \
             \"reliquary/1\"; use the version that wrote it, or a newer one",
            env!("CARGO_PKG_VERSION")
        )
    );
    for torn in ["", "{", "null", "[]", "{}", r#"{"format": 1}"#, r#"{"format": "reliquary/1"}"#] {
        let error = Manifest::parse(torn.as_bytes()).unwrap_err();
        assert!(matches!(error, ManifestError::Malformed(_)), "{torn:?}: {error}");
    }
}
