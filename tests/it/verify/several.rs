//! Several backups at once, within a bound, and how far it says that it is.

use std::{fs, sync::Arc, time::Duration};

use reliquary::{
    jobs::verify::{self, Options},
    state::Progress,
    store::Patience,
};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::{Bench, catalog, layout};
use crate::support::odd_store::OddStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_are_read_at_once_as_was_said_and_the_progress_reaches_the_end() {
    let bench = Bench::new();
    let folder = bench.product.store_dir().join("database/2025/11");
    fs::create_dir_all(&folder).unwrap();
    for hour in 10..16 {
        fs::copy(&bench.newest.archive, folder.join(format!("2025-11-23T{hour}-00-00Z.sql.gz")))
            .unwrap();
    }
    let entries = catalog(bench.store().await.as_ref()).await.entries;
    assert_eq!(entries.len(), 8);
    let total: u64 = entries.iter().map(|entry| entry.archive_bytes).sum();
    for at_once in [1, 2, 4] {
        // None goes on before so many are there.
        let barrier = Arc::new(Barrier::new(at_once));
        let store = OddStore::new(bench.store().await).at_reading(move |_| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
            }
        });
        let store = Arc::new(store);
        let environment = bench.environment(store.clone());
        let options = Options { threads: 1, at_once, record: false, patience: Patience::default() };
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let (mut told, layout) = (Vec::new(), layout());
        let work = verify::all(
            &environment,
            &layout,
            entries.clone(),
            options,
            &progress,
            &cancel,
            |entry, result| {
                assert!(!result.unwrap().is_damaged());
                told.push(entry.clone());
            },
        );
        let done = tokio::time::timeout(Duration::from_mins(1), work).await;
        assert!(done.is_ok(), "fewer than {at_once} were read at once");
        assert_eq!(store.most_open(), at_once);
        assert_eq!(told, entries, "in their order");
        assert_eq!(progress.report().archive_bytes, total);
    }
}
