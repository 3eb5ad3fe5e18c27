//! Drills that pass, of every kind of backup.

use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::support::{
    postgres::{Run as _, fixture},
    tools::command,
};

fn passed(record: &Value) {
    assert_eq!(record["verdict"], "passed", "{record:#}");
    assert_eq!(record["failure"], Value::Null);
    for comparison in record["comparisons"].as_array().unwrap() {
        // Not every server here comes with the extension that it needs.
        let detail = comparison["detail"].as_str().unwrap();
        if detail.contains("does not have the extension amcheck") {
            assert_eq!(comparison["outcome"], "not_run");
            continue;
        }
        assert_eq!(comparison["outcome"], "ok", "{record:#}");
    }
}

#[test]
fn a_drill_proves_a_backup_writes_it_down_and_leaves_nothing_else() {
    let (_server, room, product, backup) = backed_up();
    let product = product.configured(
        "[[drill.checks]]\nname = 'there is a church'\nsql = 'select from church'\nexpect = 'rows >= 1'\n\
         [[drill.checks]]\nname = 'gifts'\nsql = 'select count(*) from gift'\nexpect = '= last within 5%'\n\
         [[drill.checks]]\nname = 'fresh'\nexpect = '= t'\nsql = \"\"\"select max(given) > \
         current_setting('reliquary.backup_time')::timestamptz - interval '1 day' from gift\"\"\"\n",
    );
    let record = product.drill(0, &["--operator", "Ada"]);
    passed(&record);
    assert_eq!(record["backup"]["id"], backup.id.as_str());
    assert_eq!(record["operator"], "Ada");
    assert_eq!(record["rows_compared"], 5050);
    assert_eq!(record["recorded"], true);
    assert!(record["restore_seconds"].as_f64().unwrap() > 0.0);
    let names: Vec<&str> = record["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(record["checks"][1]["detail"].as_str().unwrap().contains("nothing to compare with"));
    assert_eq!(record["checks"][2]["value"], "t");
    assert!(is_empty(room.path()));

    let again = product.drill(0, &[]);
    assert_eq!(again["checks"][1]["detail"], "", "it looked back: {again:#}");
    let drills = product.store_dir().join("database/drills");
    let id = record["id"].as_str().unwrap();
    let stored: Value =
        serde_json::from_slice(&fs::read(drills.join(format!("{id}.json"))).unwrap()).unwrap();
    assert_eq!(stored["verdict"], "passed");
    let page = fs::read_to_string(drills.join(format!("{id}.md"))).unwrap();
    assert!(page.starts_with(&format!("# Restore drill {id}: passed")), "{page}");
    assert_eq!(fs::read_dir(&drills).unwrap().count(), 4);

    let list: Value = serde_json::from_str(&product.succeed(&["--json", "list"])).unwrap();
    assert_eq!(list["backups"][0]["drilled"]["verdict"], "passed", "{list:#}");
    assert_eq!(list["foreign_keys"], 0, "a drill's record is no foreign key");
    let show: Value = serde_json::from_str(&product.succeed(&["--json", "show"])).unwrap();
    assert_eq!(show["drilled"]["verdict"], "passed");
    assert!(product.succeed(&["list"]).contains("DRILLED"));

    // Nobody listens there: the store says it alone.
    let product = product.set("RELIQUARY__HTTP__LISTEN", "127.0.0.1:9");
    let status: Value = serde_json::from_str(&product.succeed(&["--json", "status"])).unwrap();
    let drills = &status["databases"][0]["drills"];
    assert_eq!(drills["last"]["id"], again["id"], "{status:#}");
    assert_eq!(drills["last"]["verdict"], "passed");
    assert!(drills["restore_seconds"].as_f64().unwrap() > 0.0, "{drills:#}");
    let text = product.succeed(&["status"]);
    assert!(text.contains("  last drill  ") && text.contains("sandbox "), "{text}");
}

#[test]
fn no_record_leaves_the_bucket_as_it_is() {
    let (_server, _room, product, _backup) = backed_up();
    let record = product.drill(0, &["--no-record"]);
    assert_eq!(record["recorded"], false);
    assert!(!product.store_dir().join("database/drills").exists());
}

#[rstest]
#[case(15)]
#[case(16)]
#[case(18)]
fn the_nasty_database_passes_on_every_major(#[case] major: u32) {
    let server = Server::start(major);
    server.create_database("nasty");
    server.load_nasty("nasty");
    let product = Product::of(&server, "nasty");
    let backup = product.backup(&[]);
    let record = product.drill(0, &[]);
    passed(&record);
    assert_eq!(record["rows_compared"], backup.manifest.rows);
    let version = record["sandbox"]["server_version"].as_str().unwrap();
    assert!(version.starts_with(&major.to_string()), "{version}");
}

#[test]
fn an_older_major_than_there_is_is_drilled_on_the_nearest_newer_one() {
    let server = Server::start(15);
    shop(&server);
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    // As if the source were of a major whose programs are not here.
    let id = product.drill(0, &["--no-record"])["backup"]["id"].as_str().unwrap().to_owned();
    let month = id[..7].replace('-', "/");
    let path = product.store_dir().join(format!("database/{month}/{id}.manifest.json"));
    let text = fs::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["source"]["server_version_num"] = 140_000.into();
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let record = product.drill(0, &[]);
    passed(&record);
    assert!(record["sandbox"]["server_version"].as_str().unwrap().starts_with("15."));
}

#[test]
fn a_supabase_database_passes_on_plain_postgresql() {
    let server = Server::start(15);
    server.create_database("hosted");
    server.psql_file("hosted", fixture("supabase.sql"));
    server.psql(
        "hosted",
        "create extension pgcrypto with schema extensions;
         create table public.gift (id uuid primary key default extensions.gen_random_uuid(),
                                   donor uuid);
         alter table public.gift enable row level security;
         create policy own on public.gift to authenticated using (donor = auth.uid());
         insert into public.gift (donor) select null from generate_series(1, 20);",
    );
    let product = Product::of(&server, "hosted");
    product.backup(&[]);
    let whole = product.drill(0, &[]);
    passed(&whole);
    assert_eq!(whole["stand_ins"], serde_json::json!([]), "the dump brings all it needs");

    // What the platform keeps is left out, and stood in for.
    let lean = product.configured(
        "[databases.main.exclude]\nschemas = ['auth', 'storage', 'realtime', 'extensions']\n",
    );
    lean.backup(&[]);
    let record = lean.drill(0, &[]);
    passed(&record);
    let stand_ins = record["stand_ins"].as_array().unwrap();
    for expected in ["schema auth", "function auth.uid()"] {
        assert!(stand_ins.iter().any(|found| found == expected), "{stand_ins:?}");
    }
    assert_eq!(record["rows_compared"], 20);
}

#[test]
fn a_legacy_archive_of_pg_dump_passes() {
    let (server, _room, product, _backup) = backed_up();
    let mut pg_dump = command(server.bin("pg_dump"));
    let sql = pg_dump.args(["-d", &server.url("shop")]).output_of(b"");
    product.legacy("2025-01-02T03-00-00Z", &sql);
    let record = product.drill(0, &["2025-01-02T03-00-00Z"]);
    passed(&record);
    assert_eq!(record["backup"]["legacy"], true);
    assert_eq!(record["rows_compared"], 5050);
}

#[test]
fn a_legacy_archive_with_owners_and_rights_passes() {
    let (server, _room, product, _backup) = backed_up();
    server.psql(
        "shop",
        "create role app; create role \"The Readers\"; create role boss;
         alter table gift owner to app; alter table church owner to app;
         grant select on church to \"The Readers\";
         alter table gift enable row level security;
         create policy own on gift to boss using (true);
         alter default privileges for role boss grant select on tables to app;
         create role mighty superuser;
         create function noted() returns event_trigger language plpgsql as 'begin end';
         create event trigger noted on ddl_command_end execute function noted();
         alter event trigger noted owner to mighty;
         create foreign data wrapper far; alter foreign data wrapper far owner to mighty;
         create materialized view logins as select rolname, rolpassword from pg_authid;
         alter materialized view logins owner to mighty;",
    );
    let mut pg_dump = command(server.bin("pg_dump"));
    let sql = pg_dump.args(["-d", &server.url("shop")]).output_of(b"");
    product.legacy("2025-01-02T03-00-00Z", &sql);
    let record = product.drill(0, &["2025-01-02T03-00-00Z"]);
    passed(&record);
    assert_eq!(record["rows_compared"], 5050);
}

#[test]
fn a_prisma_database_is_asked_about_its_migrations() {
    let server = Server::start(15);
    shop(&server);
    server.psql(
        "shop",
        "create table _prisma_migrations (id text, migration_name text, finished_at timestamptz,
                                          rolled_back_at timestamptz);
         insert into _prisma_migrations values
           ('1', 'init', now(), null),
           ('2', 'again', null, now() - interval '1 hour'), ('3', 'again', now(), null);",
    );
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    let record = product.drill(0, &[]);
    passed(&record);
    assert_eq!(record["checks"].as_array().unwrap().len(), 2);
    server.psql("shop", "delete from _prisma_migrations");
    server.psql(
        "shop",
        "insert into _prisma_migrations values ('2', 'half', null, null), ('3', 'back', null, now()),
           ('4', 'applied', now() - interval '1 hour', null), ('5', 'applied', null, now())",
    );
    product.backup(&["--manual"]);
    let record = product.drill(3, &[]);
    assert_eq!(record["failure"]["reason"], "check_failed");
    let message = record["failure"]["message"].as_str().unwrap();
    assert!(message.contains("unfinished") && message.contains("3 rows"), "{record:#}");
    // Who knows better says so under the same name.
    let product = product.configured(
        "[[drill.checks]]\nname = 'public: no Prisma migration is unfinished or rolled back'\n\
         sql = 'SELECT'\nexpect = 'rows >= 0'\n",
    );
    passed(&product.drill(0, &[]));
}

