//! Words of what is kept, and of what is removed.

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
        /// A drill that cannot be read may have been of it.
        DrillUnknown = "drill_unknown",
        /// It is damaged, and people shall have time to look at it.
        Damaged = "damaged",
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
