//! Every call to the store fails in turn.

use std::{sync::Arc, time::Duration};

use reliquary::{
    archive::Manifest,
    catalog::{self, Layout},
    postgres::ConnectionUrl,
    restore::{self, Options, Progress, Report, Request, RestoreError, Stored},
    store::{
        LocalStore, Patience, Store,
        faults::{Fault, FaultyStore, Plan},
    },
};
use tokio_util::sync::CancellationToken;

use super::shop;
use crate::support::{
    postgres::{Server, assert_same_dump},
    product::Product,
};

async fn restore_from(
    store: Arc<dyn Store>,
    server: &Server,
    manifest: &Manifest,
    clean: bool,
) -> Result<Report, RestoreError> {
    let target = ConnectionUrl::parse(&server.url("copy").into()).unwrap();
    let patience = Patience { attempts: 3, pause: Duration::ZERO };
    let request = Request {
        stored: Stored { patience, ..Stored::new(store, manifest.clone()) },
        damage: None,
        target,
        source: restore::Live::Unnamed,
        others: Vec::new(),
        newest: None,
        client_dirs: vec![server.bin_dir().to_owned()],
        options: Options { jobs: 2, clean, ..Options::default() },
        alone: true,
    };
    let prepared = restore::prepare(request).await?;
    Box::pin(restore::run(prepared, &Progress::default(), &CancellationToken::new())).await
}

/// A line that breaks is nothing; an outage is a loud failure that leaves no
/// session, and the next run converges.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_survives_any_fault_of_the_store() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop").set("RELIQUARY__ARCHIVE__MEMBER_SIZE", "256KiB");
    product.backup(&[]);
    let clean: Arc<dyn Store> = Arc::new(LocalStore::open(&product.store_dir()).await.unwrap());
    let layout = Layout::new("database/");
    let listed = catalog::read(clean.as_ref(), &layout).await.unwrap();
    let entry = listed.good().next().unwrap();
    let manifest = catalog::read_manifest(clean.as_ref(), &layout, &listed, entry.kind, entry.id)
        .await
        .unwrap();
    server.create_database("copy");
    let watched = Arc::new(FaultyStore::new(clean.clone(), Plan::None));
    restore_from(watched.clone(), &server, &manifest, false).await.unwrap();
    let calls = watched.calls().len();
    assert!(calls >= 7, "{calls}");
    let source = server.dump_plain("shop");
    // A line that breaks at every reading is no fault at all.
    let store = Arc::new(FaultyStore::new(clean.clone(), Plan::AlwaysBreaksOff));
    restore_from(store.clone(), &server, &manifest, true).await.unwrap();
    assert!(store.calls().len() > 2 * calls, "{} of {calls}", store.calls().len());
    for nth in 1..=calls {
        for plan in [Plan::Outage(nth, Fault::Rejected), Plan::Corrupt(nth)] {
            let store = Arc::new(FaultyStore::new(clean.clone(), plan));
            let error = restore_from(store, &server, &manifest, true).await.unwrap_err();
            let said = error.to_string();
            let ours =
                "select count(*) from pg_stat_activity where application_name like 'reliquary r%'";
            assert_eq!(server.psql("copy", ours).trim(), "0", "{plan:?}: {said}");
            let injected = !matches!(plan, Plan::Corrupt(_));
            assert!(!injected || said.contains("injected"), "{plan:?}: {said}");
            if let RestoreError::Stopped(stopped) = &error {
                assert!(!stopped.cancelled, "{plan:?}");
            }
        }
        let hangs = Fault::Hangs(Duration::from_millis(20));
        let once = [Plan::Nth(nth, Fault::Rejected), Plan::Nth(nth, hangs), Plan::BreaksOff(nth)];
        let store = Arc::new(FaultyStore::new(clean.clone(), once[nth % once.len()]));
        restore_from(store, &server, &manifest, true).await.unwrap();
        assert_same_dump(&source, &server.dump_plain("copy"));
    }
}
