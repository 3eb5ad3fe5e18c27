//! What the restores of an incident come to: what may be said of them.

use chrono::{DateTime, Utc};

use super::{
    entry::{Found, Restored},
    incident::Incident,
    steps::OF_A_RESTORE,
};
use crate::catalog::BackupId;

/// A restore that did what it was to do, and when it ended.
pub(super) type Done<'a> = (DateTime<Utc>, &'a Restored);

/// How much came back, and how surely: the most that can be said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Recovered<'a> {
    /// All of a backup, and the parts that were brought back after it; every row
    /// was counted.
    Whole(Done<'a>, Vec<Done<'a>>),
    /// The same, as far as is known.
    Unproven(Done<'a>, Vec<Done<'a>>),
    /// Parts of backups, by each restore, in their order.
    Parts(Vec<Done<'a>>),
    /// What came back the log does not say: somebody restored without telling it,
    /// with stock tools perhaps.
    Unlogged,
    /// A restore began, and the log does not say how it ended.
    Unended,
    /// Nothing.
    Nothing,
}

impl<'a> Recovered<'a> {
    /// What an incident's restores come to. The last one of everything counts, and
    /// with it the parts that were brought back after it: of an older backup they
    /// are older, and of what was not counted nobody knows.
    pub(super) fn of(incident: &'a Incident) -> Self {
        let attempts = incident.attempts();
        let is_unended = attempts.iter().any(|attempt| attempt.ended.is_none());
        let mut done: Vec<Done<'a>> = attempts
            .into_iter()
            .filter_map(|attempt| attempt.ended)
            .filter(|(_, restored)| restored.is_done())
            .collect();
        if let Some(at) = done.iter().rposition(|(_, restored)| restored.only.is_empty()) {
            let parts = done.split_off(at + 1);
            let whole = done[at];
            let is_proven =
                std::iter::once(&whole).chain(&parts).all(|(_, restored)| restored.is_proven());
            return if is_proven {
                Self::Whole(whole, parts)
            } else {
                Self::Unproven(whole, parts)
            };
        }
        if !done.is_empty() {
            return Self::Parts(done);
        }
        if OF_A_RESTORE.iter().any(|step| incident.done().contains(step)) {
            return Self::Unlogged;
        }
        if is_unended { Self::Unended } else { Self::Nothing }
    }

    /// What was written after this may be lost; `None` where that is not known,
    /// or where a backup was taken that is younger than the failure. Where the log
    /// does not say which backup was restored, it is taken for the one that it names.
    pub(super) fn up_to(&self, incident: &Incident) -> Option<DateTime<Utc>> {
        let failed_at = incident.opened()?.failed_at;
        let found = named(incident);
        let (whole, parts): (Option<&Done<'_>>, &[Done<'_>]) = match self {
            Self::Whole(whole, parts) | Self::Unproven(whole, parts) => (Some(whole), parts),
            Self::Parts(parts) => (None, parts),
            Self::Unlogged | Self::Unended => return found.map(|found| found.snapshot_at),
            Self::Nothing => return None,
        };
        let restores = whole.into_iter().chain(parts);
        let times = restores.map(|(_, restored)| snapshot(restored, found));
        let oldest = times.collect::<Option<Vec<_>>>()?.into_iter().min()?;
        (oldest <= failed_at).then_some(oldest)
    }
}

/// The backup that the incident names as the one to restore.
pub(super) fn named(incident: &Incident) -> Option<&Found> {
    incident.looked().and_then(|looked| looked.backup.as_ref())
}

/// When the backup was taken that was restored. Of one that the incident does not
/// name, its id says when it began.
fn snapshot(restored: &Restored, found: Option<&Found>) -> Option<DateTime<Utc>> {
    let id: BackupId = restored.backup.as_ref()?.parse().ok()?;
    let found = found.filter(|found| found.id == id);
    Some(found.map_or_else(|| id.time(), |found| found.snapshot_at))
}
