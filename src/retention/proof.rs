//! How well a backup is known to be good.

use crate::{
    catalog::Entry,
    drill::{Mark, Marks},
    words::DrillReason,
};

/// What drills found, by the name of a backup's kind and its id.
pub type Drilled = Marks;

/// How well a backup is known to be good, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// It did not come back as it was made.
    Condemned,
    /// It was written, and nobody looked since.
    Written,
    /// It was read back whole since.
    Verified,
    /// It was restored and compared.
    Drilled,
}

/// Why a drill says that this is no good backup, where it does. The newest drill
/// that came to a verdict says it; and where that found other bytes than were
/// written, a verify that has read all of them since knows better.
#[must_use]
pub fn condemned(entry: &Entry, drilled: &Drilled) -> Option<DrillReason> {
    condemned_by(mark(entry, drilled)?, entry)
}

pub(super) fn proof(entry: &Entry, drilled: &Drilled) -> Proof {
    match mark(entry, drilled) {
        Some(mark) if condemned_by(mark, entry).is_some() => Proof::Condemned,
        Some(mark) if mark.proves() => Proof::Drilled,
        _ if entry.verified.is_some() => Proof::Verified,
        _ => Proof::Written,
    }
}

fn condemned_by(mark: &Mark, entry: &Entry) -> Option<DrillReason> {
    let is_read_back = entry.verified.is_some_and(|verified| verified > mark.time);
    mark.condemned().filter(|reason| *reason != DrillReason::ArchiveDamaged || !is_read_back)
}

fn mark<'a>(entry: &Entry, drilled: &'a Drilled) -> Option<&'a Mark> {
    drilled.get(&(entry.kind.name(), entry.id))
}
