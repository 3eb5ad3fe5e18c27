//! What goes and what stays.

use std::collections::BTreeSet;

use reliquary::words::DebrisKind;

use super::*;

#[tokio::test]
async fn what_retention_does_not_keep_goes_whole_and_nothing_else() {
    let bench = motley().await;
    let (before, stays) = (bench.keys().await, must_stay(&bench).await);
    let removal = bench.sweep(bench.store().await).await.unwrap();
    assert!(removal.is_whole(), "{removal:?}");
    assert_eq!(bench.keys().await, stays);
    // Three hours, the damaged one and the legacy archive.
    assert_eq!((removal.gone.len(), removal.debris, removal.hidden), (5, 6, 0));
    assert!(before.len() > stays.len() + 15);
    assert_eq!(bench.good().await, KEPT);
    let catalog = bench.catalog().await;
    assert_eq!(catalog.foreign, 3);

    let again = bench.sweep(bench.store().await).await.unwrap();
    assert!(again.is_whole() && again.gone.is_empty() && again.debris == 0, "{again:?}");
    assert_eq!(bench.keys().await, stays);
}

#[tokio::test]
async fn a_month_of_hours_is_kept_and_what_is_older_goes() {
    let bench = Bench::new("");
    bench.scheduled(0..745);
    bench.backup(Kind::Manual, 2000);
    bench.point(0);
    let removal = bench.sweep(bench.store().await).await.unwrap();
    assert!(removal.is_whole());
    let mut expected: Vec<i64> = (0..720).rev().collect();
    expected.insert(0, 2000);
    assert_eq!(bench.good().await, expected);
    assert_eq!(removal.gone.len(), 25);
    assert_eq!(removal.bytes, 25 * archive().len() as u64);
    assert_eq!(bench.keys().await.len(), 721 * 3 + 2, "nothing is left of the others");
}

#[tokio::test]
async fn every_decision_has_its_reasons() {
    let bench = motley().await;
    let decided = bench.decide().await.unwrap();
    let entries = &decided.inventory.catalog.entries;
    for decision in &decided.plan.decisions {
        let why = reliquary::retention::why(decision, &entries[decision.at], &decided.policy);
        assert!(!why.is_empty());
    }
    let kinds: BTreeSet<DebrisKind> =
        decided.debris.entries.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [DebrisKind::Archive, DebrisKind::Manifest, DebrisKind::Orphan].into());
    assert_eq!((decided.debris.entries.len(), decided.debris.uploads.len()), (5, 1));
    // The one of ten hours ago, the upload of eleven, and a verdict of an hour ago.
    assert_eq!(decided.debris.young, 3);
    assert_eq!(bench.keys().await.len(), motley().await.keys().await.len(), "nothing is removed");
}

#[tokio::test]
async fn uploads_of_a_backup_that_may_take_days_are_left_alone() {
    let mut bench = Bench::new("databases.main.timeout = \"3d\"");
    bench.scheduled([0]);
    bench.upload(72).await;
    bench.upload(74).await;
    let removal = bench.sweep(bench.store().await).await.unwrap();
    assert_eq!(removal.debris, 1);
    let left = format!("upload of {}", layout().key(Key::Archive(Kind::Scheduled, bench.id(72))));
    assert!(bench.keys().await.contains(&left));
    bench.settings = String::new();
    assert_eq!(bench.sweep(bench.store().await).await.unwrap().debris, 1);
}

#[tokio::test]
async fn two_sweeps_at_once_remove_the_same_and_harm_nobody() {
    let bench = motley().await;
    let stays = must_stay(&bench).await;
    let (one, other) = (bench.decide().await.unwrap(), bench.decide().await.unwrap());
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let (store, layout) = (bench.store().await, layout());
    let remove = |decided| sweep::remove(store.as_ref(), &layout, decided, &progress, &cancel);
    let (first, second) = tokio::join!(remove(&one), remove(&other));
    assert!(first.is_whole() && second.is_whole(), "{first:?} {second:?}");
    assert_eq!(bench.keys().await, stays);
    // And one that comes when all is done.
    assert!(remove(&one).await.is_whole());
    assert_eq!(bench.keys().await, stays);
}

#[tokio::test]
async fn a_sweep_that_is_told_to_stop_leaves_the_rest_to_the_next() {
    let bench = motley().await;
    let decided = bench.decide().await.unwrap();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    cancel.cancel();
    let before = bench.keys().await;
    let store = bench.store().await;
    let removal = sweep::remove(store.as_ref(), &layout(), &decided, &progress, &cancel).await;
    assert!(matches!(removal.stopped, Some(sweep::Stopped::Cancelled)), "{removal:?}");
    assert!(removal.complaint().is_none() && removal.gone.is_empty());
    assert_eq!(bench.keys().await, before);
}
