//! No row is said, whatever a restore stops at: errors are kept in logs, and sent
//! to channels.

use super::{fails, restored, shop};
use crate::support::{
    postgres::Server,
    product::{Product, shell},
};

/// A word that stands in rows alone.
const SECRET: &str = "Jane-Doe-4711";

#[test]
fn what_a_table_does_not_take_is_named_without_its_rows() {
    let server = Server::start(15);
    shop(&server, "shop");
    server.psql(
        "shop",
        &format!(
            "create table note (id int primary key, church int references church, text text);
             insert into note values (1, 7, '{SECRET}'), (2, 8, '{SECRET} too'), (3, 8, '123456789012');"
        ),
    );
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    for (database, definition, says) in [
        ("checked", "text text check (text !~ 'Jane')", "note_text_check"),
        ("typed", "text int", "invalid input syntax for type integer"),
        ("short", "text varchar(5)", "value too long"),
        ("small", "text int2", "smallint"),
    ] {
        server.create_database(database);
        let table = format!("create table note (id int primary key, church int, {definition})");
        server.psql(database, &table);
        let text = fails(&product, &server, database, &["--table", "public.note"]);
        for part in [says, "rows of table public.note", "CONTEXT:  COPY note, line "] {
            assert!(text.contains(part), "{database}: {part}: {text}");
        }
        assert!(!text.contains("Jane") && !text.contains("4711"), "{database}: {text}");
        assert!(!text.contains("123456789012"), "{database}: {text}");
    }
    // The key of a row that points at nothing is one, too.
    server.create_database("orphans");
    server.psql(
        "orphans",
        "create table church (id int primary key); insert into church values (99);
         create table note (id int primary key, church int references church, text text);",
    );
    let text = fails(&product, &server, "orphans", &["--table", "public.note"]);
    for part in ["Key (church)=(…) is not present in table \"church\"", "with another --table"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    restored(&product, &server, "checked", &["--table", "public.church"]);
}

/// Where psql sends them.
#[test]
fn rows_of_a_legacy_archive_are_not_said_either() {
    let server = Server::start(15);
    server.create_database("app");
    server.psql("app", "create table t (a int, b text); insert into t values (1, 'x')");
    let product = Product::of(&server, "app");
    let folder = product.store_dir().join("database/2026/01");
    std::fs::create_dir_all(&folder).unwrap();
    let url = [("URL", server.url("app"))];
    for (id, how, edit) in [
        ("2026-01-02T03-00-00Z", "", format!("s/^1\\tx$/{SECRET}\\tx/")),
        ("2026-01-02T04-00-00Z", "--inserts", format!("s/(1, 'x')/('{SECRET}', 'x')/")),
    ] {
        let dump = format!(
            "pg_dump --no-owner --no-privileges {how} \"$URL\" | sed \"{edit}\" | gzip > {id}.sql.gz"
        );
        shell(&folder, &server, &url, &dump);
        let database = if how.is_empty() { "copied" } else { "inserted" };
        server.create_database(database);
        let text = fails(&product, &server, database, &[id]);
        for part in ["invalid input syntax for type integer: \"…\"", "SQLSTATE 22P02"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Jane"), "{text}");
    }
}