#[test]
fn the_sample_passes_the_runbooks_smoke_tests() {
    let server = Server::start(15);
    server.create_database("altarflow");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    server.psql_file("altarflow", root.join("src/cli/demo/sample.sql"));
    let settings = fs::read_to_string(root.join("config/altarflow.toml")).unwrap();
    let checks = &settings[settings.find("[[drill.checks]]").unwrap()..];
    let product = Product::of(&server, "altarflow").configured(checks);
    product.backup(&[]);
    let record = product.drill(0, &[]);
    passed(&record);
    let named = |name: &str| {
        let checks = record["checks"].as_array().unwrap();
        checks.iter().any(|check| check["name"] == name && check["outcome"] == "ok")
    };
    for name in ["there is a church", "there is a donation", "every donation has its church"] {
        assert!(named(name), "{name}: {record:#}");
    }
    // What the tests ask is held against the data, too.
    server.psql(
        "altarflow",
        r#"update "DonationTransaction" set "createdAt" = now() - interval '3 days'"#,
    );
    product.backup(&["--manual"]);
    let record = product.drill(3, &[]);
    assert_eq!(record["failure"]["reason"], "check_failed");
    assert!(
        record["failure"]["message"].as_str().unwrap().contains("newest donation"),
        "{record:#}"
    );
}
