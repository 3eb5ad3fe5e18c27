//! A verify over a store that fails: what could not be read is never called
//! damaged, and the next verify comes to its verdict.

use std::{sync::Arc, time::Duration};

use reliquary::{
    catalog::State,
    jobs::verify::{self, Options, Recorded, Verified, VerifyError},
    state::Progress,
    store::{
        Patience, Store,
        faults::{Fault, FaultyStore, Plan},
    },
    words::Verdict,
};
use tokio_util::sync::CancellationToken;

use super::{Bench, catalog, edit, layout, newest};

/// Nothing is asked for a second time.
const IMPATIENT: Patience = Patience { attempts: 1, pause: Duration::ZERO };

const PATIENT: Patience = Patience { attempts: 3, pause: Duration::ZERO };

const FAULTS: [Fault; 3] =
    [Fault::Rejected, Fault::AcceptedThenFailed, Fault::Hangs(Duration::from_millis(5))];

/// Verifies the newest backup as `store` shows it, after a listing that works.
async fn run(
    bench: &Bench,
    store: Arc<dyn Store>,
    patience: Patience,
) -> Result<Verified, VerifyError> {
    let entry = newest(&catalog(bench.store().await.as_ref()).await);
    let options = Options { threads: 2, at_once: 1, record: true, patience };
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let environment = bench.environment(store);
    verify::run(&environment, &layout(), &entry, options, &progress, &cancel).await
}

async fn state(bench: &Bench) -> (State, bool) {
    let entry = newest(&catalog(bench.store().await.as_ref()).await);
    (entry.state, entry.verified.is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_fails_a_verify_ends_loudly_or_well_and_the_next_one_converges() {
    let bench = Bench::new();
    let watched = Arc::new(FaultyStore::new(bench.store().await, Plan::None));
    run(&bench, watched.clone(), IMPATIENT).await.unwrap();
    let calls = watched.calls();
    for damaged in [false, true] {
        for fault in FAULTS {
            for nth in 1.. {
                let call = calls.get(nth - 1).filter(|_| !damaged);
                if call.is_some_and(|(operation, _)| !fault.differs_for(operation)) {
                    continue;
                }
                bench.reset();
                if damaged {
                    // What verify found last is wrong by now.
                    assert!(
                        !run(&bench, bench.store().await, IMPATIENT).await.unwrap().is_damaged()
                    );
                    edit(&bench.newest.archive, |bytes| bytes[2000] ^= 1);
                }
                let before = state(&bench).await;
                let store = FaultyStore::new(bench.store().await, Plan::Nth(nth, fault));
                let store = Arc::new(store);
                let outcome = run(&bench, store.clone(), IMPATIENT).await;
                let swept = store.calls().len() < nth;
                match outcome {
                    Ok(verified) => {
                        assert_eq!(verified.is_damaged(), damaged, "{fault:?} at {nth}");
                        let refused = matches!(verified.recorded, Recorded::Refused(_));
                        assert_eq!(refused, !swept, "{fault:?} at {nth}");
                    }
                    Err(error) => {
                        assert!(!error.cancelled && !swept, "{fault:?} at {nth}: {error}");
                        assert_eq!(state(&bench).await, before, "{fault:?} at {nth}");
                    }
                }
                // Without the fault.
                let verified = run(&bench, bench.store().await, IMPATIENT).await.unwrap();
                assert_eq!(verified.recorded, Recorded::Yes);
                let state = state(&bench).await;
                let good = if damaged { State::Damaged } else { State::Good };
                assert_eq!(state, (good, true), "{fault:?} at {nth}");
                if swept {
                    // Manifest, checksum file, head, archive, and the verdict.
                    assert!(nth > 5, "{nth}");
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_change_on_the_way_condemn_nothing() {
    let bench = Bench::new();
    let mut told = 0;
    for nth in 1.. {
        let store = Arc::new(FaultyStore::new(bench.store().await, Plan::Corrupt(nth)));
        let outcome = run(&bench, store.clone(), IMPATIENT).await;
        if store.calls().len() < nth {
            break;
        }
        match outcome {
            Ok(verified) => assert_eq!(verified.judgement.verdict, Verdict::Good),
            Err(error) => {
                assert!(error.to_string().contains("the two readings differ"), "{error}");
                told += 1;
            }
        }
        assert_eq!(state(&bench).await.0, State::Good);
    }
    // Manifest and archive; the checksum file condemns nothing anyway.
    assert_eq!(told, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_breaks_is_taken_up_where_it_broke() {
    let bench = Bench::new();
    let clean = Arc::new(FaultyStore::new(bench.store().await, Plan::None));
    run(&bench, clean.clone(), PATIENT).await.unwrap();
    let read = clean.calls().iter().position(|(call, _)| call == "get_range").unwrap() + 1;
    for plan in [Plan::BreaksOff(read), Plan::Nth(read, Fault::Rejected)] {
        let store = Arc::new(FaultyStore::new(bench.store().await, plan));
        let verified = run(&bench, store.clone(), PATIENT).await.unwrap();
        assert!(!verified.is_damaged());
        let reads = store.calls().iter().filter(|(call, _)| call == "get_range").count();
        assert_eq!(reads, 2, "{plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_removed_meanwhile_is_no_damage() {
    let bench = Bench::new();
    let entry = newest(&catalog(bench.store().await.as_ref()).await);
    for suffix in ["manifest.json", "sql.gz"] {
        std::fs::remove_file(bench.file(suffix)).unwrap();
        let environment = bench.environment(bench.store().await);
        let options = Options { threads: 1, at_once: 1, record: true, patience: IMPATIENT };
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let outcome =
            verify::run(&environment, &layout(), &entry, options, &progress, &cancel).await;
        assert!(outcome.unwrap_err().removed);
    }
    assert!(!bench.file("damaged.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_that_is_told_to_stop_says_nothing_of_the_backup() {
    let bench = Bench::new();
    let entry = newest(&catalog(bench.store().await.as_ref()).await);
    let hang = Plan::Nth(4, Fault::Hangs(Duration::from_hours(1)));
    let store = Arc::new(FaultyStore::new(bench.store().await, hang));
    let environment = bench.environment(store.clone());
    let options = Options { threads: 1, at_once: 1, record: true, patience: PATIENT };
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let stop = async {
        while store.calls().len() < 4 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let layout = layout();
    let work = verify::run(&environment, &layout, &entry, options, &progress, &cancel);
    let (outcome, ()) = tokio::join!(work, stop);
    assert!(outcome.unwrap_err().cancelled);
    assert_eq!(state(&bench).await, (State::Good, false));
}
