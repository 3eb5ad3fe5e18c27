//! Sweeps over real stores: what goes, what refuses them, and what a fault, a
//! crash or a second sweep leaves.

mod cli;
mod crash;
mod faults;
mod in_bucket;
mod refusals;
mod removals;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use reliquary::{
    app,
    archive::{Manifest, manifest::Kind},
    catalog::{self, BackupId, Catalog, Key, Layout, Pointer, State},
    clock::Clock,
    jobs::{
        Environment,
        sweep::{self, Decided, Done, Removal, SweepError},
    },
    settings::{DatabaseSettings, Settings, Sources, load},
    state::Progress,
    store::{LocalStore, Store, list_all},
    words::{DrillReason, Verdict},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A folder of backups that were never taken: their objects are as the product
/// writes them, and their archives hold nothing.
pub(super) struct Bench {
    pub(super) dir: TempDir,
    /// The present, by every clock there is.
    pub(super) now: DateTime<Utc>,
    pub(super) clock: Clock,
    settings: String,
}

/// The prefix where there is one database.
pub(super) fn layout() -> Layout {
    Layout::new("database/")
}

impl Bench {
    /// Nothing is there yet; retention is as these lines say.
    pub(super) fn new(settings: &str) -> Self {
        let now = Clock::system().now();
        let dir = tempfile::tempdir().unwrap();
        Self { dir, now, clock: Clock::system(), settings: settings.to_owned() }
    }

    /// The id of a backup of so many hours ago.
    pub(super) fn id(&self, hours: i64) -> BackupId {
        let hour = self.now.duration_trunc(TimeDelta::hours(1)).unwrap();
        BackupId::at(hour - TimeDelta::hours(hours))
    }

    pub(super) fn path(&self, key: Key) -> PathBuf {
        self.dir.path().join(layout().key(key))
    }

    /// Writes an object as of so many hours ago.
    pub(super) fn write(&self, path: &Path, bytes: &[u8], hours: i64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::File::create(path).unwrap();
        file.write_all(bytes).unwrap();
        let time = SystemTime::from(self.now - TimeDelta::hours(hours));
        file.set_modified(time).unwrap();
    }

    pub(super) fn object(&self, key: Key, bytes: &[u8], hours: i64) {
        self.write(&self.path(key), bytes, hours);
    }

    /// A whole backup of so many hours ago.
    pub(super) fn backup(&self, kind: Kind, hours: i64) -> BackupId {
        let id = self.id(hours);
        self.unfinished(kind, hours);
        let text = include_bytes!("../../fixtures/manifests/0.1.0.json");
        let mut manifest = Manifest::parse(text).unwrap();
        manifest.id = id.to_string();
        manifest.kind = kind;
        manifest.archive.key = layout().key(Key::Archive(kind, id));
        manifest.archive.bytes = archive().len() as u64;
        self.object(Key::Manifest(kind, id), &manifest.to_bytes().unwrap(), hours);
        id
    }

    /// What a crash before the commit leaves.
    pub(super) fn unfinished(&self, kind: Kind, hours: i64) -> BackupId {
        let id = self.id(hours);
        let checksum = format!("{:064x}  {id}.sql.gz\n", 0);
        self.object(Key::Checksum(kind, id), checksum.as_bytes(), hours);
        self.object(Key::Archive(kind, id), &archive(), hours);
        id
    }

    pub(super) fn scheduled(&self, hours: impl IntoIterator<Item = i64>) {
        for hours in hours {
            self.backup(Kind::Scheduled, hours);
        }
    }

    /// What the old workflow made.
    pub(super) fn legacy(&self, hours: i64) {
        self.object(Key::Archive(Kind::Scheduled, self.id(hours)), b"\x1f\x8b\x08\x00old", hours);
    }

    pub(super) fn verdict(&self, hours: i64, verdict: Verdict, found: i64) {
        self.object(Key::Verdict(Kind::Scheduled, self.id(hours), verdict), b"{}", found);
    }

