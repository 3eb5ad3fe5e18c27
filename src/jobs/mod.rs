//! The verbs, and the one runner that decides when they may act.
//!
//! A job takes what it needs as arguments, does its work once, and returns what
//! became of it. It neither retries nor records: [`runner`] owns exclusion,
//! deadlines, panics, retries, outcomes and metrics.

pub mod audit;
pub mod backup;
pub mod drill;
pub mod due;
pub mod fetch;
pub mod history;
mod log;
mod orders;
pub mod recent;
pub mod runner;
pub mod survey;
pub mod sweep;
mod trigger;
pub mod verify;
pub mod watch;
pub mod way;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

pub use orders::{Handle, Handles};
pub use trigger::{StartResult, Trigger};

use crate::{
    catalog::Layout,
    clock::Clock,
    postgres::ConnectionUrl,
    settings::{ArchiveSettings, DatabaseSettings, SecretFile},
    store::Store,
};

/// What every job of the process shares.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Where backups live.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// Where PostgreSQL's client programs may be, searched first.
    pub client_dirs: Vec<PathBuf>,
    /// How an archive is made.
    pub archive: ArchiveSettings,
    /// Wanted size of an upload's parts, in bytes.
    pub part_size: u64,
    /// Files that hold secrets of this installation.
    pub secret_files: Vec<SecretFile>,
    /// Every database of the settings by its name, none of which may ever be
    /// emptied; `None` where this machine does not know how to reach it.
    pub sources: BTreeMap<String, Option<ConnectionUrl>>,
}

/// One database, as its jobs see it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its settings.
    pub settings: DatabaseSettings,
    /// How to reach it.
    pub url: ConnectionUrl,
    /// Its keys in the store.
    pub layout: Layout,
}
