//! Every way in which a stored backup may be damaged, by its name: what exactly
//! is found, and that it counts for nothing afterwards.

mod ways;

use std::fs;

use serde_json::{Value, json};

use self::ways::{DAMAGES, Damage, flip, sha256, third};
use super::Bench;

#[test]
fn every_damage_is_named_exactly_and_counts_for_nothing_until_it_is_mended() {
    let bench = Bench::new();
    let (id, older) = (&*bench.newest.id, &*bench.older.id);
    for Damage { name, make, findings } in DAMAGES {
        bench.reset();
        make(&bench);
        let (report, code) = bench.json(&["verify", id]);
        assert_eq!(code, 3, "{name}: {report}");
        let found = &report["backups"][0];
        assert_eq!(found["findings"], Value::Array(findings(&bench)), "{name}");
        assert_eq!(found["verdict"], "damaged", "{name}");

        // It is listed as what it is, and nothing counts it.
        let gone = *name == "the archive gone";
        assert_eq!(bench.state(id), if gone { "broken" } else { "damaged" }, "{name}");
        assert_eq!(bench.json(&["show"]).0["id"], older, "{name}: latest is the older one");
        let output = bench.run(&["fetch", id]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let said = String::from_utf8(output.stderr).unwrap();
        let refusal =
            if gone { format!("archive of {id} is gone") } else { format!("{id} is damaged") };
        assert!(said.contains(&refusal), "{name}: {said}");
        assert_eq!(said.contains("fetch"), !gone, "{name}: {said}");
        let (status, _) = bench.json(&["status"]);
        let main = &status["databases"][0];
        assert_eq!(main["catalog"]["scheduled"], 0, "{name}");
        let newest = main["health"]["last_success"].as_str().unwrap().replace(':', "-");
        assert_eq!(newest, older, "{name}");
        if !gone {
            assert_eq!(main["catalog"]["damaged"], 1, "{name}");
            let checks = main["health"]["checks"].as_array().unwrap();
            let check = checks.iter().find(|check| check["name"] == "verify").unwrap();
            assert_eq!(check["ok"], false, "{name}");
            // What stands beside it is what was said.
            let kept = fs::read(bench.file("damaged.json")).unwrap();
            let kept: Value = serde_json::from_slice(&kept).unwrap();
            assert_eq!(kept["findings"], found["findings"], "{name}");
            assert_eq!(kept["format"], "reliquary-verify/1", "{name}");
        }

        // The same as it was, and verified: it counts again.
        let damaged = bench.file("damaged.json");
        let verdict = fs::read(&damaged).ok();
        bench.reset();
        if let Some(verdict) = verdict {
            fs::write(&damaged, verdict).unwrap();
            assert_eq!(bench.state(id), "damaged", "{name}: until it is verified");
        }
        let (report, code) = bench.json(&["verify", id]);
        assert_eq!((code, &report["backups"][0]["verdict"]), (0, &json!("good")), "{name}");
        assert_eq!(bench.state(id), "good", "{name}");
        assert!(!damaged.exists() && bench.file("verified.json").exists(), "{name}");
    }
}

/// A good archive does not stop counting because of what lies beside it: the
/// checksum file is remarked on, and written anew from the proven hash.
#[test]
fn a_checksum_file_that_is_gone_or_wrong_is_written_anew() {
    let bench = Bench::new();
    let (id, older) = (&*bench.newest.id, &*bench.older.id);
    let path = bench.file("sql.gz.sha256");
    let was = fs::read_to_string(&path).unwrap();
    let wrong = "0".repeat(64);
    let of_another = format!("it is for \"{older}.sql.gz\", and should be for \"{id}.sql.gz\"");
    for (text, remark) in [
        (None, json!({ "remark": "checksum_missing" })),
        (
            Some(was.replace(id, older)),
            json!({ "remark": "checksum_unreadable", "detail": of_another }),
        ),
        (
            Some(format!("{wrong}  {id}.sql.gz\n")),
            json!({
                "remark": "checksum_differs",
                "expected": bench.newest.manifest.archive.sha256, "found": wrong,
            }),
        ),
    ] {
        bench.reset();
        let put = || match &text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        };
        put();
        let (report, code) = bench.json(&["verify", "--no-record"]);
        let found = &report["backups"][0];
        assert_eq!((code, &found["verdict"]), (0, &json!("good")), "{report}");
        assert_eq!(
            (&found["remarks"], &found["checksum_written"]),
            (&json!([remark]), &json!(false))
        );
        assert_eq!(fs::read_to_string(&path).ok(), text, "nothing may be written");

        let (report, code) = bench.json(&["verify"]);
        let found = &report["backups"][0];
        assert_eq!((code, &found["findings"]), (0, &json!([])), "{report}");
        assert_eq!(
            (&found["remarks"], &found["checksum_written"]),
            (&json!([remark]), &json!(true))
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), was);
        assert_eq!(bench.state(id), "good");
        let shown = bench.product.succeed(&["show"]);
        assert!(shown.contains("note       at that time: the checksum file"), "{shown}");
        let (report, _) = bench.json(&["verify"]);
        assert_eq!(report["backups"][0]["remarks"], json!([]));

        // Beside an archive that is damaged it is evidence, and stays.
        bench.reset();
        put();
        flip(&bench, third(&bench).offset);
        assert_eq!(bench.json(&["verify"]).1, 3);
        assert_eq!(fs::read_to_string(&path).ok(), text);
        let shown = bench.product.succeed(&["show", id]);
        assert!(shown.contains("  note, at that time: the checksum file"), "{shown}");
        assert!(shown.contains("it does not begin with a gzip header"), "{shown}");
    }
}

#[test]
fn another_backups_archive_in_its_place_says_whose_it_is() {
    let bench = Bench::new();
    fs::copy(&bench.older.archive, &bench.newest.archive).unwrap();
    let (report, code) = bench.json(&["verify"]);
    assert_eq!(code, 3);
    let findings = report["backups"][0]["findings"].as_array().unwrap();
    let mark = json!({
        "damage": "mark",
        "expected": format!("reliquary/1 {}", bench.newest.id),
        "found": format!("reliquary/1 {}", bench.older.id),
    });
    assert!(findings.contains(&mark), "{report}");
    assert!(findings.contains(&sha256(&bench)), "{report}");
}

#[test]
fn what_was_good_and_is_written_again_has_to_be_verified_again() {
    let bench = Bench::new();
    assert_eq!(bench.json(&["verify"]).1, 0);
    let verified = |bench: &Bench| bench.json(&["list"]).0["backups"][0]["verified"].clone();
    assert!(verified(&bench).is_string());
    // Time must pass between two writes that are to be told apart.
    let verdict = fs::File::options().append(true).open(bench.file("verified.json")).unwrap();
    verdict.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(verified(&bench), Value::Null, "the archive is younger than the verdict");
}
