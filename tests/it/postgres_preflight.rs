//! What preflight refuses is what `pg_dump` would stumble over, and its fixes mend it.

use reliquary::postgres::{Exclude, PreflightError, Problem, Section};

use crate::support::pg::{Pg, dump, open};

const PASSWORD: &str = "hunter2";

async fn problems(url: &str, exclude: &Exclude) -> Vec<Problem> {
    match open(url).await.unwrap().preflight(exclude).await {
        Ok(_) => Vec::new(),
        Err(PreflightError::Refused(problems)) => problems,
        Err(PreflightError::Session(error)) => panic!("{error}"),
    }
}

/// `pg_dump`'s own verdict.
async fn pg_dump_manages(url: &str, exclude: &Exclude) -> bool {
    for section in [Section::PreData, Section::Data, Section::PostData] {
        if dump(url, exclude, section).await.is_err() {
            return false;
        }
    }
    true
}

async fn cluster(schema: &str) -> (Pg, String) {
    let pg = Pg::start().await;
    pg.sql(
        "postgres",
        &format!("CREATE ROLE \"App\" LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE other"),
    )
    .await;
    pg.database("shop", schema).await;
    let url = pg.url_of("App", PASSWORD, "shop");
    (pg, url)
}

/// Runs one problem at a time: it is found, `pg_dump` fails, its fix is run, both are content.
async fn is_found_and_mended(schema: &str, names: &[&str], fix: impl Fn(&Problem) -> String) {
    let (pg, url) = cluster(schema).await;
    let all = Exclude::default();
    let found = problems(&url, &all).await;
    let [problem] = found.as_slice() else { panic!("{found:?}") };
    for name in names {
        assert!(problem.what.contains(name), "{name}: {problem:?}");
    }
    assert!(!pg_dump_manages(&url, &all).await);
    pg.sql("shop", &fix(problem)).await;
    assert_eq!(problems(&url, &all).await, []);
    assert!(pg_dump_manages(&url, &all).await);
}

fn as_written(problem: &Problem) -> String {
    problem.fix.clone()
}

fn up_to_comma(problem: &Problem) -> String {
    problem.fix.split(", or").next().unwrap().to_owned()
}

