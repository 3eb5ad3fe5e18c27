//! A bucket that an older workflow has filled.

use std::{collections::BTreeMap, io::Write as _};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use reliquary::{
    catalog::{self, Layout, Pointer},
    clock::Clock,
    health::Status,
    store::Store,
};
use sha2::{Digest as _, Sha256};

use super::{Life, at, directory, hourly, id, keys, pointed_at, sample_server, set_up};
use crate::support::{postgres::Run as _, tools::command};

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

async fn read(store: &dyn Store) -> BTreeMap<String, Bytes> {
    let mut objects = BTreeMap::new();
    for key in keys(store).await {
        let bytes = store.get(&key, 1 << 20).await.unwrap();
        objects.insert(key, bytes);
    }
    objects
}
