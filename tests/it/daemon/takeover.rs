//! A bucket that an older workflow has filled.

use std::{collections::BTreeMap, io::Write as _, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use reliquary::{
    catalog::{self, Layout, Pointer},
    clock::Clock,
    health::Status,
    store::{LocalStore, Store},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Life, at, directory, hourly, id, keys, pointed_at, sample_server, set_up};
use crate::support::{
    postgres::{Run as _, assert_same_dump},
    product::{Product, shell},
    tools::command,
};

const NEWEST: &str = "2025-02-27T13-00-00Z";

#[tokio::test(flavor = "multi_thread")]
async fn an_old_workflows_bucket_is_taken_over_and_left_as_it_is() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let before = fill(&*store, &dump(&server)).await;
    set_up(&server, "app", false);

    let clock = Clock::manual(at("13:10:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    let database = life.main();
    // An hour that only a legacy archive has served is not served.
    assert_eq!(database.last_success, None);
    assert_eq!(life.health(), Status::Starting);
    let totals = database.catalog.unwrap();
    assert_eq!((totals.legacy, totals.scheduled, totals.debris), (51, 0, 0));
    assert_eq!(totals.foreign, 4);
    assert_eq!((totals.oldest, totals.newest), (None, None));
    assert_eq!(pointed_at(&*store, "database/").await.as_deref(), Some(NEWEST));
    assert_eq!(read(&*store).await, before, "a look changes nothing");

    set_up(&server, "app", true);
    clock.set(at("13:20:00"));
    life.settle().await;
    assert_eq!(life.health(), Status::Ok);
    assert_eq!(life.main().last_success, Some(at("13:20:00")));
    assert_eq!(life.main().pointer_ok, Some(true));
    let text = store.get("database/LATEST.txt", 4096).await.unwrap();
    let pointer = Pointer::parse(std::str::from_utf8(&text).unwrap()).unwrap();
    assert_eq!(pointer.id.to_string(), id(at("13:20:00")));
    assert_eq!(pointer.uri, store.uri("database/2025/02/2025-02-27T13-20-00Z.sql.gz"));

    // A new process sees the same, and nothing that was there has changed.
    life.kill().await;
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    assert_eq!(life.health(), Status::Ok);
    let totals = life.main().catalog.unwrap();
    assert_eq!((totals.legacy, totals.scheduled, totals.foreign), (51, 1, 4));
    let mut after = read(&*store).await;
    after.retain(|key, _| !key.contains("T13-20-00Z") && !key.contains("LATEST"));
    let mut kept = before;
    kept.retain(|key, _| !key.contains("LATEST"));
    assert_eq!(after, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_archive_of_a_workflow_that_still_runs_keeps_the_pointer() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    fill(&*store, &dump(&server)).await;
    let clock = Clock::manual(at("12:59:30"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    assert_eq!(life.main().last_success, Some(at("12:59:30")));
    assert_eq!(pointed_at(&*store, "database/").await.as_deref(), Some(NEWEST));
    let catalog = catalog::read(&*store, &Layout::new("database/")).await.unwrap();
    assert_eq!(catalog.totals().legacy, 51);
}

/// The whole way of an installation that changes over: what the old workflow
/// left is listed, read back and restored by the command line, and the daemon
/// goes on in the same folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_bucket_is_listed_verified_restored_and_then_continued_without_a_seam() {
    let server = sample_server();
    let product = Product::of(&server, "app").set("RELIQUARY__HTTP__LISTEN", "127.0.0.1:1");
    // Three hours of `pg_dump | gzip`, with nothing but a pointer beside them.
    let hours = ["10:00:00", "11:00:00", "12:00:00"].map(|hour| id(at(hour)));
    let folder = product.store_dir().join("database/2025/02");
    std::fs::create_dir_all(&folder).unwrap();
    for hour in &hours {
        server.psql("app", "insert into donor select max(id) + 1, 'late' from donor");
        let command = format!("pg_dump \"$URL\" | gzip > {hour}.sql.gz");
        shell(&folder, &server, &[("URL", server.url("app"))], &command);
    }
    let newest = &hours[2];
    let pointer = format!(
        "{{ echo {newest}; echo s3://altarflow/database/2025/02/{newest}.sql.gz; \
         sha256sum {newest}.sql.gz | cut -d' ' -f1; }} > ../../LATEST.txt"
    );
    shell(&folder, &server, &[], &pointer);
    let old = || hours.each_ref().map(|hour| std::fs::read(folder.join(format!("{hour}.sql.gz"))));
    let before = old().map(Result::unwrap);

    let listed = |product: &Product| -> Vec<(String, String)> {
        let list = product.succeed(&["--json", "list"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["foreign_keys"], 0);
        let text = |backup: &Value, key: &str| backup[key].as_str().unwrap().to_owned();
        let backups = list["backups"].as_array().unwrap();
        backups.iter().map(|backup| (text(backup, "id"), text(backup, "state"))).collect()
    };
    let legacy: Vec<(String, String)> =
        hours.iter().rev().map(|hour| (hour.clone(), "legacy".to_owned())).collect();
    assert_eq!(listed(&product), legacy);

    let verified = product.succeed(&["--json", "verify", "--all"]);
    let verified: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!((&verified["verified"], &verified["damaged"]), (&json!(3), &json!(0)));
    // The pointer knows the newest one's hash.
    assert_eq!(verified["backups"][0]["remarks"], json!([]));
    assert_eq!(verified["backups"][1]["remarks"], json!([{ "remark": "checksum_unknown" }]));

    // `latest` never takes a legacy archive by itself; it says which, and how.
    let said = |arguments: &[&str]| {
        let output = product.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for command in ["verify", "fetch", "show"] {
        let told = said(&[command]);
        assert!(told.contains(&format!("`reliquary {command} {newest}`")), "{told}");
        let told = said(&[command, "-d", "main", "--at", "2025-02-27 11:30Z"]);
        let usage = format!("`reliquary {command} {} -d main`", hours[1]);
        assert!(told.contains(&usage), "{told}");
    }
    server.create_database("copy");
    product.succeed(&["restore", newest, "--to", &server.url("copy")]);
    assert_same_dump(&server.dump_plain("app"), &server.dump_plain("copy"));

    // The daemon takes the slot that has come, and each that comes.
    let store = Arc::new(LocalStore::open(product.store_dir()).await.unwrap());
    let clock = Clock::manual(at("13:00:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    assert_eq!(pointed_at(&*store, "database/").await, Some(id(at("13:00:00"))));
    life.live(&clock, chrono::TimeDelta::hours(1)).await;
    assert_eq!(life.health(), Status::Ok);
    assert_eq!(pointed_at(&*store, "database/").await, Some(id(at("14:00:00"))));
    let good = ["14:00:00", "13:00:00"].map(|hour| (id(at(hour)), "good".to_owned()));
    assert_eq!(listed(&product), [&good[..], &legacy].concat());
    // `latest` is the daemon's now; what was there before is as it was.
    assert!(product.succeed(&["verify"]).contains(&format!("{} is good", id(at("14:00:00")))));
    server.create_database("latest");
    product.succeed(&["restore", "--to", &server.url("latest")]);
    assert_same_dump(&server.dump_plain("app"), &server.dump_plain("latest"));
    assert_eq!(old().map(Result::unwrap), before);
    let totals = life.main().catalog.unwrap();
    assert_eq!((totals.legacy, totals.scheduled, totals.debris), (3, 2, 0));
}

/// What `pg_dump | gzip` makes.
fn dump(server: &crate::support::postgres::Server) -> Vec<u8> {
    let text = command(server.bin("pg_dump")).arg("-d").arg(server.url("app")).bytes_of(b"");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&text).unwrap();
    encoder.finish().unwrap()
}

/// Two days of an old workflow with its pointer, two archives made by hand with
/// their checksums, and what else people put into buckets.
async fn fill(store: &dyn Store, archive: &[u8]) -> BTreeMap<String, Bytes> {
    let put = async |key: &str, bytes: &[u8]| {
        store.put(&format!("database/{key}"), Bytes::copy_from_slice(bytes)).await.unwrap();
    };
    let sha256: String = Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect();
    for hour in 0..48 {
        let time = at("13:00:00") - chrono::TimeDelta::hours(hour);
        put(&format!("{}/{}.sql.gz", time.format("%Y/%m"), id(time)), archive).await;
    }
    for key in ["2025/01/2025-01-31T08-15-21Z", "2025/02/2025-02-01T00-00-07Z"] {
        put(&format!("{key}.sql.gz"), archive).await;
        let name = key.rsplit('/').next().unwrap();
        put(&format!("{key}.sql.gz.sha256"), format!("{sha256}  {name}.sql.gz\n").as_bytes()).await;
    }
    put("manual/2025-02-14T10-00-00Z.sql.gz", archive).await;
    let uri = format!("s3://altarflow-backups/database/2025/02/{NEWEST}.sql.gz");
    put("LATEST.txt", format!("{NEWEST}\n{uri}\n{sha256}\n").as_bytes()).await;
    put("LATEST.sha256", format!("{sha256}  {NEWEST}.sql.gz\n").as_bytes()).await;
    for foreign in ["README.md", "2025/02/weekly.sql.gz", "2025/02/2025-02-27.sql.gz", "tmp/x"] {
        put(foreign, b"not ours").await;
    }
    // Beside the prefix, and not even counted.
    store.put("databases-of-others/x.sql.gz", Bytes::from_static(b"theirs")).await.unwrap();
    read(store).await
}

/// Everything but the report that the daily audit keeps.
async fn read(store: &dyn Store) -> BTreeMap<String, Bytes> {
    let mut objects = BTreeMap::new();
    for key in keys(store).await.into_iter().filter(|key| key != "database/audit/latest.json") {
        let bytes = store.get(&key, 1 << 20).await.unwrap();
        objects.insert(key, bytes);
    }
    objects
}