#[tokio::test]
async fn tables_that_may_not_be_read_are_named_as_sql_writes_them() {
    let schema = r#"CREATE TABLE plain (n int); CREATE TABLE "a ""quoted"" one" (n int);
        CREATE TABLE fine (n int); GRANT SELECT ON fine TO "App";
        CREATE TABLE parted (n int) PARTITION BY LIST (n)"#;
    let names = ["\"App\"", "public.plain", r#"public."a ""quoted"" one""#, "public.parted"];
    is_found_and_mended(schema, &names, up_to_comma).await;
}

#[tokio::test]
async fn a_grant_on_some_columns_is_not_enough() {
    let schema = r#"CREATE TABLE t (a int, b int); GRANT SELECT (a, b) ON t TO "App""#;
    is_found_and_mended(schema, &["public.t"], up_to_comma).await;
}

#[tokio::test]
async fn a_sequence_needs_select() {
    let schema = r#"CREATE SEQUENCE s; GRANT USAGE ON s TO "App""#;
    is_found_and_mended(schema, &["sequence public.s"], as_written).await;
}

#[tokio::test]
async fn a_schema_needs_usage() {
    let schema = r#"CREATE SCHEMA "Closed"; CREATE TABLE "Closed".t (n int);
        GRANT SELECT ON "Closed".t TO "App"; CREATE SCHEMA empty"#;
    is_found_and_mended(schema, &["schema \"Closed\""], as_written).await;
}

#[tokio::test]
async fn rows_that_a_policy_hides_are_refused() {
    let schema = r#"CREATE TABLE guarded (n int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
        GRANT SELECT ON guarded TO "App";
        CREATE TABLE owned (n int); ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
        ALTER TABLE owned OWNER TO "App";
        CREATE TABLE forced (n int); ALTER TABLE forced ENABLE ROW LEVEL SECURITY;
        ALTER TABLE forced FORCE ROW LEVEL SECURITY; ALTER TABLE forced OWNER TO "App""#;
    is_found_and_mended(schema, &["in public.forced, public.guarded"], as_written).await;
}

#[tokio::test]
async fn a_large_object_of_another_owner_needs_a_grant_of_its_own() {
    let schema = r#"SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO other;
        SELECT lo_create(4712); GRANT SELECT ON LARGE OBJECT 4712 TO PUBLIC;
        SELECT lo_create(4713); ALTER LARGE OBJECT 4713 OWNER TO "App""#;
    let one = |problem: &Problem| problem.fix.split(';').next().unwrap().to_owned();
    is_found_and_mended(schema, &["1 large object", "4711"], one).await;
    let every = |problem: &Problem| problem.fix.split_once("owner: ").unwrap().1.to_owned();
    is_found_and_mended(schema, &["4711"], every).await;
}

#[tokio::test]
async fn of_an_extension_s_tables_only_those_with_rows_to_dump_must_be_readable() {
    let schema = "CREATE EXTENSION hstore;
        CREATE TABLE member (n int); ALTER EXTENSION hstore ADD TABLE member;
        CREATE TABLE config (n int); ALTER EXTENSION hstore ADD TABLE config;
        UPDATE pg_extension SET extconfig = ARRAY['config'::regclass::oid], extcondition = ARRAY['']
        WHERE extname = 'hstore'";
    is_found_and_mended(schema, &["table public.config"], up_to_comma).await;
}

#[tokio::test]
async fn everything_is_said_at_once_and_what_is_excluded_is_not() {
    let (_pg, url) = cluster(
        r#"CREATE TABLE secret (id serial, n int); CREATE TABLE hidden (n int);
        ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; GRANT SELECT ON hidden TO "App";
        CREATE SCHEMA vault; CREATE TABLE vault.keys (n int);
        CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY)"#,
    )
    .await;
    let found = problems(&url, &Exclude::default()).await;
    assert_eq!(found.len(), 4, "{found:?}");
    let exclude = Exclude {
        schemas: vec!["vau*".into()],
        tables: vec!["public.secret*".into(), "public.numbered".into()],
        table_data: vec!["public.hidden".into()],
    };
    assert_eq!(problems(&url, &exclude).await, []);
    assert!(pg_dump_manages(&url, &exclude).await);
    let none = Exclude { schemas: vec!["nothing".into()], ..exclude };
    assert_eq!(problems(&url, &none).await.len(), 2);
}

#[tokio::test]
async fn a_long_list_is_cut_short_and_counted() {
    let many: Vec<String> = (0..25).map(|n| format!("CREATE TABLE t{n:02} (n int);")).collect();
    let (_pg, url) = cluster(&many.concat()).await;
    let found = problems(&url, &Exclude::default()).await;
    assert!(found[0].what.contains("public.t19 and 5 more"), "{found:?}");
}

#[tokio::test]
async fn a_superuser_may_read_everything() {
    let (pg, _) = cluster("CREATE TABLE t (n int); ALTER TABLE t ENABLE ROW LEVEL SECURITY").await;
    let mut session = open(&pg.url("shop")).await.unwrap();
    assert_eq!(session.preflight(&Exclude::default()).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn subscriptions_that_the_dump_will_lack_are_warned_of() {
    let (pg, url) = cluster("SELECT").await;
    let create = "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p
        WITH (connect = false, slot_name = NONE)";
    pg.sql("shop", create).await;
    let mut session = open(&url).await.unwrap();
    let warnings = session.preflight(&Exclude::default()).await.unwrap();
    assert!(warnings.iter().any(|w| w.contains("subscriptions")), "{warnings:?}");
}
