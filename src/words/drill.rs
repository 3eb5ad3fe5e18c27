//! Words of restore drills.

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
        /// The place where it was restored lacks an extension that it uses.
        MissingExtension = "missing_extension",
        /// It lacks a locale that it uses, or a provider of locales.
        MissingLocale = "missing_locale",
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

impl DrillVerdict {
    /// Whether it says anything of the backup, where it was come to for this reason.
    #[must_use]
    pub fn is_of_the_backup(self, reason: Option<DrillReason>) -> bool {
        self != Self::Unproven && !reason.is_some_and(DrillReason::is_a_lack)
    }
}

impl DrillReason {
    /// Whether the backup did not come back as it was made, so that it is no good
    /// one. A check that failed is no such reason: the archive came back row for
    /// row, and it is the data, as it was dumped, that is not what was expected. Nor
    /// is what the place lacks.
    #[must_use]
    pub fn condemns(self) -> bool {
        matches!(self, Self::ArchiveDamaged | Self::RestoreError | Self::RowsDiffer)
    }

    /// Whether the place where it was restored lacks something that the backup uses:
    /// another one has it.
    #[must_use]
    pub fn is_a_lack(self) -> bool {
        matches!(self, Self::MissingExtension | Self::MissingLocale)
    }

    /// Whether what proved nothing may prove something a little later: the store, or
    /// the place to restore into, was not there for a moment.
    #[must_use]
    pub fn may_pass_by_itself(self) -> bool {
        matches!(self, Self::Store | Self::Target | Self::Sandbox | Self::Interrupted)
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
