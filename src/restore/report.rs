//! What a restore did.

use serde::{Deserialize, Serialize};

use super::{judge::Class, plan::Skipped};
use crate::{archive::TableName, words::RestoreStage};

/// A restore that came to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The backup's id.
    pub backup: String,
    /// The target's database.
    pub database: String,
    /// The target's server version.
    pub server_version: String,
    /// What the target is hosted on, where that is known.
    pub platform: Option<String>,
    /// Tables whose rows were loaded.
    pub tables: u64,
    /// Rows that were loaded.
    pub rows: u64,
    /// Bytes of the archive that were read for it.
    pub archive_bytes: u64,
    /// Tables whose rows were counted in the end and compared with the manifest.
    pub tables_compared: u64,
    /// Rows that they hold.
    pub rows_compared: u64,
    /// Tables that do not hold the rows that the manifest says.
    pub different: Vec<Difference>,
    /// Tables whose rows the role may not see, so that they could not be counted.
    pub uncounted: Vec<String>,
    /// Whether it is known that the archive was complete, and every table was counted.
    pub proven: bool,
    /// What was not restored, and what that means.
    pub skipped: Vec<Skipped>,
    /// The sequences among that.
    #[serde(skip)]
    pub unset: Vec<TableName>,
    /// What a partial restore left out of what belongs to its tables.
    pub left_out: Vec<LeftOut>,
    /// What should be known.
    pub warnings: Vec<String>,
    /// How long each stage took.
    pub stages: Vec<StageTime>,
    /// How long all took, in seconds.
    pub seconds: f64,
}

/// A table with other rows than the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// Rows by the manifest.
    pub expected: u64,
    /// Rows that were counted.
    pub found: u64,
}

/// Something that belongs to a restored table and was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// How long a stage took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StageTime {
    /// The stage.
    pub stage: RestoreStage,
    /// Its time, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Whether everything that was asked for is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.different.is_empty() && self.lost().next().is_none()
    }

    /// What of the source is not in the target.
    pub fn lost(&self) -> impl Iterator<Item = &Skipped> {
        self.skipped.iter().filter(|skipped| skipped.class == Class::DataLoss)
    }
}
