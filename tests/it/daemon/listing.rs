//! Large catalogs, listings that fail, and how few requests it all takes.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    clock::Clock,
    health::Status,
    settings::Settings,
    store::{
        LocalStore, S3Store,
        faults::{Fault, FaultyStore, Plan},
    },
};

use super::{
    Life, PATIENCE, at, backups, directory, eventually, hourly, id, sample_server, settings,
};
use crate::support::{postgres::Server, s3::s3s_server};

/// Without the verify, which reads what is there for its own sake.
fn unverified(server: &Server) -> Settings {
    let mut settings = hourly(server);
    for database in settings.databases.values_mut() {
        database.verify.enabled = false;
    }
    settings
}

/// Copies the one backup of a directory until there is one for each of so many hours.
async fn multiply(settings: &Settings, dir: &Path, hours: i64) -> DateTime<Utc> {
    let newest = at("14:00:00");
    let local = Arc::new(LocalStore::open(dir).await.unwrap());
    Life::settled(settings, local, &Clock::manual(newest)).await.kill().await;
    let month = |time: DateTime<Utc>| dir.join(format!("database/{}", time.format("%Y/%m")));
    for hour in 1..hours {
        let time = newest - TimeDelta::hours(hour);
        std::fs::create_dir_all(month(time)).unwrap();
        for end in ["sql.gz", "sql.gz.sha256", "manifest.json"] {
            let from = month(newest).join(format!("{}.{end}", id(newest)));
            std::fs::hard_link(from, month(time).join(format!("{}.{end}", id(time)))).unwrap();
        }
    }
    newest
}

