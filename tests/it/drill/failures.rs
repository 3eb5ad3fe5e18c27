//! Every way in which a drill does not pass, and what it is called.

use std::os::unix::fs::symlink;

use super::*;

/// A record that says no, and why.
fn reason(record: &Value, verdict: &str) -> (String, String) {
    assert_eq!(record["verdict"], verdict, "{record:#}");
    let text = |name: &str| record["failure"][name].as_str().unwrap().to_owned();
    (text("reason"), text("message"))
}

#[test]
fn a_flipped_bit_is_damage_and_counts_against_the_backup() {
    let (_server, room, product, backup) = backed_up();
    let mut bytes = fs::read(&backup.archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&backup.archive, bytes).unwrap();
    let record = product.drill(3, &[]);
    let (reason, message) = reason(&record, "failed");
    assert_eq!(reason, "archive_damaged", "{message}");
    assert!(is_empty(room.path()));
    let list: Value = serde_json::from_str(&product.succeed(&["--json", "list"])).unwrap();
    assert_eq!(list["backups"][0]["state"], "damaged");
    assert_eq!(list["backups"][0]["drilled"]["verdict"], "failed");
}

#[test]
fn a_manifest_that_says_more_rows_than_the_archive_has_is_told_as_such() {
    let (_server, _room, product, backup) = backed_up();
    let mut manifest: Value = serde_json::from_str(&backup.manifest_text).unwrap();
    let more = |value: &mut Value| *value = (value.as_u64().unwrap() + 1).into();
    more(&mut manifest["rows"]);
    more(&mut manifest["tables"][0]["rows"]);
    more(&mut manifest["tables"][0]["members"][0]["rows"]);
    let path = backup.dir().join(format!("{}.manifest.json", backup.id));
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let (reason, message) = reason(&product.drill(3, &[]), "failed");
    assert_eq!(reason, "rows_differ", "{message}");
    assert!(message.ends_with("(-1)"), "{message}");
}

