//! What another process did to the same prefix, before or meanwhile.

use bytes::Bytes;
use chrono::TimeDelta;
use reliquary::{
    archive::manifest::Kind,
    catalog::{self, BackupId, CatalogError, Key},
    jobs::backup::{self, Done, Request, Skip},
    state::Progress,
    store::Store as _,
    words::Stage,
};
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Bench, at, layout, points_at_newest, small},
    children::FakeDump,
};

#[tokio::test]
async fn a_pointer_that_a_peer_moved_after_our_listing_never_moves_back() {
    let bench = Bench::new().await;
    let store = bench.local.as_ref();
    let ours = bench.backup().await.unwrap();
    let stale = catalog::read(store, &layout()).await.unwrap();
    let theirs = bench.backup().await.unwrap();
    let moved =
        catalog::advance_pointer(store, &layout(), &stale, &ours, bench.clock.now()).await.unwrap();
    assert_eq!(moved, None);
    points_at_newest(store).await;
    // A backup that is gone, though, holds nobody back.
    let gone = theirs.archive.key;
    store.delete(&gone).await.unwrap();
    let moved =
        catalog::advance_pointer(store, &layout(), &stale, &ours, bench.clock.now()).await.unwrap();
    assert_eq!(moved.unwrap().id.to_string(), ours.id);
}

#[tokio::test]
async fn a_backup_whose_manifest_is_damaged_serves_no_slot() {
    let bench = Bench::new().await;
    let run = async || {
        let (environment, source) = (bench.environment(bench.local()), bench.source());
        let request = Request { kind: Kind::Scheduled, slot: Some(at("14:00:00")) };
        bench.clock.advance(TimeDelta::minutes(1));
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        backup::run(&environment, &source, request, &progress, &cancel).await.unwrap()
    };
    let Done::Backup { manifest, .. } = run().await else { panic!("it was skipped") };
    assert!(matches!(run().await, Done::Skipped(Skip::Served)));
    let key = layout().key(Key::Manifest(Kind::Scheduled, manifest.id.parse().unwrap()));
    bench.local.put(&key, Bytes::from_static(b"{}")).await.unwrap();
    assert!(matches!(run().await, Done::Backup { .. }));
}

#[tokio::test]
async fn a_manifest_under_another_backup_s_key_is_not_believed() {
    let bench = Bench::new().await;
    let store = bench.local.as_ref();
    let manifest = bench.backup().await.unwrap();
    let other: BackupId = "2025-02-27T15-00-00Z".parse().unwrap();
    let archive = store.get(&manifest.archive.key, 1 << 30).await.unwrap();
    store.put(&layout().key(Key::Archive(Kind::Scheduled, other)), archive).await.unwrap();
    let bytes = Bytes::from(manifest.to_bytes().unwrap());
    store.put(&layout().key(Key::Manifest(Kind::Scheduled, other)), bytes).await.unwrap();
    let catalog = catalog::read(store, &layout()).await.unwrap();
    let read = catalog::read_manifest(store, &layout(), &catalog, Kind::Scheduled, other).await;
    assert!(matches!(read, Err(CatalogError::Misplaced { .. })), "{read:?}");
}

/// Two processes without a common lock may choose one id in one second: the
/// one that comes second must not spoil the other's checksum file.
#[tokio::test]
async fn a_checksum_file_of_a_peer_is_left_as_it_is() {
    let mut bench = Bench::new().await;
    let mut fake =
        FakeDump::new(&bench, "[ $section = post-data ] && reach; exec \"$real\" \"$@\"");
    bench.use_tools(fake.path());
    let id = BackupId::at(at("14:01:00"));
    let key = layout().key(Key::Checksum(Kind::Scheduled, id));
    let peer = async {
        fake.reached().await;
        bench.local.put(&key, Bytes::from_static(b"theirs")).await.unwrap();
        fake.release().await;
    };
    let (message, ()) = tokio::join!(bench.fails_at(Stage::Checksum), peer);
    assert!(message.contains("stands under that key already"), "{message}");
    assert_eq!(small(bench.local.as_ref(), &key).await.as_deref(), Some("theirs"));
}
