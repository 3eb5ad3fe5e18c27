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
    /// What something in the store is worth, from best to worst.
    Worth {
        /// A backup: an archive and its manifest.
        Good = "good",
        /// An archive without a manifest, made by something else.
        Legacy = "legacy",
        /// Verify found damage in it. It counts for nothing.
        Damaged = "damaged",
    }
}

words! {
    /// Why a sweep removed nothing at all.
    SweepRefusal {
        /// The listing failed or was cut short.
        Listing = "listing",
        /// This machine's clock and the store's are too far apart.
        Clock = "clock",
        /// More than half of the good backups would have gone at once.
        MoreThanHalf = "more_than_half",
        /// No good backup is younger than `stale_after`.
        NoFreshBackup = "no_fresh_backup",
        /// The newest good backup could not be read back.
        NewestUnreadable = "newest_unreadable",
        /// What drills have found could not be read.
        DrillsUnreadable = "drills_unreadable",
    }
}

words! {
    /// What a drill came to.
    DrillVerdict {
        /// The backup was restored, compared, and everything agreed.
        Passed = "passed",
        /// Something did not agree.
        Failed = "failed",
        /// It was not looked at to the end, so nothing is known.
        Unproven = "unproven",
    }
}

words! {
    /// Where a drill restores.
    DrillPlace {
        /// A throwaway cluster of its own.
        Sandbox = "sandbox",
        /// The database that the settings name.
        Target = "target",
    }
}

words! {
    /// Why a drill took the backup that it took.
    DrillChoice {
        /// It was the newest good one.
        Newest = "newest",
        /// It was its turn.
        Rota = "rota",
        /// A person asked for it.
        Asked = "asked",
    }
}

words! {
    /// A period of which a tier of retention keeps one backup.
    Period {
        /// From full hour to full hour, UTC.
        Hour = "hourly",
        /// From midnight to midnight, UTC.
        Day = "daily",
        /// From Monday to Sunday, as ISO 8601 has it.
        Week = "weekly",
        /// A month of the calendar.
        Month = "monthly",
        /// A year of the calendar.
        Year = "yearly",
    }
}

words! {
    /// Why a drill did not pass.
    DrillReason {
        /// The archive is not what was written.
        ArchiveDamaged = "archive_damaged",
        /// The archive is whole, and does not restore.
        RestoreError = "restore_error",
        /// Tables hold other rows than the backup says.
        RowsDiffer = "rows_differ",
        /// A comparison or a question has the wrong answer.
        CheckFailed = "check_failed",
        /// There was no cluster to restore into.
        Sandbox = "sandbox",
        /// The database of the settings could not be used, or not be emptied again.
        Target = "target",
        /// Another drill is in the database of the settings. Nothing was begun, and
        /// nothing is written down.
        Busy = "busy",
        /// Something could not be looked at that should have been.
        Incomplete = "incomplete",
        /// The disk has no room, or had none any more.
        NoRoom = "no_room",
        /// The store did not give the archive.
        Store = "store",
        /// It was told to stop.
        Interrupted = "interrupted",
        /// It did not finish in time.
        Timeout = "timeout",
    }
}

impl DrillReason {
    /// Whether the backup did not come back as it was made, so that it is no good
    /// one. A check that failed is no such reason: the archive came back row for
    /// row, and it is the data, as it was dumped, that is not what was expected.
    #[must_use]
    pub fn condemns(self) -> bool {
        matches!(self, Self::ArchiveDamaged | Self::RestoreError | Self::RowsDiffer)
    }
}

words! {
    /// Why a backup is kept.
    Keep {
        /// It is younger than `keep_for`.
        Young = "young",
        /// It is one of the last good ones.
        Last = "last",
        /// It is its hour's.
        Hour = "hourly",
        /// It is its day's.
        Day = "daily",
        /// It is its week's.
        Week = "weekly",
        /// It is its month's.
        Month = "monthly",
        /// It is its year's.
        Year = "yearly",
        /// A person made it, and only a person removes it.
        Manual = "manual",
        /// It is a legacy archive that stays until there are good ones in its place.
        Legacy = "legacy",
        /// Its drill failed, and nothing good has come in its place.
        DrillFailed = "drill_failed",
        /// It is damaged, and people shall have time to look at it.
        Damaged = "damaged",
    }
}

words! {
    /// Where a drill is; in its order.
    DrillStage {
        /// Starting the sandbox.
        Sandbox = "sandbox",
        /// Reading the archive's definitions, and standing in for what it lacks.
        Prepare = "prepare",
        /// Restoring.
        Restore = "restore",
        /// Comparing what came out.
        Compare = "compare",
        /// Asking the questions of the settings.
        Checks = "checks",
        /// Removing the sandbox.
        Teardown = "teardown",
    }
}

words! {
    /// What debris is.
    DebrisKind {
        /// An upload that was neither completed nor thrown away.
        Upload = "unfinished_upload",
        /// An archive of ours that was never committed, or whose manifest is gone.
        Archive = "archive_without_manifest",
        /// A manifest whose archive is gone.
        Manifest = "manifest_without_archive",
        /// A checksum file or a verdict of nothing.
        Orphan = "orphan",
    }
}

