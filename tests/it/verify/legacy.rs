//! Archives of the old workflow: read to their end, never proven.

use std::{fs, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::product::Product;

const ID: &str = "2025-11-23T14-00-00Z";
const TEXT: &str = "CREATE TABLE t ();\n--\n-- PostgreSQL database dump complete\n--\n\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A bucket that the old workflow has filled with one archive.
struct Old(Product);

impl Old {
    fn with(archive: &[u8]) -> Self {
        let product = Product::bare().set("DIRECT_URL", "postgres://user@localhost:1/app");
        let store = product.store_url();
        let product = product
            .set("RELIQUARY__STORE__URL", store)
            .set("RELIQUARY__HTTP__LISTEN", "127.0.0.1:1");
        let old = Self(product);
        old.write(&format!("2025/11/{ID}.sql.gz"), archive);
        old
    }

    fn write(&self, key: &str, bytes: &[u8]) {
        let path = self.0.store_dir().join("database").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// What verify says, and whether it is damaged.
    fn verify(&self) -> (Value, bool) {
        let output = self.0.run(&["--json", "verify", ID]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = output.status.code().unwrap();
        assert_eq!(report["backups"][0]["legacy"], true);
        assert!(code == 0 || code == 3, "{report}");
        (report["backups"][0]["findings"].clone(), code == 3)
    }

    /// What verify finds odd.
    fn remarks(&self) -> Value {
        let report = self.0.succeed(&["--json", "verify", ID]);
        let report: Value = serde_json::from_str(&report).unwrap();
        report["backups"][0]["remarks"].clone()
    }

    fn state(&self) -> (Value, Value) {
        let list: Value = serde_json::from_str(&self.0.succeed(&["--json", "list"])).unwrap();
        (list["backups"][0]["state"].clone(), list["backups"][0]["verified"].clone())
    }

    /// Damage is found, written down, and counts.
    fn is_damaged(&self, findings: &Value) {
        assert_eq!(self.verify(), (findings.clone(), true));
        assert_eq!(self.state().0, "damaged");
        assert_ne!(self.0.run(&["show", "latest"]).status.code(), Some(0));
    }
}

#[test]
fn an_undamaged_one_is_read_to_its_end_and_stays_unproven() {
    let archive = gzip(TEXT);
    let old = Old::with(&archive);
    assert_eq!(old.verify(), (json!([]), false));
    assert_eq!(old.state(), (json!("legacy"), Value::Null));
    let told = old.0.succeed(&["verify", ID]);
    assert!(told.contains("nothing proves that it is complete"), "{told}");
    // With a checksum that is known, in each of its three places.
    let line = format!("{}  {ID}.sql.gz\n", sha256(&archive));
    old.write("LATEST.sha256", line.as_bytes());
    assert_eq!(old.verify(), (json!([]), false));
    let pointer = format!("{ID}\ns3://b/{ID}.sql.gz\n{}\n", sha256(&archive));
    old.write("LATEST.txt", pointer.as_bytes());
    assert_eq!(old.verify(), (json!([]), false));
    old.write(&format!("2025/11/{ID}.sql.gz.sha256"), line.as_bytes());
    assert_eq!(old.verify(), (json!([]), false));
}

#[test]
fn a_known_checksum_is_held_against_it_wherever_it_stands() {
    let archive = gzip(TEXT);
    let wrong = "0".repeat(64);
    let finding = json!([{ "damage": "sha256", "expected": wrong, "found": sha256(&archive) }]);
    for (key, text) in [
        (format!("2025/11/{ID}.sql.gz.sha256"), format!("{wrong}  {ID}.sql.gz\n")),
        ("LATEST.txt".to_owned(), format!("{ID}\ns3://b/{ID}.sql.gz\n{wrong}\n")),
        ("LATEST.sha256".to_owned(), format!("{wrong}  {ID}.sql.gz\n")),
    ] {
        let old = Old::with(&archive);
        old.write(&key, text.as_bytes());
        old.is_damaged(&finding);
    }
    // A pointer to another archive says nothing of this one.
    let old = Old::with(&archive);
    old.write("LATEST.sha256", format!("{wrong}  2025-11-23T15-00-00Z.sql.gz\n").as_bytes());
    assert_eq!(old.verify(), (json!([]), false));
}

#[test]
fn a_checksum_file_of_any_tool_is_read_and_one_of_no_use_is_remarked_on() {
    let archive = gzip(TEXT);
    let (hash, wrong) = (sha256(&archive), "0".repeat(64));
    let name = format!("{ID}.sql.gz");
    let forms = |hash: &str| {
        [
            format!("{hash}  /tmp/backup.sql.gz\n"),
            format!("{hash}  -\n"),
            format!("{hash}\n"),
            hash.to_owned(),
            format!("{hash}  {ID}.sql.gz\r\n"),
            format!("{} *backup.sql.gz\r\n", hash.to_uppercase()),
        ]
    };
    let old = Old::with(&archive);
    let key = format!("2025/11/{name}.sha256");
    for text in forms(&hash) {
        old.write(&key, text.as_bytes());
        assert_eq!(old.verify(), (json!([]), false), "{text:?}");
        assert_eq!(old.remarks(), json!([]), "{text:?}");
    }
    // What is known is held against the archive in every form, by fetch too.
    for text in forms(&wrong) {
        let old = Old::with(&archive);
        old.write(&key, text.as_bytes());
        let fetch =
            old.0.run(&["fetch", ID, "-o", old.0.dir().join("fetched.sql.gz").to_str().unwrap()]);
        let said = String::from_utf8_lossy(&fetch.stderr).into_owned();
        assert!(!fetch.status.success() && said.contains(&wrong), "{text:?}: {said}");
        let finding = json!([{ "damage": "sha256", "expected": wrong, "found": hash }]);
        assert_eq!(old.verify(), (finding, true), "{text:?}");
    }
    let old = Old::with(&archive);
    for text in ["", "gone", &hash[1..]] {
        old.write(&key, text.as_bytes());
        assert_eq!(old.verify(), (json!([]), false), "{text:?}");
        assert_eq!(old.remarks(), json!([{ "remark": "checksum_unknown" }]), "{text:?}");
    }
}

/// `supabase db dump` strips comments, and some append statements of their own.
#[test]
fn one_whose_text_does_not_end_as_a_dump_ends_is_remarked_on_and_fetched() {
    for text in ["CREATE TABLE t ();\n", &format!("{TEXT}{}", "GRANT a TO b;\n".repeat(1000))] {
        let old = Old::with(&gzip(text));
        assert_eq!(old.verify(), (json!([]), false));
        let remarks = json!([{ "remark": "checksum_unknown" }, { "remark": "dump_end" }]);
        assert_eq!(old.remarks(), remarks);
        assert_eq!(old.state().0, "legacy");
        let told = old.0.succeed(&["verify", ID]);
        assert!(told.contains("note: its text does not end"), "{told}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fetched.sql.gz");
        old.0.succeed(&["fetch", ID, "-o", file.to_str().unwrap()]);
        assert_eq!(fs::read(file).unwrap(), gzip(text));
    }
}

#[test]
fn one_cut_inside_a_member_says_which() {
    let archive = [gzip(&TEXT[..19]), gzip(&TEXT[19..])];
    let offset = archive[0].len();
    let cut = archive[1].len() - 5;
    let bytes = archive.concat();
    let finding = json!([{
        "damage": "gzip", "number": 2, "offset": offset,
        "detail": format!("it is cut short, after {cut} bytes"),
    }]);
    Old::with(&bytes[..bytes.len() - 5]).is_damaged(&finding);
}

#[test]
fn garbage_after_the_end_is_counted() {
    let archive = gzip(TEXT);
    let bytes = [&archive[..], b"trailing garbage"].concat();
    let finding = json!([{ "damage": "trailing", "offset": archive.len(), "bytes": 16 }]);
    Old::with(&bytes).is_damaged(&finding);
}

#[test]
fn a_damaged_one_that_is_mended_is_a_legacy_archive_again() {
    let archive = gzip(TEXT);
    let old = Old::with(&[&archive[..], b"garbage"].concat());
    old.is_damaged(&json!([{ "damage": "trailing", "offset": archive.len(), "bytes": 7 }]));
    old.write(&format!("2025/11/{ID}.sql.gz"), &gzip(TEXT));
    assert_eq!(old.state().0, "damaged", "until it is verified");
    assert_eq!(old.verify(), (json!([]), false));
    assert_eq!(old.state(), (json!("legacy"), Value::Null));
}
