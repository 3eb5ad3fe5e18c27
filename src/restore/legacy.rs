//! A legacy archive: one stream through `psql`.
//!
//! It is read twice. The first time nothing is touched: the gzip stream must be
//! whole, the hash must be the one that is known, where one is, and what it
//! creates and from which server it comes is found out. The second time it goes
//! through `psql`, which stops at the first error; rows are counted on the way,
//! and compared in the end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    clean, drop,
    error::{Failure, Loaded, RestoreError, Stopped},
    guards,
    identity::{self, Answer},
    kind::Kind,
    plan::Expected,
    platform::Platform,
    prepare::CONNECT_WITHIN,
    progress::Progress,
    proof,
    report::{Report, StageTime},
    run::end_sessions,
    scan::{Scanned, Scanner},
    script_log::ScriptLog,
    statement::{Statement, name_of},
};
use crate::{
    archive::{TableName, unpack::PieceReader},
    postgres::{ConnectionUrl, Psql, Target, clients},
    store::Store,
    words::RestoreStage,
};

/// How much of the archive is unpacked at once, in bytes.
const SOME: usize = 16 * 1024;

/// What is said of a text that does not say that it is complete.
const INCOMPLETE: &str = "whether the archive is complete cannot be told: it does not end with the \
     comment that pg_dump writes last, so statements may be missing at its end";

/// A legacy archive to restore.
#[derive(Clone, Debug)]
pub struct LegacyRequest {
    /// Where the archive is.
    pub store: Arc<dyn Store>,
    /// Its key.
    pub key: String,
    /// Its id.
    pub id: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its SHA-256, where one is known.
    pub sha256: Option<String>,
    /// Where it goes.
    pub target: ConnectionUrl,
    /// The source, where the settings name it: it is never a target.
    pub source: Option<ConnectionUrl>,
    /// Where PostgreSQL's client programs may be, searched first.
    pub client_dirs: Vec<std::path::PathBuf>,
    /// Drop first what it will create.
    pub clean: bool,
    /// What the newest backup says of the source, where there is one.
    pub newest: Option<crate::archive::manifest::Source>,
    /// The target only looks like the source: it is a clone of its server.
    pub not_the_source: bool,
}

/// What the first reading found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Everything that it creates.
    pub(super) created: Vec<Statement>,
    /// The server's version by its own comment.
    pub(super) server: Option<String>,
    /// Rows of each table.
    pub(super) rows: BTreeMap<TableName, u64>,
    pub(super) sha256: String,
    /// Whether it says at its end that it is complete.
    pub(super) complete: bool,
}