#[test]
fn what_a_restore_loses_by_itself_is_told_table_by_table() {
    let (_server, _room, product, _backup) = backed_up();
    let sql = dump(
        "CREATE TABLE public.gift (id integer);\nCOPY public.gift (id) FROM stdin;\n1\n2\n3\n\\.\n\n\
         DELETE FROM public.gift WHERE id > 1;",
    );
    product.legacy("2025-01-02T03-00-00Z", &sql);
    let record = product.drill(3, &["2025-01-02T03-00-00Z"]);
    let (reason, message) = reason(&record, "failed");
    assert_eq!(reason, "rows_differ", "{message}");
    assert_eq!(record["different"][0]["table"], "public.gift");
    assert_eq!(
        (&record["different"][0]["expected"], &record["different"][0]["found"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn an_index_or_a_constraint_or_a_sequence_that_is_not_right_is_a_failed_check() {
    let (_server, _room, product, _backup) = backed_up();
    let sql = dump(
        "CREATE TABLE public.gift (id integer, CONSTRAINT small CHECK (id < 9));\n\
         CREATE SEQUENCE public.s;\n\
         SELECT pg_catalog.setval('public.s', 50, true);\n\
         CREATE INDEX by_id ON public.gift (id);\n\
         UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'public.by_id'::regclass;\n\
         UPDATE pg_catalog.pg_constraint SET convalidated = false WHERE conname = 'small';\n\
         ALTER SEQUENCE public.s RESTART 7;",
    );
    product.legacy("2025-01-02T03-00-00Z", &sql);
    let record = product.drill(3, &["2025-01-02T03-00-00Z"]);
    let (reason, message) = reason(&record, "failed");
    assert_eq!(reason, "check_failed", "{message}");
    for what in ["public.by_id", "small of public.gift", "public.s"] {
        assert!(message.contains(what), "{what}: {message}");
    }
}

#[test]
fn a_check_of_the_settings_that_gets_another_answer_fails_the_drill() {
    let (_server, _room, product, _backup) = backed_up();
    let product = product.configured(
        "[[drill.checks]]\nname = 'few'\nsql = 'select from gift'\nexpect = 'rows < 10'\n\
         [[drill.checks]]\nname = 'gone'\nsql = 'select from no_such_table'\nexpect = 'no rows'\n\
         [[drill.checks]]\nname = 'reads only'\nsql = 'delete from gift'\nexpect = 'no rows'\n\
         [[drill.checks]]\nname = 'ends itself'\nexpect = 'no rows'\n\
         sql = 'commit; delete from public.gift'\n\
         [[drill.checks]]\nname = 'takes itself back'\nexpect = 'no rows'\n\
         sql = 'rollback; delete from public.gift'\n",
    );
    let record = product.drill(3, &[]);
    let (reason, message) = reason(&record, "failed");
    assert_eq!(reason, "check_failed");
    for what in [
        "few: found 5000 rows",
        "gone: ",
        "reads only: ",
        "ends itself: cannot",
        "takes itself back: cannot",
    ] {
        assert!(message.contains(what), "{what}: {message}");
    }
}

#[test]
fn what_this_machine_lacks_is_named_and_the_backup_stays_a_good_one() {
    let (_server, _room, product, _backup) = backed_up();
    let extension = "CREATE EXTENSION IF NOT EXISTS no_such_extension WITH SCHEMA public;";
    let label = "SECURITY LABEL FOR no_such_extension ON SCHEMA public IS 'x';";
    let labelled = format!("{label}\n{extension}");
    let no_extension = "does not have the extensions no_such_extension";
    for (id, sql, wanted, says) in [
        ("2025-01-02T03-00-00Z", extension, "missing_extension", no_extension),
        ("2025-01-02T04-00-00Z", &labelled, "missing_extension", no_extension),
        (
            "2025-01-02T05-00-00Z",
            "CREATE COLLATION public.x (provider = libc, locale = 'xx_XX.utf8');",
            "missing_locale",
            "does not have the locale xx_XX.utf8: install it",
        ),
        (
            "2025-01-02T06-00-00Z",
            "CREATE TABLE public.t (a text COLLATE pg_catalog.\"xx_XX.utf8\");",
            "missing_locale",
            "does not have the locale xx_XX.utf8: install it",
        ),
    ] {
        product.legacy(id, &dump(sql));
        let record = product.drill(3, &[id]);
        let (reason, message) = reason(&record, "failed");
        assert_eq!(reason, wanted, "{message}");
        assert!(message.contains(says), "{message}");
        if wanted == "missing_extension" {
            assert_eq!(record["missing_extensions"][0], "no_such_extension");
        }
    }
}

#[test]
fn a_statement_that_fails_is_a_restore_error() {
    let (_server, room, product, _backup) = backed_up();
    product.legacy("2025-01-02T03-00-00Z", &dump("CREATE TABLE public.a (b no_such_type);"));
    let (reason, message) = reason(&product.drill(3, &["2025-01-02T03-00-00Z"]), "failed");
    assert_eq!(reason, "restore_error", "{message}");
    assert!(message.contains("no_such_type"), "{message}");
    // Of one that fails over a row, nothing of the row is kept anywhere.
    let long = "Jane of 12 Elm Street, ".repeat(2200);
    for (id, sql, says) in [
        (
            "2025-01-02T04-00-00Z",
            "CREATE TABLE public.a (b text CHECK (b !~ 'Jane'));\nCOPY public.a (b) FROM stdin;\n\
             Jane card 4242: error: declined for jane@example.org\n\\.\n",
            "violates check constraint \"a_b_check\"",
        ),
        (
            "2025-01-02T05-00-00Z",
            &format!(
                "CREATE TABLE public.a (b integer);\nCOPY public.a (b) FROM stdin;\n{long}\n\\.\n"
            ),
            "invalid input syntax for type integer: \"…\"",
        ),
    ] {
        product.legacy(id, &dump(sql));
        let output = product.run(&["--json", "drill", id]);
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        let message = record["failure"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        let page = record["id"].as_str().unwrap();
        let page = product.store_dir().join(format!("database/drills/{page}.md"));
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains(says), "{page}");
        let health = said(&product.run(&["--json", "status"]));
        for text in [said(&output), page, health] {
            for part in ["Jane", "jane@", "4242", "declined", "Elm"] {
                assert!(!text.contains(part), "{part}: {text}");
            }
        }
    }
    assert!(is_empty(room.path()));
}

#[test]
fn a_dump_that_does_not_say_that_it_is_complete_is_not_passed() {
    let (_server, _room, product, _backup) = backed_up();
    product.legacy("2025-01-02T03-00-00Z", "CREATE TABLE public.a (b integer);\n");
    let record = product.drill(3, &["2025-01-02T03-00-00Z"]);
    assert_eq!(reason(&record, "failed").0, "restore_error");
}

#[test]
fn a_legacy_archive_that_ends_in_the_middle_has_failed() {
    let (_server, room, product, _backup) = backed_up();
    let whole = dump(
        "CREATE TABLE public.gift (id integer);\nCOPY public.gift (id) FROM stdin;\n1\n2\n3\n\\.\n",
    );
    let cut = &whole[..whole.find("3\n\\.").unwrap()];
    product.legacy("2025-01-02T03-00-00Z", cut);
    let (reason, message) = reason(&product.drill(3, &["2025-01-02T03-00-00Z"]), "failed");
    assert_eq!(reason, "restore_error", "{message}");
    assert!(message.contains("it ends inside the rows of public.gift"), "{message}");
    assert!(is_empty(room.path()));
}

#[test]
fn no_room_on_the_disk_is_unproven_and_written_down() {
    let (_server, room, product, _backup) = backed_up();
    let product = product.set("RELIQUARY__DRILL__KEEP_FREE", "900000GiB");
    let record = product.drill(1, &[]);
    let (reason, message) = reason(&record, "unproven");
    assert_eq!(reason, "no_room");
    assert!(message.contains("drill.keep_free"), "{message}");
    assert_eq!(record["recorded"], true);
    assert!(is_empty(room.path()));
    let list: Value = serde_json::from_str(&product.succeed(&["--json", "list"])).unwrap();
    assert_eq!(list["backups"][0]["drilled"]["verdict"], "unproven");
}

#[test]
fn without_server_programs_of_its_major_a_backup_stays_unproven() {
    let server = Server::start(18);
    shop(&server);
    // Client programs alone.
    let clients = TempDir::new().unwrap();
    for name in ["pg_dump", "psql"] {
        symlink(server.bin(name), clients.path().join(name)).unwrap();
    }
    let product = Product::of(&server, "shop").client_dir(clients.path());
    product.backup(&[]);
    let (reason, message) = reason(&product.drill(1, &[]), "unproven");
    assert_eq!(reason, "sandbox");
    assert!(message.contains("postgresql-18"), "{message}");
}

/// A folder with the server's programs, and a `pg_amcheck` that is this script.
fn with_amcheck(server: &Server, script: &str) -> TempDir {
    let dir = room();
    for entry in fs::read_dir(server.bin_dir()).unwrap().flatten() {
        if entry.file_name() != "pg_amcheck" {
            symlink(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let path = dir.path().join("pg_amcheck");
    if !script.is_empty() {
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

fn amcheck(record: &Value) -> (&str, &str) {
    let comparisons = record["comparisons"].as_array().unwrap();
    let found = comparisons.iter().find(|c| c["name"].as_str().unwrap().contains("pg_amcheck"));
    let text = |name: &str| found.unwrap()[name].as_str().unwrap();
    (text("outcome"), text("detail"))
}

#[test]
fn a_comparison_that_could_not_run_is_not_passed() {
    let (server, room, product, _backup) = backed_up();
    let broken = with_amcheck(&server, "#!/bin/sh\necho 'it broke' >&2\nexit 1\n");
    let record = product.with_client_dir(broken.path()).drill(1, &[]);
    let (reason, message) = reason(&record, "unproven");
    assert_eq!(reason, "incomplete", "{message}");
    assert_eq!(amcheck(&record).0, "could_not_run");
    assert!(message.contains("it broke"), "{message}");
    assert!(is_empty(room.path()));
    let list: Value = serde_json::from_str(&product.succeed(&["--json", "list"])).unwrap();
    assert_eq!(list["backups"][0]["drilled"]["verdict"], "unproven");
}

#[test]
fn corruption_that_amcheck_finds_fails_the_drill() {
    let (server, _room, product, _backup) = backed_up();
    let says = "#!/bin/sh\necho 'btree index \"drill.public.x\":'\n\
                echo '    ERROR:  item order invariant violated for index \"x\"'\nexit 2\n";
    let finds = with_amcheck(&server, says);
    let record = product.with_client_dir(finds.path()).drill(3, &[]);
    assert_eq!(reason(&record, "failed").0, "check_failed");
    assert!(amcheck(&record).1.contains("item order invariant violated"));
}

#[test]
fn a_machine_without_amcheck_passes_and_says_what_was_not_looked_at() {
    let (server, _room, product, _backup) = backed_up();
    let without = with_amcheck(&server, "");
    let product = product.with_client_dir(without.path());
    let record = product.drill(0, &[]);
    assert_eq!(record["verdict"], "passed");
    assert_eq!(amcheck(&record).0, "not_run");
    let said = product.succeed(&["drill"]);
    assert!(said.lines().next().unwrap().contains("; not looked at: pg_amcheck"), "{said}");
    let page = fs::read_dir(product.store_dir().join("database/drills")).unwrap().flatten();
    let page =
        page.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "md"));
    let page = fs::read_to_string(page.unwrap()).unwrap();
    assert!(page.contains("Not looked at: pg_amcheck"), "{page}");
}

#[test]
fn a_drill_that_takes_too_long_is_unproven_and_leaves_nothing() {
    let (_server, room, product, _backup) = backed_up();
    let product = product
        .configured(
            "[[drill.checks]]\nname = 'slow'\nsql = 'select pg_sleep(3600)'\nexpect = 'rows = 1'\n",
        )
        .set("RELIQUARY__DRILL__TIMEOUT", "15s")
        .set("RELIQUARY__DRILL__AMCHECK", "false");
    let record = product.drill(1, &[]);
    assert_eq!(reason(&record, "unproven").0, "timeout");
    assert!(is_empty(room.path()));
}
