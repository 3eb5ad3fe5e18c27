//! The seven steps of a recovery.

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is called.
    pub name: &'static str,
    /// What is to be done in every installation.
    pub tasks: &'static [&'static str],
}

/// The steps, from 1, before which nobody can say that all is as it was: the
/// validation, and the cut over.
pub(super) const BEFORE_OPERATION: [u8; 2] = [5, 6];

/// The steps, from 1, that nobody has done who has restored nothing: the restore
/// itself, its validation, and the cut over to what was restored.
pub(super) const OF_A_RESTORE: [u8; 3] = [4, 5, 6];

/// All of them, in order.
pub const STEPS: [Step; 7] = [
    Step {
        name: "Assess scope",
        tasks: &[
            "Find the trigger: a deletion, a compromised account, a failed migration, the provider.",
            "Estimate what is affected and who notices.",
            "Read the data-loss window: everything written in it is in no backup.",
        ],
    },
    Step {
        name: "Stabilize",
        tasks: &[
            "Stop what writes: the application, jobs, migrations. Keep the damaged database as it is.",
            "Tell leadership; post on the status page where users are affected.",
            "Rotate credentials at once where somebody may have them.",
        ],
    },
    Step {
        name: "Prepare replacement infrastructure",
        tasks: &[
            "Create a new, empty database on a server that is not older than the source's.",
            "Keep its connection string where only responders read it.",
        ],
    },
    Step {
        name: "Restore database",
        tasks: &[
            "Restore the newest good backup of before the failure; the commands write themselves into the log.",
        ],
    },
    Step {
        name: "Validate",
        tasks: &[
            "Read the proof of the restore: every table's rows counted and equal, nothing lost.",
            "Try what users do first.",
            "Look whether all migrations are there that the application expects.",
        ],
    },
    Step {
        name: "Cut over",
        tasks: &[
            "Point the application at the restored database, and deploy.",
            "Point the backups at it too, and take one.",
        ],
    },
    Step {
        name: "Post-recovery",
        tasks: &[
            "Reconcile what was written between the backup and the failure.",
            "Close the incident, and send the message that it writes.",
            "Review the root cause within 48 hours.",
        ],
    },
];
