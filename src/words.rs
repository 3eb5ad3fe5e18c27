//! The product's words as enums: what a job is called, how it ended, where it
//! failed. Logs, JSON and metric labels all take them from here, so that a
//! label's values are known, and exist at zero, before anything happened.

/// Declares an enum whose every variant has one word, in `snake_case`, for
/// logs, JSON and labels.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that logs, JSON and labels use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

// The macro above is known from here on.
mod alert;
mod audit;
mod drill;
mod retention;
mod transfer;

pub use alert::{ChannelKind, Event, Severity};
pub use audit::{Check, CheckResult, Review};
pub use drill::{DrillChoice, DrillPlace, DrillReason, DrillStage, DrillVerdict, Looked};
pub use retention::{DebrisKind, Keep, Period, SweepRefusal, Worth};
pub use transfer::{Direction, StoreOperation};

words! {
    /// What a run does.
    JobKind {
        /// Takes a backup.
        Backup = "backup",
        /// Reads stored backups again and checks every byte.
        Verify = "verify",
        /// Removes what retention no longer keeps, and debris.
        Sweep = "sweep",
        /// Holds everything against the hardening checklist.
        Audit = "audit",
        /// Restores backups into a throwaway cluster and compares.
        Drill = "drill",
    }
}

words! {
    /// How a run ended.
    Outcome {
        /// It did what it was for.
        Ok = "ok",
        /// It did not.
        Failed = "failed",
        /// There was nothing for it to do: another process was at it already.
        Skipped = "skipped",
        /// It was told to stop before it was done.
        Cancelled = "cancelled",
    }
}

words! {
    /// Where in a run a failure happened; in the order of a backup.
    Stage {
        /// Connecting to the source.
        Connect = "connect",
        /// Taking the lock that lets one process dump a database at a time.
        Lock = "lock",
        /// Asking the source whether a whole dump is possible.
        Preflight = "preflight",
        /// Exporting the snapshot and reading the source's facts from it.
        Snapshot = "snapshot",
        /// `pg_dump`, and reading what it writes.
        Dump = "dump",
        /// Cutting the dump into members and compressing them.
        Compress = "compress",
        /// Sending the archive's parts.
        Upload = "upload",
        /// Writing the checksum file.
        Checksum = "checksum",
        /// Asking the store whether it holds what was sent.
        Confirm = "confirm",
        /// Comparing the archive with the snapshot's list of tables.
        Completeness = "completeness",
        /// Writing the manifest.
        Commit = "commit",
        /// Moving the pointer.
        Pointer = "pointer",
        /// Listing what the store holds.
        Catalog = "catalog",
        /// Reading a stored backup again.
        Verify = "verify",
        /// Writing down what that found.
        Record = "record",
        /// Deciding what retention no longer keeps.
        Plan = "plan",
        /// Removing it.
        Remove = "remove",
        /// Holding the bucket's lifecycle rules against retention.
        Lifecycle = "lifecycle",
        /// Holding everything against the hardening checklist.
        Audit = "audit",
        /// Getting a cluster to restore into.
        Sandbox = "sandbox",
        /// Restoring a backup there, and comparing.
        Drill = "drill",
        /// The run's deadline passed.
        Timeout = "timeout",
        /// The run panicked.
        Panic = "panic",
    }
}

words! {
    /// What verify found a stored archive to be.
    Verdict {
        /// Every byte is as it was.
        Good = "good",
        /// Something is not.
        Damaged = "damaged",
    }
}

impl Verdict {
    /// The one that it is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Good => Self::Damaged,
            Self::Damaged => Self::Good,
        }
    }
}

words! {
    /// Where a restore is; in its order.
    RestoreStage {
        /// Reading the archive once and comparing its hash, before anything is touched.
        Check = "check",
        /// Dropping what the archive will create.
        Clean = "clean",
        /// Creating what rows need.
        PreData = "pre_data",
        /// Rows into new tables, many sessions at once.
        Data = "data",
        /// Rows into tables that were there, in one transaction.
        Fill = "fill",
        /// Sequence values and large objects.
        Rest = "rest",
        /// Indexes and keys, many sessions at once.
        Indexes = "indexes",
        /// Foreign keys.
        ForeignKeys = "foreign_keys",
        /// What else comes after the rows, in order.
        PostData = "post_data",
        /// ANALYZE.
        Analyze = "analyze",
        /// Counting every table's rows.
        Proof = "proof",
        /// A legacy archive, from its first statement to its last.
        Legacy = "legacy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_in_text_and_in_json() {
        for stage in Stage::ALL {
            let json = serde_json::to_string(stage).unwrap();
            assert_eq!(json, format!("\"{stage}\""));
            assert_eq!(serde_json::from_str::<Stage>(&json).unwrap(), *stage);
        }
        assert_eq!(format!("{:<8}|", Outcome::Ok), "ok      |");
    }

    #[test]
    fn words_fit_a_label() {
        let words = StoreOperation::ALL
            .iter()
            .map(|word| word.as_str())
            .chain(Stage::ALL.iter().map(|word| word.as_str()))
            .chain(RestoreStage::ALL.iter().map(|word| word.as_str()))
            .chain(Direction::ALL.iter().map(|word| word.as_str()))
            .chain(CheckResult::ALL.iter().map(|word| word.as_str()))
            .chain(Check::ALL.iter().map(|word| word.as_str()))
            .chain(Event::ALL.iter().map(|word| word.as_str()))
            .chain(ChannelKind::ALL.iter().map(|word| word.as_str()))
            .chain(Review::ALL.iter().map(|word| word.as_str()));
        for word in words {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{word}");
        }
    }
}
