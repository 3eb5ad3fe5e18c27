//! Drills in a database of the settings instead of a sandbox.

use super::*;
use crate::support::postgres::{ServerOptions, fixture};

/// The shop backed up, and a server with a database `throwaway` to drill in.
fn borrowed() -> (Server, Server, Product) {
    let (source, target) = (Server::start(15), Server::start(15));
    shop(&source);
    target.create_database("throwaway");
    let product =
        Product::of(&source, "shop").set("RELIQUARY__DRILL__TARGET", target.url("throwaway"));
    product.backup(&[]);
    (source, target, product)
}

/// What is left in a database: everything that has a place of its own in it.
fn left(server: &Server, database: &str) -> String {
    server.psql(
        database,
        "select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_'
           and nspname not in ('information_schema', 'public')
         union all select 'relation ' || relname from pg_class where oid >= 16384
           and relnamespace::regnamespace::text !~ '^pg_'
         union all select 'function ' || proname from pg_proc where oid >= 16384
         union all select 'type ' || typname from pg_type where oid >= 16384
           and typnamespace::regnamespace::text !~ '^pg_'
         union all select 'extension ' || extname from pg_extension where extname <> 'plpgsql'
         union all select 'publication ' || pubname from pg_publication
         union all select 'event trigger ' || evtname from pg_event_trigger
         union all select 'large object' from pg_largeobject_metadata
         union all select 'role ' || rolname from pg_roles where oid >= 16384
         order by 1",
    )
}