/// Restores a legacy archive.
///
/// # Errors
/// When something stands in the way, it stops at an error, or `cancel` is cancelled.
#[expect(clippy::too_many_lines, reason = "one stage after the other")]
pub async fn run(
    request: LegacyRequest,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Report, RestoreError> {
    let application = format!("reliquary restore {:08x}", rand::random::<u32>());
    let url = request.target.with_application(&application);
    let began = Instant::now();
    let mut control = Target::open(&url, CONNECT_WITHIN).await?;
    let facts = control.facts().await?;
    let client = clients::find_psql(&request.client_dirs, facts.server.major).await?;
    let mut warnings: Vec<String> = client.warning.iter().cloned().collect();
    warnings
        .push("a legacy archive has no manifest: its rows are compared with its own text".into());
    let answer = identity::ask(request.source.as_ref(), &mut control).await;
    warnings.extend(identity::warning(&answer, request.clean));
    let psql = Psql { client, url: url.clone() };
    let stages = Mutex::new(Vec::new());
    let touched = std::sync::atomic::AtomicBool::new(false);
    let work = async {
        let whole = RestoreStage::Check;
        let found = timed(&stages, whole, read(&request, progress)).await?;
        let refusals = refusals(&request, &found, &facts, &url, &answer);
        if !refusals.is_empty() {
            return Err(Ended::Refused(refusals));
        }
        if request.clean {
            let mut drops = clean::drops(found.created.iter());
            // The stream makes them again, whatever is there.
            drops.extend(clean::containers(&found.created));
            let may_go = found
                .created
                .iter()
                .flat_map(|statement| [&statement.object, &statement.relation, &statement.other])
                .flatten()
                .cloned()
                .collect();
            progress.enter(RestoreStage::Clean, drops.len() as u64);
            // Its publications are dropped and made again whole.
            let ours = drop::Ours { may_go: &may_go, rejoins: &std::collections::BTreeSet::new() };
            let cleaning = drop::clean(&drops, ours, &mut control, progress, &touched);
            timed(&stages, RestoreStage::Clean, cleaning).await?;
        }
        touched.store(true, std::sync::atomic::Ordering::Relaxed);
        progress.enter(RestoreStage::Legacy, request.bytes);
        timed(&stages, RestoreStage::Legacy, stream(&request, &psql, progress)).await?;
        // An extension that made a table may have put rows there itself.
        let after = control.facts().await.map_err(Failure::from)?;
        let member = |table: &TableName| {
            let mut members = after.relations.iter().filter(|relation| relation.member);
            members.any(|r| r.schema == table.schema && r.name == table.name)
        };
        let proof: Vec<Expected> = found
            .rows
            .iter()
            .map(|(table, rows)| Expected {
                table: table.clone(),
                rows: *rows,
                at_least: member(table),
            })
            .collect();
        let tables: Vec<TableName> = found.rows.keys().cloned().collect();
        let sessions = std::slice::from_mut(&mut control);
        progress.enter(RestoreStage::Analyze, tables.len() as u64);
        let analyzing = proof::analyze(&tables, sessions, progress);
        timed(&stages, RestoreStage::Analyze, analyzing).await?;
        progress.enter(RestoreStage::Proof, tables.len() as u64);
        let comparing = proof::compare(&proof, sessions, progress);
        let (counted, different) = timed(&stages, RestoreStage::Proof, comparing).await?;
        Ok((found, counted, different))
    };
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Ended::Cancelled),
        ended = work => ended,
    };
    let (failure, cancelled) = match ended {
        Ok((found, rows_compared, different)) => {
            control.close().await;
            if !found.complete {
                warnings.push(INCOMPLETE.to_owned());
            }
            return Ok(Report {
                backup: request.id,
                database: facts.database,
                server_version: facts.server.text,
                platform: None,
                tables: found.rows.len() as u64,
                rows: found.rows.values().sum(),
                archive_bytes: request.bytes,
                tables_compared: found.rows.len() as u64,
                rows_compared,
                different,
                proven: found.complete,
                skipped: Vec::new(),
                left_out: Vec::new(),
                warnings,
                stages: stages.into_inner().unwrap_or_else(PoisonError::into_inner),
                seconds: began.elapsed().as_secs_f64(),
            });
        }
        Err(Ended::Refused(refusals)) => return Err(RestoreError::Refused(refusals)),
        Err(Ended::Failed(failure)) => (failure, false),
        Err(Ended::Cancelled) => {
            (Failure { at: None, message: "it was told to stop".to_owned() }, true)
        }
    };
    let left_behind = end_sessions(&url).await;
    let seen = progress.report();
    Err(RestoreError::Stopped(Box::new(Stopped {
        stage: seen.stage,
        at: failure.at,
        message: url.mask(&failure.message),
        cancelled,
        loaded: Loaded { tables: seen.tables, rows: seen.rows },
        left_behind,
        touched: touched.into_inner(),
    })))
}

