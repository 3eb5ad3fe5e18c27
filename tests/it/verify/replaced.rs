//! A backup that is written again, or taken away, while a verify reads it: no
//! verdict may be written down of what does not stand there any more.

use std::{fs, path::Path, sync::Arc};

use reliquary::{
    catalog::{Entry, State},
    jobs::verify::{self, Options, Verified, VerifyError},
    state::Progress,
    store::Patience,
};
use tokio_util::sync::CancellationToken;

use super::{Bench, catalog, layout, newest};
use crate::support::odd_store::OddStore;

/// Verifies an entry; `change` is made when its archive is open to be read.
async fn run(
    bench: &Bench,
    entry: &Entry,
    change: impl Fn() + Send + Sync + 'static,
) -> Result<Verified, VerifyError> {
    let store = OddStore::new(bench.store().await).at_reading(move |_| {
        change();
        std::future::ready(())
    });
    let environment = bench.environment(Arc::new(store));
    let options = Options { threads: 1, at_once: 1, record: true, patience: Patience::default() };
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    verify::run(&environment, &layout(), entry, options, &progress, &cancel).await
}

/// Puts other bytes in a file's place, as an upload does: whole, at once.
fn replace(path: &Path, bytes: &[u8]) {
    let staged = path.with_extension("staged");
    fs::write(&staged, bytes).unwrap();
    fs::rename(staged, path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_is_written_of_what_was_replaced_while_it_was_read() {
    let bench = Bench::new();
    let good = fs::read(&bench.newest.archive).unwrap();
    let mut damaged = good.clone();
    damaged[2000] ^= 1;
    for (before, after) in [(&good, &damaged), (&damaged, &good)] {
        bench.reset();
        replace(&bench.newest.archive, before);
        let entry = newest(&catalog(bench.store().await.as_ref()).await);
        let (path, bytes) = (bench.newest.archive.clone(), after.clone());
        let error = run(&bench, &entry, move || replace(&path, &bytes)).await.unwrap_err();
        assert!(!error.removed && !error.cancelled, "{error}");
        assert!(error.to_string().contains("while it was read"), "{error}");
        let entry = newest(&catalog(bench.store().await.as_ref()).await);
        assert_eq!((entry.state, entry.verified), (State::Good, None));
        // At rest it is what it is.
        let verified = run(&bench, &entry, || {}).await.unwrap();
        assert_eq!(verified.is_damaged(), after == &damaged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_is_left_of_what_was_removed_while_it_was_read() {
    let bench = Bench::new();
    for suffixes in [&["manifest.json"][..], &["manifest.json", "sql.gz"]] {
        bench.reset();
        let entry = newest(&catalog(bench.store().await.as_ref()).await);
        let files: Vec<_> = suffixes.iter().map(|suffix| bench.file(suffix)).collect();
        let change = move || files.iter().for_each(|file| drop(fs::remove_file(file)));
        let error = run(&bench, &entry, change).await.unwrap_err();
        assert!(error.removed, "{error}");
        assert!(!bench.file("verified.json").exists());
    }
    // Without its archive a manifest is damage, which the next look finds.
    bench.reset();
    let entry = newest(&catalog(bench.store().await.as_ref()).await);
    let file = bench.file("sql.gz");
    let error = run(&bench, &entry, move || drop(fs::remove_file(&file))).await.unwrap_err();
    assert!(!error.removed, "{error}");
    assert!(!bench.file("verified.json").exists());
    assert_eq!(bench.json(&["verify", &bench.newest.id]).1, 3);
}