    /// A drill of a backup, which passed or failed.
    pub(super) fn drilled(&self, hours: i64, failed: Option<DrillReason>) {
        let backup = self.id(hours);
        let ended = (self.now - TimeDelta::hours(hours - 1)).to_rfc3339();
        let verdict = if failed.is_some() { "failed" } else { "passed" };
        let record = serde_json::json!({
            "format": reliquary::drill::FORMAT, "id": backup.next(), "database": "main",
            "operator": "Ada", "choice": "asked", "version": "0.1.0", "started": ended,
            "finished": ended, "seconds": 1.0, "restore_seconds": 1.0, "verdict": verdict,
            "failure": failed.map(|reason| serde_json::json!({ "reason": reason, "message": "" })),
            "backup": {
                "id": backup, "kind": "scheduled", "legacy": false, "archive_bytes": 1,
                "sha256": null, "rows": null, "source_version": null,
            },
            "sandbox": null, "stages": [], "tables_compared": 0, "rows_compared": 0,
            "different": [], "comparisons": [], "checks": [], "stand_ins": [],
            "missing_extensions": [], "skipped": [], "warnings": [],
        });
        self.object(Key::Drill(backup.next()), record.to_string().as_bytes(), hours - 1);
    }

    /// An upload that somebody began, so many hours ago.
    pub(super) async fn upload(&self, hours: i64) {
        let store = self.store().await;
        let key = layout().key(Key::Archive(Kind::Scheduled, self.id(hours)));
        let upload = store.begin_upload(&key).await.unwrap();
        store.upload_part(&upload, 1, vec![7; 5 << 20].into()).await.unwrap();
        let uploads = self.dir.path().join(".reliquary/uploads");
        let time = SystemTime::from(self.now - TimeDelta::hours(hours));
        fs::File::open(uploads.join(&upload.id)).unwrap().set_modified(time).unwrap();
        // It would throw the part away in the end, as a crashed process does not.
        std::mem::forget(store);
    }

    pub(super) async fn store(&self) -> Arc<dyn Store> {
        Arc::new(LocalStore::open(self.dir.path()).await.unwrap())
    }

    /// The same backups in a folder of their own.
    pub(super) fn copy(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        Self { dir, now: self.now, clock: self.clock.clone(), settings: self.settings.clone() }
    }

    pub(super) fn all_settings(&self) -> Settings {
        let file = self.dir.path().join(".reliquary/settings.toml");
        let url = "postgres://user@localhost/app";
        let text = format!(
            "store.url = \"file://{}\"\ndatabases.main.url = \"{url}\"\n{}",
            self.dir.path().display(),
            self.settings
        );
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        let dir = self.dir.path().to_owned();
        let sources = Sources { config: Some(file), dir, ..Sources::default() };
        load(&sources).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    pub(super) fn database(&self) -> DatabaseSettings {
        self.all_settings().databases["main"].clone()
    }

    pub(super) fn environment(&self, store: Arc<dyn Store>) -> Environment {
        app::environment(&self.all_settings(), store, self.clock.clone())
    }

    /// A sweep as the daemon makes it.
    pub(super) async fn sweep(&self, store: Arc<dyn Store>) -> Result<Removal, SweepError> {
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let environment = self.environment(store);
        match sweep::run(&environment, &self.database(), &layout(), &progress, &cancel).await? {
            Done::Swept(removal) => Ok(removal),
            Done::Checked(findings) => panic!("{findings:?}"),
        }
    }

    /// What a sweep would do.
    pub(super) async fn decide(&self) -> Result<Decided, SweepError> {
        let environment = self.environment(self.store().await);
        let progress = Progress::default();
        sweep::decide(&environment, &self.database(), &layout(), false, &progress).await
    }

    pub(super) async fn catalog(&self) -> Catalog {
        catalog::read(self.store().await.as_ref(), &layout()).await.unwrap()
    }

    /// How many hours ago the good ones were made, oldest first. Each must be whole.
    pub(super) async fn good(&self) -> Vec<i64> {
        let (store, catalog, layout) = (self.store().await, self.catalog().await, layout());
        for entry in catalog.good() {
            let read = catalog::read_manifest(&*store, &layout, &catalog, entry.kind, entry.id);
            read.await.unwrap();
        }
        let good = catalog.entries.iter().filter(|entry| entry.state == State::Good);
        good.map(|entry| (self.id(0).time() - entry.id.time()).num_hours()).collect()
    }

    /// Every key, those of unfinished uploads among them.
    pub(super) async fn keys(&self) -> BTreeSet<String> {
        let store = self.store().await;
        let objects = list_all(&*store, "").await.unwrap();
        let uploads = store.unfinished_uploads("").await.unwrap();
        let uploads = uploads.into_iter().map(|upload| format!("upload of {}", upload.upload.key));
        objects.into_iter().map(|object| object.key).chain(uploads).collect()
    }

    /// Makes the pointer name a backup.
    pub(super) fn point(&self, hours: i64) {
        let id = self.id(hours);
        let uri = format!("file:///{}", layout().key(Key::Archive(Kind::Scheduled, id)));
        let pointer = Pointer { id, uri, sha256: format!("{:064x}", 0) };
        self.object(Key::PointerText, pointer.to_string().as_bytes(), 900);
        self.object(Key::PointerChecksum, pointer.checksum().to_string().as_bytes(), 900);
    }
}

/// An archive that says that it is ours.
pub(super) fn archive() -> Vec<u8> {
    let header = flate2::GzBuilder::new().comment("reliquary/1 and so on");
    header.write(Vec::new(), flate2::Compression::fast()).finish().unwrap()
}

pub(super) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
        let modified = entry.metadata().unwrap().modified().unwrap();
        fs::File::open(to).unwrap().set_modified(modified).unwrap();
    }
}

