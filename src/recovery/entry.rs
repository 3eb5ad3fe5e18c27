//! One entry of an incident's log, as it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, EntryId},
    rfc3339,
    words::{DrillReason, DrillVerdict},
};

/// The format that this version writes and reads.
pub const FORMAT: &str = "reliquary-incident/1";

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`FORMAT`]
    pub format: String,
    /// The incident.
    pub incident: BackupId,
    /// The entry's own id, which says when it was made.
    pub id: EntryId,
    /// Who made it.
    pub author: String,
    /// What it says.
    pub what: What,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// The incident began to be worked on.
    Opened(Opened),
    /// What the catalog says about it.
    Looked(Looked),
    /// Somebody wrote a line.
    Note {
        /// The line, or several.
        text: String,
        /// Steps of the checklist that are done with it, from 1.
        #[serde(default)]
        steps: Vec<u8>,
    },
    /// Somebody wrote into the document itself.
    ByHand {
        /// The lines that were not there before.
        lines: Vec<String>,
        /// Steps that were ticked, from 1.
        #[serde(default)]
        steps: Vec<u8>,
    },
    /// A restore began.
    RestoreBegan {
        /// The command, with its secrets masked.
        command: String,
    },
    /// A restore ended.
    RestoreEnded {
        /// The entry with which it began.
        began: EntryId,
        /// How.
        #[serde(flatten)]
        restored: Restored,
    },
    /// The incident is over.
    Closed(Closed),
}

/// How it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Name of the database in the configuration.
    pub database: String,
    /// When the failure happened.
    #[serde(with = "rfc3339")]
    pub failed_at: DateTime<Utc>,
    /// Whether nobody said when, so that it is when the incident was opened.
    #[serde(default)]
    pub assumed: bool,
    /// What is known of the cause.
    pub cause: Option<String>,
}

/// What the catalog says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// Where the backups stand, `s3://bucket/prefix/`.
    pub place: String,
    /// The newest good backup of before the failure.
    pub backup: Option<Found>,
    /// Why there is none, where there is none.
    pub why_none: Option<String>,
    /// A newer one than that, or one in its place, of which nothing proves that
    /// it is whole.
    pub legacy: Option<BackupId>,
    /// Backups of before the failure that are newer and cannot be used.
    pub unusable: Vec<BackupId>,
    /// Backups of before the failure that are newer and did not come back in a drill.
    #[serde(default)]
    pub condemned: Vec<Condemned>,
    /// Good backups that began after the failure.
    pub newer: u64,
    /// What was written within so many seconds before the failure is not in the backup.
    pub loss_seconds: Option<u64>,
    /// How long a restore will take, by what drills took.
    pub expected: Option<Expected>,
}

/// A backup that a drill found to be no good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condemned {
    /// Its id.
    pub id: BackupId,
    /// Which place it stands in.
    pub kind: Kind,
    /// What the drill found.
    pub reason: DrillReason,
}

/// The backup to restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its id.
    pub id: BackupId,
    /// Which place it stands in.
    pub kind: Kind,
    /// When its snapshot was taken.
    #[serde(with = "rfc3339")]
    pub snapshot_at: DateTime<Utc>,
    /// Size of its archive, in bytes.
    pub archive_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Its tables.
    pub tables: u64,
    /// When verify last found it whole.
    #[serde(with = "rfc3339::option")]
    pub verified: Option<DateTime<Utc>>,
    /// What a drill of it came to, and when.
    pub drilled: Option<(DrillVerdict, DateTime<Utc>)>,
}

/// How long a restore will take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// In seconds.
    pub seconds: f64,
    /// The drill by which that is known.
    pub drill: BackupId,
    /// How long its restore took, in seconds.
    pub drill_seconds: f64,
    /// Size of the archive that it restored, in bytes.
    pub drill_bytes: u64,
}

/// How a restore ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// `ok`, `failed`, `refused`, `interrupted`, `declined` or `misused`, as the
    /// command itself reports it.
    pub outcome: String,
    /// The backup.
    pub backup: Option<String>,
    /// What alone of it was wanted, as in `table public.donations`; empty for all.
    #[serde(default)]
    pub only: Vec<String>,
    /// Why it did not end well.
    pub error: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The target's database and its server's version.
    pub target: Option<String>,
    /// What was counted in the end.
    pub proof: Option<Proof>,
}

impl Condemned {
    /// As a command takes it.
    #[must_use]
    pub fn named(&self) -> String {
        self.kind.named(&self.id)
    }
}

impl Found {
    /// As a command takes it.
    #[must_use]
    pub fn named(&self) -> String {
        self.kind.named(&self.id)
    }
}

impl Restored {
    /// Whether it did what it was to do.
    pub(super) fn is_done(&self) -> bool {
        self.outcome == "ok"
    }

    /// Whether every row of what was wanted was counted, and is there.
    pub(super) fn is_proven(&self) -> bool {
        self.proof.as_ref().is_some_and(Proof::holds)
    }
}

/// What a restore counted in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Whether it is known that all of the archive is there.
    pub proven: bool,
    /// Tables whose rows were counted and compared with the manifest.
    pub tables: u64,
    /// Rows that they hold.
    pub rows: u64,
    /// Tables that hold other rows.
    pub different: u64,
    /// Things of the source that are not in the target.
    pub lost: u64,
}

impl Proof {
    /// Whether it proves anything, and that nothing lacks.
    pub(super) fn holds(&self) -> bool {
        self.proven && self.tables > 0 && self.different == 0 && self.lost == 0
    }
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// What the cause was.
    pub cause: Option<String>,
    /// What is still to be done.
    #[serde(default)]
    pub next: Vec<String>,
}
