//! Every call of a sweep fails in turn, in every way that differs for it; and keys that the store
//! refuses to give up.

use std::time::Duration;

use reliquary::store::faults::{Fault, FaultyStore, Plan};

use super::{crash::Scissors, *};

const FAULTS: [Fault; 3] =
    [Fault::Rejected, Fault::AcceptedThenFailed, Fault::Hangs(Duration::from_millis(5))];

#[tokio::test]
async fn whichever_call_fails_a_sweep_ends_loudly_and_the_next_one_converges() {
    let template = motley().await;
    let calls = {
        let bench = template.copy();
        let watched = Arc::new(FaultyStore::new(bench.store().await, Plan::None));
        assert!(bench.sweep(watched.clone()).await.unwrap().is_whole());
        watched.calls()
    };
    let mut failed = 0;
    for (fault, outage) in FAULTS.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
        let plan = |nth| if outage { Plan::Outage(nth, fault) } else { Plan::Nth(nth, fault) };
        for nth in 1.. {
            if calls.get(nth - 1).is_some_and(|(operation, _)| !fault.differs_for(operation)) {
                continue;
            }
            let bench = template.copy();
            let stays = must_stay(&bench).await;
            let before = bench.keys().await;
            let store = Arc::new(FaultyStore::new(bench.store().await, plan(nth)));
            let outcome = bench.sweep(store.clone()).await;
            let at = format!("{:?} after {:?}", plan(nth), store.calls().last());
            let swept = store.calls().len() < nth;
            match outcome {
                Ok(removal) => {
                    assert_eq!(removal.is_whole(), swept, "{at}: {removal:?}");
                    assert_eq!(removal.complaint().is_none(), swept, "{at}");
                }
                Err(error) => {
                    assert!(!swept, "{at}");
                    assert!(error.to_string().contains("an injected fault"), "{at}: {error}");
                    assert_eq!(bench.keys().await, before, "{at}");
                }
            }
            // Whatever is listed as good is whole, and all that is kept is there.
            let good = bench.good().await;
            assert!(KEPT.iter().all(|hours| good.contains(hours)), "{at}: {good:?}");
            assert!(bench.keys().await.is_superset(&stays), "{at}");
            let legacy = bench.catalog().await.totals().legacy;
            assert!(legacy <= 2, "{at}: ours is taken for a legacy archive");
            // Without the fault.
            assert!(bench.sweep(bench.store().await).await.unwrap().is_whole(), "{at}");
            assert_eq!(bench.keys().await, stays, "{at}");
            if swept {
                break;
            }
            failed += 1;
        }
    }
    // Time, list, beginnings, uploads, a drill, manifest, head, three removals of
    // backups and of debris, and an upload.
    assert!(failed >= 2 * 14 + 4 * 5, "{failed}");
    println!("{failed} sweeps with a fault");
}

#[tokio::test]
async fn what_the_store_does_not_give_up_is_named_and_never_claimed() {
    let template = motley().await;
    let day = |bench: &Bench, hours, what| {
        let id = bench.id(hours);
        let (manifest, archive) =
            (Key::Manifest(Kind::Scheduled, id), Key::Archive(Kind::Scheduled, id));
        layout().key(if what == "manifest" { manifest } else { archive })
    };
    for what in ["manifest", "archive"] {
        let bench = template.copy();
        let stubborn = day(&bench, 38, what);
        let store = Scissors::refusing(bench.store().await, &[&stubborn]);
        let removal = bench.sweep(Arc::new(store)).await.unwrap();
        assert!(!removal.is_whole() && removal.stopped.is_none());
        assert_eq!((removal.gone.len(), removal.left_count), (4, 1), "{removal:?}");
        assert_eq!(removal.left[0].key, stubborn);
        let complaint = removal.complaint().unwrap();
        assert!(complaint.contains("s3:DeleteObject"), "{complaint}");
        let keys = bench.keys().await;
        // A backup whose manifest stays, stays whole; an archive that stays
        // keeps what says that it is ours.
        let checksum = layout().key(Key::Checksum(Kind::Scheduled, bench.id(38)));
        assert!(keys.contains(&stubborn) && keys.contains(&checksum), "{keys:?}");
        assert!(keys.contains(&day(&bench, 38, "archive")), "{keys:?}");
        assert_eq!(bench.good().await.contains(&38), what == "manifest");
        assert!(bench.sweep(bench.store().await).await.unwrap().is_whole());
        assert_eq!(bench.keys().await, must_stay(&template).await);
    }
}

#[tokio::test]
async fn a_store_that_will_not_list_uploads_is_swept_all_the_same() {
    let bench = motley().await;
    let removal = bench.sweep(Arc::new(Scissors::without_uploads(bench.store().await))).await;
    let removal = removal.unwrap();
    assert!(removal.is_whole(), "{removal:?}");
    assert_eq!((removal.gone.len(), removal.debris), (5, 4), "all but the upload");
}
