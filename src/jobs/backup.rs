//! Takes one backup: snapshot, dump, split, compress, hash, upload, confirm,
//! commit, point.
//!
//! The order of the writes is what makes a crash harmless. Parts of an upload
//! are invisible. The checksum file comes before the archive becomes visible,
//! so that an archive without a manifest but with a checksum file is known to
//! be unfinished, and is not taken for a legacy archive. The manifest is last:
//! its presence is the commit. The pointer follows it and is only a convenience.

mod commit;
mod describe;
mod pipeline;
mod upload;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use self::upload::ArchiveUpload;
use super::{Environment, Source};
use crate::{
    archive::{
        Manifest, TableName, check_completeness,
        manifest::{self, Kind},
    },
    catalog::{self, BackupId, Catalog, CatalogError, Key},
    postgres::{Dump, Exclude, Session, Snapshot, clients},
    state::Progress,
    store::{ErrorKind, StoreError, part_size_for},
    words::Stage,
};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// How long throwing away an unfinished upload may take.
const ABORT_WITHIN: Duration = Duration::from_secs(5);

/// What kind of backup, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which place it goes to.
    pub kind: Kind,
    /// The slot it is for; where another process has served the slot already,
    /// the run is skipped.
    pub slot: Option<DateTime<Utc>>,
}

/// What became of a run that did not fail.
#[derive(Debug)]
pub enum Done {
    /// A backup stands.
    Backup {
        /// What it holds.
        manifest: Box<Manifest>,
        /// What the store holds now, the new backup included.
        catalog: Catalog,
    },
    /// There was nothing to do, for this reason.
    Skipped(Skip),
}

/// Why a run had nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Another process holds the lock.
    Locked,
    /// The slot has its backup already: another process made it, or a run of
    /// ours whose last answer was lost.
    Served,
}

impl Skip {
    /// In words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Locked => "another process is backing this database up",
            Self::Served => "this slot has its backup already",
        }
    }
}

/// A run that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BackupError {
    /// Where.
    pub stage: Stage,
    /// What was tried and why it failed; never holds a password.
    pub message: String,
    /// Whether the same may succeed a little later with nothing mended.
    pub transient: bool,
    /// Whether it was told to stop.
    pub cancelled: bool,
    /// The backup that stands nevertheless: only the pointer failed.
    pub committed: Option<Box<(Manifest, Catalog)>>,
}

impl BackupError {
    fn new(stage: Stage, transient: bool, error: &(impl ToString + ?Sized)) -> Self {
        let message = error.to_string();
        Self { stage, message, transient, cancelled: false, committed: None }
    }

    fn store(stage: Stage) -> impl Fn(StoreError) -> Self {
        move |error| Self::new(stage, error.is_transient(), &error)
    }
}

/// Takes a backup, exactly as the schedule does.
///
/// Whatever happens, the source's lock is released and an unfinished upload is
/// thrown away, as far as the store lets us.
///
/// # Errors
/// When any stage fails, the run's deadline passes, or `cancel` is cancelled.
/// Nothing is then listed or pointed at, unless [`BackupError::committed`] says so.
pub async fn run(
    environment: &Environment,
    source: &Source,
    request: Request,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Done, BackupError> {
    let mut upload = ArchiveUpload::new(environment.store.clone());
    let deadline = source.settings.timeout;
    let result = {
        let backup = Backup { environment, source, request, progress };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(BackupError {
                cancelled: true,
                ..BackupError::new(progress.stage(), true, "the backup was told to stop")
            }),
            result = backup.take(&mut upload) => result,
            () = tokio::time::sleep(deadline) => Err(BackupError::new(
                Stage::Timeout,
                true,
                &format!(
                    "the backup was not done within {} s; it was at stage {}",
                    deadline.as_secs(),
                    progress.stage()
                ),
            )),
        }
    };
    // Programs print what they like.
    let result =
        result.map_err(|error| BackupError { message: source.url.mask(&error.message), ..error });
    if result.is_err() && tokio::time::timeout(ABORT_WITHIN, upload.abort()).await.is_err() {
        tracing::warn!("an unfinished upload could not be thrown away in time");
    }
    result
}

