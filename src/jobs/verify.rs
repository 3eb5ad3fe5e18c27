//! Reads one stored backup again, checks every byte, and writes down beside it
//! what was found.
//!
//! Two things must never be taken for one another: a backup that *is* damaged,
//! and one that *could not be read*. So what looks damaged is read a second
//! time, and only what is found twice is held against it: a line or a memory
//! that flips a bit does not condemn a good backup.

mod look;
pub mod rota;
mod unread;

use std::{sync::Arc, time::Instant};

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::Environment;
use crate::{
    archive::{Checksum, Finding},
    catalog::{Entry, Judgement, Key, Layout, State, VERDICT_FORMAT, record, withdraw},
    state::Progress,
    store::{ErrorKind, Patience, Store, StoreError},
    words::{Stage, Verdict},
};

pub use self::unread::Unread;

use self::look::{Looked, look, replaced, still_there};

/// How backups are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Inflating threads for one backup.
    pub threads: usize,
    /// Backups that are read at once.
    pub at_once: usize,
    /// Whether what was found is written down beside the backup.
    pub record: bool,
    /// How long the store is asked for what it does not give.
    pub patience: Patience,
}

/// A backup that was read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// What was found.
    pub judgement: Judgement,
    /// Whether it is a legacy archive, which is never more than undamaged.
    pub legacy: bool,
    /// Whether that is written down.
    pub recorded: Recorded,
    /// Whether its checksum file was written anew.
    pub checksum_written: bool,
}

impl Verified {
    /// Whether damage was found.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.judgement.verdict == Verdict::Damaged
    }
}

/// What became of writing a verdict down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It stands beside the backup, where there is something to say.
    Yes,
    /// Nobody wanted it.
    NotWanted,
    /// The store did not take it, for this reason.
    Refused(String),
}

/// A backup that could not be read to its end: nothing is known of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct VerifyError {
    /// What was tried and why it failed.
    pub message: String,
    /// Whether it was told to stop.
    pub cancelled: bool,
    /// Whether it was removed since it was listed.
    pub removed: bool,
}

impl VerifyError {
    fn new(error: &(impl ToString + ?Sized)) -> Self {
        Self { message: error.to_string(), cancelled: false, removed: false }
    }
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self { removed: error.kind == ErrorKind::NotFound, ..Self::new(&error) }
    }
}

