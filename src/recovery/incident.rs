//! What the entries of a log come to.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    entry::{Closed, Entry, Looked, Opened, Restored, What},
    steps::STEPS,
};
use crate::catalog::{BackupId, EntryId};

/// An incident: its entries, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    id: BackupId,
    entries: BTreeMap<EntryId, Entry>,
}

/// A restore, from its first entry to its last.
pub(super) struct Attempt<'a> {
    /// The entry with which it began.
    pub(super) id: EntryId,
    pub(super) command: &'a str,
    pub(super) author: &'a str,
    /// `None` where it was not told how it ended.
    pub(super) ended: Option<(DateTime<Utc>, &'a Restored)>,
}

impl Attempt<'_> {
    pub(super) fn began(&self) -> DateTime<Utc> {
        self.id.time()
    }
}

impl Incident {
    /// The incident that these entries are of; what belongs to others is left out.
    #[must_use]
    pub fn new(id: BackupId, entries: impl IntoIterator<Item = Entry>) -> Self {
        let ours = entries.into_iter().filter(|entry| entry.incident == id);
        Self { id, entries: ours.map(|entry| (entry.id, entry)).collect() }
    }

    /// Its id: when it was opened.
    #[must_use]
    pub fn id(&self) -> BackupId {
        self.id
    }

    /// Its entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How it began; `None` where that entry has not come yet.
    #[must_use]
    pub fn opened(&self) -> Option<&Opened> {
        self.entries().find_map(|entry| match &entry.what {
            What::Opened(opened) => Some(opened),
            _ => None,
        })
    }

    /// What the catalog says of it; the last look that saw something.
    #[must_use]
    pub fn looked(&self) -> Option<&Looked> {
        self.entries()
            .filter_map(|entry| match &entry.what {
                What::Looked(looked) => Some(looked),
                _ => None,
            })
            .last()
    }

    /// How it ended, and when: the first time that somebody closed it.
    #[must_use]
    pub fn closed(&self) -> Option<(DateTime<Utc>, &Closed)> {
        self.entries().find_map(|entry| match &entry.what {
            What::Closed(closed) => Some((entry.id.time(), closed)),
            _ => None,
        })
    }

    /// What is known of the cause, the latest word first.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        let closed = self.closed().and_then(|(_, closed)| closed.cause.as_deref());
        closed.or_else(|| self.opened()?.cause.as_deref())
    }

    /// The steps that are done, from 1.
    #[must_use]
    pub fn done(&self) -> BTreeSet<u8> {
        let steps = self.entries().flat_map(|entry| match &entry.what {
            What::Note { steps, .. } | What::ByHand { steps, .. } => steps.clone(),
            _ => Vec::new(),
        });
        steps.filter(|step| (1..=STEPS.len()).contains(&usize::from(*step))).collect()
    }

    /// The steps that were not ticked, from 1, but for the last one: an incident
    /// is closed within it.
    #[must_use]
    pub fn open_steps(&self) -> Vec<u8> {
        let done = self.done();
        let before_the_last = u8::try_from(STEPS.len()).unwrap_or(u8::MAX);
        (1..before_the_last).filter(|step| !done.contains(step)).collect()
    }

    /// Its restores, in the order in which they began.
    pub(super) fn attempts(&self) -> Vec<Attempt<'_>> {
        // By the clocks of two machines an end may stand before its beginning.
        let mut ends: BTreeMap<EntryId, (DateTime<Utc>, &Restored)> = BTreeMap::new();
        for entry in self.entries() {
            if let What::RestoreEnded { began, restored } = &entry.what {
                ends.entry(*began).or_insert((entry.id.time(), restored));
            }
        }
        let attempts = self.entries().filter_map(|entry| match &entry.what {
            What::RestoreBegan { command } => Some(Attempt {
                id: entry.id,
                command,
                author: &entry.author,
                ended: ends.get(&entry.id).copied(),
            }),
            _ => None,
        });
        attempts.collect()
    }
}
