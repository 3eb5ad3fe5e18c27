//! `reliquary sweep`, as a person runs it.

use std::process::Output;

use serde_json::Value;

use super::*;
use crate::support::product::Product;

/// Runs the program over a bench's folder.
fn run(bench: &Bench, arguments: &[&str]) -> Output {
    let settings = bench.all_settings();
    let file = settings.file.unwrap().display().to_string();
    Product::bare().run(&[&["--config", &file, "-q"], arguments].concat())
}

fn json(bench: &Bench, arguments: &[&str]) -> (Value, i32) {
    let output = run(bench, &[&["--json", "sweep"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout);
    (document.unwrap_or_else(|error| panic!("{error}: {said}")), output.status.code().unwrap())
}

#[tokio::test]
async fn a_dry_run_tells_all_and_removes_nothing() {
    let bench = motley().await;
    let before = bench.keys().await;
    let (told, code) = json(&bench, &["--dry-run"]);
    assert_eq!((code, &told["dry_run"], &told["refused"]), (0, &Value::Bool(true), &Value::Null));
    assert_eq!((&told["to_remove"], &told["kept"]), (&5.into(), &9.into()), "{told}");
    let backups = told["backups"].as_array().unwrap();
    let of = |hours| {
        let id = bench.id(hours).to_string();
        backups.iter().find(|backup| backup["id"] == *id).unwrap()
    };
    assert_eq!(of(36)["decision"], "remove");
    assert!(of(36)["why"].as_str().unwrap().contains("not younger than"), "{}", of(36));
    assert_eq!(of(0)["keep"], serde_json::json!(["young", "last"]));
    assert_eq!(of(400)["keep"], serde_json::json!(["manual"]));
    assert_eq!(told["foreign"]["count"], 3);
    assert_eq!(told["debris"].as_array().unwrap().len(), 4);
    assert_eq!(told["unfinished_uploads"].as_array().unwrap().len(), 1);
    assert_eq!(told["removal"], Value::Null);

    let file = bench.all_settings().file.unwrap().display().to_string();
    let output = Product::bare().run(&["--config", &file, "sweep", "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let today = bench.id(0).time().format("%Y-%m-%d").to_string();
    for part in [
        "main: 9 stay, 5 to remove",
        &today,
        "of the last 2 good ones",
        "made by hand",
        "legacy, not younger than 30h, and nothing else keeps it",
        "archive without manifest: database/",
        "3 objects are not Reliquary's and left alone",
        "README.md",
    ] {
        assert!(text.contains(part), "{part} in:\n{text}");
    }
    assert_eq!(bench.keys().await, before);
}

#[tokio::test]
async fn a_backup_whose_drill_failed_goes_before_one_that_is_proven_and_is_named() {
    let bench = Bench::new("retention.keep_for = \"2h\"\nretention.keep_last = 3");
    bench.scheduled([0, 1, 10, 20, 30]);
    bench.drilled(10, Some(DrillReason::RestoreError));
    bench.drilled(20, None);
    let (told, code) = json(&bench, &["--dry-run"]);
    assert_eq!((code, &told["to_remove"]), (0, &2.into()), "{told}");
    let of = |hours| {
        let id = bench.id(hours).to_string();
        told["backups"].as_array().unwrap().iter().find(|backup| backup["id"] == *id).unwrap()
    };
    assert_eq!(
        (&of(10)["decision"], &of(10)["drill_failed"]),
        (&"remove".into(), &"restore_error".into())
    );
    let why = of(10)["why"].as_str().unwrap();
    assert!(why.starts_with("its drill failed (restore_error), not younger than 2h"), "{why}");
    assert_eq!(
        (&of(20)["keep"], &of(20)["drill_failed"]),
        (&serde_json::json!(["last"]), &Value::Null)
    );

    let file = bench.all_settings().file.unwrap().display().to_string();
    let said = |arguments: &[&str]| {
        let output = Product::bare().run(&[&["--config", &file], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let named = format!("{} did not come back in its drill", bench.id(10));
    for (arguments, parts) in [
        (&["sweep", "--dry-run"][..], [named.as_str(), "to remove: its drill failed"]),
        (&["list"], [&named, "FAILED (restore_error) "]),
    ] {
        let text = said(arguments);
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in:\n{text}");
    }
    bench.sweep(bench.store().await).await.unwrap();
    assert_eq!(bench.good().await, [20, 1, 0]);
}

#[tokio::test]
async fn a_sweep_says_what_it_removed() {
    let bench = motley().await;
    let stays = must_stay(&bench).await;
    let output = run(&bench, &["-v", "sweep"]);
    assert_eq!(output.status.code(), Some(2), "-q and -v together");
    let (told, code) = json(&bench, &[]);
    assert_eq!((code, &told["removal"]["removed"]), (0, &5.into()), "{told}");
    assert_eq!(told["removal"]["debris"], 5);
    assert_eq!(bench.keys().await, stays);
    let output = run(&bench, &["sweep"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("main: 9 stay, 0 to remove (0 B), 0 debris"), "{text}");
}

#[tokio::test]
async fn a_refused_sweep_exits_1_with_the_reason_and_what_mends_it() {
    let bench = Bench::new("retention.keep_for = \"5h\"\nretention.keep_last = 1");
    bench.scheduled(0..12);
    let before = bench.keys().await;
    for arguments in [&["sweep"][..], &["sweep", "--dry-run"]] {
        let output = run(&bench, arguments);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("the sweep is refused: 7 of the 12 good backups"), "{said}");
        let (told, code) = json(&bench, &arguments[1..]);
        assert_eq!((code, told["refused"]["reason"].as_str()), (1, Some("more_than_half")));
        assert_eq!(bench.keys().await, before);
    }
    assert!(run(&bench, &["sweep", "--more-than-half"]).status.success());
    assert_eq!(bench.good().await, [4, 3, 2, 1, 0]);
}

#[test]
fn a_folder_has_no_lifecycle_rules() {
    let product = Product::bare()
        .set("DIRECT_URL", "postgres://user@localhost/app")
        .set("RELIQUARY__STORE__URL", "file:///nowhere")
        .set("RELIQUARY__SWEEP__MODE", "lifecycle");
    let output = product.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("databases.main.sweep.mode: `lifecycle` needs a bucket"), "{said}");
}