/// A little of everything: of nine good ones three go, and beside them a legacy
/// archive, a backup that was long known to be damaged, and every kind of debris.
pub(super) async fn motley() -> Bench {
    let bench = Bench::new("retention.keep_for = \"30h\"\nretention.keep_last = 2");
    bench.scheduled([0, 1, 2, 3, 4, 36, 37, 38]);
    bench.backup(Kind::Manual, 400);
    bench.verdict(37, Verdict::Good, 30);
    bench.legacy(55);
    bench.legacy(6);
    // Of the damaged ones, two were found so of late.
    for (hours, found) in [(5, 4), (90, 80), (500, 300)] {
        bench.backup(Kind::Scheduled, hours);
        bench.verdict(hours, Verdict::Damaged, found);
    }
    // Debris: never committed, without an archive, alone; and some that may be
    // under way, that a person made, or that tells of a loss.
    bench.unfinished(Kind::Scheduled, 70);
    bench.unfinished(Kind::Manual, 71);
    for hours in [72, 272] {
        bench.backup(Kind::Scheduled, hours);
        fs::remove_file(bench.path(Key::Archive(Kind::Scheduled, bench.id(hours)))).unwrap();
    }
    bench.object(Key::Checksum(Kind::Scheduled, bench.id(73)), b"", 73);
    bench.verdict(74, Verdict::Damaged, 74);
    bench.verdict(75, Verdict::Good, 1);
    bench.unfinished(Kind::Scheduled, 10);
    bench.upload(60).await;
    bench.upload(11).await;
    bench.point(0);
    // A drill's record outlives what it is about. And what is not ours.
    bench.drilled(9000, None);
    for name in ["README.md", "2026/notes.txt", "photos/one.json"] {
        bench.write(&bench.dir.path().join("database").join(name), b"mine", 9000);
    }
    bench
}

/// The good ones of [`motley`] that are kept, by their hours.
pub(super) const KEPT: [i64; 6] = [400, 4, 3, 2, 1, 0];

/// What of [`motley`] must be there after a sweep.
pub(super) async fn must_stay(bench: &Bench) -> BTreeSet<String> {
    let gone: Vec<String> = [36, 37, 38, 55, 70, 73, 74, 272, 500]
        .map(|hours| bench.id(hours).to_string())
        .into_iter()
        .chain([format!("upload of {}", layout().key(Key::Archive(Kind::Scheduled, bench.id(60))))])
        .collect();
    let stays = |key: &String| !gone.iter().any(|gone| key.contains(gone));
    bench.keys().await.into_iter().filter(stays).collect()
}
