//! Takes one backup: snapshot, dump, split, compress, hash, upload, confirm,
//! commit, point.
//!
//! The order of the writes is what makes a crash harmless. Parts of an upload
//! are invisible. The checksum file comes before the archive becomes visible,
//! so that an archive without a manifest but with a checksum file is known to
//! be unfinished, and is not taken for a legacy archive. The manifest is last:
//! its presence is the commit. The pointer follows it and is only a convenience.

mod begin;
mod commit;
mod describe;
mod kept;
mod outcome;
mod pipeline;
mod upload;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

pub use self::outcome::{BackupError, Done, Request, Skip};
use self::{
    kept::{Kept, TIDY_WITHIN},
    outcome::{already_there, is_absent},
};
use super::{
    Environment, Source,
    survey::{Origins, survey},
};
use crate::{
    archive::{
        Manifest, TableName, check_completeness,
        manifest::{self, Kind},
    },
    catalog::{self, BackupId, Catalog, CatalogError, Key, Origin},
    postgres::{Dump, Exclude, Session, Snapshot, clients, shares, takes_turns},
    state::Progress,
    store::part_size_for,
    words::Stage,
};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

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
    let backup = Backup { environment, source, request, progress };
    let mut kept = Kept::new(environment.store.clone());
    let deadline = source.settings.timeout;
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(BackupError {
            cancelled: true,
            ..BackupError::new(progress.stage(), true, "the backup was told to stop")
        }),
        result = backup.take(&mut kept) => result,
        () = tokio::time::sleep(deadline) => Err(BackupError::new(
            Stage::Timeout,
            true,
            &format!(
                "the backup was not done within {} s; it was at stage {}",
                deadline.as_secs(),
                progress.stage()
            ),
        )),
    };
    let result = match result {
        // Programs print what they like.
        Err(error) => Err(BackupError {
            message: source.url.mask(&error.message),
            committed: backup.what_stands(&mut kept).await,
            ..error
        }),
        done => done,
    };
    kept.tidy(result.is_err()).await;
    result
}

struct Backup<'a> {
    environment: &'a Environment,
    source: &'a Source,
    request: Request,
    progress: &'a Progress,
}

impl Backup<'_> {
    async fn take(&self, kept: &mut Kept) -> Result<Done, BackupError> {
        let session = kept.session.insert(self.connect().await?);
        if !self.lock(session).await? {
            return Ok(Done::Skipped(Skip::Locked));
        }
        // Only under the lock does the listing say what the slot has.
        let catalog = self.look(session).await?;
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
        let upload = &mut kept.upload;
        upload.prepare(key.clone(), part_size, self.environment.part_size);
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
        self.store_it(manifest, id, catalog, kept).await?;
        self.point(id, kept).await
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

    /// What the store holds. A backup whose manifest turns out to be wrong, or to
    /// be of another database than the session's, serves no slot.
    async fn look(&self, session: &mut Session) -> Result<Catalog, BackupError> {
        self.progress.enter(Stage::Catalog);
        let (store, layout) = (self.environment.store.as_ref(), &self.source.layout);
        let ours = Origin {
            database: session.database().to_owned(),
            system_identifier: session.system_identifier().await,
        };
        let looking = async {
            let mut found = survey(store, layout, self.now()).await?;
            found.tell_apart(store, layout, Some(&ours), &mut Origins::new()).await?;
            Ok(found.catalog)
        };
        looking.await.map_err(|error| {
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
        let room = session
            .lock_room()
            .await
            .map_err(|error| BackupError::new(Stage::Snapshot, error.is_transient(), &error))?;
        let dump = Dump {
            client,
            url: self.source.url.clone(),
            snapshot: snapshot.id.clone(),
            exclusions: snapshot.exclusions.clone(),
            shares: shares(&snapshot.facts.tables, settings.streams),
            in_turn: takes_turns(snapshot.facts.tables.len(), room),
            encoding: snapshot.facts.encoding.clone(),
            lock_timeout: settings.lock_timeout,
        };
        Ok((dump, snapshot, warnings))
    }

    /// Checksum file, archive, confirmation, manifest: in this order.
    async fn store_it(
        &self,
        manifest: Manifest,
        id: BackupId,
        mut catalog: Catalog,
        kept: &mut Kept,
    ) -> Result<(), BackupError> {
        let store = self.environment.store.as_ref();
        let layout = &self.source.layout;
        self.progress.enter(Stage::Checksum);
        commit::put_checksum(store, layout, &manifest, id).await?;
        self.progress.enter(Stage::Upload);
        kept.upload.complete().await?;
        self.progress.enter(Stage::Confirm);
        commit::confirm(store, &manifest.archive).await?;
        self.progress.enter(Stage::Commit);
        catalog.add(catalog::Entry {
            id,
            kind: manifest.kind,
            state: catalog::State::Good,
            archive_bytes: manifest.archive.bytes,
            last_modified: manifest.finished,
            verified: None,
        });
        catalog.others.ours_was_added();
        let (manifest, _) = &**kept.committing.insert(Box::new((manifest, catalog)));
        commit::commit(store, layout, manifest, id).await?;
        kept.committed = true;
        Ok(())
    }

    /// Makes the pointer name what was committed.
    async fn point(&self, id: BackupId, kept: &mut Kept) -> Result<Done, BackupError> {
        if let Some((manifest, catalog)) = kept.committing.as_deref()
            && manifest.kind == Kind::Scheduled
        {
            self.progress.enter(Stage::Pointer);
            let store = self.environment.store.as_ref();
            catalog::advance_pointer(store, &self.source.layout, catalog, manifest, self.now())
                .await
                .map_err(|error| {
                    let message = format!(
                        "backup {id} stands and is whole, but the pointer is behind: {error}"
                    );
                    BackupError::new(Stage::Pointer, error.is_transient(), &message)
                })?;
        }
        match kept.committing.take() {
            Some(committed) => {
                let (manifest, catalog) = *committed;
                Ok(Done::Backup { manifest: Box::new(manifest), catalog })
            }
            None => Err(BackupError::new(Stage::Commit, false, "nothing was committed")),
        }
    }

    /// The backup that stands although the run failed. Where the run was dropped
    /// while it wrote the manifest, the store is asked once what it holds.
    async fn what_stands(&self, kept: &mut Kept) -> Option<Box<(Manifest, Catalog)>> {
        let committing = kept.committing.take()?;
        if kept.committed {
            return Some(committing);
        }
        let (manifest, _) = &*committing;
        let store = self.environment.store.as_ref();
        let stands = commit::stands(store, &self.source.layout, manifest);
        let stands = tokio::time::timeout(TIDY_WITHIN, stands).await;
        (stands == Ok(true)).then_some(committing)
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
