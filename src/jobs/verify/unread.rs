//! Backups that could not be read at their turn: neither good nor damaged.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::catalog::{BackupId, Catalog, Entry, State};

/// The backups that could not be read when it was last their turn, and the slot
/// that was. Nothing in the bucket tells them from those that had no turn yet;
/// so this is remembered for as long as the process lives, and one that can
/// never be read does not keep the others from being looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread(BTreeMap<(BackupId, &'static str), DateTime<Utc>>);

impl Unread {
    /// Notes that one could not be read at its turn in a slot.
    pub fn note(&mut self, entry: &Entry, slot: DateTime<Utc>) {
        self.0.insert(key(entry), slot);
    }

    /// Notes that it could be read, whatever was found.
    pub fn forget(&mut self, entry: &Entry) {
        self.0.remove(&key(entry));
    }

    /// The slot of its last turn, where it could not be read then.
    #[must_use]
    pub fn slot(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        self.0.get(&key(entry)).copied()
    }

    /// How many of them still stand in the catalog as good ones. The others are
    /// dropped.
    pub fn count(&mut self, catalog: &Catalog) -> u64 {
        self.0.retain(|(id, kind), _| {
            catalog.entries.iter().any(|entry| {
                (entry.id, entry.kind.name()) == (*id, *kind)
                    && matches!(entry.state, State::Good | State::Damaged)
            })
        });
        self.0.len() as u64
    }
}

fn key(entry: &Entry) -> (BackupId, &'static str) {
    (entry.id, entry.kind.name())
}
