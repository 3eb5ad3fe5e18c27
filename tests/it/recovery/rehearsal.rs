//! A whole recovery, from the loss of the source to the message about it.
//!
//! `just rehearse` runs it and shows the document that is left.

use std::{fs, time::Duration};

use super::{document, donations, report, room, said};
use crate::support::{
    postgres::{Server, assert_same_dump},
    product::Product,
    s3::s3s_server,
};

const BUCKET: &str = "altarflow-backups";

/// The test blocks on programs while the S3 server runs on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_source_comes_back_with_a_log_that_proves_it() {
    let s3 = s3s_server().await;
    fs::create_dir(s3.dir.join(BUCKET)).unwrap();
    let (source, room) = (Server::start(15), room());
    donations(&source, "app");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/altarflow.toml");
    let product = Product::of(&source, "app")
        .into_s3(&s3, BUCKET)
        .set("RELIQUARY_CONFIG", config)
        .set("RELIQUARY_GITHUB_TOKEN", "unused")
        .set("RELIQUARY__DRILL__DIR", room.path().display().to_string());
    let backup = report(&product, &["backup"]);
    let backup = backup["id"].as_str().unwrap().to_owned();
    report(&product, &["verify"]);
    report(&product, &["drill"]);
    let was = source.dump_plain("app");
    // Rows that no backup has, and then nothing any more.
    source.psql("app", "insert into \"Church\" values (21, 'too late')");
    std::thread::sleep(Duration::from_millis(1100));
    drop(source);

    // Another machine: it has the settings, and not the source.
    let machine = Product::bare()
        .into_s3(&s3, BUCKET)
        .set("RELIQUARY_CONFIG", config)
        .set("DIRECT_URL", "postgresql://postgres@127.0.0.1:1/app");
    let open = ["incident", "open", "--by", "ann", "--cause", "the provider deleted the project"];
    let opened = report(&machine, &open);
    let id = opened["incident"].as_str().unwrap();
    let looked = &opened["looked"];
    assert_eq!(looked["backup"]["id"], backup);
    let minutes = looked["loss_seconds"].as_u64().unwrap().div_ceil(60);
    assert!(minutes >= 1, "{looked}");
    assert!(looked["expected"].is_object(), "{looked}");
    let note = |arguments: &[&str]| {
        machine.succeed(&[&["incident", "note", "--by", "ann"], arguments].concat());
    };
    note(&["--done", "1", "Found the trigger: the project is gone, with everything in it"]);
    note(&["--done", "2", "Stopped production deploys and told leadership"]);

    let target = Server::start(15);
    target.create_database("restored");
    note(&["--done", "3", "Created a new server"]);
    let machine =
        machine.set("NEW_DATABASE_URL", target.url("restored")).client_dir(target.bin_dir());
    let restore = |arguments: &[&str]| {
        let to = ["restore", "--to", "env:NEW_DATABASE_URL", "--incident", "latest"];
        let output = machine.run(&[&to[..], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
    };
    restore(&["--dry-run"]);
    restore(&[]);
    assert_same_dump(&was, &target.dump_plain("restored"));
    let note = |arguments: &[&str]| {
        machine.succeed(&[&["incident", "note", "--by", "ann"], arguments].concat());
    };
    note(&["--done", "4", "--done", "5", "Verified the donation flow, reports and member search"]);
    note(&["--done", "6", "Pointed the application at the new server and redeployed"]);
    let closed = report(
        &machine,
        &[
            "incident",
            "close",
            "--by",
            "ann",
            "--cause",
            "the provider deleted the project",
            "--next",
            "Ask the provider for deletion protection",
        ],
    );

    let message = closed["message"].as_str().unwrap();
    for part in [
        "Subject: [Resolved] AltarFlow data restoration completed",
        "restored from backups after the provider deleted the project.",
        &format!(
            "Data loss window: {}.",
            if minutes == 1 { "1 minute".to_owned() } else { format!("{minutes} minutes") }
        ),
        &format!("- Restored backup {backup} into a new server; the rows of all 2 tables were"),
        "- Pointed the application at the new server and redeployed",
        "- Ask the provider for deletion protection",
        "- Reconcile what was written between ",
    ] {
        assert!(message.contains(part), "{part}\n{message}");
    }
    let text = fs::read_to_string(document(&machine, id)).unwrap();
    for part in [
        "restore --to env:NEW_DATABASE_URL --incident latest\n",
        "**Proof**: 2,020 rows of 2 tables were counted, every table holds those of the backup.",
        "- [x] **1. Assess scope**",
        "- [x] **6. Cut over**",
        "- [ ] **7. Post-recovery**",
        "Disable production deploys on Vercel.",
        "| After the failure |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let stored = s3.dir.join(BUCKET).join(format!("database/incidents/{id}.md"));
    assert_eq!(text, fs::read_to_string(stored).unwrap());
    // For those who run it to see it.
    println!("{text}");
}
