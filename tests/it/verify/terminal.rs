//! What a hostile manifest or archive makes a person's terminal do: nothing.

use std::fs;

use super::{Bench, edit, edit_manifest};

/// Clears the screen, turns the text around, and writes a line of its own.
const HOSTILE: &str = "\u{1b}[2J\u{9b}31m\u{202e}\r\nall is well";

/// Runs a command; nothing that it says may move a terminal.
fn run(bench: &Bench, arguments: &[&str]) -> String {
    let output = bench.run(arguments);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let moves = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!said.contains(moves), "{arguments:?}: {said:?}");
    assert!(!said.contains("\nall is well"), "{arguments:?}: {said:?}");
    said
}

#[test]
fn no_text_of_a_bucket_moves_a_terminal() {
    let bench = Bench::new();
    let id = bench.newest.id.clone();
    let manifest = bench.file("manifest.json");
    edit_manifest(&manifest, |manifest| {
        let hostile = || HOSTILE.to_owned();
        for table in &mut manifest.tables {
            table.schema = hostile();
            table.name = hostile();
        }
        manifest.source.database = hostile();
        manifest.source.server_version = hostile();
        manifest.source.encoding = hostile();
        manifest.source.lsn = Some(hostile());
        manifest.source.roles = vec![hostile()];
        manifest.source.extensions[0].name = hostile();
        manifest.tool.version = hostile();
        manifest.tool.pg_dump = hostile();
        manifest.excluded.schemas = vec![hostile()];
        manifest.warnings = vec![HOSTILE.replace("\r\n", "")];
        manifest.archive.sha256 = hostile();
    });
    let shown = run(&bench, &["show"]);
    assert!(shown.contains(r"\u{1b}[2J\u{9b}31m\u{202e}\r\nall is well"), "{shown}");
    run(&bench, &["list"]);
    run(&bench, &["fetch"]);
    run(&bench, &["fetch", "-o", "x.sql.gz"]);
    run(&bench, &["verify", "--no-record"]);
    run(&bench, &["verify"]);
    run(&bench, &["show", &id]);
    run(&bench, &["status"]);

    // What cannot be read is told with what it holds.
    for (from, to) in [
        ("\"kind\": \"scheduled\"", "\"kind\": \"HOSTILE\""),
        ("reliquary/1", "HOSTILE"),
        (".sql.gz\"", ".HOSTILE\""),
    ] {
        bench.reset();
        let hostile = r"\u001b[2J\u009b31m\u202e\r\nall is well";
        edit(&manifest, |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            assert!(text.contains(from));
            *bytes = text.replacen(from, &to.replace("HOSTILE", hostile), 1).into_bytes();
        });
        for arguments in [
            &["list"][..],
            &["show"],
            &["fetch"],
            // By its name: without one, the backup before it is written out.
            &["restore", &id, "--to", "-"],
            &["verify"],
            &["show", &id],
        ] {
            run(&bench, arguments);
        }
    }

    // A report beside a backup is a text of the bucket, too.
    bench.reset();
    edit(&bench.newest.archive, |bytes| bytes[2000] ^= 1);
    run(&bench, &["verify"]);
    edit(&bench.file("damaged.json"), |bytes| {
        let text = String::from_utf8(std::mem::take(bytes)).unwrap();
        let hostile = r"\u001b[2J\u009b31m\u202e\r\nall is well";
        *bytes = text.replace("statements of", hostile).replace("rows of", hostile).into_bytes();
    });
    let shown = run(&bench, &["show", &id]);
    assert!(shown.contains(r"\u{1b}[2J"), "{shown}");
    assert!(fs::metadata(bench.file("damaged.json")).is_ok());
}
