//! One person, one incident.

use std::{fs, path::Path};

use reliquary::catalog::BackupId;
use serde_json::json;

use super::{document, ends, installation, report, room, said, stored_document};

#[test]
fn an_incident_finds_out_by_itself_what_can_be_found_out() {
    let (_server, product) = installation();
    let room = room();
    let product = product.set("RELIQUARY__DRILL__DIR", room.path().display().to_string());
    let first = product.backup(&[]);
    product.succeed(&["verify"]);
    product.succeed(&["drill"]);
    let opened = report(&product, &["incident", "open", "--cause", "a bad migration"]);
    let id = opened["incident"].as_str().unwrap();
    let looked = &opened["looked"];
    assert_eq!(looked["backup"]["id"], first.id);
    assert_eq!(looked["backup"]["rows"], 2020);
    assert!(looked["backup"]["verified"].is_string(), "{looked}");
    assert_eq!(looked["backup"]["drilled"][0], "passed");
    assert!(looked["loss_seconds"].as_u64().unwrap() < 600, "{looked}");
    // The same archive as the drill's: as long as that one took.
    let expected = &looked["expected"];
    assert_eq!(expected["seconds"], expected["drill_seconds"]);
    let drill = expected["drill"].as_str().unwrap();
    let record = fs::read(product.store_dir().join(format!("database/drills/{drill}.json")));
    let record: reliquary::drill::Record = serde_json::from_slice(&record.unwrap()).unwrap();
    let bytes = record.backup.archive_bytes;
    let of_three = reliquary::recovery::expected(&[record], 3 * bytes).unwrap();
    let seconds = expected["drill_seconds"].as_f64().unwrap();
    assert!((of_three.seconds - 3.0 * seconds).abs() < 0.001, "{of_three:?}");
    let text = fs::read_to_string(document(&product, id)).unwrap();
    assert_eq!(text, fs::read_to_string(stored_document(&product, id)).unwrap());
    for part in [
        "**Open.**",
        "| Cause | a bad migration |",
        "| Verified | yes, every byte, at ",
        "| Drilled | yes, it was restored and compared at ",
        "| Data-loss window | **",
        "| Expected time to restore | about ",
        "- [ ] **1. Assess scope**",
        "- [ ] **7. Post-recovery**",
        &format!("reliquary restore {} -d main --to env:TARGET_URL --incident {id}", first.id),
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_newest_backup_of_before_the_failure_is_named_and_the_window_is_never_too_small() {
    let (_server, product) = installation();
    let first = product.backup(&[]);
    let snapshot = first.manifest.source.snapshot_at;
    // A second one is made after the failure.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    product.backup(&[]);
    let at = (snapshot + chrono::TimeDelta::seconds(1)).format("%Y-%m-%d %H:%M:%SZ").to_string();
    let opened = report(&product, &["incident", "open", "--failed-at", &at]);
    let looked = &opened["looked"];
    assert_eq!(looked["backup"]["id"], first.id, "{looked}");
    assert_eq!(looked["newer"], 1);
    assert!(looked["expected"].is_null());
    let text =
        fs::read_to_string(document(&product, opened["incident"].as_str().unwrap())).unwrap();
    assert!(text.contains("| Expected time to restore | unknown, no drill yet |"), "{text}");
    assert!(text.contains("| Drilled | no: this one was never restored |"), "{text}");
    assert!(text.contains("| Data-loss window | **1 minute**"), "{text}");
    // Before the first one there was none.
    let open = ["incident", "open", "--failed-at", "2020-01-01 00:00Z"];
    let opened = report(&product, &open);
    assert!(opened["looked"]["backup"].is_null(), "{opened}");
    let why = opened["looked"]["why_none"].as_str().unwrap();
    assert!(why.contains("no good backup began at or before"), "{why}");
}

/// The record of a drill that found other rows than were dumped.
fn rows_differ(store: &Path, backup: &str) {
    let id = backup.parse::<BackupId>().unwrap().next();
    let record = json!({
        "format": reliquary::drill::FORMAT, "id": id, "database": "main", "operator": "Ada",
        "choice": "newest", "version": "0.1.0", "started": id.time(), "finished": id.time(),
        "seconds": 1.0, "restore_seconds": 1.0, "verdict": "failed",
        "failure": { "reason": "rows_differ", "message": "table public.x" },
        "backup": {
            "id": backup, "kind": "scheduled", "legacy": false, "archive_bytes": 1,
            "sha256": null, "rows": null, "source_version": null,
        },
        "sandbox": null, "stages": [], "tables_compared": 0, "rows_compared": 0,
        "different": [], "comparisons": [], "checks": [], "stand_ins": [],
        "missing_extensions": [], "skipped": [], "warnings": [],
    });
    fs::create_dir_all(store.join("database/drills")).unwrap();
    fs::write(store.join(format!("database/drills/{id}.json")), record.to_string()).unwrap();
}

#[test]
fn what_did_not_come_back_in_its_drill_is_taken_by_its_own_id_alone() {
    let (_server, product) = installation();
    let good = product.backup(&[]).id;
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let bad = product.backup(&[]).id;
    rows_differ(&product.store_dir(), &bad);

    let opened = product.run(&["incident", "open"]);
    let text = said(&opened);
    let unusable = format!("unusable   {bad}, which did not come back in its drill (rows_differ)");
    assert!(text.contains(&unusable), "{text}");
    assert!(text.contains(&format!("reliquary restore {good} --to env:TARGET_URL")), "{text}");
    let shown = product.succeed(&["incident", "show"]);
    let row = format!("| Newer, and did not come back in a drill | `{bad}` (rows_differ) |");
    assert!(shown.contains(&row), "{shown}");

    let sql = |arguments: &[&str]| {
        let output =
            product.run(&[&["restore", "--to", "-", "--section", "pre-data"], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stderr).unwrap()
    };
    let passed_over = format!("warning: {bad} is newer, and did not come back in its drill");
    assert!(sql(&[]).contains(&passed_over));
    assert!(sql(&["--at", "2999-01-01 00:00Z"]).contains(&passed_over));
    let asked_for = sql(&[&bad]);
    let older =
        format!("the newest good one before it comes with `reliquary restore {good} --to URL`");
    assert!(asked_for.contains(&older), "{asked_for}");
    assert!(!sql(&[&good]).contains("drill"));
    let fetched = report(&product, &["fetch"]);
    assert_eq!(fetched["id"], good);
    assert!(
        product.succeed(&["show"]).contains(&format!("the newest good one before it is {good}"))
    );
    let runbook = product.succeed(&["runbook"]);
    assert!(runbook.contains(&format!("| main | `{good}` |")), "{runbook}");

    // Where there is no other, only its id takes it.
    rows_differ(&product.store_dir(), &good);
    let refused = ends(&product, 1, &["restore", "--to", "-"]);
    let by_id = format!("to be asked for by its id: `reliquary restore {bad} --to URL`");
    assert!(refused.contains(&by_id), "{refused}");
    let opened = report(&product, &["incident", "open"]);
    assert!(opened["looked"]["backup"].is_null(), "{opened}");
    let why = opened["looked"]["why_none"].as_str().unwrap();
    assert!(why.contains("did not come back in its drill (rows_differ)"), "{why}");
}

#[test]
fn nonsense_is_refused_with_what_would_help() {
    let (_server, product) = installation();
    fs::create_dir(product.store_dir()).unwrap();
    let future = ends(&product, 2, &["incident", "open", "--failed-at", "2999-01-01 00:00Z"]);
    assert!(future.contains("lies in the future; times are in UTC"), "{future}");
    let no_time = ends(&product, 2, &["incident", "open", "--failed-at", "at lunch"]);
    assert!(no_time.contains("\"at lunch\" is no time; write"), "{no_time}");
    let none = ends(&product, 2, &["incident", "note", "x"]);
    assert!(none.contains("`reliquary incident open` begins one"), "{none}");
    for command in [&["incident", "show", "1999"][..], &["incident", "close", "1999"]] {
        let unknown = ends(&product, 2, command);
        assert!(unknown.contains("begins with \"1999\""), "{unknown}");
    }
    let opened = report(&product, &["incident", "open"]);
    let id = opened["incident"].as_str().unwrap();
    ends(&product, 2, &["incident", "note", "  "]);
    ends(&product, 2, &["incident", "note", "--done", "8", "x"]);
    // There is nothing to restore, and nothing may be guessed.
    let to = "postgres://nobody@127.0.0.1:1/x";
    let restore = ends(&product, 2, &["restore", "--to", to, "--incident", id]);
    assert!(restore.contains("names no backup; name one"), "{restore}");
    let sql = ends(&product, 2, &["restore", "--to", "-", "--incident", id]);
    assert!(sql.contains("--to - has none"), "{sql}");
    let unknown = ends(&product, 2, &["restore", "--to", to, "--incident", "1999"]);
    assert!(unknown.contains("begins with \"1999\""), "{unknown}");
    product.succeed(&["incident", "close"]);
    let twice = ends(&product, 2, &["incident", "close", id]);
    assert!(twice.contains("was closed at"), "{twice}");
    // What was typed wrong is no restore.
    ends(&product, 2, &["restore", "--incident", id]);
    let text = fs::read_to_string(document(&product, id)).unwrap();
    assert!(!text.contains("## Restores"), "{text}");
}

#[test]
fn what_is_written_by_hand_becomes_an_entry_and_nothing_that_is_deleted_goes() {
    let (_server, product) = installation();
    product.backup(&[]);
    let opened = report(&product, &["incident", "open"]);
    let id = opened["incident"].as_str().unwrap();
    let path = document(&product, id);
    let made = fs::read_to_string(&path).unwrap();
    let edited = made
        .replace("- [ ] **2. Stabilize**", "- [x] **2. Stabilize**")
        .replace("## Log\n", "## Log\n\nThe pager of Ann was off.\n")
        .replace("| Cause | not known yet |\n", "");
    fs::write(&path, edited).unwrap();
    product.succeed(&["incident", "note", "looked at the graphs"]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("> The pager of Ann was off."), "{text}");
    assert!(text.contains("- [x] **2. Stabilize**"), "{text}");
    assert!(text.contains("- [ ] **3. "), "{text}");
    assert!(text.contains("| Cause | not known yet |"), "{text}");
    assert!(text.contains("looked at the graphs"), "{text}");
    assert_eq!(text, fs::read_to_string(stored_document(&product, id)).unwrap());
    // Found once, and not again with each command.
    let entries = report(&product, &["incident", "show"])["entries"].clone();
    let by_hand = |entry: &&serde_json::Value| entry["what"]["kind"] == "by_hand";
    assert_eq!(entries.as_array().unwrap().iter().filter(by_hand).count(), 1, "{entries}");
    // What makes no document any more does not hinder the log.
    fs::write(&path, [0xff, 0xfe, b'\n', b'x']).unwrap();
    product.succeed(&["incident", "note", "--done", "3", "a new server"]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("- [x] **3. ") && text.contains("> x"), "{text}");
}

#[test]
fn a_closed_incident_has_its_timeline_and_a_message_to_send() {
    let (_server, product) = installation();
    product.backup(&[]);
    let product = product
        .set("RELIQUARY__RUNBOOK__PRODUCT", "AltarFlow")
        .set("RELIQUARY__RUNBOOK__ANNOUNCE", "the status page");
    let opened = report(&product, &["incident", "open", "--by", "ann"]);
    let id = opened["incident"].as_str().unwrap();
    product.succeed(&["incident", "note", "--done", "2", "--by", "bob", "Stopped all deploys"]);
    let close = ["incident", "close", "--cause", "a table was dropped", "--next", "Two reviewers"];
    let closed = report(&product, &close);
    assert_eq!(closed["status"], "closed");
    let message = closed["message"].as_str().unwrap();
    for part in [
        "Subject: [Resolved] AltarFlow incident of ",
        "after a table was dropped is over. No data was restored from backups.",
        "Actions taken:\n- Stopped all deploys\n",
        "Next steps:\n- Two reviewers\n- Review the root cause by ",
        "Thank you for your patience.",
    ] {
        assert!(message.contains(part), "{part}\n{message}");
    }
    let text = fs::read_to_string(document(&product, id)).unwrap();
    assert!(text.contains("**Closed** at ") && text.contains("## Timeline"), "{text}");
    assert!(text.contains("done: 2. Stabilize"), "{text}");
    assert!(text.contains("To be sent through: the status page."), "{text}");
    assert!(text.contains(message.trim_end()), "{text}");
    // Without a name the last one is shown; a note can still be added.
    assert!(product.succeed(&["incident", "show"]).starts_with(&format!("# Incident {id}")));
    product.succeed(&["incident", "note", "--incident", id, "sent"]);
}

#[test]
fn a_restore_of_one_table_is_told_as_that_and_a_backup_that_was_planted_is_not_taken() {
    let (server, product) = installation();
    let first = product.backup(&[]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    product.backup(&["--manual"]);
    let open = product.run(&["incident", "open"]);
    let said = super::said(&open);
    assert!(said.contains("that is now, since no --failed-at says when"), "{said}");
    assert!(said.contains("reliquary restore manual/"), "{said}");
    server.create_database("part");
    let product = product.set("PART", server.url("part"));
    let restore = ["restore", "--to", "env:PART", "--incident", "latest"];
    product.succeed(&[&restore[..], &["--table", "public.Church"]].concat());
    let shown = report(&product, &["incident", "show"]);
    let id = shown["incident"].as_str().unwrap();

    // Somebody who may write logs, and no backups, names an older one.
    let entries = shown["entries"].as_array().unwrap();
    let mut planted = entries[1].clone();
    let entry = format!("{}-{:08x}", "2026-11-23T14-00-00.000Z".replace("2026", "2099"), 7);
    planted["id"] = entry.as_str().into();
    planted["what"]["backup"]["id"] = first.id.as_str().into();
    planted["what"]["backup"]["kind"] = "scheduled".into();
    let key = format!("database/incidents/{id}/{entry}.json");
    fs::write(product.store_dir().join(key), planted.to_string()).unwrap();
    let doubted = product.run(&["incident", "show"]);
    let said = super::said(&doubted);
    assert!(said.contains(&format!("the log names {}", first.id)), "{said}");
    let refused = ends(&product, 1, &[&restore[..], &["--dry-run"]].concat());
    assert!(refused.contains("by the catalog it is manual/"), "{refused}");

    let close = product.run(&["incident", "close", "--cause", "\u{1b}[31m a typo"]);
    let said = super::said(&close);
    assert!(said.contains("nobody has ticked 1. Assess scope, 2. "), "{said}");
    let part = "Restored from backups: table public.Church only, of backup ";
    assert!(said.contains(part) && said.contains("Data loss window: "), "{said}");
    assert!(!said.contains("our production database") && !said.contains('\u{1b}'), "{said}");
}
