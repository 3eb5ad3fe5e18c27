//! Every call to the store fails in turn, in every way that differs for it.

use std::{path::Path, sync::Arc, time::Duration};

use reliquary::{
    store::{
        LocalStore, Store,
        faults::{Fault, FaultyStore, Plan},
    },
    words::Stage,
};

use super::bench::{Bench, converged, uploads, whole};

const FAULTS: [Fault; 3] =
    [Fault::Rejected, Fault::AcceptedThenFailed, Fault::Hangs(Duration::from_millis(20))];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_one_part_survives_any_fault_of_the_store() {
    let bench = Bench::new().await.replaying();
    for fault in FAULTS {
        let differs = |operation: &str| fault.differs_for(operation);
        let calls = sweep(&bench, &bench, |nth| Plan::Nth(nth, fault), differs).await;
        assert!(calls >= 9, "{calls}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_several_parts_survives_any_fault_of_the_store() {
    let bench = Bench::new().await;
    bench.fatten();
    // What is not about parts is the same for a small archive, and faster.
    let lean = bench.without_rows_of("public.blob");
    for fault in FAULTS {
        let of_parts = |operation: &str| operation.contains("upload");
        let calls = sweep(&bench, &lean, |nth| Plan::Nth(nth, fault), of_parts).await;
        assert!(calls >= 12, "{calls}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_survives_a_store_that_goes_away_at_any_call() {
    let bench = Bench::new().await.replaying();
    for fault in [Fault::Rejected, Fault::AcceptedThenFailed] {
        let differs = |operation: &str| fault.differs_for(operation);
        sweep(&bench, &bench, |nth| Plan::Outage(nth, fault), differs).await;
    }
}

/// Lets each call of interest fail in turn, each time over a store with one
/// older backup; `others` takes that one, and the one after the fault. Returns
/// how many calls there were.
async fn sweep(
    bench: &Bench,
    others: &Bench,
    plan: impl Fn(usize) -> Plan,
    interesting: impl Fn(&str) -> bool,
) -> usize {
    let older = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalStore::open(older.path()).await.unwrap());
    others.backup_into(store).await.unwrap();
    let fresh = async || {
        let dir = tempfile::tempdir().unwrap();
        copy(older.path(), dir.path());
        let store: Arc<dyn Store> = Arc::new(LocalStore::open(dir.path()).await.unwrap());
        (dir, store)
    };
    let (_dir, clean) = fresh().await;
    let watched = Arc::new(FaultyStore::new(clean.clone(), Plan::None));
    let manifest = bench.backup_into(watched.clone()).await.unwrap();
    converged(clean.as_ref(), &manifest).await;
    let calls = watched.calls();
    for (nth, (operation, key)) in (1..).zip(&calls) {
        if interesting(operation) {
            let (_dir, clean) = fresh().await;
            fail(bench, clean.clone(), plan(nth), operation, key).await;
            let manifest = others.backup_into(clean.clone()).await.unwrap();
            converged(clean.as_ref(), &manifest).await;
        }
    }
    calls.len()
}

/// A run with a fault fails at the right stage, loudly, and leaves nothing that
/// is listed and not whole.
async fn fail(bench: &Bench, clean: Arc<dyn Store>, plan: Plan, operation: &str, key: &str) {
    let faulty = Arc::new(FaultyStore::new(clean.clone(), plan));
    let result = bench.backup_into(faulty).await;
    let good = whole(clean.as_ref()).await;
    let at = format!("{plan:?} at {operation}");
    let (Plan::Nth(_, fault) | Plan::Outage(_, fault)) = plan else { panic!("{at}") };
    let accepted = fault == Fault::AcceptedThenFailed;
    match &result {
        Ok(manifest) => {
            // Only where the answer was lost, and the object itself told.
            assert!(accepted && operation == "put_if_absent", "{at}");
            assert_eq!(manifest.id, good[0].to_string(), "{at}");
        }
        Err(error) => {
            assert_eq!(error.stage, stage_of(operation, key), "{at}: {error}");
            assert!(error.transient && !error.cancelled, "{at}: {error}");
            assert!(error.message.contains("injected"), "{at}: {error}");
            // The pointer comes after the commit, and says so itself.
            let committed = error.stage == Stage::Pointer;
            assert_eq!(error.committed.is_some(), committed, "{at}: {error}");
            let uncertain = error.stage == Stage::Commit && accepted;
            assert_eq!(good.len(), if committed || uncertain { 2 } else { 1 }, "{at}");
        }
    }
    // An upload stays behind only where its name was never learnt, or where
    // the store does not let it be thrown away.
    let lost = operation == "begin_upload" && accepted;
    if !lost && !matches!(plan, Plan::Outage(..)) {
        assert_eq!(uploads(clean.as_ref()).await, 0, "{at}");
    }
}

/// Where a backup is when it makes a call.
fn stage_of(operation: &str, key: &str) -> Stage {
    match operation {
        "list_page" => Stage::Catalog,
        // The newest backup's, before anything is done.
        "get" if key.ends_with(".manifest.json") => Stage::Catalog,
        "head" => Stage::Confirm,
        _ if key.contains("/LATEST.") => Stage::Pointer,
        _ if key.ends_with(".sha256") => Stage::Checksum,
        _ if key.ends_with(".manifest.json") => Stage::Commit,
        _ => Stage::Upload,
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