words! {
    /// What looking at something came to.
    Looked {
        /// It is as it should be.
        Ok = "ok",
        /// It is not.
        Failed = "failed",
        /// There is nothing here to look at it with.
        NotRun = "not_run",
        /// It was to be looked at, and could not be.
        CouldNotRun = "could_not_run",
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

words! {
    /// How much an alert matters, from least to most.
    Severity {
        /// Good to know; nobody need act.
        Info = "info",
        /// Look at it on the next working day.
        Warning = "warning",
        /// Backups are not made: get up.
        Critical = "critical",
    }
}

words! {
    /// What an alert tells.
    Event {
        /// A problem has begun.
        Opened = "opened",
        /// It still lasts.
        Reminder = "reminder",
        /// It is over.
        Resolved = "resolved",
        /// Something happened that is no problem.
        Info = "info",
        /// A person asked for it, to see whether it arrives.
        Test = "test",
    }
}

words! {
    /// Where alerts go.
    ChannelKind {
        /// An issue on GitHub.
        Github = "github",
        /// A message in Slack.
        Slack = "slack",
        /// An event for PagerDuty.
        Pagerduty = "pagerduty",
        /// A letter.
        Email = "email",
        /// JSON, signed, to whoever wants it.
        Webhook = "webhook",
        /// Signs of life for a dead man's switch.
        Heartbeat = "heartbeat",
        /// A message in Discord.
        Discord = "discord",
        /// A card in Microsoft Teams.
        Teams = "teams",
    }
}

words! {
    /// A call of the store.
    StoreOperation {
        /// Writes a small object.
        Put = "put",
        /// Writes a small object unless one is there.
        PutIfAbsent = "put_if_absent",
        /// Begins an upload in parts.
        BeginUpload = "begin_upload",
        /// Sends one part.
        UploadPart = "upload_part",
        /// Makes an upload visible.
        CompleteUpload = "complete_upload",
        /// Throws an upload's parts away.
        AbortUpload = "abort_upload",
        /// Lists uploads that nobody completed or aborted.
        UnfinishedUploads = "unfinished_uploads",
        /// Reads a whole object.
        Get = "get",
        /// Reads a part of an object.
        GetRange = "get_range",
        /// Asks what the store knows of an object.
        Head = "head",
        /// Reads one page of a listing.
        List = "list",
        /// Deletes one object.
        Delete = "delete",
        /// Deletes many objects.
        DeleteMany = "delete_many",
        /// Asks for the store's own time.
        ServerTime = "server_time",
        /// Asks what the store does by itself with objects as they age.
        LifecycleRules = "lifecycle_rules",
    }
}

words! {
    /// Which way an object's bytes went.
    Direction {
        /// To the store.
        Sent = "sent",
        /// From the store.
        Received = "received",
    }
}

words! {
    /// What a check of the audit came to.
    CheckResult {
        /// It is as it should be.
        Pass = "pass",
        /// It works, and could be safer.
        Warn = "warn",
        /// It is not as it must be.
        Fail = "fail",
        /// It could not be told, for want of a right or of an answer.
        Unknown = "unknown",
    }
}

words! {
    /// What the audit looks at, in the order of its report.
    Check {
        /// The bucket is where the settings say.
        Region = "region",
        /// Requests travel under TLS.
        StoreTransport = "store_transport",
        /// What is stored is encrypted, also where nobody asks for it.
        Encryption = "encryption",
        /// The bucket cannot become public.
        PublicAccess = "public_access",
        /// No bucket of the account can become public.
        AccountPublicAccess = "account_public_access",
        /// The bucket's policy lets nobody else in.
        PolicyGrants = "policy_grants",
        /// The bucket's policy refuses requests without TLS.
        PolicyTls = "policy_tls",
        /// No access control list lets anybody in.
        AccessLists = "access_lists",
        /// What is overwritten or deleted can be had back.
        Versioning = "versioning",
        /// Backups cannot be deleted before their time, and can be after it.
        ObjectLock = "object_lock",
        /// Who reads and writes is written down.
        AccessLogging = "access_logging",
        /// Parts of uploads that nobody finished go away by themselves.
        UnfinishedUploads = "unfinished_uploads",
        /// No lifecycle rule contradicts retention.
        Lifecycle = "lifecycle",
        /// A folder as a store: who may read and write it.
        StoreFolder = "store_folder",
        /// A folder as a store: it is not on the database's own disk.
        StoreDisk = "store_disk",
        /// The credentials are those of a user or a role, not of the whole account.
        Identity = "identity",
        /// The credentials can write, and read what they wrote.
        Write = "write",
        /// Whether the credentials can delete.
        Delete = "delete",
        /// The credentials cannot change the bucket's policy.
        PolicyChange = "policy_change",
        /// A write that must not replace anything does not.
        ConditionalWrites = "conditional_writes",
        /// Bytes that arrive damaged are refused.
        Checksums = "checksums",
        /// This machine's clock agrees with the store's.
        ClockStore = "clock_store",
        /// This machine's clock agrees with the database server's.
        ClockSource = "clock_source",
        /// The source can be reached and held.
        Source = "source",
        /// The server's major version is still mended by its makers.
        ServerVersion = "server_version",
        /// Client programs of the server's own major are here.
        ClientPrograms = "client_programs",
        /// The role may no more than it needs.
        RoleRights = "role_rights",
        /// The role may read every table and sequence.
        TablesReadable = "tables_readable",
        /// Row-level security hides nothing from the role.
        RowSecurity = "row_security",
        /// The role may read every large object.
        LargeObjects = "large_objects",
        /// What a dump would leave out.
        LeftOut = "left_out",
        /// The connection to the source is under TLS, and the server is verified.
        SourceTls = "source_tls",
        /// Only its owner can read a file that holds a secret.
        SecretFiles = "secret_files",
    }
}

words! {
    /// What people look at again and again, and record that they did.
    Review {
        /// The month's drill: its record, how long the restore took, what it skipped.
        Drill = "drill",
        /// The disaster-recovery runbook.
        Runbook = "runbook",
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
