//! A source, a store, and the questions that are asked of it after a fault.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    app,
    archive::{Checksum, Manifest, manifest::Kind},
    catalog::{self, BackupId, Key, Layout, Pointer, State},
    clock::Clock,
    jobs::{
        Environment, Source,
        backup::{self, BackupError, Done, Request},
    },
    settings::{self, Settings, Sources},
    state::Progress,
    store::{ErrorKind, LocalStore, Store},
    words::Stage,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::{postgres::Server, s3::S3Server};

/// A deadline that only a hang reaches.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);

/// The largest archive that is read back, in bytes.
const LARGEST: u64 = 64 << 20;

/// A running server with a small database `app`, and an empty directory as the store.
pub(super) struct Bench {
    pub(super) server: Arc<Server>,
    pub(super) clock: Clock,
    /// What the process is told, as environment variables.
    pub(super) env: BTreeMap<String, String>,
    pub(super) local: Arc<LocalStore>,
    pub(super) files: Arc<TempDir>,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::on(Server::start(15)).await
    }

    /// The same on a server of one's own making.
    pub(super) async fn on(server: Server) -> Self {
        server.create_database("app");
        server.psql(
            "app",
            "create table church (id int primary key, name text);
             create table donation (id int primary key, church int references church, cents int);
             insert into church select i, 'church ' || i from generate_series(1, 50) i;
             insert into donation select i, 1 + i % 50, i from generate_series(1, 2000) i;",
        );
        let files = Arc::new(tempfile::tempdir().unwrap());
        let store = files.path().join("store");
        let local = Arc::new(LocalStore::open(&store).await.unwrap());
        let env = [
            ("DIRECT_URL", server.url("app")),
            ("RELIQUARY__STORE__URL", format!("file://{}", store.display())),
            ("RELIQUARY__STORE__PART_SIZE", "5MiB".to_owned()),
            ("RELIQUARY__ARCHIVE__MEMBER_SIZE", "256KiB".to_owned()),
            ("RELIQUARY__ARCHIVE__THREADS", "2".to_owned()),
            ("RELIQUARY__HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).into();
        let clock = Clock::manual(at("14:00:00"));
        Self { server: Arc::new(server), clock, env, local, files }
    }

    /// Dumps the database once and says the same from then on.
    pub(super) fn replaying(mut self) -> Self {
        let server = Arc::clone(&self.server);
        self.use_tools(server.replayed_dump());
        self
    }

    /// Adds a table whose rows no compressor makes smaller: its archive takes
    /// two parts.
    pub(super) fn fatten(&self) {
        self.server.psql(
            "app",
            "create table blob (id int primary key, bytes bytea);
             insert into blob select i, decode(string_agg(md5(random()::text), ''), 'hex')
             from generate_series(1, 380) i, generate_series(1, 1000) j group by i;",
        );
    }

    /// The same bench for backups that leave a table's rows out.
    pub(super) fn without_rows_of(&self, table: &str) -> Self {
        let mut lean = Self {
            server: Arc::clone(&self.server),
            clock: self.clock.clone(),
            env: self.env.clone(),
            local: Arc::clone(&self.local),
            files: Arc::clone(&self.files),
        };
        lean.set("RELIQUARY__DATABASES__MAIN__EXCLUDE__TABLE_DATA", table);
        lean
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.insert(name.to_owned(), value.into());
    }

    /// Makes `dir` the first place where `pg_dump` is looked for.
    pub(super) fn use_tools(&mut self, dir: &Path) {
        self.set("RELIQUARY__POSTGRES__CLIENT_DIRS", dir.display().to_string());
    }

    /// Makes an S3 server the store of the processes.
    pub(super) fn use_server(&mut self, server: &S3Server) {
        for (name, value) in [
            ("URL", format!("s3://{}", server.bucket)),
            ("ENDPOINT", server.endpoint.clone()),
            ("REGION", "us-east-1".to_owned()),
            ("PATH_STYLE", "true".to_owned()),
            ("ACCESS_KEY_ID", server.access_key.clone()),
            ("SECRET_ACCESS_KEY", server.secret.clone()),
        ] {
            self.set(&format!("RELIQUARY__STORE__{name}"), value);
        }
    }

    pub(super) fn settings(&self) -> Settings {
        let sources = Sources {
            env: self.env.clone(),
            dir: self.files.path().to_owned(),
            url_check: Some(app::check_url),
            expect_check: Some(app::check_expectation),
            ..Sources::default()
        };
        settings::load(&sources).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    pub(super) fn environment(&self, store: Arc<dyn Store>) -> Environment {
        app::environment(&self.settings(), store, self.clock.clone())
    }

    pub(super) fn source(&self) -> Source {
        app::source(&self.settings().databases["main"]).unwrap()
    }

    pub(super) fn local(&self) -> Arc<dyn Store> {
        self.local.clone()
    }

    /// Takes a scheduled backup into a store.
    pub(super) async fn backup_into(&self, store: Arc<dyn Store>) -> Result<Manifest, BackupError> {
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        self.backup_with(store, &progress, &cancel).await
    }

    /// Takes a scheduled backup into the directory.
    pub(super) async fn backup(&self) -> Result<Manifest, BackupError> {
        self.backup_into(self.local()).await
    }

    /// The same, watched and stopped from elsewhere.
    pub(super) async fn backup_with(
        &self,
        store: Arc<dyn Store>,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Manifest, BackupError> {
        // Runs of one second would differ in what their ids are, not in what they do.
        self.clock.advance(TimeDelta::minutes(1));
        let request = Request { kind: Kind::Scheduled, slot: None };
        let (environment, source) = (self.environment(store), self.source());
        let run = backup::run(&environment, &source, request, progress, cancel);
        match Box::pin(run).await? {
            Done::Backup { manifest, .. } => Ok(*manifest),
            Done::Skipped(skip) => panic!("skipped: {skip:?}"),
        }
    }

    /// A run that must fail with nothing listed.
    pub(super) async fn fails(&self) -> BackupError {
        let error = self.backup().await.unwrap_err();
        assert!(!error.cancelled && error.committed.is_none(), "{error:?}");
        self.holds(0).await;
        error
    }

    /// A run that must fail at a stage with nothing listed; returns its message.
    pub(super) async fn fails_at(&self, stage: Stage) -> String {
        let error = self.fails().await;
        assert_eq!(error.stage, stage, "{error}");
        error.message
    }

    /// The store holds so many backups, every one of them whole, and no part
    /// of an upload.
    pub(super) async fn holds(&self, count: usize) {
        let good = whole(self.local.as_ref()).await;
        assert_eq!(good.len(), count, "{good:?}");
        assert_eq!(uploads(self.local.as_ref()).await, 0);
    }

    /// Another run, with nothing in its way, makes a backup that the pointer names.
    pub(super) async fn recovers(&self) -> Manifest {
        let manifest = self.backup().await.unwrap();
        converged(self.local.as_ref(), &manifest).await;
        manifest
    }

    /// Waits until no session of ours is left on the server.
    pub(super) async fn no_sessions(&self) {
        let ask = "select count(*) from pg_stat_activity
                   where application_name in ('reliquary', 'pg_dump')";
        eventually("our sessions on the server end", || self.server.psql("app", ask).trim() == "0")
            .await;
    }
}

/// A day in the past, at a time of day in UTC: an id later than the store's own
/// date of it would not be believed.
pub(super) fn at(time: &str) -> DateTime<Utc> {
    format!("2025-02-27T{time}Z").parse().unwrap()
}

/// The prefix where there is one database.
pub(super) fn layout() -> Layout {
    Layout::new("database/")
}

/// Waits for what another process brings about and tells nobody.
pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waits = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waits).await.is_ok(), "{what}: not in time");
}

