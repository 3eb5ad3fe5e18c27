//! What a person should know of a backup that is no damage.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::visible::visible;

/// Something odd about a backup, or beside it, that takes nothing from what its
/// archive holds: it never makes a backup count for less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "remark", rename_all = "snake_case")]
pub enum Remark {
    /// The checksum file is not there.
    ChecksumMissing,
    /// The checksum file cannot be read, or names another file.
    ChecksumUnreadable {
        /// Why.
        detail: String,
    },
    /// The checksum file says something else than the manifest, which is the truth.
    ChecksumDiffers {
        /// The manifest's SHA-256.
        expected: String,
        /// The checksum file's.
        found: String,
    },
    /// Nothing says what a legacy archive's SHA-256 was.
    ChecksumUnknown,
    /// The text of an archive without a manifest does not end as `pg_dump` ends
    /// it: it was cut short before it was compressed, or made or changed by
    /// something that leaves that comment out.
    DumpEnd,
    /// What a later version remarked.
    #[serde(other)]
    Other,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChecksumMissing => f.write_str("the checksum file is gone"),
            Self::ChecksumUnreadable { detail } => {
                write!(f, "the checksum file: {}", visible(detail))
            }
            Self::ChecksumDiffers { expected, found } => {
                let (found, expected) = (visible(found), visible(expected));
                write!(f, "the checksum file says {found}, and the manifest {expected}")
            }
            Self::ChecksumUnknown => f.write_str("no checksum of it is known"),
            Self::DumpEnd => f.write_str(
                "its text does not end with the line that pg_dump ends a plain dump with: \
                 either another tool made or changed it, or it was cut short before it was \
                 compressed",
            ),
            Self::Other => f.write_str("something that this version does not know"),
        }
    }
}
