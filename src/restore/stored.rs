//! A backup as it stands in the store.

use std::sync::Arc;

use super::members::Archive;
use crate::{
    archive::{Manifest, manifest::Member},
    store::{Patience, Store},
};

/// Where a backup is, and what it holds.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where the archive is.
    pub store: Arc<dyn Store>,
    /// What it holds, and where in it.
    pub manifest: Manifest,
    /// How many bytes of the archive the store holds: fewer than the manifest
    /// says where it was cut short.
    pub held: u64,
    /// How long the store is asked for what it does not give.
    pub patience: Patience,
}

impl Stored {
    /// A backup in a store that is asked with the usual patience.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, manifest: Manifest) -> Self {
        let held = manifest.archive.bytes;
        Self { store, manifest, held, patience: Patience::default() }
    }

    /// Whether the store holds a member to its end.
    pub(super) fn holds(&self, member: &Member) -> bool {
        member.offset.saturating_add(member.length) <= self.held
    }

    /// What is said of one that it does not hold.
    pub(super) fn cut_short(&self) -> String {
        format!("the archive ends before its end, at byte {}", self.held)
    }

    pub(super) fn archive(&self) -> Archive {
        Archive {
            store: Arc::clone(&self.store),
            key: self.manifest.archive.key.clone(),
            patience: self.patience,
        }
    }
}
