//! How well a backup is known to be good.

use crate::{
    catalog::Entry,
    drill::{self, Marks},
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

pub(super) fn proof(entry: &Entry, drilled: &Drilled) -> Proof {
    match drill::mark(entry, drilled) {
        Some(mark) if mark.condemns(entry.verified).is_some() => Proof::Condemned,
        Some(mark) if mark.proves() => Proof::Drilled,
        _ if entry.verified.is_some() => Proof::Verified,
        _ => Proof::Written,
    }
}
