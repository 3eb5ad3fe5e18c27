//! `kill -9` at every stage: nothing visible that is not whole, no child and no
//! lock left, and running again converges.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use reliquary::{
    clock::Clock,
    store::{S3Store, Store},
};
use tokio::sync::mpsc;

use super::{
    bench::{Bench, converged, whole},
    children::{FakeDump, Reliquary, gone},
};
use crate::support::s3::{Verdict, s3s_server_with};

/// Killed while `pg_dump` runs: before it connects, and within each section.
#[tokio::test]
async fn killed_while_dumping_it_leaves_nothing_behind() {
    let mut bench = Bench::new().await;
    bench.fatten();
    let real = bench.server.bin_dir().to_owned();
    for stage in [
        // The snapshot is taken, nothing is dumped yet.
        "[ $section = pre-data ] && reach; exec \"$real\" \"$@\"",
        // Some of a section has arrived. Of the data it is a whole part.
        &within("pre-data", 2000),
        &within("data", 11_900_000),
        &within("post-data", 800),
    ] {
        let mut fake = FakeDump::new(&bench, stage);
        bench.use_tools(fake.path());
        let mut process = Reliquary::on(&bench, &["backup"]);
        let child = fake.reached().await;
        process.kill().await;
        // What it waits for will not come; it meets a closed pipe instead.
        fake.release().await;
        gone(child).await;
        bench.no_sessions().await;
        let good = whole(bench.local.as_ref()).await;
        assert!(good.is_empty(), "{stage}: {good:?}");
    }
    bench.use_tools(&real);
    bench.without_rows_of("public.blob").recovers().await;
}

/// Passes the beginning of a section on, then waits.
fn within(section: &str, bytes: usize) -> String {
    format!(
        "[ $section = {section} ] || exec \"$real\" \"$@\"\n\
         \"$real\" \"$@\" | {{ head -c {bytes}; reach; cat; }}"
    )
}

/// Every request to the store in turn is served, and the process is killed
/// before it hears of it: what was served is all that the next run finds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_request_it_leaves_nothing_that_is_not_whole() {
    let mut bench = Bench::new().await;
    let seen = kill_at_each(&mut bench, |_| true).await;
    // One of each was met: listing, checksum file, archive, confirmation,
    // manifest, pointer.
    for part in [
        "GET /backups/?list-type",
        ".sql.gz.sha256",
        "PUT /backups/database/2026",
        "HEAD ",
        ".manifest.json",
        "GET /backups/database/LATEST.txt",
        "PUT /backups/database/LATEST.sha256",
        "PUT /backups/database/LATEST.txt",
    ] {
        assert!(seen.iter().any(|request| request.contains(part)), "{part}: {seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_part_it_leaves_nothing_that_is_not_whole() {
    let mut bench = Bench::new().await;
    bench.fatten();
    let seen = kill_at_each(&mut bench, |target| target.contains("upload")).await;
    // Both parts are on their way at once: which comes first is not ours to say.
    let met = |what: &str| seen.iter().filter(|request| request.contains(what)).count();
    let counts = [met("?uploads"), met("partNumber="), met("POST /backups/database/2026")];
    assert_eq!(counts, [1, 2, 2], "{seen:#?}");
}

/// Kills a backup at each request of interest in turn; returns the requests.
async fn kill_at_each(bench: &mut Bench, interesting: fn(&str) -> bool) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(request) = kill_at(bench, interesting, seen.len() + 1).await {
        seen.push(request);
    }
    seen
}

/// Kills a backup when its nth request of interest has been served; returns the
/// request, or `None` where the backup made fewer.
async fn kill_at(bench: &mut Bench, interesting: fn(&str) -> bool, nth: usize) -> Option<String> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let dead = Arc::new(AtomicBool::new(false));
    let (noted, over) = (Arc::clone(&requests), Arc::clone(&dead));
    let server = s3s_server_with(Arc::new(move |method, target| {
        let mut requests = noted.lock().unwrap();
        if interesting(target) {
            requests.push(format!("{method} {target}"));
        }
        match requests.len() {
            len if len < nth || over.load(Ordering::Relaxed) => Verdict::Pass,
            len if len == nth && interesting(target) => Verdict::SwallowAndTell(tell.clone()),
            // What the store holds must not depend on how fast the process dies.
            _ => Verdict::Refuse(503, "SlowDown"),
        }
    }))
    .await;
    bench.use_server(&server);
    let mut process = Reliquary::on(bench, &["backup"]);
    tokio::select! {
        _ = told.recv() => process.kill().await,
        ended = process.ended() => {
            assert!(ended.status.success(), "{ended:?}");
            return None;
        }
    }
    bench.no_sessions().await;
    dead.store(true, Ordering::Relaxed);
    let request = requests.lock().unwrap()[nth - 1].clone();

    let store: Arc<dyn Store> = Arc::new(S3Store::connect(server.options()).await.unwrap());
    let committed = request.contains("LATEST") || request.contains(".manifest.json");
    assert_eq!(whole(store.as_ref()).await.len(), usize::from(committed), "{request}");
    let lean = bench.without_rows_of("public.blob");
    // The process lived by the machine's clock.
    lean.clock.set(Clock::system().now());
    let manifest = lean.backup_into(store.clone()).await.unwrap();
    converged(store.as_ref(), &manifest).await;
    Some(request)
}
