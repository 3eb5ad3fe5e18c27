//! A drill over a store that fails: what could not be read is never called
//! *failed* and never *passed*, and the next drill comes to its verdict.

use std::{path::Path, sync::Arc, time::Duration};

use reliquary::{
    app,
    catalog::{self, Layout},
    clock::Clock,
    drill::Record,
    jobs::drill::{self, Drilled, Request},
    restore::Live,
    settings::{Settings, Sources, load},
    store::{
        LocalStore, Store,
        faults::{Fault, FaultyStore, Plan},
    },
    words::{DrillChoice, DrillReason, DrillVerdict},
};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use super::{backed_up, is_empty};
use crate::support::postgres::Server;

fn settings(server: &Server, room: &Path) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("reliquary.toml");
    let room = room.display().to_string();
    let text = format!(
        "store.url = \"s3://unused\"\ndatabases.main.url = {:?}\ndrill.dir = {room:?}\n\
         drill.amcheck = false\n",
        server.url("shop")
    );
    std::fs::write(&file, text).unwrap();
    let dir = dir.path().to_owned();
    load(&Sources { config: Some(file), dir, ..Sources::default() }).unwrap().0
}

/// Drills the newest backup, after a listing that works.
async fn run(settings: &Settings, clean: &LocalStore, store: Arc<dyn Store>) -> Drilled {
    let layout = Layout::new("database/");
    let catalog = catalog::read(clean, &layout).await.unwrap();
    let newest = catalog.good().next().unwrap().clone();
    let request = Request {
        database: "main".to_owned(),
        entry: newest,
        catalog,
        layout,
        source: Live::Unnamed,
        settings: settings.drill.clone(),
        operator: "a test".to_owned(),
        choice: DrillChoice::Asked,
        record: true,
    };
    let environment = app::environment(settings, store, Clock::system());
    let (progress, never) = (drill::Progress::default(), CancellationToken::new());
    Box::pin(drill::run(&environment, &request, &progress, &never)).await
}

/// The verdicts in the bucket, those of drills that are under way left out.
async fn recorded(store: &LocalStore) -> Vec<Record> {
    let layout = Layout::new("database/");
    let catalog = catalog::read(store, &layout).await.unwrap();
    reliquary::drill::read(store, &layout, &catalog.drills).await.unwrap().records
}

#[rstest]
#[case(Fault::Rejected)]
#[case(Fault::AcceptedThenFailed)]
#[case(Fault::Hangs(Duration::from_millis(5)))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_fails_a_drill_never_says_more_than_it_knows(#[case] fault: Fault) {
    let (server, room, product, _backup) = backed_up();
    let settings = settings(&server, room.path());
    let clean = Arc::new(LocalStore::open(product.store_dir()).await.unwrap());
    let watched = Arc::new(FaultyStore::new(clean.clone(), Plan::None));
    run(&settings, &clean, watched.clone()).await;
    let calls = watched.calls();
    for nth in 1.. {
        if calls.get(nth - 1).is_some_and(|(operation, _)| !fault.differs_for(operation)) {
            continue;
        }
        let before = recorded(&clean).await.len();
        let store = Arc::new(FaultyStore::new(clean.clone(), Plan::Nth(nth, fault)));
        let Drilled { record, not_recorded, .. } = run(&settings, &clean, store.clone()).await;
        let swept = store.calls().len() < nth;
        let said = format!("{fault:?} at {nth}: {:?} {not_recorded:?}", record.failure);
        assert!(is_empty(room.path()), "{said}");
        match record.verdict {
            DrillVerdict::Failed => panic!("it was the store: {said}"),
            DrillVerdict::Unproven => {
                assert_eq!(record.failure.unwrap().reason, DrillReason::Store, "{said}");
            }
            // What failed was to write it down, or to say that it began, or what
            // is asked for again.
            DrillVerdict::Passed => {
                let stored = recorded(&clean).await;
                let stored = stored.iter().find(|stored| stored.id == record.id);
                let is_stored = stored.is_some_and(|s| s.verdict == DrillVerdict::Passed);
                assert!(is_stored || not_recorded.is_some(), "{said}");
            }
        }
        let passed = recorded(&clean).await;
        let passed = passed[before..].iter().filter(|r| r.verdict == DrillVerdict::Passed).count();
        assert!(passed <= usize::from(record.verdict == DrillVerdict::Passed), "{said}");
        if swept {
            // That it begins, the manifest, the archive three times over, the
            // record, the page.
            assert!(nth > 6, "{nth}");
            assert_eq!((record.verdict, not_recorded), (DrillVerdict::Passed, None));
            return;
        }
    }
}
