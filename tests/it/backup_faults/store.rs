//! The store refuses, breaks, hangs or lies.

use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reliquary::{
    store::{
        LocalStore, S3Options, S3Store, Store,
        faults::{Fault, FaultyStore, Plan},
    },
    words::Stage,
};

use super::bench::{Bench, converged, debris, points_at_newest, uploads, whole};
use crate::support::{
    s3::{S3Server, Scripted, Step, Verdict, s3s_server_with},
    tools::command,
};

async fn connect(options: S3Options) -> Arc<dyn Store> {
    Arc::new(S3Store::connect(options).await.unwrap())
}

/// A server that judges the writes of keys with such an end.
async fn against(end: &'static str, verdict: Verdict) -> S3Server {
    s3s_server_with(Arc::new(move |method, target| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let meant = if end == "part" { query.contains("partNumber") } else { path.ends_with(end) };
        if matches!(method, "PUT" | "POST") && meant { verdict.clone() } else { Verdict::Pass }
    }))
    .await
}

#[tokio::test]
async fn a_store_that_refuses_is_told_in_one_line_with_what_mends_it() {
    let bench = Bench::new().await;
    let region = |status: u16| {
        let headers = vec![("x-amz-bucket-region", "eu-west-3".to_owned())];
        let body = "<Error><Code>PermanentRedirect</Code><Message>m</Message></Error>";
        Step::Answer(status, headers, body.to_owned())
    };
    for (answer, parts) in [
        (Step::error(404, "NoSuchBucket"), ["s3://bucket", "no such bucket", "store.url"]),
        (Step::error(403, "AccessDenied"), ["s3://bucket", "access denied", "s3:ListBucket"]),
        (Step::error(403, "ExpiredToken"), ["s3://bucket", "credentials", "expired"]),
        (Step::error(403, "RequestTimeTooSkewed"), ["s3://bucket", "clock", "set the clock"]),
        (region(301), ["s3://bucket", "another region", "eu-west-3"]),
    ] {
        let server = Scripted::start(vec![answer; 20]).await;
        let error = bench.backup_into(connect(server.options()).await).await.unwrap_err();
        assert_eq!(error.stage, Stage::Catalog, "{error}");
        assert!(!error.transient, "{error}");
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
    bench.no_sessions().await;
}

#[tokio::test]
async fn a_right_that_is_missing_in_the_middle_is_named_and_nothing_is_listed() {
    let bench = Bench::new().await;
    for (end, stage) in [
        (".sql.gz.sha256", Stage::Checksum),
        (".sql.gz", Stage::Upload),
        (".manifest.json", Stage::Commit),
    ] {
        let server = against(end, Verdict::Refuse(403, "AccessDenied")).await;
        let error = bench.backup_into(connect(server.options()).await).await.unwrap_err();
        assert_eq!(error.stage, stage, "{error}");
        assert!(error.to_string().contains("s3:PutObject"), "{error}");
        assert!(!error.transient, "{error}");
        let store = connect(server.options()).await;
        assert!(whole(store.as_ref()).await.is_empty());
    }
    // The pointer may not be moved: the backup stands, and the run says both.
    let server = against("LATEST.txt", Verdict::Refuse(403, "AccessDenied")).await;
    let error = bench.backup_into(connect(server.options()).await).await.unwrap_err();
    assert_eq!(error.stage, Stage::Pointer, "{error}");
    assert!(error.to_string().contains("stands and is whole"), "{error}");
    assert_eq!(whole(connect(server.options()).await.as_ref()).await.len(), 1);
}

#[tokio::test]
async fn bytes_that_change_on_the_way_are_sent_again() {
    let bench = Bench::new().await;
    bench.fatten();
    let seen = AtomicUsize::new(0);
    let server = s3s_server_with(Arc::new(move |method, target| {
        let part = method == "PUT" && target.contains("partNumber=1");
        // The first attempt only.
        if part && seen.fetch_add(1, Ordering::Relaxed) == 0 {
            Verdict::Garble
        } else {
            Verdict::Pass
        }
    }))
    .await;
    let store = connect(server.options()).await;
    let manifest = bench.backup_into(store.clone()).await.unwrap();
    converged(store.as_ref(), &manifest).await;
}

#[tokio::test]
async fn bytes_that_change_every_time_are_never_listed() {
    let bench = Bench::new().await;
    bench.fatten();
    let server = against("part", Verdict::Garble).await;
    let store = connect(server.options()).await;
    let error = bench.backup_into(store.clone()).await.unwrap_err();
    assert_eq!(error.stage, Stage::Upload, "{error}");
    assert!(whole(store.as_ref()).await.is_empty());
    assert_eq!(server.parts_left(), 0);
    assert_eq!(debris(store.as_ref()).await, 0);
}

#[tokio::test]
async fn an_archive_that_the_store_keeps_short_is_not_confirmed() {
    let bench = Bench::new().await;
    let dir = Arc::new(OnceLock::<PathBuf>::new());
    let objects = Arc::clone(&dir);
    // The store loses the end of the archive before it is asked for its size.
    let server = s3s_server_with(Arc::new(move |method, target| {
        if method == "HEAD" && target.ends_with(".sql.gz") {
            let archive = objects.get().unwrap().join(target.trim_start_matches('/'));
            std::fs::OpenOptions::new().write(true).open(archive).unwrap().set_len(100).unwrap();
        }
        Verdict::Pass
    }))
    .await;
    dir.set(server.dir.clone()).unwrap();
    let store = connect(server.options()).await;
    let error = bench.backup_into(store.clone()).await.unwrap_err();
    assert_eq!(error.stage, Stage::Confirm, "{error}");
    assert!(error.to_string().contains("the store holds 100 bytes"), "{error}");
    assert!(error.transient, "{error}");
    assert!(whole(store.as_ref()).await.is_empty());
}

#[tokio::test]
async fn a_store_that_never_answers_ends_with_its_own_deadline() {
    let bench = Bench::new().await;
    // What nothing else may overwrite is looked for instead; the pointer is not.
    let server = against("LATEST.sha256", Verdict::Swallow).await;
    let options =
        S3Options { attempt_timeout: Duration::from_millis(200), attempts: 2, ..server.options() };
    let error = bench.backup_into(connect(options).await).await.unwrap_err();
    assert_eq!(error.stage, Stage::Pointer, "{error}");
    assert!(error.transient && error.to_string().contains("no answer within"), "{error}");
    bench.no_sessions().await;
}

#[tokio::test]
async fn a_store_that_never_answers_ends_with_the_run_s_deadline() {
    let mut bench = Bench::new().await;
    bench.set("RELIQUARY__DATABASES__MAIN__TIMEOUT", "2s");
    let hangs = Fault::Hangs(Duration::from_hours(1));
    let store = Arc::new(FaultyStore::new(bench.local(), Plan::Outage(2, hangs)));
    let error = bench.backup_into(store).await.unwrap_err();
    assert_eq!(error.stage, Stage::Timeout, "{error}");
    assert!(error.to_string().contains("it was at stage checksum"), "{error}");
    bench.no_sessions().await;
    bench.recovers().await;
}

#[tokio::test]
async fn a_pointer_that_is_read_wrongly_is_put_right() {
    let bench = Bench::new().await;
    let older = bench.backup().await.unwrap();
    converged(bench.local.as_ref(), &older).await;
    let watched = Arc::new(FaultyStore::new(bench.local(), Plan::None));
    bench.backup_into(watched.clone()).await.unwrap();
    let reads = watched.calls();
    for (nth, _) in (1..).zip(&reads).filter(|(_, (operation, _))| operation == "get") {
        let store = Arc::new(FaultyStore::new(bench.local(), Plan::Corrupt(nth)));
        bench.backup_into(store).await.unwrap();
        points_at_newest(bench.local.as_ref()).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_does_not_stop_the_next_run() {
    let mut bench = Bench::new().await;
    bench.fatten();
    let disk = Tmpfs::mount("3m");
    let Some(disk) = disk else {
        eprintln!("SKIPPED: this account may not mount a small file system");
        return;
    };
    let store: Arc<dyn Store> = Arc::new(LocalStore::open(disk.path()).await.unwrap());
    let error = bench.backup_into(store.clone()).await.unwrap_err();
    assert_eq!(error.stage, Stage::Upload, "{error}");
    assert!(error.to_string().contains("no space is left"), "{error}");
    assert!(whole(store.as_ref()).await.is_empty());
    assert_eq!(uploads(store.as_ref()).await, 0);
    // What was written is gone, so that the disk has room for a smaller one.
    bench = bench.without_rows_of("public.blob");
    let manifest = bench.backup_into(store.clone()).await.unwrap();
    converged(store.as_ref(), &manifest).await;
}

/// A small file system of its own, unmounted when dropped.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let status = command("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .status();
        status.is_ok_and(|status| status.success()).then_some(Self(dir))
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a file may still be open.
        let _ = command("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test]
async fn an_upload_whose_part_hangs_is_thrown_away_when_the_run_is_given_up() {
    let mut bench = Bench::new().await;
    bench.fatten();
    bench.set("RELIQUARY__DATABASES__MAIN__TIMEOUT", "3s");
    // Listing, beginning, the first part: the second one waits for it.
    let hangs = Fault::Hangs(Duration::from_hours(1));
    let watched = Arc::new(FaultyStore::new(bench.local(), Plan::Nth(3, hangs)));
    let error = bench.backup_into(watched.clone()).await.unwrap_err();
    assert_eq!(error.stage, Stage::Timeout, "{error}");
    assert_eq!(watched.calls()[2].0, "upload_part");
    assert_eq!(uploads(bench.local.as_ref()).await, 0);
}
