//! What the tests of this floor stand on.

use chrono::{DateTime, TimeDelta, Utc};

use super::Policy;
use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, Entry, State},
    drill::Mark,
    words::{DrillReason, DrillVerdict},
};

/// An hour, counted from a Monday's noon.
pub(super) fn at(hour: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_435_200, 0).unwrap() + TimeDelta::hours(hour)
}

/// A good scheduled backup of an hour.
pub(super) fn entry(hour: i64) -> Entry {
    Entry {
        id: BackupId::at(at(hour)),
        kind: Kind::Scheduled,
        state: State::Good,
        archive_bytes: 1,
        last_modified: at(hour),
        verified: None,
    }
}

/// Several.
pub(super) fn entries(hours: &[i64]) -> Vec<Entry> {
    hours.iter().map(|hour| entry(*hour)).collect()
}

/// That a backup failed a drill an hour after it was made, for its marks.
pub(super) fn mark(entry: &Entry, reason: DrillReason) -> ((&'static str, BackupId), Mark) {
    let time = entry.id.time() + TimeDelta::hours(1);
    let mark = Mark { verdict: DrillVerdict::Failed, reason: Some(reason), time };
    ((entry.kind.name(), entry.id), mark)
}

/// The defaults.
pub(super) fn policy() -> Policy {
    Policy {
        keep_for: TimeDelta::days(30),
        keep_last: 24,
        tiers: [0; 5],
        grace: TimeDelta::hours(24),
    }
}
