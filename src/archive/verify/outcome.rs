//! What a thread says of the member that it checked.

use super::{finding::Problem, text::Held};
use crate::archive::map::Place;

/// What a member turned out to be.
pub(super) struct Outcome {
    pub(super) place: Place,
    /// Length of its text, in bytes.
    pub(super) dump_bytes: u64,
    /// Whether its header is one that we write.
    pub(super) ours: bool,
    pub(super) held: Result<Held, Problem>,
}
