//! Every way in which a stored backup may be damaged, by its name: what exactly
//! is found, and that it counts for nothing afterwards.

use std::fs;

use reliquary::archive::{Manifest, manifest::Member};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Bench, edit, edit_manifest};

/// A damage: its name, how it is done, and what must be found of it.
struct Damage {
    name: &'static str,
    make: fn(&Bench),
    findings: fn(&Bench) -> Vec<Value>,
}

const DAMAGES: &[Damage] = &[
    Damage {
        name: "one flipped bit in the header of a member",
        make: |bench| flip(bench, third(bench).offset),
        findings: |bench| {
            vec![sha256(bench), member(bench, gzip("it does not begin with a gzip header"))]
        },
    },
    Damage {
        name: "one flipped bit that no checksum of gzip guards",
        make: |bench| flip(bench, third(bench).offset + 6),
        findings: |bench| vec![sha256(bench), member(bench, json!({ "problem": "header" }))],
    },
    Damage {
        name: "one flipped bit in the CRC of a member",
        make: |bench| flip(bench, end(third(bench)) - 8),
        findings: |bench| {
            let archive = fs::read(&bench.newest.archive).unwrap();
            let at = usize::try_from(end(third(bench)) - 8).unwrap();
            let said = u32::from_le_bytes(archive[at..at + 4].try_into().unwrap());
            let was = said ^ 1;
            let detail = format!("its text has the CRC-32 {was:08x}, and its end says {said:08x}");
            vec![sha256(bench), member(bench, gzip(&detail))]
        },
    },
    Damage {
        name: "one flipped bit in the length of a member",
        make: |bench| flip(bench, end(third(bench)) - 4),
        findings: |bench| {
            let length = third(bench).uncompressed;
            let said = length ^ 1;
            let detail =
                format!("its text has {length} bytes, and its end says {said} (modulo 2^32)");
            vec![sha256(bench), member(bench, gzip(&detail))]
        },
    },
    Damage {
        name: "truncated at a member's edge",
        make: |bench| truncate(bench, third(bench).offset),
        findings: |bench| {
            let third = third(bench);
            vec![
                size(bench, third.offset),
                sha256(bench),
                json!({
                    "damage": "members_missing", "first": number(bench),
                    "last": bench.newest.manifest.members().len(),
                    "holds": "rows of public.donation", "offset": third.offset,
                }),
            ]
        },
    },
    Damage {
        name: "truncated inside a member",
        make: |bench| truncate(bench, third(bench).offset + 40),
        findings: |bench| {
            let third = third(bench);
            vec![
                size(bench, third.offset + 40),
                sha256(bench),
                member(bench, gzip("it is cut short, after 40 bytes")),
                json!({
                    "damage": "members_missing", "first": number(bench) + 1,
                    "last": bench.newest.manifest.members().len(),
                    "holds": "rows of public.donation", "offset": end(third),
                }),
            ]
        },
    },
    Damage {
        name: "truncated to nothing",
        make: |bench| truncate(bench, 0),
        findings: |bench| {
            let expected = format!("reliquary/1 {}", bench.newest.id);
            vec![
                size(bench, 0),
                sha256(bench),
                json!({ "damage": "mark", "expected": expected, "found": null }),
                json!({
                    "damage": "members_missing", "first": 1,
                    "last": bench.newest.manifest.members().len(),
                    "holds": "statements of pre-data", "offset": 0,
                }),
            ]
        },
    },
    Damage {
        name: "bytes after the end",
        make: |bench| edit(&bench.newest.archive, |bytes| bytes.extend_from_slice(b"garbage")),
        findings: |bench| vec![size(bench, bench.newest.manifest.archive.bytes + 7), sha256(bench)],
    },
    Damage {
        name: "the archive gone",
        make: |bench| fs::remove_file(&bench.newest.archive).unwrap(),
        findings: |_| vec![json!({ "damage": "archive_missing" })],
    },
    Damage {
        name: "manifest edited: rows of a table",
        make: |bench| edit_manifest(&bench.file("manifest.json"), |m| table(m).rows += 1),
        findings: |_| {
            vec![
                json!({
                    "damage": "manifest_sum", "what": "rows of public.donation",
                    "expected": 60_000, "found": 60_001,
                }),
                json!({ "damage": "manifest_sum", "what": "rows", "expected": 60_051, "found": 60_050 }),
            ]
        },
    },
    Damage {
        name: "manifest edited: rows of a member, and every sum",
        make: |bench| {
            edit_manifest(&bench.file("manifest.json"), |manifest| {
                manifest.rows += 1;
                let table = table(manifest);
                table.rows += 1;
                table.members[2].rows += 1;
            });
        },
        findings: |bench| {
            let found = third(bench).rows;
            vec![member(bench, json!({ "problem": "rows", "expected": found + 1, "found": found }))]
        },
    },
    Damage {
        name: "manifest edited: SHA-256",
        make: |bench| {
            edit_manifest(&bench.file("manifest.json"), |manifest| {
                manifest.archive.sha256 = "0".repeat(64);
            });
        },
        findings: |bench| {
            let (edited, was) = ("0".repeat(64), &bench.newest.manifest.archive.sha256);
            vec![json!({ "damage": "sha256", "expected": edited, "found": was })]
        },
    },
    Damage {
        name: "manifest edited: size",
        make: |bench| {
            edit_manifest(&bench.file("manifest.json"), |manifest| manifest.archive.bytes += 3);
        },
        findings: |bench| {
            let found = bench.newest.manifest.archive.bytes;
            let expected = found + 3;
            let detail = format!(
                "by the manifest, the bytes {found} to {expected} of the archive belong to no member"
            );
            vec![
                json!({ "damage": "manifest_members", "detail": detail }),
                json!({ "damage": "size", "expected": expected, "found": found }),
            ]
        },
    },
    Damage {
        name: "manifest edited: offset of a member",
        make: |bench| {
            edit_manifest(&bench.file("manifest.json"), |m| table(m).members[2].offset += 1);
        },
        findings: |bench| {
            let offset = third(bench).offset;
            let detail = format!(
                "by the manifest, the bytes {offset} to {} of the archive belong to no member",
                offset + 1
            );
            vec![json!({ "damage": "manifest_members", "detail": detail })]
        },
    },
    Damage {
        name: "manifest edited: name of a table",
        make: |bench| {
            edit_manifest(&bench.file("manifest.json"), |manifest| {
                let church = manifest.tables.iter_mut().find(|table| table.name == "church");
                "chapel".clone_into(&mut church.unwrap().name);
            });
        },
        findings: |bench| {
            let tables = &bench.newest.manifest.tables;
            let church = tables.iter().find(|table| table.name == "church").unwrap();
            let Member { offset, length, .. } = church.members[0];
            let members = bench.newest.manifest.members();
            let number = members.iter().position(|member| member.offset == offset).unwrap() + 1;
            vec![json!({
                "damage": "member", "number": number, "holds": "rows of public.chapel",
                "offset": offset, "length": length, "problem": "copy",
                "expected": "rows of public.chapel (id, name)",
                "found": "rows of public.church (id, name)",
            })]
        },
    },
    Damage {
        name: "manifest that is none",
        make: |bench| edit(&bench.file("manifest.json"), |bytes| bytes.truncate(40)),
        findings: |_| {
            let detail = "read the manifest: EOF while parsing a string at line 3 column 11";
            vec![json!({ "damage": "manifest_unreadable", "detail": detail })]
        },
    },
    Damage {
        name: "manifest of another backup",
        make: |bench| {
            let older = bench.older.dir().join(format!("{}.manifest.json", bench.older.id));
            fs::copy(older, bench.file("manifest.json")).unwrap();
        },
        findings: |bench| {
            let (id, other) = (&bench.newest.id, &bench.older.id);
            let key = &bench.newest.manifest.archive.key;
            vec![json!({
                "damage": "manifest_of_another",
                "expected": format!("scheduled backup {id}, {key}"),
                "found": format!("manual backup {other}, database/manual/{other}.sql.gz"),
            })]
        },
    },
];

