//! Sweeps in buckets: versions, lifecycle rules, and S3's own listings.

use reliquary::{
    retention::lifecycle::Level,
    store::{LifecycleRule, Narrowed, S3Store},
};

use super::*;
use crate::support::{
    odd_store::OddStore,
    s3::{Moto, moto_server, s3s_server},
};

/// Sends one of S3's settings of a bucket.
async fn put(moto: &Moto, bucket: &str, what: &str, body: &str) {
    let credential = "Credential=test/20260101/us-east-1/s3/aws4_request";
    let answer = reqwest::Client::new()
        .put(format!("{}/{bucket}?{what}", moto.endpoint))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"),
        )
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

/// Puts a bench's objects into a bucket, and dates them as they were: what a
/// bucket dates by itself is as young as the test.
async fn fill(store: Arc<dyn Store>, bench: &Bench) -> Arc<dyn Store> {
    let clock = Clock::manual(bench.now);
    let dated = OddStore::new(store).dated_by(&clock);
    let local = bench.store().await;
    for object in list_all(&*local, "").await.unwrap() {
        let body = local.get(&object.key, 1 << 20).await.unwrap();
        clock.set(object.last_modified);
        dated.put(&object.key, body).await.unwrap();
    }
    clock.set(bench.now);
    Arc::new(dated)
}

fn backups() -> Bench {
    let bench = Bench::new("retention.keep_for = \"5h\"\nretention.keep_last = 1");
    bench.scheduled(0..8);
    bench.legacy(9);
    bench
}

#[tokio::test]
async fn on_a_bucket_that_keeps_versions_only_delete_markers_are_claimed() {
    let (moto, bench) = (moto_server().await, backups());
    let store = Arc::new(S3Store::connect(moto.bucket("kept").await).await.unwrap());
    put(
        &moto,
        "kept",
        "versioning",
        "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Status>Enabled</Status></VersioningConfiguration>",
    )
    .await;
    let store = fill(store, &bench).await;
    let removal = bench.sweep(store.clone()).await.unwrap();
    assert!(removal.is_whole(), "{removal:?}");
    assert_eq!(removal.gone.len(), 4);
    // Three objects each, and the legacy archive.
    assert_eq!(removal.hidden, 10);
    let catalog = catalog::read(&*store, &layout()).await.unwrap();
    assert_eq!(catalog.entries.len(), 5);
    let again = bench.sweep(store).await.unwrap();
    assert!(again.is_whole() && again.gone.is_empty() && again.hidden == 0, "{again:?}");
}

#[tokio::test]
async fn a_bucket_without_versions_is_swept_for_good() {
    let (s3, bench) = (s3s_server().await, backups());
    let store = Arc::new(S3Store::connect(s3.options()).await.unwrap());
    let store = fill(store, &bench).await;
    let removal = bench.sweep(store.clone()).await.unwrap();
    assert!(removal.is_whole(), "{removal:?}");
    assert_eq!((removal.gone.len(), removal.hidden), (4, 0));
    assert_eq!(catalog::read(&*store, &layout()).await.unwrap().entries.len(), 5);
}

#[tokio::test]
async fn lifecycle_rules_are_read_as_they_are_written() {
    let moto = moto_server().await;
    let store = S3Store::connect(moto.bucket("ruled").await).await.unwrap();
    assert_eq!(store.lifecycle_rules().await.unwrap(), Some(Vec::new()));
    put(
        &moto,
        "ruled",
        "lifecycle",
        "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Rule><ID>expire</ID><Status>Enabled</Status><Filter><Prefix>database/20</Prefix></Filter>\
         <Expiration><Days>30</Days></Expiration>\
         <NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>\
         <Transition><Days>3</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>\
         <Rule><ID>abort</ID><Status>Disabled</Status><Filter><Prefix></Prefix></Filter>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation>\
         </AbortIncompleteMultipartUpload></Rule>\
         <Rule><ID>tagged</ID><Status>Enabled</Status><Filter><Tag><Key>a</Key><Value>b</Value>\
         </Tag></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    )
    .await;
    let rules = store.lifecycle_rules().await.unwrap().unwrap();
    let none = LifecycleRule::default();
    assert_eq!(
        rules,
        [
            LifecycleRule {
                id: "expire".to_owned(),
                enabled: true,
                prefix: "database/20".to_owned(),
                expire_after_days: Some(30),
                expire_noncurrent_after_days: Some(7),
                moves: vec![(3, "GLACIER".to_owned())],
                ..none.clone()
            },
            LifecycleRule {
                id: "abort".to_owned(),
                abort_uploads_after_days: Some(2),
                ..none.clone()
            },
            LifecycleRule {
                id: "tagged".to_owned(),
                enabled: true,
                narrowed: Some(Narrowed::ByTag),
                expire_after_days: Some(1),
                ..none
            },
        ]
    );
}

#[tokio::test]
async fn where_the_bucket_removes_a_sweep_checks_its_rules_and_removes_nothing() {
    let (moto, bench) = (moto_server().await, backups());
    let store: Arc<dyn Store> =
        Arc::new(S3Store::connect(moto.bucket("ruled").await).await.unwrap());
    fill(store.clone(), &bench).await;
    let before = list_all(&*store, "").await.unwrap();
    let mut database = bench.database();
    database.sweep.mode = reliquary::settings::SweepMode::Lifecycle;
    let environment = bench.environment(store.clone());
    let worst = async || {
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let done = sweep::run(&environment, &database, &layout(), &progress, &cancel).await;
        let Ok(Done::Checked(findings)) = done else { panic!("{done:?}") };
        findings.into_iter().map(|finding| finding.level).max()
    };
    assert_eq!(worst().await, Some(Level::Fail), "there is no rule");
    put(
        &moto,
        "ruled",
        "lifecycle",
        "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Rule><ID>expire</ID><Status>Enabled</Status><Filter><Prefix>database/20</Prefix></Filter>\
         <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    )
    .await;
    assert_eq!(worst().await, Some(Level::Warn), "it does what retention says, for a rule");
    assert_eq!(list_all(&*store, "").await.unwrap(), before);
}
