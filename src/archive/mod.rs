//! The archive: a plain `.sql.gz` that is also seekable, checkable piece by
//! piece, and restorable in parallel and one table at a time.
//!
//! It is a concatenation of gzip members. Decompressed, in order: the pre-data
//! script; data members, each one complete `COPY … FROM stdin;` with whole rows
//! and `\.`, among members that hold the other statements of the data section
//! (those of a table in order, perhaps with another table's between them);
//! the post-data script. The manifest says where each member begins.
//!
//! This floor knows nothing of PostgreSQL connections or of S3:
//! [`read_section`] takes a pipe, [`fn@write`] hands out parts.

mod checksum;
mod completeness;
pub mod copy;
pub mod gzip;
mod header;
mod index;
mod inflate;
mod lanes;
pub(crate) mod lexer;
pub mod manifest;
pub mod map;
mod pack;
mod read;
pub mod split;
pub mod unpack;
mod verify;
mod writer;

pub use crate::postgres::Section;
pub(crate) use checksum::hex;
pub use checksum::{Checksum, ChecksumError, leading_sha256};
pub use completeness::{Incomplete, TableName, check as check_completeness};
pub use gzip::MemberError;
pub use header::comment;
pub use manifest::{Manifest, ManifestError};
pub use map::{Map, MapError, Place, wrong_sums};
pub use pack::{Feeder, Queued, pack};
pub use read::{ReadError, read_section};
pub use split::{END_OF_DATA, SplitError, Splitter};
pub use unpack::{UnpackError, Unpacker};
pub(crate) use verify::told;
pub use verify::{FINDINGS, Finding, Lost, Problem, Remark, Report, Verifier};
pub use writer::{PartSink, WriteError, Written, write};

/// How much is read from a pipe at once, in bytes.
pub(crate) const READ_SIZE: usize = 256 * 1024;

/// What the header of an archive's first member says: the format and the
/// backup's id. It tells an archive of ours that lost its manifest from a
/// legacy archive.
#[must_use]
pub fn mark(id: &str) -> String {
    format!("{} {id}", manifest::FORMAT)
}
