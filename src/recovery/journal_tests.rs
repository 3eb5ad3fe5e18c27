use std::{path::Path, time::Duration};

use super::*;
use crate::{
    clock::Clock,
    settings::{Sources, load},
    store::{
        LocalStore,
        faults::{Fault, FaultyStore, Plan},
    },
};

async fn local(dir: &Path) -> Arc<dyn Store> {
    Arc::new(LocalStore::open(dir).await.unwrap())
}

/// A machine's logs, in a folder and a store.
fn journal(folder: &Path, store: Arc<dyn Store>) -> Journal {
    let mut sources = Sources { dir: "/nowhere".into(), ..Sources::default() };
    for (name, value) in [("STORE__URL", "s3://bucket"), ("DATABASES__MAIN__URL", "postgres://h/d")]
    {
        sources.env.insert(format!("RELIQUARY__{name}"), value.to_owned());
    }
    let settings =
        RunbookSettings { incidents: folder.to_owned(), ..load(&sources).unwrap().0.runbook };
    Journal::new(settings, Layout::new("database/"), Ok(store), Scrub::new(vec![]))
}

fn note(text: &str) -> What {
    What::Note { text: text.to_owned(), steps: vec![] }
}

#[tokio::test]
async fn two_incidents_never_share_an_id_whoever_opens_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = local(&dir.path().join("store")).await;
    let here = journal(&dir.path().join("here"), Arc::clone(&store));
    let there = journal(&dir.path().join("there"), store);
    let now = Clock::system().now();
    let (a, b) = tokio::join!(here.claim(now), there.claim(now));
    assert_ne!(a, b);
    // Nor do two of one machine that reaches no store.
    let gone = Plan::Outage(1, Fault::Rejected);
    let away = FaultyStore::new(local(&dir.path().join("away")).await, gone);
    let alone = journal(&dir.path().join("alone"), Arc::new(away));
    assert_ne!(alone.claim(now).await, alone.claim(now).await);
}

#[tokio::test]
async fn what_was_kept_nowhere_is_known_and_can_be_kept_later() {
    let dir = tempfile::tempdir().unwrap();
    let gone = Plan::Outage(1, Fault::Rejected);
    let store = Arc::new(FaultyStore::new(local(&dir.path().join("store")).await, gone));
    // A file stands where the folder would be.
    let folder = dir.path().join("incidents");
    std::fs::write(&folder, "x").unwrap();
    let journal = journal(&folder, Arc::clone(&store) as Arc<dyn Store>);
    let now = Clock::system().now();
    let id = journal.claim(now).await;
    let began = journal.draw(id, "ann", EntryId::new(now, 1), note("began"));
    let kept = journal.keep(id, "ann", now, began.clone()).await;
    assert_eq!(kept.incident.len(), 1, "what is known is told");
    let error = kept.somewhere().unwrap_err().to_string();
    assert!(error.contains("neither here (") && error.contains("nor in the bucket ("), "{error}");

    store.set(Plan::None);
    let mut all = began;
    let later = now + Duration::from_secs(1);
    all.add(journal.draw(id, "ann", EntryId::new(later, 2), note("ended")));
    let kept = journal.keep(id, "ann", later, all).await;
    kept.somewhere().unwrap();
    assert_eq!(journal.read(id).await.len(), 2);
}
