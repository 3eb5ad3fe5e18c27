//! A run that is stopped at its very end: whether its backup stands is known.

use std::{sync::Arc, time::Duration};

use reliquary::{
    jobs::backup::BackupError,
    state::Progress,
    store::{
        LocalStore, Store,
        faults::{Fault, FaultyStore, Plan},
    },
    words::Stage,
};
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, eventually, points_at_newest, whole};

/// A call takes longer than anybody waits.
const LONG: Duration = Duration::from_hours(1);

/// Stops a run while its call of an operation on such a key takes for ever.
/// Returns how it ended, and the store.
async fn stopped_at(
    bench: &Bench,
    operation: &str,
    end: &str,
    fault: Fault,
) -> (BackupError, tempfile::TempDir, Arc<dyn Store>) {
    let meant = |(name, key): &(String, String)| name == operation && key.ends_with(end);
    let fresh = async || {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LocalStore::open(dir.path()).await.unwrap());
        (dir, store)
    };
    let (_dir, store) = fresh().await;
    let watched = Arc::new(FaultyStore::new(store, Plan::None));
    bench.backup_into(watched.clone()).await.unwrap();
    let nth = watched.calls().iter().position(meant).unwrap() + 1;

    let (dir, store) = fresh().await;
    let faulty = Arc::new(FaultyStore::new(store.clone(), Plan::Nth(nth, fault)));
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let stop = async {
        eventually("the call", || faulty.calls().len() >= nth).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(bench.backup_with(faulty.clone(), &progress, &cancel), stop);
    let error = result.unwrap_err();
    assert!(error.cancelled, "{error}");
    (error, dir, store)
}

#[tokio::test]
async fn a_run_that_is_stopped_after_its_commit_says_that_the_backup_stands() {
    let bench = Bench::new().await;
    for end in ["LATEST.sha256", "LATEST.txt"] {
        let (error, _dir, store) = stopped_at(&bench, "put", end, Fault::Hangs(LONG)).await;
        assert_eq!(error.stage, Stage::Pointer);
        let stands = &error.committed.unwrap().0;
        // What the pointer says may be torn, until the next run.
        let manifest = bench.backup_into(store.clone()).await.unwrap();
        let good: Vec<String> =
            whole(store.as_ref()).await.iter().map(ToString::to_string).collect();
        assert_eq!(good, [manifest.id.clone(), stands.id.clone()]);
        points_at_newest(store.as_ref()).await;
    }
}

#[tokio::test]
async fn a_run_that_is_stopped_while_it_commits_asks_the_store_what_stands() {
    let bench = Bench::new().await;
    for (fault, stands) in [(Fault::AcceptedThenHangs(LONG), true), (Fault::Hangs(LONG), false)] {
        let (error, _dir, store) =
            stopped_at(&bench, "put_if_absent", ".manifest.json", fault).await;
        assert_eq!(error.stage, Stage::Commit);
        assert_eq!(error.committed.is_some(), stands, "{fault:?}");
        assert_eq!(whole(store.as_ref()).await.len(), usize::from(stands), "{fault:?}");
    }
}