struct Backup<'a> {
    environment: &'a Environment,
    source: &'a Source,
    request: Request,
    progress: &'a Progress,
}

impl Backup<'_> {
    async fn take(&self, upload: &mut ArchiveUpload) -> Result<Done, BackupError> {
        let mut session = self.connect().await?;
        if !self.lock(&mut session).await? {
            session.close().await;
            return Ok(Done::Skipped(Skip::Locked));
        }
        let result = self.take_locked(&mut session, upload).await;
        session.close().await;
        result
    }

    async fn take_locked(
        &self,
        session: &mut Session,
        upload: &mut ArchiveUpload,
    ) -> Result<Done, BackupError> {
        // Only under the lock does the listing say what the slot has.
        let catalog = self.list().await?;
        if self.request.slot.is_some_and(|slot| super::due::is_served(&catalog, slot, self.now())) {
            return Ok(Done::Skipped(Skip::Served));
        }
        let started = self.now();
        let id = free_id(&catalog, started);
        let (dump, snapshot, mut warnings) = self.prepare(session).await?;

        // Large objects are in no table's size, but in the database's.
        let tables: u64 = snapshot.facts.tables.iter().map(|table| table.bytes_estimate).sum();
        let estimate = tables.max(snapshot.facts.database_bytes.unwrap_or(0));
        let part_size = part_size_for(estimate, self.environment.part_size);
        let key = self.source.layout.key(Key::Archive(self.request.kind, id));
        upload.set_key(key.clone());
        let streamed = pipeline::stream(
            self.environment,
            &dump,
            session,
            id,
            part_size,
            upload,
            self.progress,
        )
        .await?;
        self.progress.enter(Stage::Upload);
        upload.flush().await?;
        warnings.extend(streamed.warnings);
        let written = streamed.written;

        self.progress.enter(Stage::Completeness);
        let excluded = describe::excluded(&snapshot);
        let tables: Vec<TableName> = snapshot
            .facts
            .tables
            .iter()
            .map(|table| TableName { schema: table.schema.clone(), name: table.name.clone() })
            .collect();
        check_completeness(&tables, &excluded, &written.index)
            .map_err(|error| BackupError::new(Stage::Completeness, true, &error))?;

        let manifest = Manifest {
            format: manifest::FORMAT.to_owned(),
            id: id.to_string(),
            database: self.source.settings.name.clone(),
            kind: self.request.kind,
            started,
            finished: self.now(),
            archive: manifest::Archive {
                key,
                bytes: written.bytes,
                sha256: written.sha256,
                uncompressed_bytes: written.index.uncompressed_bytes,
            },
            rows: written.index.rows,
            source: describe::source_of(&snapshot),
            tool: manifest::Tool {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pg_dump: dump.client.text.clone(),
                options: dump.options(),
            },
            warnings: warnings.iter().map(|warning| self.source.url.mask(warning)).collect(),
            excluded,
            tables: written.index.tables,
            sections: written.index.sections,
        };
        self.store_it(&manifest, id, upload).await?;
        self.point(manifest, id, catalog).await
    }

    async fn connect(&self) -> Result<Session, BackupError> {
        self.progress.enter(Stage::Connect);
        let lock_timeout = self.source.settings.lock_timeout;
        Session::open(&self.source.url, CONNECT_WITHIN, lock_timeout)
            .await
            .map_err(|error| BackupError::new(Stage::Connect, error.is_transient(), &error))
    }

    async fn lock(&self, session: &mut Session) -> Result<bool, BackupError> {
        self.progress.enter(Stage::Lock);
        let destination = self.environment.store.uri(self.source.layout.prefix());
        session
            .try_lock(&destination)
            .await
            .map_err(|error| BackupError::new(Stage::Lock, error.is_transient(), &error))
    }

    async fn list(&self) -> Result<Catalog, BackupError> {
        self.progress.enter(Stage::Catalog);
        let store = self.environment.store.as_ref();
        catalog::read(store, &self.source.layout).await.map_err(|error| {
            let transient = match &error {
                CatalogError::Store(error) => error.is_transient(),
                _ => false,
            };
            BackupError::new(Stage::Catalog, transient, &error)
        })
    }

    /// Everything that can refuse, before a byte is uploaded.
    async fn prepare(
        &self,
        session: &mut Session,
    ) -> Result<(Dump, Snapshot, Vec<String>), BackupError> {
        self.progress.enter(Stage::Preflight);
        let settings = &self.source.settings;
        let client =
            clients::find(&self.environment.client_dirs, "pg_dump", session.server().major)
                .await
                .map_err(|error| BackupError::new(Stage::Preflight, false, &error))?;
        let exclude = Exclude {
            schemas: settings.exclude.schemas.clone(),
            tables: settings.exclude.tables.clone(),
            table_data: settings.exclude.table_data.clone(),
        };
        let mut warnings = session
            .preflight(&exclude)
            .await
            .map_err(|error| BackupError::new(Stage::Preflight, error.is_transient(), &error))?;
        warnings.extend(client.warning.clone());
        self.progress.enter(Stage::Snapshot);
        let snapshot = session
            .snapshot(&exclude)
            .await
            .map_err(|error| BackupError::new(Stage::Snapshot, error.is_transient(), &error))?;
        for warning in &snapshot.warnings {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        let dump = Dump {
            client,
            url: self.source.url.clone(),
            snapshot: snapshot.id.clone(),
            exclusions: snapshot.exclusions.clone(),
            encoding: snapshot.facts.encoding.clone(),
            lock_timeout: settings.lock_timeout,
        };
        Ok((dump, snapshot, warnings))
    }

    /// Checksum file, archive, confirmation, manifest: in this order.
    async fn store_it(
        &self,
        manifest: &Manifest,
        id: BackupId,
        upload: &mut ArchiveUpload,
    ) -> Result<(), BackupError> {
        let store = self.environment.store.as_ref();
        let layout = &self.source.layout;
        self.progress.enter(Stage::Checksum);
        commit::put_checksum(store, layout, manifest, id).await?;
        self.progress.enter(Stage::Upload);
        upload.complete().await?;
        self.progress.enter(Stage::Confirm);
        commit::confirm(store, &manifest.archive).await?;
        self.progress.enter(Stage::Commit);
        commit::commit(store, layout, manifest, id).await
    }

    async fn point(
        &self,
        manifest: Manifest,
        id: BackupId,
        mut catalog: Catalog,
    ) -> Result<Done, BackupError> {
        catalog.add(catalog::Entry {
            id,
            kind: manifest.kind,
            state: catalog::State::Good,
            archive_bytes: manifest.archive.bytes,
            last_modified: manifest.finished,
        });
        let store = self.environment.store.as_ref();
        if manifest.kind == Kind::Scheduled {
            self.progress.enter(Stage::Pointer);
            let layout = &self.source.layout;
            let moved = catalog::advance_pointer(store, layout, &catalog, &manifest).await;
            if let Err(error) = moved {
                let transient = error.is_transient();
                let message =
                    format!("backup {id} stands and is whole, but the pointer is behind: {error}");
                let mut error = BackupError::new(Stage::Pointer, transient, &message);
                error.committed = Some(Box::new((manifest, catalog)));
                return Err(error);
            }
        }
        Ok(Done::Backup { manifest: Box::new(manifest), catalog })
    }

    fn now(&self) -> DateTime<Utc> {
        self.environment.clock.now()
    }
}

/// The id of this second, or of the next one that nothing stands under, in
/// either place: an id alone must find its backup.
fn free_id(catalog: &Catalog, now: DateTime<Utc>) -> BackupId {
    let mut id = BackupId::at(now);
    while catalog.entries.iter().any(|entry| entry.id == id) {
        id = id.next();
    }
    id
}

/// A failed call that names the backup's own object.
fn already_there(stage: Stage, uri: &str) -> BackupError {
    let message = format!(
        "write {uri}: an object stands under that key already, and it is not ours; \
         is another process writing to this prefix?"
    );
    BackupError::new(stage, true, &message)
}

/// Whether an error says for certain that the object is not there.
fn is_absent(error: &StoreError) -> bool {
    error.kind == ErrorKind::NotFound
}
