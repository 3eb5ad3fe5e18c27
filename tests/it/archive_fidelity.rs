//! Random databases come back as they were, in every encoding.

mod random;

use std::{cell::Cell, path::Path, sync::Arc};

use proptest::{
    sample::select,
    test_runner::{Config, TestRunner},
};
use reliquary::{
    app,
    archive::{Manifest, manifest::Kind},
    clock::Clock,
    jobs::{
        Environment,
        backup::{self, BackupError, Done, Request},
    },
    settings::{self, ArchiveSettings, Sources},
    state::Progress,
    store::LocalStore,
    words::Stage,
};
use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::{
    postgres::{Server, assert_same_dump},
    product::shell,
};

/// Members far smaller than settings allow, so that one ends wherever a read
/// from the pipe does: at the last row that is whole by then.
const MEMBER_SIZES: [usize; 3] = [1, 64, 4096];

/// A backup in a folder of its own.
struct Taken {
    manifest: Manifest,
    folder: TempDir,
}

impl Taken {
    /// Restores it with `gunzip` and `psql`.
    fn restore(&self, server: &Server, database: &str) {
        let variables = [
            ("TARGET", server.url(database)),
            ("ARCHIVE", self.folder.path().join(&self.manifest.archive.key).display().to_string()),
        ];
        let line = "gunzip -c \"$ARCHIVE\" | psql -q -v ON_ERROR_STOP=1 \"$TARGET\"";
        shell(self.folder.path(), server, &variables, line);
    }
}

