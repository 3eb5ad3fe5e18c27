//! The snapshot's facts against what `pg_dump` really writes.

use std::{collections::BTreeSet, fs, time::Duration};

use reliquary::postgres::{Dump, Exclude, Part, Section, SessionError, dump::is_transient_failure};
use tokio::io::AsyncReadExt;

use crate::support::pg::{Pg, SOON, dump, execute, open, parse, pg_dump, run_dump};

/// One of everything that decides whether rows are dumped.
const SCHEMA: &str = r#"
CREATE TABLE plain (id int GENERATED ALWAYS AS IDENTITY, n int);
CREATE TABLE "we.ird ""name""" (n int);
CREATE TABLE no_columns ();
CREATE UNLOGGED TABLE unlogged (n int);
CREATE TABLE parted (n int) PARTITION BY RANGE (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20) PARTITION BY LIST (n);
CREATE TABLE parted_2_a PARTITION OF parted_2 DEFAULT;
CREATE TABLE base (n int); CREATE TABLE child (m int) INHERITS (base);
CREATE TEMPORARY TABLE temporary (n int);
CREATE VIEW view AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW matview AS SELECT * FROM plain;
CREATE TYPE composite AS (a int);
CREATE SEQUENCE loose;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE foreigner (line text) SERVER files OPTIONS (filename '/dev/null');
CREATE ROLE mapped; CREATE USER MAPPING FOR mapped SERVER files;
CREATE ROLE reader; CREATE POLICY p ON plain TO reader USING (true);
CREATE SCHEMA of_extension; CREATE EXTENSION hstore SCHEMA of_extension;
CREATE TABLE of_extension.beside (n int);
CREATE TABLE of_extension.member (n int);
CREATE TABLE of_extension.config (n int); INSERT INTO of_extension.config VALUES (1), (2);
ALTER EXTENSION hstore ADD TABLE of_extension.member;
ALTER EXTENSION hstore ADD TABLE of_extension.config;
UPDATE pg_extension SET extconfig = ARRAY['of_extension.config'::regclass::oid],
                        extcondition = ARRAY['WHERE n > 1'] WHERE extname = 'hstore';
CREATE SCHEMA other; CREATE TABLE other.t (n int);
SELECT lo_create(4711);
INSERT INTO plain (n) SELECT generate_series(1, 1000);
"#;

/// The tables whose COPY a data section holds, as SQL writes them.
fn copied(data: &str) -> BTreeSet<String> {
    data.lines()
        .filter_map(|line| line.strip_prefix("COPY ")?.strip_suffix(" FROM stdin;"))
        .map(|rest| rest.rsplit_once(" (").map_or(rest, |(name, _)| name).trim().to_owned())
        .collect()
}

fn quoted(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// The facts' tables and those that `pg_dump` wrote.
async fn both(url: &str, exclude: &Exclude) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut session = open(url).await.unwrap();
    let facts = session.snapshot(exclude).await.unwrap().facts;
    let listed = facts
        .tables
        .iter()
        .map(|table| format!("{}.{}", quoted(&table.schema), quoted(&table.name)))
        .collect();
    (listed, copied(&dump(url, exclude, Section::Data).await.unwrap()))
}

