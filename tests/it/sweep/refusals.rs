//! When nothing at all is removed.

use reliquary::{
    store::faults::{Fault, FaultyStore, Plan},
    words::{Stage, SweepRefusal},
};

use super::*;

/// A sweep must be refused for this reason, with nothing removed; what it says.
async fn refused(bench: &Bench, store: Arc<dyn Store>, reason: SweepRefusal) -> String {
    let before = bench.keys().await;
    let error = bench.sweep(store).await.unwrap_err();
    let SweepError::Refused(refusal) = &error else { panic!("{error}") };
    assert_eq!(refusal.reason(), reason, "{refusal}");
    assert_eq!(bench.keys().await, before);
    error.to_string()
}

async fn faulty(bench: &Bench, nth: usize) -> Arc<dyn Store> {
    Arc::new(FaultyStore::new(bench.store().await, Plan::Nth(nth, Fault::Rejected)))
}

#[tokio::test]
async fn a_listing_that_fails_on_its_second_page_removes_nothing() {
    let bench = Bench::new("");
    bench.scheduled(0..740);
    for page in [2, 3, 4] {
        // The first call asks for the time.
        let said = refused(&bench, faulty(&bench, page).await, SweepRefusal::Listing).await;
        assert!(said.contains("an injected fault") && said.contains("sweep again"), "{said}");
    }
    // So does one of the uploads that fails for the moment.
    refused(&bench, faulty(&bench, 5).await, SweepRefusal::Listing).await;
}

#[tokio::test]
async fn what_drills_found_and_cannot_be_read_now_removes_nothing() {
    let bench =
        Bench::new("retention.keep_for = \"2h\"\nretention.keep_last = 1\nretention.daily = 9");
    let now = bench.id(0).time();
    let midnight = now.duration_trunc(TimeDelta::days(1)).unwrap();
    // Two of the same day, whatever the time is.
    let older = (now - midnight).num_hours() + 25;
    bench.scheduled([0, 1, older, older + 1]);
    bench.drilled(older + 1, None);
    let copy = bench.copy();
    let clean = Arc::new(FaultyStore::new(copy.store().await, Plan::None));
    copy.sweep(clean.clone()).await.unwrap();
    assert!(copy.good().await.contains(&(older + 1)), "the proven one stays");
    let calls = clean.calls();
    let nth = 1 + calls.iter().position(|(_, key)| key.contains("/drills/")).unwrap();
    let said = refused(&bench, faulty(&bench, nth).await, SweepRefusal::DrillsUnreadable).await;
    assert!(said.contains("an injected fault") && said.contains("sweep again"), "{said}");
    bench.sweep(bench.store().await).await.unwrap();
    assert_eq!(bench.good().await, copy.good().await);
}

#[tokio::test]
async fn a_clock_that_is_off_by_more_than_five_minutes_removes_nothing() {
    let mut bench = motley().await;
    for off in [TimeDelta::minutes(6), TimeDelta::days(365), TimeDelta::days(-365)] {
        bench.clock = Clock::manual(Clock::system().now() + off);
        let said = refused(&bench, bench.store().await, SweepRefusal::Clock).await;
        assert!(said.contains("set this machine's clock"), "{said}");
    }
    let said = refused(&bench, faulty(&bench, 1).await, SweepRefusal::Clock).await;
    assert!(said.contains("is not to be had"), "{said}");
    bench.clock = Clock::manual(Clock::system().now() + TimeDelta::minutes(4));
    assert!(bench.sweep(bench.store().await).await.unwrap().is_whole());
}

#[tokio::test]
async fn without_a_fresh_good_backup_nothing_goes() {
    let bench = Bench::new("retention.keep_for = \"1h\"\nretention.keep_last = 1");
    bench.scheduled([4, 5, 40]);
    refused(&bench, bench.store().await, SweepRefusal::NoFreshBackup).await;
    // Neither a legacy archive, nor a damaged backup, nor one without manifest is one.
    bench.legacy(0);
    bench.unfinished(Kind::Scheduled, 1);
    bench.backup(Kind::Manual, 0);
    fs::write(bench.path(Key::Manifest(Kind::Manual, bench.id(0))), "{").unwrap();
    let said = refused(&bench, bench.store().await, SweepRefusal::NoFreshBackup).await;
    assert!(said.contains("4h") && said.contains("stale_after"), "{said}");
}

#[tokio::test]
async fn thirty_days_without_a_success_leave_everything_there() {
    let bench = Bench::new("");
    bench.scheduled(721..760);
    for _ in 0..3 {
        refused(&bench, bench.store().await, SweepRefusal::NoFreshBackup).await;
    }
    assert_eq!(bench.good().await.len(), 39);
}

#[tokio::test]
async fn more_than_half_at_once_goes_only_by_hand() {
    let bench = Bench::new("retention.keep_for = \"5h\"\nretention.keep_last = 1");
    bench.scheduled(0..11);
    let said = refused(&bench, bench.store().await, SweepRefusal::MoreThanHalf).await;
    assert!(said.contains("6 of the 11") && said.contains("--more-than-half"), "{said}");
    let environment = bench.environment(bench.store().await);
    let (database, layout, progress) = (bench.database(), layout(), Progress::default());
    let by_hand = sweep::decide(&environment, &database, &layout, true, &progress);
    assert!(by_hand.await.unwrap().refusal.is_none());
    // Exactly half is not more than half.
    bench.backup(Kind::Manual, 500);
    assert!(bench.sweep(bench.store().await).await.unwrap().is_whole());
    assert_eq!(bench.good().await, [500, 4, 3, 2, 1, 0]);
}

#[tokio::test]
async fn a_newest_backup_that_cannot_be_trusted_protects_nothing_and_is_no_debris() {
    let bench = motley().await;
    let newest = Key::Manifest(Kind::Scheduled, bench.id(0));
    // A format of tomorrow, say.
    fs::write(bench.path(newest), "{\"format\": \"reliquary/2\"}").unwrap();
    let stays = must_stay(&bench).await;
    assert!(bench.sweep(bench.store().await).await.unwrap().is_whole());
    assert_eq!(bench.keys().await, stays);
}

#[tokio::test]
async fn a_newest_backup_that_cannot_be_read_now_removes_nothing() {
    let bench = Bench::new("retention.keep_for = \"5h\"\nretention.keep_last = 1");
    bench.scheduled(0..8);
    let copy = bench.copy();
    let clean = Arc::new(FaultyStore::new(copy.store().await, Plan::None));
    copy.sweep(clean.clone()).await.unwrap();
    let calls = clean.calls();
    let call = |operation: &str| 1 + calls.iter().position(|(call, _)| call == operation).unwrap();
    for nth in [call("get"), call("head")] {
        let store = faulty(&bench, nth).await;
        let said = refused(&bench, store, SweepRefusal::NewestUnreadable).await;
        assert!(said.contains(&bench.id(0).to_string()), "{said}");
    }
}

#[test]
fn a_refusal_says_where_it_happened() {
    let listing = reliquary::retention::Refusal::Listing(String::new());
    assert_eq!(SweepError::Refused(listing).stage(), Stage::Catalog);
}