fn refused(product: &Product) -> String {
    let record = product.drill(1, &[]);
    assert_eq!(record["verdict"], "unproven", "{record:#}");
    assert_eq!(record["failure"]["reason"], "target", "{record:#}");
    record["failure"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_settings_database_is_used_and_emptied_again() {
    let (_source, target, product) = borrowed();
    for _ in 0..2 {
        let record = product.drill(0, &[]);
        assert_eq!(record["verdict"], "passed", "{record:#}");
        assert_eq!(record["sandbox"]["place"], "target");
        assert_eq!(record["rows_compared"], 5050);
        assert_eq!(record["warnings"], serde_json::json!([]), "{record:#}");
        assert_eq!(left(&target, "throwaway"), "");
    }
    let page = product.store_dir().join("database/drills");
    let pages = fs::read_dir(page).unwrap().flatten().map(|entry| entry.path());
    for page in pages.filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(page).unwrap();
        assert!(text.contains("| which is | a target |"), "{text}");
    }
}

#[test]
fn everything_that_a_database_can_hold_is_taken_out_again() {
    let (source, target) = (Server::start(15), Server::start(15));
    source.create_database("nasty");
    source.load_nasty("nasty");
    target.create_database("throwaway");
    let product =
        Product::of(&source, "nasty").set("RELIQUARY__DRILL__TARGET", target.url("throwaway"));
    product.backup(&[]);
    target.psql("throwaway", "create extension citext");
    let before = left(&target, "throwaway");
    let record = product.drill(0, &[]);
    assert_eq!(record["verdict"], "passed", "{record:#}");
    assert_eq!(left(&target, "throwaway"), before);
}

/// What was there before the first drill stays, with what it stands in.
#[test]
fn extensions_stay_with_their_schemas_and_empty_schemas_too() {
    let (_source, target, product) = borrowed();
    target.psql(
        "throwaway",
        "create schema tools; create extension hstore schema tools; create schema \"Empty one\"",
    );
    let before = left(&target, "throwaway");
    for _ in 0..2 {
        assert_eq!(product.drill(0, &[])["verdict"], "passed");
        assert_eq!(left(&target, "throwaway"), before);
    }
}

/// Its extensions, its names and its encoding are somebody else's.
#[test]
fn what_the_target_has_otherwise_condemns_no_backup() {
    let (source, target) = (Server::start(15), Server::start(15));
    for (database, sql) in [
        (
            "moved",
            "create extension pgcrypto;
             create table d (id int, t text default encode(public.gen_random_bytes(4), 'hex'))",
        ),
        ("clash", "create type citext as enum ('x'); create table d (c citext)"),
        ("letters", "create table d (t text); insert into d values ('żółć')"),
    ] {
        source.create_database(database);
        source.psql(database, sql);
        target.psql(
            "postgres",
            &format!(
                "create database {database} template template0 lc_collate 'C' lc_ctype 'C' encoding {}",
                if database == "letters" { "'LATIN1'" } else { "'UTF8'" }
            ),
        );
    }
    target.psql("moved", "create schema tools; create extension pgcrypto schema tools");
    target.psql("clash", "create extension citext");
    for (database, exit, reason, said) in [
        ("moved", 3, "missing_extension", "pgcrypto (it has it in schema tools)"),
        ("clash", 1, "target", "already exists"),
        ("letters", 1, "target", "has no equivalent in encoding"),
    ] {
        let product =
            Product::of(&source, database).set("RELIQUARY__DRILL__TARGET", target.url(database));
        product.backup(&[]);
        let record = product.drill(exit, &[]);
        assert_eq!(record["failure"]["reason"], reason, "{record:#}");
        let message = record["failure"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
        let list = product.run(&["--json", "list"]);
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(!list.contains("\"restore_error\""), "{list}");
    }
}

#[test]
fn a_failed_drill_empties_it_too() {
    let (_source, target, product) = borrowed();
    let product = product.configured(
        "[[drill.checks]]\nname = 'few'\nsql = 'select from gift'\nexpect = 'rows < 10'\n",
    );
    assert_eq!(product.drill(3, &[])["failure"]["reason"], "check_failed");
    assert_eq!(left(&target, "throwaway"), "");
}

#[test]
fn the_source_is_refused_however_it_is_spelt() {
    let (source, _target, product) = borrowed();
    let before = left(&source, "shop");
    let own = product.clone().set("RELIQUARY__DRILL__TARGET", source.url("shop"));
    let output = own.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("drill.target: is the database of"), "{}", said(&output));
    let own = product.set("RELIQUARY__DRILL__TARGET_IS_THROWAWAY", "true");
    let own = own.set("RELIQUARY__DRILL__TARGET", otherwise(&source, "shop"));
    assert!(refused(&own).contains("it is the source"), "even where it is called a throwaway");
    assert_eq!(left(&source, "shop"), before, "nothing was touched");
}

/// The URL of a database, spelt so that the settings don't see whose it is.
fn otherwise(server: &Server, database: &str) -> String {
    format!("{}%2F", server.url(database))
}

#[test]
fn another_database_s_source_is_refused_and_so_is_one_that_cannot_be_asked() {
    let (source, target) = (Server::start(15), Server::start(15));
    shop(&source);
    target.create_database("other");
    target.psql("other", "create table precious (id int)");
    let settings = |other: &str| {
        format!(
            "[databases.main]\nurl = {:?}\nprefix = \"database/\"\n\
             [databases.other]\nurl = {other:?}\nprefix = \"other/\"\n",
            source.url("shop")
        )
    };
    let product = Product::of(&source, "shop").configured(&settings(&target.url("other")));
    product.succeed(&["backup", "-d", "main"]);
    let product = product
        .set("RELIQUARY__DRILL__TARGET", otherwise(&target, "other"))
        .set("RELIQUARY__DRILL__TARGET_IS_THROWAWAY", "true");
    let before = left(&target, "other");
    let refused = |product: &Product| {
        let record = product.drill(1, &["-d", "main"]);
        assert_eq!(record["failure"]["reason"], "target", "{record:#}");
        record["failure"]["message"].as_str().unwrap().to_owned()
    };
    let message = refused(&product);
    assert!(message.contains("databases.other: it is the source"), "{message}");
    let gone = "postgres://app@127.0.0.1:9/other";
    let message = refused(&product.configured(&settings(gone)));
    assert!(message.contains("databases.other: it cannot be told"), "{message}");
    assert!(!message.contains("127.0.0.1"), "{message}");
    assert_eq!(left(&target, "other"), before, "nothing was touched");
}

#[test]
fn a_database_that_may_be_the_source_is_refused_where_that_cannot_be_asked() {
    let (source, target, product) = borrowed();
    // The same cluster by its identifier, as a clone of the source's disk is.
    let sql = "select system_identifier from pg_control_system()";
    let ids = [&source, &target].map(|server| server.psql("postgres", sql).trim().to_owned());
    let id = &product.drill(0, &["--no-record"])["backup"]["id"];
    let id = id.as_str().unwrap();
    let month = id[..7].replace('-', "/");
    let path = product.store_dir().join(format!("database/{month}/{id}.manifest.json"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&ids[0], &ids[1])).unwrap();
    target.psql("postgres", "create database shop");
    let product = product.set("RELIQUARY__DRILL__TARGET", target.url("shop"));
    drop(source);
    assert!(refused(&product).contains("it is the source"), "{}", refused(&product));
    // Another identifier is that of before a move: the source may be here since.
    fs::write(&path, text.replace(&ids[0], "7000000000000000001")).unwrap();
    let message = refused(&product);
    assert!(message.contains("cannot be told whether it is"), "{message}");
}

#[test]
fn what_no_drill_has_put_there_is_refused_and_stays_unless_it_is_called_a_throwaway() {
    let (_source, target, product) = borrowed();
    target.psql(
        "throwaway",
        "create table precious (id int); create schema a; create view a.v as select 1",
    );
    let before = left(&target, "throwaway");
    let message = refused(&product);
    assert!(message.contains("public.precious"), "{message}");
    assert!(message.contains("drill.target_is_throwaway"), "{message}");
    assert_eq!(left(&target, "throwaway"), before, "nothing was touched");
    let product = product.set("RELIQUARY__DRILL__TARGET_IS_THROWAWAY", "true");
    assert_eq!(product.drill(0, &[])["verdict"], "passed");
    assert_eq!(left(&target, "throwaway"), "");
}

#[test]
fn what_a_killed_drill_has_left_is_known_as_ours_and_cleared_by_the_next() {
    let (_source, target, product) = borrowed();
    let slow = product.configured(
        "[[drill.checks]]\nname = 'slow'\nsql = 'select pg_sleep(3600)'\nexpect = 'rows = 1'\n",
    );
    let mut child = slow
        .command(&["--json", "drill"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let asks = "select count(*) from pg_stat_activity where query like '%pg_sleep(3600)%'
                and pid <> pg_backend_pid()";
    killed::until("the question", || target.psql("throwaway", asks).trim() != "0");
    // Another drill at the same time does not begin, and leaves nothing behind.
    let other = slow.drill(1, &[]);
    assert_eq!(other["failure"]["reason"], "busy", "{other:#}");
    assert!(other["failure"]["message"].as_str().unwrap().contains("another drill is in it"));
    assert_eq!(other["recorded"], false);
    let drills = fs::read_dir(slow.store_dir().join("database/drills")).unwrap();
    assert_eq!(drills.count(), 1, "the claim of the first");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(left(&target, "throwaway").contains("relation gift"));
    let left_check = || {
        let status = slow.run(&["--json", "status"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let checks = status["databases"][0]["health"]["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == "drill_left")
    };
    assert_eq!(left_check(), None, "it may be under way on another machine");
    // It has had its time.
    let drills = slow.store_dir().join("database/drills");
    let claim = fs::read_dir(drills).unwrap().next().unwrap().unwrap().path();
    let mut record: Value = serde_json::from_slice(&fs::read(&claim).unwrap()).unwrap();
    for time in ["started", "finished"] {
        record[time] = "2025-01-01T00:00:00Z".into();
    }
    fs::write(&claim, record.to_string()).unwrap();
    let said = left_check().unwrap();
    assert_eq!(said["ok"], false, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("the next drill there empties it"), "{said}");
    killed::until("its sessions' end", || target.psql("throwaway", asks).trim() == "0");
    let record = slow.clone().configured("").drill(0, &[]);
    assert_eq!(record["verdict"], "passed");
    assert_eq!(left(&target, "throwaway"), "");
    assert_eq!(left_check(), None);
}

#[test]
fn a_database_with_more_in_it_than_a_server_can_lock_at_once_is_emptied() {
    let source = Server::start(15);
    shop(&source);
    let settings = vec![("max_connections".to_owned(), "20".to_owned())];
    let options = ServerOptions { settings, ..ServerOptions::default() };
    let target = Server::start_with(15, options);
    target.create_database("throwaway");
    target.psql("throwaway", "create schema \"Many\"");
    for batch in 0..8 {
        target.psql("throwaway", "select lo_create(0) from generate_series(1, 500)");
        let tables = format!(
            "do $$ begin for n in 1..100 loop execute format(
               'create table %I.t_%s_%s (id int primary key)', 'Many', {batch}, n);
             end loop; end $$"
        );
        target.psql("throwaway", &tables);
    }
    let product = Product::of(&source, "shop")
        .set("RELIQUARY__DRILL__TARGET", target.url("throwaway"))
        .set("RELIQUARY__DRILL__TARGET_IS_THROWAWAY", "true");
    product.backup(&[]);
    let record = product.drill(0, &[]);
    assert_eq!(record["verdict"], "passed", "{record:#}");
    assert_eq!(left(&target, "throwaway"), "");
}

#[test]
fn a_role_that_drills_have_made_is_dropped_by_a_login_that_is_no_superuser_or_named() {
    let source = Server::start(15);
    shop(&source);
    source.psql("shop", "create role reader; grant usage on schema public to reader");
    let target = Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() });
    target.psql("postgres", "create role driller login createrole password 'of_the_driller'");
    target.psql("postgres", "create database throwaway owner driller");
    let url = target.tcp_url("throwaway", "driller", "of_the_driller");
    let product = Product::of(&source, "shop").set("RELIQUARY__DRILL__TARGET", url);
    product.backup(&[]);
    let there: Vec<String> = target
        .psql(
            "throwaway",
            "select 'LANGUAGE ' || lanname from pg_language where lanname <> 'plpgsql'
             union all select 'ACCESS METHOD ' || amname from pg_am
             union all select 'EXTENSION ' || extname from pg_extension",
        )
        .lines()
        .map(str::to_owned)
        .collect();
    let mark = serde_json::json!({ "there": there, "roles": ["of_the_backup"] });
    target.psql(
        "throwaway",
        &format!(
            "create role of_the_backup; set role driller; create schema reliquary_drill;
             comment on schema reliquary_drill is '{mark}'"
        ),
    );
    // It owns something in another database.
    target.psql("postgres", "create schema own authorization of_the_backup");
    let record = product.drill(0, &[]);
    assert_eq!(record["verdict"], "passed", "{record:#}");
    let warnings = record["warnings"].to_string();
    assert!(warnings.contains("the role of_the_backup was made for a backup"), "{warnings}");
    let stay = "role driller\nrole of_the_backup\nschema reliquary_drill\n";
    assert_eq!(left(&target, "throwaway"), stay, "and no reader");
    // What comes there since is no drill's.
    target.psql("throwaway", "create table precious (id int)");
    assert!(refused(&product).contains("public.precious"));
    target.psql("throwaway", "drop table precious");
    target.psql("postgres", "drop schema own");
    let record = product.drill(0, &[]);
    assert_eq!(record["warnings"], serde_json::json!([]), "{record:#}");
    assert_eq!(left(&target, "throwaway"), "role driller\n");
}

#[test]
fn a_target_is_emptied_although_the_session_that_held_it_was_lost() {
    let (_source, target, product) = borrowed();
    let product = product.configured(
        "[[drill.checks]]\nname = 'the end of who holds it'\nexpect = 'rows = 1'\n\
         sql = \"select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'\"\n",
    );
    assert_eq!(product.drill(0, &[])["verdict"], "passed");
    assert_eq!(left(&target, "throwaway"), "");
}

#[test]
fn a_target_that_was_not_emptied_again_is_said_and_is_not_passed() {
    let (_source, target, product) = borrowed();
    let slow = product.configured(
        "[[drill.checks]]\nname = 'slow'\nsql = 'select pg_sleep(2)'\nexpect = 'rows = 1'\n",
    );
    let child = slow.command(&["drill"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let asks = "select count(*) from pg_stat_activity where query like '%pg_sleep(2)%'
                and pid <> pg_backend_pid()";
    killed::until("the question", || target.psql("throwaway", asks).trim() != "0");
    target.psql(
        "postgres",
        "alter database throwaway allow_connections false;
         select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory';",
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("is UNPROVEN (target)"), "{text}");
    assert!(text.contains("drill.target was not emptied"), "{text}");
    target.psql("postgres", "alter database throwaway allow_connections true");
    assert!(left(&target, "throwaway").contains("relation gift"));
    assert_eq!(slow.configured("").drill(0, &[])["verdict"], "passed");
    assert_eq!(left(&target, "throwaway"), "");
}

#[test]
fn a_supabase_project_is_drilled_in_and_keeps_what_is_the_platforms() {
    let hosted = |server: &Server| {
        server.create_database("hosted");
        server.psql_file("hosted", fixture("supabase.sql"));
    };
    let (source, target) = (Server::start(15), Server::start(15));
    hosted(&source);
    hosted(&target);
    source.psql(
        "hosted",
        "create table public.gift (id int primary key, donor uuid);
         insert into public.gift select n, null from generate_series(1, 20) n;
         insert into auth.users (id, email) select gen_random_uuid(), n || '@example.org'
           from generate_series(1, 3) n;
         insert into auth.identities (user_id) select id from auth.users;",
    );
    let rows = |server: &Server| {
        let count =
            "select (select count(*) from auth.users), (select count(*) from auth.identities),
                     (select count(*) from auth.schema_migrations)";
        server.psql("hosted", count).trim().to_owned()
    };
    assert_eq!(rows(&source), "3|3|1");
    let before = left(&target, "hosted");
    let product =
        Product::of(&source, "hosted").set("RELIQUARY__DRILL__TARGET", target.url("hosted"));
    product.backup(&[]);
    let record = product.drill(0, &[]);
    assert_eq!(record["verdict"], "passed", "{record:#}");
    assert_eq!(left(&target, "hosted"), before);
    assert_eq!(rows(&target), "0|0|1", "what the platform keeps itself stays");
}