fn count(store: &FaultyStore) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (operation, _) in store.calls() {
        *counts.entry(operation).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_days_cost_a_handful_of_requests_to_know_and_few_to_watch() {
    let server = sample_server();
    let settings = unverified(&server);
    let (dir, local) = directory().await;
    let newest = multiply(&settings, dir.path(), 720).await;

    let store = Arc::new(FaultyStore::new(local, Plan::None));
    let clock = Clock::manual(newest + TimeDelta::minutes(5));
    let life = Life::settled(&settings, store.clone(), &clock).await;
    assert_eq!(life.health(), Status::Ok);
    assert_eq!(life.main().last_success, Some(newest));
    assert_eq!(life.main().catalog.unwrap().scheduled, 720);
    assert_eq!(life.main().pointer_ok, Some(true));
    // 2,162 keys; the newest three manifests, and the pointer's two halves. The sweep
    // that may have been missed ends at the store's clock, which is another one.
    // The audit asks for that clock as well, tries its rights on an object of its own,
    // reads what the one before it found, and keeps its report.
    let audit = [("delete", 1), ("head", 1), ("put", 2), ("put_if_absent", 1)];
    let mut expected: BTreeMap<_, _> = [("get", 7), ("list_page", 3), ("server_time", 2)]
        .into_iter()
        .chain(audit)
        .map(|(name, n)| (name.to_owned(), n))
        .collect();
    assert_eq!(count(&store), expected);

    // Five hundred heartbeats later, it was looked at every ten minutes.
    for _ in 0..500 {
        life.live(&clock, TimeDelta::seconds(6)).await;
    }
    assert_eq!(life.health(), Status::Ok);
    for (operation, of_a_look) in [("get", 5), ("list_page", 3)] {
        *expected.get_mut(operation).unwrap() += 5 * of_a_look;
    }
    assert_eq!(count(&store), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_that_are_deleted_behind_our_back_are_missed_before_the_next_slot() {
    let server = sample_server();
    let settings = unverified(&server);
    let (dir, store) = directory().await;
    let clock = Clock::manual(at("14:00:00"));
    let life = Life::settled(&settings, store.clone(), &clock).await;
    std::fs::remove_dir_all(dir.path().join("database")).unwrap();
    life.live(&clock, TimeDelta::minutes(9)).await;
    assert_eq!(life.main().last_success, Some(at("14:00:00")));
    life.live(&clock, TimeDelta::minutes(1)).await;
    // The slot has no backup any more, so that one is made at once.
    assert_eq!(backups(&*store, "database/").await, [id(at("14:10:00"))]);
    assert_eq!(life.main().last_success, Some(at("14:10:00")));
    assert_eq!(life.main().catalog.unwrap().scheduled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_between_backups_is_told_when_it_stays_away() {
    let server = sample_server();
    let settings = unverified(&server);
    let (_dir, local) = directory().await;
    let store = Arc::new(FaultyStore::new(local, Plan::None));
    let clock = Clock::manual(at("14:00:00"));
    let life = Life::settled(&settings, store.clone(), &clock).await;
    store.set(Plan::Outage(1, Fault::Rejected));
    for (seconds, status) in [(600, Status::Ok), (10, Status::Ok), (20, Status::Failing)] {
        life.live(&clock, TimeDelta::seconds(seconds)).await;
        assert_eq!(life.health(), status);
        assert_eq!(life.main().last_success, Some(at("14:00:00")));
    }
    store.set(Plan::None);
    life.live(&clock, TimeDelta::seconds(30)).await;
    assert_eq!(life.health(), Status::Ok);
    assert_eq!(life.main().catalog.unwrap().scheduled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_keys_are_read_page_by_page_or_not_at_all() {
    let server = sample_server();
    let settings = unverified(&server);
    let s3 = s3s_server().await;
    let newest = multiply(&settings, &s3.dir.join(&s3.bucket), 1700).await;
    let bucket = Arc::new(S3Store::connect(s3.options()).await.unwrap());
    let store = Arc::new(FaultyStore::new(bucket, Plan::None));
    let clock = Clock::manual(newest + TimeDelta::minutes(5));

    // One page in the middle fails: nothing is known, and that is said.
    store.set(Plan::Nth(4, Fault::Rejected));
    let life = Life::settled(&settings, store.clone(), &clock).await;
    let database = life.main();
    assert_eq!(life.health(), Status::Failing);
    assert_eq!((database.catalog, database.last_success), (None, None));
    assert!(database.catalog_error.unwrap().contains("list"));
    assert_eq!(count(&store), [("list_page".to_owned(), 4)].into());

    // It is not asked again at once, but soon.
    life.live(&clock, TimeDelta::seconds(10)).await;
    assert_eq!(count(&store).values().sum::<usize>(), 4);
    assert_eq!(life.health(), Status::Failing);
    life.live(&clock, TimeDelta::seconds(20)).await;
    let database = life.main();
    assert_eq!(life.health(), Status::Ok, "{database:#?}");
    assert_eq!((database.catalog_error, database.last_success), (None, Some(newest)));
    let totals = database.catalog.unwrap();
    assert_eq!((totals.scheduled, totals.foreign, totals.debris), (1700, 0, 0));
    assert_eq!(totals.oldest, Some(newest - TimeDelta::hours(1699)));
    assert_eq!(count(&store)["list_page"], 4 + 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_in_a_new_hour_does_not_stop_the_next_ones() {
    let server = sample_server();
    let settings = unverified(&server);
    let (_dir, local) = directory().await;
    let store = Arc::new(FaultyStore::new(local.clone(), Plan::None));
    let clock = Clock::manual(at("14:00:00"));
    let life = Life::settled(&settings, store.clone(), &clock).await;
    store.set(Plan::Outage(1, Fault::Rejected));
    for (minute, status) in [(0, Status::Ok), (1, Status::Ok), (3, Status::Failing)] {
        clock.set(at("15:00:00") + TimeDelta::minutes(minute));
        life.settle().await;
        assert_eq!(life.health(), status);
        // What is known stays known.
        assert_eq!(life.main().last_success, Some(at("14:00:00")));
    }
    store.set(Plan::None);
    clock.set(at("16:00:00"));
    life.settle().await;
    assert_eq!(life.health(), Status::Ok);
    assert_eq!(life.main().catalog.unwrap().scheduled, 2);
}

/// A listing decides nothing that the process still needs when it is to end.
#[tokio::test]
async fn a_listing_that_takes_long_does_not_hold_up_a_stop() {
    let url = "databases.main.url = \"postgres://nobody@127.0.0.1:1/app\"";
    let (_dir, local) = directory().await;
    let store = Arc::new(FaultyStore::new(local, Plan::Outage(1, Fault::Hangs(PATIENCE * 2))));
    let mut life = Life::begin(&settings(url), store.clone(), &Clock::manual(at("14:30:00")));
    eventually("the listing", || !store.calls().is_empty()).await;
    life.stop().await;
    assert_eq!(count(&store), [("list_page".to_owned(), 1)].into());
}
