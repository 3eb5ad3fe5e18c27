//! What is asked of a backup, and what becomes of it.

use chrono::{DateTime, Utc};

use crate::{
    archive::{Manifest, manifest::Kind},
    catalog::Catalog,
    store::{ErrorKind, StoreError},
    words::Stage,
};

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
    /// The backup that stands nevertheless: the run ended after its commit.
    pub committed: Option<Box<(Manifest, Catalog)>>,
}

impl BackupError {
    pub(super) fn new(stage: Stage, transient: bool, error: &(impl ToString + ?Sized)) -> Self {
        let message = error.to_string();
        Self { stage, message, transient, cancelled: false, committed: None }
    }

    pub(super) fn store(stage: Stage) -> impl Fn(StoreError) -> Self {
        move |error| Self::new(stage, error.is_transient(), &error)
    }
}

/// A failed call that names the backup's own object.
pub(super) fn already_there(stage: Stage, uri: &str) -> BackupError {
    let message = format!(
        "write {uri}: an object stands under that key already, and it is not ours; \
         is another process writing to this prefix?"
    );
    BackupError::new(stage, true, &message)
}

/// Whether an error says for certain that the object is not there.
pub(super) fn is_absent(error: &StoreError) -> bool {
    error.kind == ErrorKind::NotFound
}