/// Reads back everything that is listed as good, and what the pointer names;
/// returns the ids of the good backups, newest first.
pub(super) async fn whole(store: &dyn Store) -> Vec<BackupId> {
    let layout = layout();
    let catalog = catalog::read(store, &layout).await.unwrap();
    let mut sums = BTreeMap::new();
    for entry in catalog.good() {
        let read = catalog::read_manifest(store, &layout, &catalog, entry.kind, entry.id).await;
        let manifest = read.unwrap();
        let archive = store.get(&manifest.archive.key, LARGEST).await.unwrap();
        assert_eq!(archive.len() as u64, manifest.archive.bytes);
        let sum: String = Sha256::digest(&archive).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(sum, manifest.archive.sha256, "{}", entry.id);
        let mut dump = Vec::new();
        flate2::read::MultiGzDecoder::new(&archive[..]).read_to_end(&mut dump).unwrap();
        assert_eq!(dump.len() as u64, manifest.archive.uncompressed_bytes);
        let checksum = small(store, &layout.key(Key::Checksum(entry.kind, entry.id))).await;
        assert_eq!(Checksum::parse(&checksum.unwrap()).unwrap().sha256, sum);
        sums.insert(entry.id, sum);
    }
    if let Some(text) = small(store, &layout.key(Key::PointerText)).await {
        let pointer = Pointer::parse(&text).unwrap();
        assert_eq!(sums.get(&pointer.id), Some(&pointer.sha256), "{text}");
    }
    if let Some(text) = small(store, &layout.key(Key::PointerChecksum)).await {
        let checksum = Checksum::parse(&text).unwrap();
        assert!(sums.values().any(|sum| *sum == checksum.sha256), "{text}");
    }
    catalog.good().map(|entry| entry.id).collect()
}

/// Everything is whole, and both halves of the pointer name this backup, the newest.
pub(super) async fn converged(store: &dyn Store, manifest: &Manifest) {
    let good = whole(store).await;
    assert_eq!(good.first().map(ToString::to_string).as_deref(), Some(&*manifest.id));
    points_at_newest(store).await;
}

/// Both halves of the pointer name the newest backup.
pub(super) async fn points_at_newest(store: &dyn Store) {
    let layout = layout();
    let newest = *whole(store).await.first().unwrap();
    let text = small(store, &layout.key(Key::PointerText)).await.unwrap();
    let pointer = Pointer::parse(&text).unwrap();
    assert_eq!(pointer.id, newest);
    let checksum = small(store, &layout.key(Key::PointerChecksum)).await.unwrap();
    assert_eq!(Checksum::parse(&checksum).unwrap(), pointer.checksum());
}

/// How many uploads are unfinished.
pub(super) async fn uploads(store: &dyn Store) -> usize {
    store.unfinished_uploads("").await.unwrap().len()
}

/// How many entries are something else than good.
pub(super) async fn debris(store: &dyn Store) -> usize {
    let catalog = catalog::read(store, &layout()).await.unwrap();
    catalog.entries.iter().filter(|entry| entry.state != State::Good).count()
}

/// A small object, `None` where there is none.
pub(super) async fn small(store: &dyn Store, key: &str) -> Option<String> {
    match store.get(key, 4096).await {
        Ok(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        Err(error) if error.kind == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

/// The program under test.
pub(super) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_reliquary"))
}
