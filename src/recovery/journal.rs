//! The log of an incident, in the bucket and on this machine.
//!
//! Either place can be away. What was written while one of them was, it gets with
//! the next command that reaches it: both hold sets of entries, of which none is
//! ever changed, and each gets what the other one has. The bucket is one that is
//! not waited for: see [`crate::store::Impatient`].

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::{
    entry::{Entry, FORMAT, What},
    folder::{Folder, FolderError, Stored},
    hand::Edits,
    incident::Incident,
    mask::masked,
    page::page,
};
use crate::{
    catalog::{BackupId, EntryId, Key, Layout},
    notify::Scrub,
    settings::RunbookSettings,
    store::{self, Created, Store},
};

/// The largest entry that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;
/// How often a log is looked at again because somebody else wrote meanwhile.
const ROUNDS: usize = 5;

/// A log cannot be kept, or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It could be written nowhere.
    #[error("write it down: neither here ({here}) nor in the bucket ({there})")]
    Nowhere {
        /// What the folder said.
        here: String,
        /// What the bucket said.
        there: String,
    },
    /// There is no such incident.
    #[error("there is no incident {id}{}", but(.away.as_deref()))]
    Unknown {
        /// Which.
        id: BackupId,
        /// Why one of the places could not be looked at.
        away: Option<String>,
    },
}

fn but(away: Option<&str>) -> String {
    away.map_or_else(String::new, |why| format!("; but {why}"))
}

/// Entries that were made, and need not be written down yet.
#[derive(Clone, Debug, Default)]
pub struct Drawn(Stored);

