//! Downloads that break off, are killed, meet other files and wrong bytes.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reliquary::{
    catalog::Query,
    jobs::fetch::{self, FetchError, Fetched, Request},
    state::Progress,
    store::{
        Patience, Store,
        faults::{Fault, FaultyStore, Plan},
    },
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Bench, catalog, edit, layout};
use crate::support::tools::command;

const IMPATIENT: Patience = Patience { attempts: 1, pause: Duration::ZERO };
const PATIENT: Patience = Patience { attempts: 3, pause: Duration::ZERO };

/// Fetches the newest backup in this process.
async fn run(
    bench: &Bench,
    store: Arc<dyn Store>,
    file: &Path,
    patience: Patience,
) -> Result<Fetched, FetchError> {
    let catalog = catalog(bench.store().await.as_ref()).await;
    let entry =
        Query::parse(&bench.newest.id, chrono::DateTime::UNIX_EPOCH).find(&catalog).unwrap();
    let file = file.to_owned();
    let request =
        Request { catalog: &catalog, entry, file, force: false, damaged: false, patience };
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    fetch::run(&store, &layout(), &request, &progress, &cancel).await
}

/// The partial files in a folder.
fn partials(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ext| ext == "partial")).collect()
}

/// The archive is there as it was, and stock tools say so.
fn is_whole(bench: &Bench, file: &Path) {
    assert!(fs::read(file).unwrap() == fs::read(&bench.newest.archive).unwrap());
    let name = file.file_name().unwrap().to_str().unwrap();
    let output = command("sha256sum")
        .args(["-c", &format!("{name}.sha256")])
        .current_dir(file.parent().unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{name}: OK\n"));
    assert_eq!(partials(file.parent().unwrap()), [] as [PathBuf; 0]);
}

#[test]
fn an_archive_comes_under_its_own_name_or_the_one_that_is_asked_for() {
    let bench = Bench::new();
    let name = format!("{}.sql.gz", bench.newest.id);
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("before.sql.gz");
    for (output, file) in [
        (None, bench.product.dir().join(&name)),
        (Some(folder.path()), folder.path().join(&name)),
        (Some(&*named), named.clone()),
    ] {
        let output = output.map(|path| path.to_str().unwrap());
        let arguments = output.map_or(vec!["fetch"], |output| vec!["fetch", "-o", output]);
        let (report, code) = bench.json(&arguments);
        assert_eq!((code, &report["id"]), (0, &json!(bench.newest.id)));
        assert_eq!(report["sha256"], json!(bench.newest.manifest.archive.sha256));
        assert_eq!(
            (&report["checksum_known"], &report["bytes_there_before"]),
            (&json!(true), &json!(0))
        );
        is_whole(&bench, &file);
        // Again: nothing is transferred, nothing is said against it.
        fs::remove_file(
            file.with_file_name(format!("{}.sha256", file.file_name().unwrap().to_str().unwrap())),
        )
        .unwrap();
        let (again, code) = bench.json(&arguments);
        assert_eq!((code, &again["bytes_there_before"]), (0, &report["bytes"]));
        is_whole(&bench, &file);
    }
}

#[test]
fn a_different_file_is_not_replaced_without_being_told_to() {
    let bench = Bench::new();
    let file = bench.product.dir().join(format!("{}.sql.gz", bench.newest.id));
    fs::write(&file, b"mine").unwrap();
    let output = bench.run(&["fetch"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is there already, and is another file; --force replaces it"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(partials(bench.product.dir()), [] as [PathBuf; 0]);
    assert!(bench.run(&["fetch", "--force"]).status.success());
    is_whole(&bench, &file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_fails_a_fetch_ends_loudly_and_the_next_one_goes_on() {
    let bench = Bench::new();
    for fault in
        [Fault::Rejected, Fault::AcceptedThenFailed, Fault::Hangs(Duration::from_millis(5))]
    {
        for nth in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("x.sql.gz");
            let store = Arc::new(FaultyStore::new(bench.store().await, Plan::Nth(nth, fault)));
            let outcome = run(&bench, store.clone(), &file, IMPATIENT).await;
            if store.calls().len() < nth {
                outcome.unwrap();
                is_whole(&bench, &file);
                assert!(nth > 2, "{nth}");
                break;
            }
            outcome.unwrap_err();
            assert!(!file.exists(), "{fault:?} at {nth}");
            run(&bench, bench.store().await, &file, IMPATIENT).await.unwrap();
            is_whole(&bench, &file);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_in_the_middle_is_taken_up() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.sql.gz");
    // Within one run.
    let store = Arc::new(FaultyStore::new(bench.store().await, Plan::BreaksOff(2)));
    let fetched = run(&bench, store.clone(), &file, PATIENT).await.unwrap();
    assert_eq!((fetched.had, store.calls().len()), (0, 3));
    is_whole(&bench, &file);
    fs::remove_file(&file).unwrap();
    // And by another one.
    let store = Arc::new(FaultyStore::new(bench.store().await, Plan::BreaksOff(2)));
    run(&bench, store, &file, IMPATIENT).await.unwrap_err();
    let left = fs::metadata(&partials(folder.path())[0]).unwrap().len();
    assert!(left > 0 && left < bench.newest.manifest.archive.bytes, "{left}");
    let fetched = run(&bench, bench.store().await, &file, IMPATIENT).await.unwrap();
    assert_eq!(fetched.had, left);
    is_whole(&bench, &file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bytes_never_get_the_final_name() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.sql.gz");
    // On the way.
    let store = Arc::new(FaultyStore::new(bench.store().await, Plan::Corrupt(2)));
    let error = run(&bench, store, &file, IMPATIENT).await.unwrap_err();
    assert!(matches!(error, FetchError::Different { .. }), "{error}");
    assert!(!file.exists() && partials(folder.path()).is_empty());
    // On the disk, in the part that was there.
    let store = Arc::new(FaultyStore::new(bench.store().await, Plan::BreaksOff(2)));
    run(&bench, store, &file, IMPATIENT).await.unwrap_err();
    edit(&partials(folder.path())[0], |bytes| bytes[100] ^= 1);
    let error = run(&bench, bench.store().await, &file, IMPATIENT).await.unwrap_err();
    assert!(matches!(error, FetchError::Different { .. }), "{error}");
    run(&bench, bench.store().await, &file, IMPATIENT).await.unwrap();
    is_whole(&bench, &file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_archive_is_not_gone_on_with() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.sql.gz");
    let store = Arc::new(FaultyStore::new(bench.store().await, Plan::BreaksOff(2)));
    run(&bench, store, &file, IMPATIENT).await.unwrap_err();
    let left = partials(folder.path());
    let output = file.to_str().unwrap();
    let (report, code) = bench.json(&["fetch", &bench.older.id, "-o", output]);
    assert_eq!((code, &report["bytes_there_before"]), (0, &json!(0)), "{report}");
    assert!(fs::read(&file).unwrap() == fs::read(&bench.older.archive).unwrap());
    assert_eq!(partials(folder.path()), left);
}

/// An archive that takes long enough to be interrupted: bytes that no
/// compressor makes smaller, behind the name of a legacy archive.
fn long(bench: &Bench, megabytes: usize) -> (String, Vec<u8>) {
    let id = "2025-11-23T14-00-00Z".to_owned();
    let mut state = 1_u64;
    let bytes: Vec<u8> = (0..megabytes << 17)
        .flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 3).to_le_bytes()
        })
        .collect();
    let folder = bench.product.store_dir().join("database/2025/11");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{id}.sql.gz")), &bytes).unwrap();
    let sum =
        command("sha256sum").arg(format!("{id}.sql.gz")).current_dir(&folder).output().unwrap();
    fs::write(folder.join(format!("{id}.sql.gz.sha256")), sum.stdout).unwrap();
    (id, bytes)
}

/// Begins to fetch, and returns as soon as more than `had` bytes of it are on the disk.
fn begun(bench: &Bench, id: &str, had: u64) -> Child {
    let mut child = bench
        .product
        .command(&["fetch", id])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        let part = partials(bench.product.dir()).pop();
        let length = part.and_then(|part| fs::metadata(part).ok()).map_or(0, |meta| meta.len());
        if length > had || child.try_wait().unwrap().is_some() {
            return child;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_fetch_that_is_killed_or_interrupted_goes_on_where_it_stopped() {
    let bench = Bench::new();
    let (id, bytes) = long(&bench, 256);
    let file = bench.product.dir().join(format!("{id}.sql.gz"));
    let mut child = begun(&bench, &id, 0);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(!file.exists());
    let killed = fs::metadata(&partials(bench.product.dir())[0]).unwrap().len();

    let mut child = begun(&bench, &id, killed);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    // Unless it was faster than the signal.
    let code = child.wait().unwrap().code();
    assert!(code == Some(130) || (code == Some(0) && file.exists()), "{code:?}");
    let interrupted = partials(bench.product.dir()).pop();
    let interrupted = interrupted.map(|part| fs::metadata(part).unwrap().len());
    assert!(interrupted.is_none_or(|length| length >= killed), "{killed} {interrupted:?}");

    let (report, code) = bench.json(&["fetch", &id]);
    assert_eq!((code, &report["checksum_known"]), (0, &json!(true)));
    let had = interrupted.unwrap_or(bytes.len() as u64);
    assert_eq!(report["bytes_there_before"], json!(had));
    assert!(fs::read(&file).unwrap() == bytes);
    assert_eq!(partials(bench.product.dir()), [] as [PathBuf; 0]);
}

#[test]
fn two_at_once_do_not_write_into_one_file() {
    let bench = Bench::new();
    let (id, _) = long(&bench, 256);
    let mut first = begun(&bench, &id, 0);
    kill(Pid::from_raw(i32::try_from(first.id()).unwrap()), Signal::SIGSTOP).unwrap();
    let output = bench.run(&["fetch", &id]);
    let said = String::from_utf8(output.stderr).unwrap();
    kill(Pid::from_raw(i32::try_from(first.id()).unwrap()), Signal::SIGCONT).unwrap();
    assert!(first.wait().unwrap().success());
    let ended_before = output.status.success();
    assert!(ended_before || said.contains("another fetch is writing"), "{said}");
}

#[test]
fn a_legacy_archive_without_a_checksum_is_tested_as_gzip_and_comes_with_a_warning() {
    let bench = Bench::new();
    let (id, _) = long(&bench, 1);
    let folder = bench.product.store_dir().join("database/2025/11");
    fs::remove_file(folder.join(format!("{id}.sql.gz.sha256"))).unwrap();
    let output = bench.run(&["fetch", &id]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it does not begin with a gzip header"), "{said}");
    assert!(!bench.product.dir().join(format!("{id}.sql.gz")).exists());
    assert_eq!(partials(bench.product.dir()), [] as [PathBuf; 0]);

    fs::copy(&bench.newest.archive, folder.join(format!("{id}.sql.gz"))).unwrap();
    let output = bench.run(&["fetch", &id]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("no checksum of this legacy archive is known"), "{said}");
    let file = bench.product.dir().join(format!("{id}.sql.gz"));
    assert!(fs::read(&file).unwrap() == fs::read(&bench.newest.archive).unwrap());
}

/// Two legacy archives of one size, of which no checksum is known, under one name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_come_of_one_legacy_archive_is_not_continued_with_another_s_bytes() {
    let bench = Bench::new();
    let folder = bench.product.store_dir().join("database/2025/11");
    fs::create_dir_all(&folder).unwrap();
    let archive = fs::read(&bench.newest.archive).unwrap();
    let mut other = archive.clone();
    // The name in the first header: gzip does not guard it.
    other[20] ^= 1;
    let ids = ["2025-11-23T14-00-00Z", "2025-11-23T15-00-00Z"];
    for (id, bytes) in ids.iter().zip([&archive, &other]) {
        fs::write(folder.join(format!("{id}.sql.gz")), bytes).unwrap();
    }
    let file = bench.product.dir().join("x.sql.gz");
    let fetch = async |id: &str, store: Arc<dyn Store>| {
        let catalog = catalog(bench.store().await.as_ref()).await;
        let entry = Query::parse(id, chrono::DateTime::UNIX_EPOCH).find(&catalog).unwrap();
        let patience = IMPATIENT;
        let request = Request {
            catalog: &catalog,
            entry,
            file: file.clone(),
            force: false,
            damaged: false,
            patience,
        };
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        fetch::run(&store, &layout(), &request, &progress, &cancel).await
    };
    let reads = {
        let store = Arc::new(FaultyStore::new(bench.store().await, Plan::None));
        fetch(ids[0], store.clone()).await.unwrap();
        fs::remove_file(&file).unwrap();
        fs::remove_file(file.with_extension("gz.sha256")).unwrap();
        store.calls().iter().position(|(call, _)| call == "get_range").unwrap() + 1
    };
    let broken = FaultyStore::new(bench.store().await, Plan::BreaksOff(reads));
    fetch(ids[0], Arc::new(broken)).await.unwrap_err();
    assert_eq!(partials(bench.product.dir()).len(), 1);
    let fetched = fetch(ids[1], bench.store().await).await.unwrap();
    assert!(fs::read(&file).unwrap() == other, "bytes of two archives are mixed");
    assert_eq!((fetched.known, fetched.had), (false, 0));
    // Nobody can say that it is another file.
    let error = fetch(ids[1], bench.store().await).await.unwrap_err();
    assert!(matches!(error, FetchError::Untold(_)), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    let bench = Bench::new();
    let output = bench.run(&["fetch", "-o", "not/there/"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("open not/there/"), "{said}");
    assert!(said.contains("No such file or directory"), "{said}");
    let report: Result<Value, _> = serde_json::from_slice(&output.stdout);
    assert!(report.is_err(), "nothing is reported");
}