#[tokio::test]
async fn the_facts_list_exactly_the_tables_that_pg_dump_copies() {
    let pg = Pg::start().await;
    pg.database("shop", SCHEMA).await;
    let url = pg.url("shop");
    let (listed, dumped) = both(&url, &Exclude::default()).await;
    assert_eq!(listed, dumped);
    assert_eq!(listed.len(), 11, "{listed:?}");
    for exclude in [
        (vec!["oth*"], vec!["public.parted"], vec!["*.base", "public.we*"]),
        (
            vec![],
            vec!["public.parted_2", "public.base", "public.no_*"],
            vec!["of_extension.config"],
        ),
        (vec!["of_extension"], vec![r#"public.we.ird "name""#], vec!["public.parted"]),
        (vec![], vec!["of_extension.config", "public.plain"], vec![]),
    ] {
        let own = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        let exclude =
            Exclude { schemas: own(exclude.0), tables: own(exclude.1), table_data: own(exclude.2) };
        let (listed, dumped) = both(&url, &exclude).await;
        assert_eq!(listed, dumped, "{exclude:?}");
        assert!(listed.len() < 11, "{exclude:?}");
    }
}

#[tokio::test]
async fn the_facts_are_the_source_s() {
    let pg = Pg::start().await;
    pg.database("shop", SCHEMA).await;
    let mut session = open(&pg.url("shop")).await.unwrap();
    let facts = session.snapshot(&Exclude::default()).await.unwrap().facts;
    assert_eq!((facts.database.as_str(), facts.encoding.as_str()), ("shop", "UTF8"));
    assert_eq!(facts.server_version_num / 10_000, 15);
    assert!(facts.system_identifier.unwrap().parse::<u64>().is_ok());
    assert!(facts.lsn.unwrap().contains('/'));
    assert_eq!(facts.roles, ["mapped", "reader"]);
    assert_eq!((facts.sequences, facts.large_objects), (2, 1));
    assert!(facts.database_bytes.unwrap() > 1_000_000);
    let hstore = facts.extensions.iter().find(|e| e.name == "hstore").unwrap();
    assert_eq!(hstore.schema, "of_extension");
    let plain = facts.tables.iter().find(|t| t.name == "plain").unwrap();
    assert!(plain.bytes_estimate >= 32 * 1024, "{plain:?}");
    let mut admin = pg.connect("shop").await;
    let skew: f64 = sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::float8 - $1")
        .bind(facts.taken_at.timestamp_micros() as f64 / 1e6)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert!((0.0..60.0).contains(&skew), "{skew}");
}

#[tokio::test]
async fn rows_that_come_after_the_snapshot_are_in_no_section() {
    let pg = Pg::start().await;
    pg.database("shop", "CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await;
    let mut session = open(&pg.url("shop")).await.unwrap();
    let snapshot = session.snapshot(&Exclude::default()).await.unwrap();
    pg.sql("shop", "INSERT INTO t VALUES (2); CREATE TABLE later (n int)").await;
    let dump = Dump {
        client: pg_dump().await,
        url: parse(&pg.url("shop")),
        snapshot: snapshot.id,
        exclusions: snapshot.exclusions,
        encoding: snapshot.facts.encoding.clone(),
        shares: Vec::new(),
        in_turn: false,
        lock_timeout: SOON,
    };
    let data = run_dump(&dump, Section::Data).await.unwrap();
    assert!(data.contains("COPY public.t (n) FROM stdin;\n1\n\\.\n"), "{data}");
    assert!(!run_dump(&dump, Section::PreData).await.unwrap().contains("later"));
    assert_eq!(session.changed_since().await.unwrap(), Vec::<String>::new());
    // The snapshot ends with its session.
    session.close().await;
    let gone = async {
        loop {
            if let Err(error) = run_dump(&dump, Section::Data).await {
                break error.to_string();
            }
        }
    };
    let error = tokio::time::timeout(SOON, gone).await.unwrap();
    assert!(is_transient_failure(&error), "{error}");
}

#[tokio::test]
async fn a_table_that_ddl_holds_fails_the_dump_in_time_and_blocks_nobody() {
    let pg = Pg::start().await;
    pg.database("shop", "CREATE TABLE held (n int); CREATE TABLE free (n int)").await;
    let url = parse(&pg.url("shop"));
    let short = Duration::from_millis(300);
    let mut session = reliquary::postgres::Session::open(&url, SOON, short).await.unwrap();
    let snapshot = session.snapshot(&Exclude::default()).await.unwrap();
    let mut ddl = pg.connect("shop").await;
    execute(&mut ddl, "BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE").await;
    let dump = Dump {
        client: pg_dump().await,
        url: url.clone(),
        snapshot: snapshot.id,
        exclusions: snapshot.exclusions,
        encoding: snapshot.facts.encoding.clone(),
        shares: Vec::new(),
        in_turn: false,
        lock_timeout: short,
    };
    let error = tokio::time::timeout(SOON, run_dump(&dump, Section::PreData))
        .await
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(error.contains("held") && is_transient_failure(&error), "{error}");
    // The application goes on: the dump left no lock and no queue behind.
    execute(&mut ddl, "INSERT INTO held VALUES (1); COMMIT").await;
    pg.sql("shop", "SET lock_timeout = '20s'; ALTER TABLE free ADD m int").await;

    // A snapshot that meets such a lock names the table at once.
    execute(&mut ddl, "BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE").await;
    let mut session = reliquary::postgres::Session::open(&url, SOON, short).await.unwrap();
    let error = session.snapshot(&Exclude::default()).await.unwrap_err();
    assert!(matches!(error, SessionError::Locked { .. }) && error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("public.held by process"), "{error}");
}

#[tokio::test]
async fn no_secret_is_among_the_arguments_of_a_dump() {
    let pg = Pg::start().await;
    pg.sql("postgres", "CREATE ROLE app SUPERUSER LOGIN PASSWORD 'hunter2'").await;
    pg.database("shop", "CREATE TABLE t (n int)").await;
    let url = pg.url_of("app", "hunter2", "shop");
    let mut session = open(&url).await.unwrap();
    let snapshot = session.snapshot(&Exclude::default()).await.unwrap();
    let mut ddl = pg.connect("shop").await;
    execute(&mut ddl, "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await;
    let dump = Dump {
        client: pg_dump().await,
        url: parse(&url),
        snapshot: snapshot.id,
        exclusions: snapshot.exclusions,
        encoding: snapshot.facts.encoding.clone(),
        shares: Vec::new(),
        in_turn: false,
        lock_timeout: SOON,
    };
    // The lock keeps it from ending before it was looked at.
    let mut child = dump.spawn(Part::Section(Section::Data)).unwrap();
    let cmdline = format!("/proc/{}/cmdline", child.id().unwrap());
    // It is empty for a moment while the program is loaded.
    let loaded = async {
        loop {
            let args = fs::read_to_string(&cmdline).unwrap();
            if !args.is_empty() {
                break args;
            }
            tokio::task::yield_now().await;
        }
    };
    let args = tokio::time::timeout(SOON, loaded).await.unwrap();
    assert!(args.contains("--snapshot=") && !args.contains("hunter2"), "{args}");
    assert!(!format!("{dump:?} {child:?} {:?}", dump.options()).contains("hunter2"));
    execute(&mut ddl, "COMMIT").await;
    let mut text = String::new();
    child.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    child.wait().await.unwrap().success().unwrap();
}

#[tokio::test]
async fn names_outside_ascii_are_excluded_in_the_database_s_own_encoding() {
    let pg = Pg::start().await;
    pg.sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        .await;
    pg.sql("latin", "CREATE TABLE \"cl\u{e9}\" (n int); CREATE TABLE other (n int)").await;
    let exclude = Exclude { tables: vec!["public.cl?".into()], ..Exclude::default() };
    let mut session = open(&pg.url("latin")).await.unwrap();
    let snapshot = session.snapshot(&exclude).await.unwrap();
    assert_eq!(snapshot.exclusions.tables, [("public".to_owned(), "cl\u{e9}".to_owned())]);
    let data = dump(&pg.url("latin"), &exclude, Section::Data).await.unwrap();
    assert_eq!(copied(&data), BTreeSet::from(["public.other".to_owned()]));
}