enum Ended {
    Refused(Vec<String>),
    Failed(Failure),
    Cancelled,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn timed<T>(
    stages: &Mutex<Vec<StageTime>>,
    stage: RestoreStage,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let began = Instant::now();
    let result = work.await;
    let seconds = began.elapsed().as_secs_f64();
    stages.lock().unwrap_or_else(PoisonError::into_inner).push(StageTime { stage, seconds });
    result
}

fn refusals(
    request: &LegacyRequest,
    found: &Found,
    facts: &crate::postgres::TargetFacts,
    url: &ConnectionUrl,
    answer: &Answer,
) -> Vec<String> {
    let mut refusals = Vec::new();
    if request.sha256.as_ref().is_some_and(|known| *known != found.sha256) {
        refusals.push(format!(
            "{}: its SHA-256 is {}, and its checksum file says otherwise; it was damaged or \
             replaced",
            request.store.uri(&request.key),
            found.sha256
        ));
    }
    let same_address = request.source.as_ref().is_some_and(|source| {
        source.address() == url.address() && source.database() == facts.database
    });
    let newest = request.newest.as_ref();
    let given = request.not_the_source;
    refusals.extend(identity::refusal(facts, newest, same_address, answer, given));
    let major = found.server.as_deref().and_then(|v| v.split(['.', ' ']).next()?.parse().ok());
    if major.is_some_and(|major: u32| facts.server.major < major) {
        refusals.push(format!(
            "the target is PostgreSQL {}, older than the dump's {}: it would not understand it",
            facts.server.text,
            found.server.as_deref().unwrap_or_default()
        ));
    }
    refusals.extend(guards::no_place(facts));
    refusals.extend(guards::rights(&found.created, facts));
    if !request.clean {
        refusals.extend(guards::not_empty(facts, &Platform::default()));
    }
    refusals
}

/// Reads it once, and touches nothing.
async fn read(request: &LegacyRequest, progress: &Progress) -> Result<Found, Failure> {
    progress.enter(RestoreStage::Check, request.bytes);
    let mut text = Text::open(request).await?;
    let (mut found, mut scanner) = (Found::default(), Scanner::default());
    while let Some(piece) = text.piece(progress).await? {
        scanner.push(piece);
        while let Some(scanned) = scanner.next() {
            match scanned {
                Scanned::Statement { statement, .. } => {
                    let makes_nothing = matches!(
                        statement.kind,
                        Kind::Other
                            | Kind::Setting
                            | Kind::SequenceValue
                            | Kind::Transaction
                            | Kind::LargeObjectData
                            | Kind::Command
                    );
                    if !makes_nothing {
                        found.created.push(statement);
                    }
                }
                Scanned::Rows { table, rows, .. } => *found.rows.entry(table).or_default() += rows,
            }
        }
        scanner.refused()?;
    }
    found.server = scanner.server().map(str::to_owned);
    found.sha256 = text.sha256();
    found.complete =
        scanner.finish().map_err(|what| Failure::of(request.store.uri(&request.key), what))?;
    Ok(found)
}

/// Sends it through `psql`.
async fn stream(request: &LegacyRequest, psql: &Psql, progress: &Progress) -> Result<(), Failure> {
    let mut text = Text::open(request).await?;
    let (mut scanner, mut log) = (Scanner::passing(), ScriptLog::default());
    let mut running = psql.start().await?;
    while let Some(piece) = text.piece(progress).await? {
        // Noted before it is sent, so that an error finds its statement.
        scanner.push(piece);
        while let Some(scanned) = scanner.next() {
            match scanned {
                Scanned::Statement { statement, line } => log.note(line, statement.to_string()),
                Scanned::Rows { table, rows, line } => {
                    log.note(line, format!("rows of table {}", name_of(&table)));
                    progress.add_rows(rows);
                    progress.add_table();
                }
            }
        }
        // What no dump holds was refused before anything was touched; the store
        // might give something else now.
        scanner.refused()?;
        if !running.write(&scanner.passed()).await {
            break;
        }
    }
    running.finish().await.map_err(|error| log.failure(&error))
}

/// The text of a gzip file of any number of members.
pub(super) struct Text {
    stream: futures::stream::BoxStream<'static, crate::store::Result<bytes::Bytes>>,
    uri: String,
    packed: bytes::Bytes,
    reader: Option<PieceReader>,
    unpacked: Vec<u8>,
    hash: Sha256,
}

impl Text {
    async fn open(request: &LegacyRequest) -> Result<Self, Failure> {
        let uri = request.store.uri(&request.key);
        let stream = request.store.get_range(&request.key, 0, request.bytes).await?;
        Ok(Self::of(stream, uri))
    }

    pub(super) fn of(
        stream: futures::stream::BoxStream<'static, crate::store::Result<bytes::Bytes>>,
        uri: String,
    ) -> Self {
        let (packed, unpacked) = (bytes::Bytes::new(), Vec::new());
        Self { stream, uri, packed, reader: None, unpacked, hash: Sha256::new() }
    }

    /// The next piece; `None` at the file's end, where the last member must end too.
    pub(super) async fn piece(&mut self, progress: &Progress) -> Result<Option<&[u8]>, Failure> {
        self.unpacked.clear();
        while self.unpacked.is_empty() {
            if self.packed.is_empty() {
                let Some(bytes) = self.stream.try_next().await? else {
                    return match self.reader.take() {
                        None => Ok(None),
                        Some(reader) => match reader.finish() {
                            Ok(_) => Ok(None),
                            Err(error) => Err(Failure::of(&self.uri, error)),
                        },
                    };
                };
                self.hash.update(&bytes);
                progress.add(bytes.len() as u64);
                self.packed = bytes;
                continue;
            }
            let reader = self.reader.get_or_insert_default();
            let some = self.packed.slice(..self.packed.len().min(SOME));
            let text = &mut self.unpacked;
            let taken = reader
                .push(&some, |piece| text.extend_from_slice(piece))
                .map_err(|error| Failure::of(&self.uri, error))?;
            let _ = self.packed.split_to(taken);
            if reader.ended() {
                self.reader = None;
            }
        }
        Ok(Some(&self.unpacked))
    }

    pub(super) fn sha256(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
