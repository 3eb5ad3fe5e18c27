//! No row is said, whatever a restore stops at: errors are kept in logs, and sent
//! to channels.

use super::{fails, restored, shop};
use crate::support::{
    postgres::Server,
    product::{Product, shell},
};

/// A word that stands in rows alone.
const SECRET: &str = "Jane-Doe-4711";

/// The id of a legacy archive.
const LEGACY: &str = "2026-01-02T03-00-00Z";

/// A product with a backup of a database, and a legacy archive of the same.
fn backed_up(server: &Server, database: &str) -> Product {
    let product = Product::of(server, database);
    product.backup(&[]);
    let folder = product.store_dir().join("database/2026/01");
    std::fs::create_dir_all(&folder).unwrap();
    let dump = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {LEGACY}.sql.gz");
    shell(&folder, server, &[("URL", server.url(database))], &dump);
    product
}

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

/// The commonest failed restore: a check calls a function that names a table without
/// its schema. What it looks for is said, and what is advised helps.
#[test]
fn a_function_that_relies_on_a_search_path_is_told_with_what_it_looks_for_and_what_helps() {
    let server = Server::start(15);
    // What it finds does not matter: the tables are loaded in no order.
    for (app, language, body) in [
        ("sql", "sql", "select exists (select from church where id = $1) or $1 > 0"),
        ("pl", "plpgsql", "begin return exists (select from church where id = $1) or $1 > 0; end"),
    ] {
        server.create_database(app);
        server.psql(
            app,
            &format!(
                "create table church (id int primary key); insert into church values (1);
                 create function has_church(int) returns bool language {language} as $$ {body} $$;
                 create table gift (church int check (has_church(church)), name text);
                 insert into gift values (1, '{SECRET}');"
            ),
        );
        let product = backed_up(&server, app);
        let copy = format!("{app}_copy");
        for (database, archive, advice) in [
            (&copy, &[][..], "--clean --section data --section post-data; "),
            (&format!("{app}_legacy"), &[LEGACY], "write it as SQL with --to -, "),
        ] {
            server.create_database(database);
            let text = fails(&product, &server, database, archive);
            for part in [
                "relation \"church\" does not exist",
                "SQLSTATE 42P01",
                "has_church",
                "ALTER FUNCTION",
                advice,
            ] {
                assert!(text.contains(part), "{database}: {part}: {text}");
            }
            assert!(!text.contains("Jane"), "{text}");
        }
        restored(&product, &server, &copy, &["--clean", "--yes", "--section", "pre-data"]);
        server.psql(&copy, "alter function has_church set search_path = public");
        let rest = ["--clean", "--yes", "--section", "data", "--section", "post-data"];
        restored(&product, &server, &copy, &rest);
        assert_eq!(server.psql(&copy, "select count(*) from gift").trim(), "1");
    }
}

/// What a cast reads as the name of a table is a row's.
#[test]
fn a_value_that_is_read_as_a_name_is_not_said_and_what_a_statement_names_is() {
    let server = Server::start(15);
    for (app, reads) in [
        ("refreshed", "create materialized view view_of_notes as select text::regclass from note"),
        (
            "indexed",
            "create function of(text) returns oid language plpgsql immutable
                 as $$ begin return $1::regclass; end $$;
             create index index_of_notes on note (of(text))",
        ),
    ] {
        server.create_database(app);
        server.psql(
            app,
            &format!(
                "create table \"{SECRET}\" (); create table note (text text);
                 insert into note values ('\"{SECRET}\"'); {reads}"
            ),
        );
        let product = backed_up(&server, app);
        for (database, archive) in
            [(format!("{app}_copy"), &[][..]), (format!("{app}_legacy"), &[LEGACY])]
        {
            server.create_database(&database);
            let text = fails(&product, &server, &database, archive);
            for part in ["relation \"…\" does not exist", "SQLSTATE 42P01", "_of_notes"] {
                assert!(text.contains(part), "{database}: {part}: {text}");
            }
            assert!(!text.contains("Jane"), "{database}: {text}");
        }
        let bare = format!("{app}_bare");
        server.create_database(&bare);
        server.psql(&bare, "create function of(text) returns oid language sql as 'select 1::oid'");
        let text = fails(&product, &server, &bare, &["--section", "post-data"]);
        let named = text.contains("public.note") || text.contains("public.view_of_notes");
        assert!(named && text.contains("does not exist"), "{text}");
    }
}