/// Takes a backup through the job itself: a member's size this small is
/// nothing that settings allow.
fn back_up(server: &Server, database: &str, member_size: usize) -> Result<Taken, BackupError> {
    let folder = TempDir::new().unwrap();
    let settings = settings(server, database, folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = runtime.block_on(async {
        let store = Arc::new(LocalStore::open(folder.path()).await.unwrap());
        let environment = Environment {
            archive: ArchiveSettings { member_size, threads: 2 },
            ..app::environment(&settings, store, Clock::system())
        };
        let source = app::source(&settings.databases["main"]).unwrap();
        let request = Request { kind: Kind::Scheduled, slot: None };
        let progress = Progress::default();
        backup::run(&environment, &source, request, &progress, &CancellationToken::new()).await
    })?;
    match done {
        Done::Backup { manifest, .. } => Ok(Taken { manifest: *manifest, folder }),
        Done::Skipped(skip) => panic!("skipped: {skip:?}"),
    }
}

fn settings(server: &Server, database: &str, store: &Path) -> settings::Settings {
    let env = [
        ("DIRECT_URL", server.url(database)),
        ("RELIQUARY__STORE__URL", format!("file://{}", store.display())),
        ("RELIQUARY__POSTGRES__CLIENT_DIRS", server.bin_dir().display().to_string()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).into();
    settings::load(&Sources { env, ..Sources::default() }).unwrap().0
}

/// Backs up, restores into a new database of the same kind, and compares.
fn comes_back(server: &Server, database: &str, like: &str, member_size: usize) -> Taken {
    let taken = back_up(server, database, member_size).unwrap();
    let copy = format!("copy_of_{database}_{member_size}");
    server.psql("postgres", &format!("create database \"{copy}\" {like}"));
    taken.restore(server, &copy);
    assert_same_dump(&server.dump_plain(database), &server.dump_plain(&copy));
    server.psql("postgres", &format!("drop database \"{copy}\""));
    taken
}

#[rstest]
fn random_databases_come_back(#[values(15, 18)] major: u32) {
    let server = Server::start(major);
    // Each case takes a second or more: few of them, each full of surprises.
    let config =
        Config { cases: 4, max_shrink_iters: 30, failure_persistence: None, ..Config::default() };
    let case = Cell::new(0);
    TestRunner::new(config)
        .run(&(random::database(), select(&MEMBER_SIZES)), |(database, member_size)| {
            case.set(case.get() + 1);
            let name = format!("random_{}", case.get());
            server.create_database(&name);
            server.psql(&name, &random::sql(&database));
            let taken = comes_back(&server, &name, "template template0", member_size);
            assert_eq!(taken.manifest.tables.len(), database.tables.len());
            for table in &database.tables {
                let found = taken.manifest.tables.iter().find(|found| found.name == table.name);
                let found = found.unwrap_or_else(|| panic!("{:?} is missing", table.name));
                assert_eq!(found.columns, table.columns);
                assert_eq!(found.rows, table.rows.len() as u64);
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Tables of many reads, since one that arrives in a single read is not cut.
#[test]
fn a_table_that_is_cut_often_comes_back() {
    let server = Server::start(15);
    server.create_database("cut");
    server.psql("cut", &random::many_rows(60_000));
    for member_size in MEMBER_SIZES {
        let taken = comes_back(&server, "cut", "template template0", member_size);
        let table = &taken.manifest.tables[0];
        assert_eq!(table.rows, 60_000);
        assert!(table.members.len() > 3, "{} members", table.members.len());
        assert_eq!(table.members.iter().map(|member| member.rows).sum::<u64>(), table.rows);
    }
}

/// What each encoding can say that others cannot, wherever text may stand.
const ENCODINGS: [(&str, &str); 4] = [
    (
        "LATIN1",
        r#"set client_encoding = 'UTF8';
           create table "clé ""ÿ""" ("ø" text default 'ß', t text);
           insert into "clé ""ÿ""" (t)
             select i || ':' || chr(i) || E'\\.\n' from generate_series(1, 255) i;
           comment on table "clé ""ÿ""" is 'Ñandú';"#,
    ),
    (
        "EUC_JP",
        r#"set client_encoding = 'UTF8';
           create table "表ソ能" ("予約" text, t text);
           insert into "表ソ能" values ('ソ\.', E'十\\.\nｱ｡'), ('Ａ', '');
           create function "関数"() returns text language sql as $$ select '表\.' $$;"#,
    ),
    (
        "WIN1252",
        r#"set client_encoding = 'UTF8';
           create table "€" (t text);
           insert into "€" values ('€„”'), ('ž');"#,
    ),
    // Bytes that are text in no encoding.
    (
        "SQL_ASCII",
        r#"create table bytes (t text);
           insert into bytes values (E'\xff\xfe\x80'), (E'\xc3'), (E'\\.\xe9\n\\.\n');
           insert into bytes select E'\xed\xa0\x80' || i from generate_series(1, 100) i;
           create table "clé" ("ø" text default E'\xff');
           comment on table "clé" is E'\xf0\x28\x8c\x28';
           create function f() returns text language sql as E'select \'\xfe\\.\'';"#,
    ),
];

#[test]
fn databases_of_every_kind_of_encoding_come_back() {
    let server = Server::start(15);
    for (encoding, sql) in ENCODINGS {
        let like = format!("template template0 encoding '{encoding}' locale 'C'");
        server.psql("postgres", &format!("create database \"{encoding}\" {like}"));
        server.psql(encoding, sql);
        let taken = comes_back(&server, encoding, &like, 64);
        assert_eq!(taken.manifest.source.encoding, encoding);
        assert!(taken.manifest.rows > 0);
    }
}

/// The manifest is JSON, and so Unicode.
#[test]
fn a_name_that_is_no_unicode_is_refused_in_plain_words() {
    let server = Server::start(15);
    server.psql("postgres", "create database d template template0 encoding 'SQL_ASCII' locale 'C'");
    server.psql("d", r#"do $$ begin execute E'create table "a\xff" (t int)'; end $$"#);
    let error = back_up(&server, "d", 64).err().unwrap();
    assert_eq!(error.stage, Stage::Preflight);
    assert!(!error.transient);
    let message = error.to_string();
    assert!(
        message.starts_with("read the list of tables: a name in the database is not UTF-8"),
        "{message}"
    );
}

/// `MULE_INTERNAL` is the one encoding that the server converts to no Unicode.
/// The server takes any byte for a character of a one-byte encoding.
#[test]
fn bytes_that_stand_for_no_character_are_refused_with_what_mends_them() {
    let server = Server::start(15);
    let like = "template template0 encoding 'WIN1252' locale 'C'";
    server.psql("postgres", &format!("create database d {like}"));
    server.psql("d", "create table odd (t text); insert into odd values (E'\\x81')");
    let error = back_up(&server, "d", 64).err().unwrap().to_string();
    assert!(error.contains("COPY public.odd") && error.contains("correct them"), "{error}");
}

#[test]
fn an_encoding_that_has_no_way_to_unicode_is_refused() {
    let server = Server::start(15);
    let like = "template template0 encoding 'MULE_INTERNAL' locale 'C'";
    server.psql("postgres", &format!("create database d {like}"));
    let error = back_up(&server, "d", 64).err().unwrap();
    assert!(error.to_string().contains("between UTF8 and MULE_INTERNAL"), "{error}");
}