fn table(manifest: &mut Manifest) -> &mut reliquary::archive::manifest::Table {
    manifest.tables.iter_mut().find(|table| table.name == "donation").unwrap()
}

/// The third member of the large table.
fn third(bench: &Bench) -> Member {
    let tables = &bench.newest.manifest.tables;
    tables.iter().find(|table| table.name == "donation").unwrap().members[2]
}

/// Its number in the archive.
fn number(bench: &Bench) -> usize {
    let offset = third(bench).offset;
    let members = bench.newest.manifest.members();
    members.iter().position(|member| member.offset == offset).unwrap() + 1
}

fn end(member: Member) -> u64 {
    member.offset + member.length
}

fn flip(bench: &Bench, byte: u64) {
    edit(&bench.newest.archive, |bytes| bytes[usize::try_from(byte).unwrap()] ^= 1);
}

fn truncate(bench: &Bench, length: u64) {
    edit(&bench.newest.archive, |bytes| bytes.truncate(usize::try_from(length).unwrap()));
}

fn size(bench: &Bench, found: u64) -> Value {
    json!({ "damage": "size", "expected": bench.newest.manifest.archive.bytes, "found": found })
}

/// The archive as it lies there has another hash.
fn sha256(bench: &Bench) -> Value {
    let archive = fs::read(&bench.newest.archive).unwrap();
    let found: String = Sha256::digest(&archive).iter().map(|b| format!("{b:02x}")).collect();
    let expected = &bench.newest.manifest.archive.sha256;
    json!({ "damage": "sha256", "expected": expected, "found": found })
}

fn gzip(detail: &str) -> Value {
    json!({ "problem": "gzip", "detail": detail })
}

fn member(bench: &Bench, problem: Value) -> Value {
    let third = third(bench);
    let mut finding = json!({
        "damage": "member", "number": number(bench), "holds": "rows of public.donation",
        "offset": third.offset, "length": third.length,
    });
    let Value::Object(problem) = problem else { panic!("{problem}") };
    finding.as_object_mut().unwrap().extend(problem);
    finding
}

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
        assert!(said.contains(&format!("{id} is damaged")), "{name}: {said}");
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
        let (report, _) = bench.json(&["verify"]);
        assert_eq!(report["backups"][0]["remarks"], json!([]));

        // Beside an archive that is damaged it is evidence, and stays.
        bench.reset();
        put();
        flip(&bench, third(&bench).offset);
        assert_eq!(bench.json(&["verify"]).1, 3);
        assert_eq!(fs::read_to_string(&path).ok(), text);
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
