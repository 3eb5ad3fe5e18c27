//! Onto a server that looks like a Supabase project, as a role that is no superuser.

use super::said;
use crate::support::{
    postgres::{Server, ServerOptions, fixture},
    product::Product,
};

/// What the application of a project adds to it.
pub(super) const APPLICATION: &str = "
    insert into auth.users values ('00000000-0000-0000-0000-000000000001', 'a@example.org', now()),
                                  ('00000000-0000-0000-0000-000000000002', 'b@example.org', now());
    insert into auth.identities (user_id) select id from auth.users;
    insert into storage.buckets values ('receipts', 'receipts');
    insert into storage.objects values ('00000000-0000-0000-0000-000000000003', 'receipts', 'x.pdf', null);
    insert into auth.schema_migrations values ('20260202');
    create table auth.audit_of_an_old_version (id int primary key);
    create table profiles (id uuid primary key references auth.users on delete cascade, name text);
    insert into profiles select id, email from auth.users;
    alter table profiles enable row level security;
    create policy own on profiles to authenticated using (auth.uid() = id);
    create role donation_reader;
    create policy readers on profiles for select to donation_reader using (true);
    create function handle_new_user() returns trigger language plpgsql security definer as
      $$ begin insert into public.profiles values (new.id, new.email); return new; end $$;
    create trigger on_auth_user_created after insert on auth.users for each row execute function handle_new_user();
    create policy receipts on storage.objects for select to authenticated using (owner = auth.uid());
    create publication everything for all tables;
    alter publication supabase_realtime add table profiles;
    create function on_ddl() returns event_trigger language plpgsql as $$ begin end $$;
    create event trigger watch on ddl_command_end execute function on_ddl();";

pub(super) fn server() -> Server {
    Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() })
}

pub(super) fn project(server: &Server, name: &str) {
    server.create_database(name);
    server.psql_file(name, fixture("supabase.sql"));
}

/// A fresh project that the platform's own role may restore into, once the SQL has
/// changed it; the product knows it as `env:TARGET`.
pub(super) fn fresh(product: &Product, server: &Server, database: &str, sql: &str) -> Product {
    project(server, database);
    server.psql(
        database,
        &format!(
            "alter role postgres_ password 'hunter2';
             grant create on database {database} to postgres_; {sql}"
        ),
    );
    product.clone().set("TARGET", server.tcp_url(database, "postgres_", "hunter2"))
}

