//! The ways in which a stored backup may be damaged, each by its name.

use std::fs;

use reliquary::archive::{Manifest, manifest::Member};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::verify::{Bench, edit, edit_manifest};

/// A damage: its name, how it is done, and what must be found of it.
pub(super) struct Damage {
    pub(super) name: &'static str,
    pub(super) make: fn(&Bench),
    pub(super) findings: fn(&Bench) -> Vec<Value>,
}

pub(super) const DAMAGES: &[Damage] = &[
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
pub(super) fn third(bench: &Bench) -> Member {
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

pub(super) fn flip(bench: &Bench, byte: u64) {
    edit(&bench.newest.archive, |bytes| bytes[usize::try_from(byte).unwrap()] ^= 1);
}

fn truncate(bench: &Bench, length: u64) {
    edit(&bench.newest.archive, |bytes| bytes.truncate(usize::try_from(length).unwrap()));
}

fn size(bench: &Bench, found: u64) -> Value {
    json!({ "damage": "size", "expected": bench.newest.manifest.archive.bytes, "found": found })
}

/// The archive as it lies there has another hash.
pub(super) fn sha256(bench: &Bench) -> Value {
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
