//! What a person reads of `verify`, `fetch`, and of what they found.

use std::fs;

use super::{Server, shop, snapshot, snapshot_of};

#[test]
fn a_morning_with_a_damaged_backup() {
    let server = Server::start(15);
    let product = shop(&server);
    let older = product.backup(&["--manual"]);
    let newest = product.backup(&[]);
    snapshot("verify", &product, &["verify"]);
    snapshot("list_of_verified", &product, &["list"]);
    snapshot("show_of_verified", &product, &["show"]);
    snapshot("fetch", &product, &["fetch", "-o", "."]);
    snapshot("fetch_again", &product, &["fetch", "-o", "."]);

    let damage = |at: usize| {
        let mut bytes = fs::read(&newest.archive).unwrap();
        bytes[at] ^= 1;
        fs::write(&newest.archive, bytes).unwrap();
    };
    let donors = newest.manifest.tables.iter().find(|table| table.name == "donors").unwrap();
    damage(usize::try_from(donors.members[0].offset).unwrap());
    snapshot("verify_of_damaged_without_a_record", &product, &["verify", "--no-record"]);
    snapshot("verify_of_damaged", &product, &["verify"]);
    snapshot("verify_all", &product, &["verify", "--all", "--jobs", "2"]);
    snapshot("verify_quietly", &product, &["-q", "verify", "--since", "1d"]);
    snapshot("list_of_damaged", &product, &["list"]);
    snapshot("show_of_damaged", &product, &["show", &newest.id]);
    snapshot("fetch_of_damaged", &product, &["fetch", &newest.id]);
    snapshot("status_of_damaged", &product, &["status"]);
    let kept = newest.dir().join(format!("{}.damaged.json", newest.id));
    let kept = fs::read_to_string(kept).unwrap();
    let kept: String = kept
        .lines()
        .map(|line| match line.split_once(": ") {
            // Numbers that differ from machine to machine.
            Some((key, value)) if value.starts_with(|c: char| c.is_ascii_digit()) => {
                format!("{key}: [number]\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let kept = kept.replace(env!("CARGO_PKG_VERSION"), "[version]");
    snapshot_of("damaged_json", &product, &kept);

    fs::remove_file(&older.archive).unwrap();
    snapshot("verify_with_nothing_else", &product, &["verify", &newest.id]);
}

#[test]
fn the_pointer_leaves_a_backup_that_is_found_damaged_by_hand() {
    let server = Server::start(15);
    let product = shop(&server);
    let (older, newest) = (product.backup(&[]), product.backup(&[]));
    let pointer = || fs::read_to_string(product.store_dir().join("database/LATEST.txt")).unwrap();
    assert!(pointer().starts_with(&newest.id));
    let mut bytes = fs::read(&newest.archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest.archive, bytes).unwrap();
    assert_eq!(product.run(&["verify", "--no-record"]).status.code(), Some(3));
    assert!(pointer().starts_with(&newest.id), "nothing may be written");
    assert_eq!(product.run(&["verify"]).status.code(), Some(3));
    assert!(pointer().starts_with(&older.id), "{}", pointer());
}

#[test]
fn bad_usage_says_what_is_right() {
    let server = Server::start(15);
    let product = shop(&server);
    fs::create_dir(product.store_dir()).unwrap();
    snapshot("verify_of_nothing", &product, &["verify"]);
    snapshot("verify_all_of_nothing", &product, &["verify", "--all"]);
    snapshot("fetch_of_nothing", &product, &["fetch"]);
    snapshot("verify_all_and_since", &product, &["verify", "--all", "--since", "7d"]);
    snapshot("verify_since_never", &product, &["verify", "--since", "yesterday"]);
    snapshot("verify_too_many_jobs", &product, &["verify", "--jobs", "0"]);
    snapshot("fetch_an_id_and_a_time", &product, &["fetch", "latest", "--at", "2026-11-23 14:30Z"]);
}

#[test]
fn a_bucket_that_may_only_be_read_is_verified_all_the_same() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(15);
    let product = shop(&server);
    let backup = product.backup(&[]);
    // Rights mean nothing to root; a name that is a folder stops a file for all.
    let verdict = backup.dir().join(format!("{}.verified.json", backup.id));
    fs::create_dir(&verdict).unwrap();
    fs::write(verdict.join("x"), b"").unwrap();
    fs::set_permissions(&verdict, fs::Permissions::from_mode(0o500)).unwrap();
    let output = product.run(&["verify"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("is good"));
    assert!(said.contains("could not be written down"), "{said}");
}