#[test]
fn a_project_comes_back_into_a_fresh_one() {
    let source = server();
    project(&source, "project");
    source.psql("project", APPLICATION);
    let product = Product::of(&source, "project");
    product.backup(&[]);

    let target = server();
    let product = fresh(&product, &target, "fresh", "");
    let plan = product.run(&["restore", "--to", "env:TARGET", "--dry-run"]);
    let planned = said(&plan);
    // As the restore itself would end: the policy of a role that is not there is lost.
    assert_eq!(plan.status.code(), Some(1), "{planned}");
    for part in [
        "platform   Supabase",
        "managed    auth, extensions, realtime, storage",
        "fills      auth.users: is there",
        "rows of auth.schema_migrations: the platform notes its own changes there (platform difference)",
        "event trigger watch: only a superuser may make it (platform difference)",
        "publication everything: only a superuser may publish all tables (platform difference)",
        "policy readers of public.profiles: the target has no role donation_reader; --create-roles creates it (data loss)",
        "definitions of schema auth: the platform keeps its own (platform difference)",
    ] {
        assert!(planned.contains(part), "{part}: {planned}");
    }
    assert_eq!(target.psql("fresh", "select count(*) from auth.users").trim(), "0");

    let output = product.run(&["--json", "restore", "--to", "env:TARGET", "--create-roles"]);
    let text = said(&output);
    // The policy on the platform's own table is not allowed: that is a loss.
    assert_eq!(output.status.code(), Some(1), "{text}");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(report["outcome"], "failed");
    assert_eq!(report["platform"], "Supabase");
    assert_eq!(report["different"].as_array().unwrap().len(), 0, "{report}");
    let lost: Vec<&str> = report["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|skipped| skipped["class"] == "data_loss")
        .map(|skipped| skipped["what"].as_str().unwrap())
        .collect();
    assert_eq!(lost, ["policy receipts of storage.objects"], "{report}");

    let is = |sql: &str| target.psql("fresh", sql).trim().to_owned();
    assert_eq!(is("select count(*) from auth.users"), "2");
    // The application's own trigger did not fire while the rows came back.
    assert_eq!(is("select count(*) from profiles"), "2");
    assert_eq!(is("select string_agg(version, ' ') from auth.schema_migrations"), "20260101");
    assert_eq!(is("select count(*) from storage.objects"), "1");
    assert_eq!(is("select nextval('auth.identities_id_seq')"), "3");
    assert_eq!(
        is("select string_agg(polname, ' ' order by polname) from pg_policy"),
        "own readers"
    );
    assert_eq!(is("select count(*) from pg_trigger where tgname = 'on_auth_user_created'"), "1");
    assert_eq!(is("select count(*) from pg_roles where rolname = 'donation_reader'"), "1");
    assert_eq!(is("select has_table_privilege('anon', 'profiles', 'select')"), "t");
    assert!(!text.contains("hunter2"), "{text}");

    // Again, over what is there.
    let again =
        product.run(&["-q", "restore", "--to", "env:TARGET", "--clean", "--yes", "--create-roles"]);
    let text = said(&again);
    assert!(text.contains("data loss") && !text.contains("stopped"), "{text}");
    assert_eq!(is("select count(*) from auth.users"), "2");
    assert_eq!(is("select count(*) from profiles"), "2");
}

/// What the project's own tables held and the target has no place for is lost, and said.
#[test]
fn rows_that_a_managed_schema_has_no_table_for_are_a_loss() {
    let source = server();
    project(&source, "project");
    source.psql(
        "project",
        "create table auth.extra (id int); insert into auth.extra values (1);
         alter table realtime.messages add extra text; insert into realtime.messages values (1, '{}', 'x');
         create table auth.empty_of_an_old_version (id int);
         create function auth.of_an_old_version() returns int language sql as 'select 1';
         create view auth.of_another as select 1 as a;
         create view public.on_it as select a from auth.of_another;
         create view public.calls_it as select auth.of_an_old_version() as b;
         create table realtime.daily (id int, at date) partition by range (at);
         create table realtime.daily_1 partition of realtime.daily for values from ('2026-11-01') to ('2026-11-02');
         create table auth.parted (id int) partition by range (id);
         create table auth.parted_1 partition of auth.parted for values from (1) to (2);
         insert into realtime.daily values (1, '2026-11-01'); insert into auth.parted values (1);",
    );
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    let other = "create table realtime.daily (id int, at date) partition by range (at)";
    let product = fresh(&product, &target, "fresh", other);
    let output = product.run(&["-q", "restore", "--to", "env:TARGET"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "1 row of auth.extra: the target has no such table (data loss)",
        "1 row of realtime.messages: the target's table has no column extra (data loss)",
        "1 row of auth.parted_1: the target has no such table (data loss)",
        "1 row of realtime.daily_1: the platform makes the partitions of realtime.daily itself (platform difference)",
        "0 rows of auth.empty_of_an_old_version: the target has no such table (platform difference)",
        "function auth.of_an_old_version: the platform keeps its own, and has none of this name (platform difference)",
        "view public.on_it: view auth.of_another is skipped (data loss)",
        "view public.calls_it: function auth.of_an_old_version is skipped (data loss)",
        "NOT whole: 5 things",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// What the application took from the platform's roles stays taken.
#[test]
fn a_part_gives_no_rights_on_what_is_there() {
    let source = server();
    project(&source, "project");
    source.psql(
        "project",
        "create table t (id int); create table fresh (id int); create table secrets (id int);",
    );
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    let product = fresh(
        &product,
        &target,
        "copy",
        "grant all on schema public to postgres_;
         create table t (id int); create table secrets (id int);
         grant all on secrets, t to anon; revoke all on secrets, t from anon;
         alter table t owner to postgres_; alter table secrets owner to postgres_;",
    );
    let part = ["restore", "--to", "env:TARGET", "--table", "public.t", "--table", "public.fresh"];
    let planned = said(&product.run(&[&part[..], &["--dry-run"]].concat()));
    for line in ["grants     GRANT ALL ON TABLE public.fresh TO anon,", "no GRANT and no REVOKE"] {
        assert!(planned.contains(line), "{line}: {planned}");
    }
    let output = product.run(&part);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let may = "select has_table_privilege('anon', 'public.t', 'select'),
                      has_table_privilege('anon', 'public.secrets', 'select'),
                      has_table_privilege('anon', 'public.fresh', 'select')";
    assert_eq!(target.psql("copy", may).trim(), "f|f|t");
}

/// A schema that is closed to the role is nobody's platform: whoever opens it
/// gets everything back, and until then nothing is touched.
#[test]
fn a_closed_schema_of_no_platform_is_refused_with_what_opens_it() {
    let server = server();
    server.create_database("app");
    server.psql(
        "app",
        "create schema closed; create table closed.t (a int); insert into closed.t values (1);
         create materialized view \"closed\".m as select 1 as one;
         create role keeper login password 'hunter2';",
    );
    let product = Product::of(&server, "app");
    product.backup(&[]);
    server.create_database("copy");
    server.psql(
        "copy",
        "grant create on database copy to keeper; grant all on schema public to keeper;
         create schema closed; grant usage on schema closed to keeper;",
    );
    let product = product.set("TARGET", server.tcp_url("copy", "keeper", "hunter2"));
    for more in [&[][..], &["--dry-run"], &["--schema", "closed"]] {
        let output = product.run(&[&["restore", "--to", "env:TARGET"], more].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let refused = "role keeper may not create in schema closed (to mend it: GRANT CREATE ON SCHEMA closed TO keeper)";
        assert!(text.contains(refused), "{text}");
    }
    server.psql("copy", "grant create on schema closed to keeper");
    let output = product.run(&["restore", "--to", "env:TARGET"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(server.psql("copy", "select count(*) from closed.t").trim(), "1");
}

/// One stream cannot leave out what belongs to the platform.
#[test]
fn a_legacy_archive_is_not_tried_on_a_platform() {
    let server = server();
    project(&server, "project");
    let product = Product::of(&server, "project");
    let id = "2026-01-02T03-00-00Z";
    let folder = product.store_dir().join("database/2026/01");
    std::fs::create_dir_all(&folder).unwrap();
    let line = format!("pg_dump --no-owner --no-privileges \"$URL\" | gzip > {id}.sql.gz");
    let url = [("URL", server.url("project"))];
    crate::support::product::shell(&folder, &server, &url, &line);
    let product = fresh(&product, &server, "fresh", "");
    let before = server.dump_plain("fresh");
    for more in [&["--dry-run"][..], &[], &["--clean", "--yes"]] {
        let output = product.run(&[&["restore", id, "--to", "env:TARGET"], more].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in ["hosted on Supabase", "into a plain PostgreSQL", "--to -"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    crate::support::postgres::assert_same_dump(&before, &server.dump_plain("fresh"));
}

/// The platform opens every table to everybody as it is made: row-level security
/// closes it before a row comes, so that it is closed wherever a restore stops.
#[test]
fn rows_are_never_open_to_everybody_while_they_come() {
    let source = server();
    project(&source, "project");
    source.psql(
        "project",
        "create table secrets (id int primary key, word text); create index on secrets (word);
         insert into secrets values (1, 'x'); alter table secrets enable row level security;",
    );
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    let part = ["--table", "public.secrets"];
    for (database, more, stops) in [
        ("whole", &[][..], true),
        ("part", &part, true),
        ("again", &[], false),
        ("one", &part, false),
    ] {
        let product = fresh(&product, &target, database, "alter role postgres_ nobypassrls");
        if stops {
            target.psql(
                database,
                "create function extensions.stop() returns event_trigger language plpgsql as
                   $$ begin raise exception 'not today'; end $$;
                 create event trigger stop on ddl_command_start when tag in ('CREATE INDEX')
                   execute function extensions.stop();",
            );
        }
        let output = product.run(&[&["restore", "--to", "env:TARGET"], more].concat());
        let text = said(&output);
        assert_eq!(output.status.success(), !stops, "{text}");
        assert_eq!(text.contains("stopped at stage indexes"), stops, "{text}");
        let closed = "select relrowsecurity from pg_class where relname = 'secrets';
                      select count(*) from secrets";
        assert_eq!(target.psql(database, closed), "t\n1\n", "{text}");
    }
}

/// Also where a person makes the tables first and fills them later, or has them as SQL.
#[test]
fn sections_and_sql_close_tables_as_early_as_a_whole_restore() {
    let source = server();
    project(&source, "project");
    source.psql(
        "project",
        "create table secrets (id int primary key, word text);
         insert into secrets values (1, 'x'); alter table secrets enable row level security;
         alter table secrets force row level security;
         create policy own on secrets using (false);",
    );
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    let security = "select relrowsecurity, relforcerowsecurity from pg_class
                    where relname = 'secrets'";
    let product = fresh(&product, &target, "sections", "alter role postgres_ nobypassrls");
    for (section, is) in [("pre-data", "t|f"), ("data", "t|f"), ("post-data", "t|t")] {
        let output = product.run(&["restore", "--to", "env:TARGET", "--section", section]);
        assert_eq!(output.status.code(), Some(0), "{section}: {}", said(&output));
        assert_eq!(target.psql("sections", security).trim(), is, "{section}");
    }
    assert_eq!(target.psql("sections", "select count(*) from secrets").trim(), "1");

    for (database, part) in [("part", &["--table", "public.secrets"][..]), ("everything", &[])] {
        let sql = product.succeed(&[&["restore", "--to", "-"], part].concat());
        let at = |what: &str| sql.find(what).unwrap_or_else(|| panic!("{what}: {sql}"));
        let rows = at("COPY public.secrets");
        assert!(at("ALTER TABLE public.secrets ENABLE ROW LEVEL SECURITY;") < rows, "{sql}");
        // A role that no row-level security passes over may load it all the same.
        source.create_database(database);
        source.psql(
            database,
            &format!(
                "create role owner_of_{database} createrole;
                 grant create on database {database} to owner_of_{database};
                 grant all on schema public to owner_of_{database};"
            ),
        );
        if part.is_empty() {
            continue;
        }
        let sql = format!("set role owner_of_{database};\n{sql}");
        source.psql(database, &sql);
        assert_eq!(source.psql(database, security).trim(), "t|t", "{sql}");
        assert_eq!(source.psql(database, "select count(*) from secrets").trim(), "1");
    }
}

/// What a restore has made in a plain server is no platform's, though it looks like it.
#[test]
fn a_project_comes_back_whole_into_a_plain_server_as_often_as_one_likes() {
    let source = server();
    project(&source, "project");
    source.psql("project", APPLICATION);
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let plain = Server::start(15);
    plain.create_database("copy");
    plain.psql("copy", "create role anon; create role service_role");
    super::restored(&product, &plain, "copy", &["--create-roles"]);
    let whole = plain.dump_plain("copy");
    // As one that stopped early has left it.
    plain.psql(
        "copy",
        "alter table auth.identities drop constraint identities_user_id_fkey;
         alter table storage.objects drop constraint objects_pkey;",
    );
    super::restored(&product, &plain, "copy", &["--create-roles", "--clean", "--yes"]);
    crate::support::postgres::assert_same_dump(&whole, &plain.dump_plain("copy"));
}

/// Who hosts the platform himself restores as its superuser, who owns what it made.
#[test]
fn the_platform_s_own_superuser_restores_into_the_platform_and_not_over_it() {
    let source = server();
    project(&source, "project");
    source.psql("project", APPLICATION);
    source.psql("project", "alter publication supabase_realtime add table realtime.messages");
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    project(&target, "fresh");
    target.psql(
        "fresh",
        "alter role supabase_admin superuser login password 'hunter2';
         alter table auth.users owner to supabase_auth_admin;
         alter publication supabase_realtime add table realtime.messages;",
    );
    let product = product.set("TARGET", target.tcp_url("fresh", "supabase_admin", "hunter2"));
    let again = ["restore", "--to", "env:TARGET", "--clean", "--yes", "--create-roles"];
    let output = product.run(&[&["--json"], &again[..]].concat());
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(report["platform"], "Supabase");

    let is = |sql: &str| target.psql("fresh", sql).trim().to_owned();
    assert_eq!(is("select count(*) from auth.users"), "2");
    assert_eq!(
        is("select tableowner from pg_tables where schemaname = 'auth' and tablename = 'users'"),
        "supabase_auth_admin"
    );
    assert_eq!(is("select to_regclass('auth.audit_of_an_old_version') is null"), "t");
    assert_eq!(is("select has_table_privilege('anon', 'profiles', 'select')"), "t");
    let published = "select string_agg(tablename, ' ' order by tablename)
                     from pg_publication_tables where pubname = 'supabase_realtime'";
    assert_eq!(is(published), "messages profiles");
}

/// Nobody makes a table in a schema that the platform keeps.
#[test]
fn a_part_of_a_managed_schema_that_has_no_home_is_a_loss() {
    let source = server();
    project(&source, "project");
    source.psql(
        "project",
        "create table auth.custom (id serial primary key); insert into auth.custom values (1)",
    );
    let product = Product::of(&source, "project");
    product.backup(&[]);
    let target = server();
    let product = fresh(&product, &target, "fresh", "");
    let output = product.run(&["-q", "restore", "--to", "env:TARGET", "--table", "auth.custom"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let lost = "1 row of auth.custom: the target has no such table (data loss)";
    assert!(text.contains(lost) && !text.contains("stopped"), "{text}");
}