/// Verifies one entry of the catalog.
///
/// # Errors
/// When it could not be read to its end, was not the same at two readings, or
/// `cancel` was cancelled.
pub async fn run(
    environment: &Environment,
    layout: &Layout,
    entry: &Entry,
    options: Options,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Verified, VerifyError> {
    let verify = async {
        progress.enter(Stage::Verify);
        let (began, looked) =
            (Instant::now(), twice(environment, layout, entry, options, progress).await?);
        // What was read may not be what stands there by now.
        still_there(environment.store.as_ref(), layout, entry, &looked).await?;
        let checksum = looked.checksum.clone().filter(|_| looked.findings.is_empty());
        let (legacy, judgement) = judge(environment, entry, looked, began);
        progress.enter(Stage::Record);
        if !options.record {
            let (recorded, checksum_written) = (Recorded::NotWanted, false);
            return Ok(Verified { judgement, legacy, recorded, checksum_written });
        }
        let store = environment.store.as_ref();
        let (mut recorded, checksum_written) = match checksum {
            Some(sha256) => match mend_checksum(store, layout, entry, sha256).await {
                Ok(()) => (Recorded::Yes, true),
                Err(error) => (Recorded::Refused(error.to_string()), false),
            },
            None => (Recorded::Yes, false),
        };
        // A verdict is worth having even where the checksum file is not to be had.
        if let refused @ Recorded::Refused(_) =
            write_down(environment, layout, entry, &judgement, legacy).await
        {
            recorded = refused;
        }
        Ok(Verified { judgement, legacy, recorded, checksum_written })
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(VerifyError {
            cancelled: true,
            ..VerifyError::new("the verify was told to stop")
        }),
        verified = verify => verified,
    }
}

/// Verifies several, so many at a time as the options say, in their order; each
/// is told to `done` as soon as it and those before it are through.
pub async fn all(
    environment: &Environment,
    layout: &Layout,
    entries: Vec<Entry>,
    options: Options,
    progress: &Progress,
    cancel: &CancellationToken,
    mut done: impl FnMut(&Entry, Result<Verified, VerifyError>),
) {
    let mut running = futures::stream::iter(entries)
        .map(|entry| async move {
            let result = run(environment, layout, &entry, options, progress, cancel).await;
            (entry, result)
        })
        .buffered(options.at_once.max(1));
    while let Some((entry, result)) = running.next().await {
        done(&entry, result);
    }
}

/// Looks, and where damage is found looks again.
async fn twice(
    environment: &Environment,
    layout: &Layout,
    entry: &Entry,
    options: Options,
    progress: &Progress,
) -> Result<Looked, VerifyError> {
    let store = Arc::clone(&environment.store);
    let first = look(&store, layout, entry, options, progress).await?;
    if first.findings.is_empty() {
        return Ok(first);
    }
    let second = look(&store, layout, entry, options, progress).await?;
    if second.archive != first.archive {
        return Err(replaced(entry));
    }
    if second.agrees_with(&first) {
        return Ok(second);
    }
    let told = |findings: &[Finding]| {
        findings.first().map_or("nothing is wrong".to_owned(), ToString::to_string)
    };
    Err(VerifyError::new(&format!(
        "read {} twice: the two readings differ, so the way from the store, or this machine's \
         memory, changes bytes (first: {}; then: {})",
        entry.id,
        told(&first.findings),
        told(&second.findings)
    )))
}

fn judge(
    environment: &Environment,
    entry: &Entry,
    looked: Looked,
    began: Instant,
) -> (bool, Judgement) {
    let damaged = !looked.findings.is_empty();
    let report = looked.report;
    let judgement = Judgement {
        format: VERDICT_FORMAT.to_owned(),
        id: entry.id,
        kind: entry.kind,
        verdict: if damaged { Verdict::Damaged } else { Verdict::Good },
        time: environment.clock.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        archive_bytes: report.as_ref().map_or(0, |report| report.archive_bytes),
        dump_bytes: report.as_ref().map_or(0, |report| report.dump_bytes),
        members: report.as_ref().map_or(0, |report| report.members),
        rows: report.as_ref().and_then(|report| report.rows),
        sha256: report.map(|report| report.sha256),
        seconds: (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        findings: looked.findings,
        remarks: looked.remarks,
    };
    (looked.legacy, judgement)
}

/// Writes the checksum file of an archive that was just proven.
async fn mend_checksum(
    store: &dyn Store,
    layout: &Layout,
    entry: &Entry,
    sha256: String,
) -> Result<(), StoreError> {
    let checksum = Checksum { sha256, file: Layout::file_name(entry.id) };
    let key = layout.key(Key::Checksum(entry.kind, entry.id));
    store.put(&key, checksum.to_string().into()).await
}

async fn write_down(
    environment: &Environment,
    layout: &Layout,
    entry: &Entry,
    judgement: &Judgement,
    legacy: bool,
) -> Recorded {
    let store = environment.store.as_ref();
    let was_damaged = entry.state == State::Damaged;
    let written = match judgement.verdict {
        // The listing itself says that the archive is gone.
        Verdict::Damaged if entry.state == State::Broken => Ok(()),
        // What is not damaged is no proof either: only damage is written down.
        Verdict::Good if legacy && !was_damaged => Ok(()),
        Verdict::Good if legacy => {
            withdraw(store, layout, entry.kind, entry.id, Verdict::Damaged).await
        }
        Verdict::Good => record(store, layout, judgement, was_damaged).await,
        Verdict::Damaged => {
            let was_good = !was_damaged && entry.verified.is_some();
            record(store, layout, judgement, was_good).await
        }
    };
    match written {
        Ok(()) => Recorded::Yes,
        Err(error) => Recorded::Refused(error.to_string()),
    }
}
