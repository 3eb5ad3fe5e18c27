//! What the restores of an incident come to: what may be said of them.

use chrono::{DateTime, Utc};

use super::{
    entry::{Found, Restored},
    incident::Incident,
};
use crate::catalog::BackupId;

/// A restore that did what it was to do, and when it ended.
pub(super) type Done<'a> = (DateTime<Utc>, &'a Restored);

/// How much came back, and how surely: the most that can be said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Recovered<'a> {
    /// All of a backup, and every row was counted.
    Whole(Done<'a>),
    /// All of a backup, as far as is known.
    Unproven(Done<'a>),
    /// Parts of backups, by each restore, in their order.
    Parts(Vec<Done<'a>>),
    /// Nothing.
    Nothing,
}

impl<'a> Recovered<'a> {
    /// What an incident's restores come to. The last one of a kind counts; a
    /// part that was brought back after the whole takes nothing from it.
    pub(super) fn of(incident: &'a Incident) -> Self {
        let done: Vec<Done<'a>> = incident
            .attempts()
            .into_iter()
            .filter_map(|attempt| attempt.ended)
            .filter(|(_, restored)| restored.is_done())
            .collect();
        let last = |fits: &dyn Fn(&Restored) -> bool| {
            done.iter().rev().find(|(_, restored)| restored.only.is_empty() && fits(restored))
        };
        if let Some(whole) = last(&Restored::is_proven) {
            return Self::Whole(*whole);
        }
        if let Some(unproven) = last(&|_| true) {
            return Self::Unproven(*unproven);
        }
        if done.is_empty() { Self::Nothing } else { Self::Parts(done) }
    }

    /// The restores that it is made of.
    pub(super) fn restores(&self) -> &[Done<'a>] {
        match self {
            Self::Whole(done) | Self::Unproven(done) => std::slice::from_ref(done),
            Self::Parts(parts) => parts,
            Self::Nothing => &[],
        }
    }

    /// What was written after this may be lost; `None` where that is not known,
    /// or where a backup was taken that is younger than the failure.
    pub(super) fn up_to(&self, incident: &Incident) -> Option<DateTime<Utc>> {
        let failed_at = incident.opened()?.failed_at;
        let found = incident.looked().and_then(|looked| looked.backup.as_ref());
        let times = self.restores().iter().map(|(_, restored)| snapshot(restored, found));
        let oldest = times.collect::<Option<Vec<_>>>()?.into_iter().min()?;
        (oldest <= failed_at).then_some(oldest)
    }
}

/// When the backup was taken that was restored. Of one that the incident does not
/// name, its id says when it began.
fn snapshot(restored: &Restored, found: Option<&Found>) -> Option<DateTime<Utc>> {
    let id: BackupId = restored.backup.as_ref()?.parse().ok()?;
    let found = found.filter(|found| found.id == id);
    Some(found.map_or_else(|| id.time(), |found| found.snapshot_at))
}
