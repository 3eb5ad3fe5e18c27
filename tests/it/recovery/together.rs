//! Several people, machines and places: nothing is lost.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{document, ends, installation, report, said, stored_document};
use crate::support::product::Product;

/// The texts of an incident's notes.
fn notes(shown: &Value) -> BTreeSet<String> {
    let entries = shown["entries"].as_array().unwrap().iter();
    entries.filter_map(|entry| Some(entry["what"]["text"].as_str()?.to_owned())).collect()
}

/// The same installation on a machine of its own.
fn another_machine(product: &Product) -> Product {
    Product::bare()
        .set("RELIQUARY__STORE__URL", product.store_url())
        .set("DIRECT_URL", "postgres://nobody@127.0.0.1:1/x")
}

#[test]
fn notes_that_are_written_at_once_are_all_kept() {
    let (_server, product) = installation();
    product.backup(&[]);
    let id = report(&product, &["incident", "open"])["incident"].as_str().unwrap().to_owned();
    let (here, there) = (product.clone(), another_machine(&product));
    let mut wanted = BTreeSet::new();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let machine = if number % 2 == 0 { &here } else { &there };
            let text = format!("note {number}");
            wanted.insert(text.clone());
            scope.spawn(move || machine.succeed(&["incident", "note", &text]));
        }
    });
    // Whoever wrote last has seen them all.
    let text = fs::read_to_string(stored_document(&product, &id)).unwrap();
    for note in &wanted {
        assert!(text.contains(note.as_str()), "{note}\n{text}");
    }
    for machine in [&here, &there] {
        assert_eq!(notes(&report(machine, &["incident", "show"])), wanted);
        assert_eq!(fs::read_to_string(document(machine, &id)).unwrap(), text);
    }
}

#[test]
fn an_incident_is_kept_here_while_the_store_is_away_and_uploaded_when_it_is_back() {
    let (_server, product) = installation();
    product.backup(&[]);
    let away = product.dir().join("unmounted");
    fs::rename(product.store_dir(), &away).unwrap();
    let output = product.run(&["--json", "incident", "open", "--cause", "all is dark"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("the bucket does not have it yet"), "{}", said(&output));
    let opened: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(opened["looked"].is_null() && opened["uri"].is_null(), "{opened}");
    let id = opened["incident"].as_str().unwrap();
    let output = product.run(&["incident", "note", "the disk is gone"]);
    assert!(output.status.success(), "{}", said(&output));
    let elsewhere = product.clone().set("RELIQUARY__RUNBOOK__INCIDENTS", "elsewhere");
    let text = elsewhere.succeed(&["incident", "open"]);
    assert!(text.contains("next:\n  reliquary incident show 20"), "{text}");
    assert!(text.contains("restore --to env:TARGET_URL --incident 20"), "{text}");
    let text = fs::read_to_string(document(&product, id)).unwrap();
    assert!(text.contains("the bucket could not be read yet"), "{text}");
    assert!(!product.store_dir().exists(), "nothing is made where the disk is not mounted");

    fs::rename(&away, product.store_dir()).unwrap();
    let shown = report(&product, &["incident", "show"]);
    assert!(shown["looked"]["backup"].is_object(), "{shown}");
    assert!(notes(&shown).contains("the disk is gone"));
    let text = fs::read_to_string(stored_document(&product, id)).unwrap();
    assert!(text.contains("the disk is gone") && text.contains("Data-loss window"), "{text}");
    // Another machine has all of it.
    let there = another_machine(&product);
    assert_eq!(notes(&report(&there, &["incident", "show", id])), notes(&shown));
}

#[test]
fn an_incident_is_kept_in_the_store_where_this_machine_takes_nothing() {
    let (_server, product) = installation();
    product.backup(&[]);
    // A file stands where the folder would be.
    fs::write(product.dir().join("incidents"), "x").unwrap();
    let output = product.run(&["--json", "incident", "open"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("this machine does not have it"), "{}", said(&output));
    let opened: Value = serde_json::from_slice(&output.stdout).unwrap();
    product.succeed(&["incident", "note", "still here"]);
    let id = opened["incident"].as_str().unwrap();
    let text = fs::read_to_string(stored_document(&product, id)).unwrap();
    assert!(text.contains("still here"), "{text}");
    // Where the store takes nothing either, what was found is said all the same.
    let incidents = product.store_dir().join("database/incidents");
    fs::remove_dir_all(&incidents).unwrap();
    fs::write(&incidents, "x").unwrap();
    let nowhere = ends(&product, 1, &["incident", "open"]);
    assert!(nowhere.contains("neither here") && nowhere.contains("nor in the bucket"), "{nowhere}");
    assert!(nowhere.contains("backup     20") && nowhere.contains("data loss  "), "{nowhere}");
    assert!(nowhere.contains("--to env:TARGET_URL\n"), "{nowhere}");
    fs::remove_dir_all(product.store_dir()).unwrap();
    let nowhere = ends(&product, 1, &["incident", "open"]);
    assert!(nowhere.contains("neither here") && nowhere.contains("nor in the bucket"), "{nowhere}");
}

#[test]
fn an_incident_is_no_backup_and_no_debris() {
    let (_server, product) = installation();
    product.backup(&[]);
    report(&product, &["incident", "open"]);
    product.succeed(&["runbook", "reviewed"]);
    product.succeed(&["runbook", "reviewed", "drill"]);
    let listed = report(&product, &["list"]);
    assert_eq!(listed["foreign_keys"], 0, "{listed}");
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1);
    let swept = report(&product, &["sweep", "--dry-run"]);
    assert!(!swept.to_string().contains("incidents/"), "{swept}");
}