impl Drawn {
    /// Takes others in.
    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// A log as it stands after a command.
#[derive(Debug)]
pub struct Kept {
    /// All of it.
    pub incident: Incident,
    /// Where its document is on this machine, or why it is not there.
    pub here: Result<PathBuf, String>,
    /// Where it is in the bucket, or why it is not there.
    pub there: Result<String, String>,
}

impl Kept {
    /// Whether it was written down anywhere.
    ///
    /// # Errors
    /// When it was written down nowhere.
    pub fn somewhere(&self) -> Result<(), JournalError> {
        match (&self.here, &self.there) {
            (Err(here), Err(there)) => {
                Err(JournalError::Nowhere { here: here.clone(), there: there.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Logs of incidents of one database.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    layout: Layout,
    /// The bucket, or why there is none.
    store: Result<Arc<dyn Store>, String>,
    settings: RunbookSettings,
    scrub: Scrub,
}

impl Journal {
    /// Logs in the settings' folder and in a store, which may be away.
    #[must_use]
    pub fn new(
        settings: RunbookSettings,
        layout: Layout,
        store: Result<Arc<dyn Store>, String>,
        scrub: Scrub,
    ) -> Self {
        Self { folder: Folder::new(settings.incidents.clone()), layout, store, settings, scrub }
    }

    /// Knows further secrets, which stand in no log.
    #[must_use]
    pub fn hiding(mut self, secrets: Vec<SecretString>) -> Self {
        self.scrub = self.scrub.and(secrets);
        self
    }

    /// What a person wrote, without what must not stand in a log.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        masked(&self.scrub.mask(text))
    }

    /// An error of a restore, without secrets and rows.
    #[must_use]
    pub fn clean_error(&self, text: &str) -> String {
        masked(&self.scrub.clean(text))
    }

    /// Every incident that either place knows, oldest first, and what could not
    /// be looked at.
    pub async fn ids(&self) -> (Vec<BackupId>, Vec<String>) {
        let (mut ids, mut away) = (BTreeSet::new(), Vec::new());
        match self.folder.ids() {
            Ok(found) => ids.extend(found),
            Err(error) => away.push(error.to_string()),
        }
        match self.listed(None).await {
            Ok(found) => ids.extend(found.into_iter().map(|(id, _)| id)),
            Err(error) => away.push(error),
        }
        (ids.into_iter().collect(), away)
    }

    /// Reads a log from wherever it can be read, and changes nothing.
    pub async fn read(&self, id: BackupId) -> Incident {
        let mut known = self.folder.read(id).unwrap_or_default();
        // What the bucket did not tell is not known; whoever goes on is told why.
        let _ = self.fetch(id, &mut known).await;
        incident(id, &known)
    }

    /// Reads a log, and brings both places together.
    ///
    /// # Errors
    /// When neither place has it.
    pub async fn load(
        &self,
        id: BackupId,
        author: &str,
        now: DateTime<Utc>,
    ) -> Result<Kept, JournalError> {
        let kept = self.settle(id, Stored::new(), author, now).await;
        if kept.incident.is_empty() {
            let away = kept.here.err().or(kept.there.err());
            return Err(JournalError::Unknown { id, away });
        }
        Ok(kept)
    }

    /// An id that is not taken, here or in the bucket, however many incidents
    /// begin at once; from now on it is. What cannot be asked takes none.
    pub async fn claim(&self, now: DateTime<Utc>) -> BackupId {
        let mut id = BackupId::at(now);
        loop {
            if self.folder.claim(id).unwrap_or(true) && self.claim_there(id).await.unwrap_or(true) {
                return id;
            }
            id = id.next();
        }
    }

    async fn claim_there(&self, id: BackupId) -> Result<bool, String> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let empty = page(&incident(id, &Stored::new()), &self.settings);
        let created = store.put_if_absent(&self.layout.key(Key::Incident(id)), empty.into()).await;
        Ok(created.map_err(|error| error.to_string())? == Created::Yes)
    }

    /// Makes an entry of a log, and writes nothing down.
    #[must_use]
    pub fn draw(&self, id: BackupId, author: &str, entry: EntryId, what: What) -> Drawn {
        Drawn(Stored::from([(entry, stored(id, author, entry, what))]))
    }

    /// Adds entries to a log; [`Kept::somewhere`] says whether they are written down.
    pub async fn append(
        &self,
        id: BackupId,
        author: &str,
        now: DateTime<Utc>,
        what: Vec<What>,
    ) -> Kept {
        self.keep(id, author, now, Drawn(entries(id, author, now, what))).await
    }

    /// Adds entries that were made before to a log, as [`Journal::append`] does.
    pub async fn keep(&self, id: BackupId, author: &str, now: DateTime<Utc>, drawn: Drawn) -> Kept {
        let Drawn(new) = drawn;
        // Here first: that takes no time.
        let here = self.folder.write(id, &new).map_err(|error| error.to_string());
        let kept = self.settle(id, new, author, now).await;
        Kept { here: here.and(kept.here), ..kept }
    }

    /// Gives each place what the other one has, and makes the document of it.
    async fn settle(&self, id: BackupId, new: Stored, author: &str, now: DateTime<Utc>) -> Kept {
        let mut known = new;
        let mut here = self.folder.read(id).map(|found| known.extend(found));
        let mut there = self.exchange(id, &mut known).await;
        let mut text = String::new();
        // Of an incident that nobody knows no document is made.
        let rounds = if known.is_empty() { 0 } else { ROUNDS };
        for _ in 0..rounds {
            here = here.and_then(|()| self.folder.write(id, &known));
            if here.is_ok() {
                here = self.publish(id, &mut known, author, now).map(|made| text = made);
            }
            if here.is_err() {
                text = page(&incident(id, &known), &self.settings);
            }
            if there.is_err() {
                break;
            }
            let seen = known.len();
            there = self.exchange_page(id, &mut known, &text).await;
            if known.len() == seen {
                break;
            }
        }
        let path = self.folder.page(id);
        Kept {
            incident: incident(id, &known),
            here: here.map(|()| path).map_err(|error| error.to_string()),
            there: there.and_then(|()| {
                let store = self.store.as_ref().map_err(Clone::clone)?;
                Ok(store.uri(&self.layout.key(Key::Incident(id))))
            }),
        }
    }

    /// Makes the document on this machine, once what was written into it by hand
    /// has become an entry.
    fn publish(
        &self,
        id: BackupId,
        known: &mut Stored,
        author: &str,
        now: DateTime<Utc>,
    ) -> Result<String, FolderError> {
        let _lock = self.folder.lock(id)?;
        // Another process may have written since.
        known.extend(self.folder.read(id)?);
        let usual = page(&incident(id, known), &self.settings);
        let Edits { lines, steps } = self.folder.edits(id, &usual)?;
        if !lines.is_empty() || !steps.is_empty() {
            let lines = lines.iter().map(|line| self.clean(line)).collect();
            let by_hand = entries(id, author, now, vec![What::ByHand { lines, steps }]);
            self.folder.write(id, &by_hand)?;
            known.extend(by_hand);
        }
        let text = page(&incident(id, known), &self.settings);
        self.folder.publish(id, &text)?;
        Ok(text)
    }

    /// Puts the document into the bucket, and looks whether it is still up to
    /// date: whoever writes last has seen all entries.
    async fn exchange_page(
        &self,
        id: BackupId,
        known: &mut Stored,
        text: &str,
    ) -> Result<(), String> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        self.exchange(id, known).await?;
        let key = self.layout.key(Key::Incident(id));
        store.put(&key, Bytes::from(text.to_owned())).await.map_err(|error| error.to_string())?;
        self.exchange(id, known).await
    }

    /// Takes from the bucket what is not known, and gives it what it lacks.
    async fn exchange(&self, id: BackupId, known: &mut Stored) -> Result<(), String> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let listed = self.fetch(id, known).await?;
        for (entry, bytes) in known.iter().filter(|(entry, _)| !listed.contains(entry)) {
            let key = self.layout.key(Key::IncidentEntry(id, *entry));
            store.put_if_absent(&key, bytes.clone()).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Takes from the bucket what is not known; gives back what it has.
    async fn fetch(&self, id: BackupId, known: &mut Stored) -> Result<BTreeSet<EntryId>, String> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let listed: BTreeSet<EntryId> =
            self.listed(Some(id)).await?.into_iter().filter_map(|(_, entry)| entry).collect();
        for entry in &listed {
            if !known.contains_key(entry) {
                let key = self.layout.key(Key::IncidentEntry(id, *entry));
                let bytes = store.get(&key, LIMIT).await.map_err(|error| error.to_string())?;
                known.insert(*entry, bytes);
            }
        }
        Ok(listed)
    }

    /// What the bucket holds of one incident, or of all.
    async fn listed(
        &self,
        of: Option<BackupId>,
    ) -> Result<Vec<(BackupId, Option<EntryId>)>, String> {
        let store = self.store.as_ref().map_err(Clone::clone)?;
        let objects = store::list_all(store.as_ref(), &self.layout.incidents(of)).await;
        let objects = objects.map_err(|error| error.to_string())?;
        let found = objects.iter().filter_map(|object| match self.layout.parse(&object.key)? {
            Key::IncidentEntry(id, entry) => Some((id, Some(entry))),
            Key::Incident(id) => Some((id, None)),
            _ => None,
        });
        Ok(found.collect())
    }
}

/// Entries as they are stored, in their order.
fn entries(id: BackupId, author: &str, now: DateTime<Utc>, what: Vec<What>) -> Stored {
    let entries = what.into_iter().zip(0..).map(|(what, at)| {
        let entry = EntryId::new(now + TimeDelta::milliseconds(at), rand::random());
        (entry, stored(id, author, entry, what))
    });
    entries.collect()
}

/// An entry as it is stored.
fn stored(id: BackupId, author: &str, entry: EntryId, what: What) -> Bytes {
    let document = Entry {
        format: FORMAT.to_owned(),
        incident: id,
        id: entry,
        author: author.to_owned(),
        what,
    };
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

/// The incident of entries as they are stored. What this version cannot read is
/// kept, and left out of the document.
fn incident(id: BackupId, stored: &Stored) -> Incident {
    let read = stored.iter().filter_map(|(entry, bytes)| {
        let read: Entry = serde_json::from_slice(bytes).ok()?;
        (read.format == FORMAT && read.id == *entry).then_some(read)
    });
    Incident::new(id, read)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
