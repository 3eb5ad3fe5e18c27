//! Archives that would run programs of the machine that restores them. The
//! bucket is somebody else's machine, and who can write it must not own ours.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{fails, shop};
use crate::support::{
    postgres::Server,
    product::{Backup, Product},
};

const ID: &str = "2026-01-02T03-00-00Z";

/// Ways to a shell, each with what is said of it; `MARK` is a file that would be made.
const WAYS: [(&str, &str); 5] = [
    ("\\! touch MARK\n", "psql command"),
    ("SELECT 1\n\\! touch MARK\n;\n", "backslash outside quotes"),
    ("SELECT 'touch MARK' \\g | sh\n;\n", "backslash outside quotes"),
    (
        "SET standard_conforming_strings = off;\nSELECT '\\'' \\! touch MARK\n', '';\n",
        "standard_conforming_strings",
    ),
    // Nothing tells these strings from others but the server, which `psql` believes.
    (
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings';\n\
         SELECT '\\'' \\! touch MARK\n-- '\n;\n",
        "restricted",
    ),
];

fn pack(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_hostile_legacy_archive_runs_nothing_here() {
    let server = Server::start(15);
    server.create_database("app");
    let product = Product::of(&server, "app");
    let folder = product.store_dir().join("database/2026/01");
    fs::create_dir_all(&folder).unwrap();
    for (nth, (way, what)) in WAYS.into_iter().enumerate() {
        let mark = product.dir().join(format!("mark{nth}"));
        let way = way.replace("MARK", &mark.display().to_string());
        fs::write(folder.join(format!("{ID}.sql.gz")), pack(way.as_bytes())).unwrap();
        let copy = format!("copy{nth}");
        server.create_database(&copy);
        let said = fails(&product, &server, &copy, &[ID]);
        assert!(!mark.exists(), "{way}: it ran: {said}");
        assert!(said.contains(what), "{way}: {said}");
    }
}

#[test]
fn a_hostile_backup_runs_nothing_here() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let backup = product.backup(&[]);
    let good = fs::read(&backup.archive).unwrap();
    for section in ["pre_data", "data", "post_data"] {
        for (nth, (way, what)) in WAYS.into_iter().enumerate() {
            let mark = product.dir().join(format!("{section}{nth}"));
            let way = way.replace("MARK", &mark.display().to_string());
            forge(&backup, &good, section, way.as_bytes());
            let copy = format!("copy_{section}{nth}");
            server.create_database(&copy);
            let said = fails(&product, &server, &copy, &[]);
            assert!(!mark.exists(), "{section}, {way}: it ran: {said}");
            // Statements after the rows go to the server as they are, without psql.
            let what = if section == "post_data" && what == "restricted" { "stage" } else { what };
            assert!(said.contains(what), "{section}, {way}: {said}");
        }
    }
}

/// Adds a text to a section, with a manifest that agrees.
fn forge(backup: &Backup, good: &[u8], section: &str, text: &[u8]) {
    let mut manifest: Value = serde_json::from_str(&backup.manifest_text).unwrap();
    let number = |value: &Value, key: &str| value[key].as_u64().unwrap();
    let last = manifest["sections"][section].as_array().unwrap().last().unwrap().clone();
    let (offset, length) = (number(&last, "offset"), number(&last, "length"));
    let (from, to) = (usize::try_from(offset).unwrap(), usize::try_from(offset + length).unwrap());
    let mut plain = Vec::new();
    GzDecoder::new(&good[from..to]).read_to_end(&mut plain).unwrap();
    plain.extend_from_slice(text);
    let member = pack(&plain);
    let archive = [&good[..from], &member, &good[to..]].concat();
    shift(&mut manifest, offset, member.len() as u64, plain.len() as u64, length);
    let sha256: String =
        Sha256::digest(&archive).iter().map(|byte| format!("{byte:02x}")).collect();
    let added = number(&manifest["archive"], "uncompressed_bytes") + text.len() as u64;
    manifest["archive"]["uncompressed_bytes"] = added.into();
    manifest["archive"]["bytes"] = archive.len().into();
    manifest["archive"]["sha256"] = sha256.clone().into();
    fs::write(&backup.archive, archive).unwrap();
    let name = |end: &str| backup.dir().join(format!("{}.{end}", backup.id));
    fs::write(name("manifest.json"), manifest.to_string()).unwrap();
    fs::write(name("sql.gz.sha256"), format!("{sha256}  {}\n", backup.file())).unwrap();
}

/// Lets every member of a manifest stand where it is when one has another length.
fn shift(value: &mut Value, at: u64, length: u64, uncompressed: u64, old: u64) {
    match value {
        Value::Array(items) => {
            for item in items {
                shift(item, at, length, uncompressed, old);
            }
        }
        Value::Object(fields) => {
            match fields.get("offset").and_then(Value::as_u64) {
                Some(offset) if offset == at => {
                    fields["length"] = length.into();
                    fields["uncompressed"] = uncompressed.into();
                }
                Some(offset) if offset > at => fields["offset"] = (offset + length - old).into(),
                _ => {}
            }
            for item in fields.values_mut() {
                shift(item, at, length, uncompressed, old);
            }
        }
        _ => {}
    }
}

/// An older `psql` cannot be told to take no commands.
#[test]
fn a_psql_that_takes_commands_from_archives_is_not_used() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    let archive = product.store_dir().join("database/2026/01").join(format!("{ID}.sql.gz"));
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    fs::write(&archive, pack(b"SELECT 1;\n")).unwrap();
    let folder = product.dir().join("old");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("psql"), "#!/bin/sh\necho 'psql (PostgreSQL) 15.13'\n").unwrap();
    fs::set_permissions(folder.join("psql"), fs::Permissions::from_mode(0o755)).unwrap();
    server.create_database("copy");
    let old = product.with_client_dir(&folder);
    for arguments in [&[][..], &[ID]] {
        let said = fails(&old, &server, "copy", arguments);
        assert!(said.contains("psql (PostgreSQL) 15.13") && said.contains("restrict"), "{said}");
        assert!(said.contains("install the newest postgresql-client-15"), "{said}");
    }
}
