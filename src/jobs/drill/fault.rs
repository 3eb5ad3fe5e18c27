//! Why a drill came to no good end.

use crate::{
    drill::{Answer, BorrowError, DiskError, Record, SandboxError},
    restore,
    words::{DrillPlace, DrillReason, DrillVerdict, Looked},
};

/// A drill came to no good end.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) verdict: DrillVerdict,
    pub(super) reason: DrillReason,
    pub(super) message: String,
}

impl Fault {
    /// Nothing is known of the backup.
    pub(super) fn unproven(reason: DrillReason, message: impl Into<String>) -> Self {
        Self { verdict: DrillVerdict::Unproven, reason, message: message.into() }
    }

    /// The backup is not what it should be.
    pub(super) fn failed(reason: DrillReason, message: impl Into<String>) -> Self {
        Self { verdict: DrillVerdict::Failed, reason, message: message.into() }
    }
}

impl From<SandboxError> for Fault {
    fn from(error: SandboxError) -> Self {
        let reason = match &error {
            SandboxError::Disk(DiskError::NoRoom(_)) => DrillReason::NoRoom,
            _ => DrillReason::Sandbox,
        };
        Self::unproven(reason, error.to_string())
    }
}

impl From<BorrowError> for Fault {
    fn from(error: BorrowError) -> Self {
        let reason = match &error {
            BorrowError::Busy => DrillReason::Busy,
            _ => DrillReason::Target,
        };
        Self::unproven(reason, error.to_string())
    }
}

/// The same where what was restored is still in the database of the settings, and
/// why: whatever else was found, that must be seen.
pub(super) fn not_emptied(fault: Option<Fault>, why: &str) -> Fault {
    match fault {
        None => Fault::unproven(DrillReason::Target, format!("everything agreed, but {why}")),
        Some(fault) => Fault { message: format!("{}; and {why}", fault.message), ..fault },
    }
}

/// What is wrong with a drill that came to its end: what disagrees first, and
/// then what could not be looked at, which is never *passed*.
pub(super) fn judge(record: &Record) -> Option<Fault> {
    if !record.different.is_empty() {
        return Some(Fault::failed(DrillReason::RowsDiffer, differences(&record.different)));
    }
    let lost: Vec<String> = record
        .skipped
        .iter()
        .filter(|skipped| skipped.class == restore::Class::DataLoss)
        .map(|skipped| format!("{} was not restored: {}", skipped.what, skipped.reason))
        .collect();
    if !lost.is_empty() {
        // What it holds is in the archive, whole: somebody else's database lacks
        // what it stands on, or our role there may not make it.
        if is_in_target(record) {
            return Some(Fault::unproven(DrillReason::Target, lost.join("; ")));
        }
        // Only an extension makes what an archive fills and does not make.
        return Some(match lacking(record) {
            Some(lacking) => {
                let message = format!("{lacking}; {}", lost.join("; "));
                Fault::failed(DrillReason::MissingExtension, message)
            }
            None => Fault::failed(DrillReason::RestoreError, lost.join("; ")),
        });
    }
    let looked = record.comparisons.iter().map(|c| (&c.name, c.outcome, &c.detail)).chain(
        record.checks.iter().map(|Answer { name, outcome, detail, .. }| (name, *outcome, detail)),
    );
    let of = |wanted: Looked| {
        let found: Vec<String> = looked
            .clone()
            .filter(|(_, outcome, _)| *outcome == wanted)
            .map(|(name, _, detail)| format!("{name}: {detail}"))
            .collect();
        (!found.is_empty()).then(|| found.join("; "))
    };
    let failed = of(Looked::Failed).map(|m| Fault::failed(DrillReason::CheckFailed, m));
    failed.or_else(|| of(Looked::CouldNotRun).map(|m| Fault::unproven(DrillReason::Incomplete, m)))
}

/// What the place where it was restored does not have and the backup wants, and what
/// is to be done about that.
pub(super) fn lacking(record: &Record) -> Option<String> {
    let missing = &record.missing_extensions;
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(", ");
    Some(if is_in_target(record) {
        format!(
            "drill.target does not have the extensions {missing}: name a database that has them"
        )
    } else {
        format!(
            "this machine does not have the extensions {missing}: install their packages, or name \
             a database that has them (drill.target)"
        )
    })
}

/// The same of what it has in an older version than the source, which may be why.
pub(super) fn outdated(record: &Record) -> Option<String> {
    let older = record.older_extensions.join(", ");
    let (place, newer) = if is_in_target(record) {
        ("drill.target", "name a database that has newer ones")
    } else {
        (
            "this machine",
            "install newer packages, or name a database that has newer ones (drill.target)",
        )
    };
    (!older.is_empty()).then(|| {
        format!(
            "{place} has extensions in older versions than the source: {older}, which may be why: \
             {newer}"
        )
    })
}

/// The same of a locale, by its name where that is known.
pub(super) fn no_locale(name: Option<&str>, record: &Record) -> String {
    let what = name.map_or_else(
        || "a locale of the backup, or its provider".to_owned(),
        |name| format!("the locale {name}"),
    );
    if is_in_target(record) {
        format!("drill.target does not have {what}: name a database that has it")
    } else {
        format!(
            "this machine does not have {what}: install it where drills run (on Debian the package \
             locales-all has them all), or name a database that has it (drill.target)"
        )
    }
}

/// The same of an extension that is there, and that the server does not make.
pub(super) fn no_extension(record: &Record) -> String {
    if is_in_target(record) {
        "drill.target does not make an extension of the backup: name a database that does"
    } else {
        "this machine's server does not make an extension of the backup: mend its package, or name \
         a database that makes it (drill.target)"
    }
    .to_owned()
}

fn is_in_target(record: &Record) -> bool {
    record.sandbox.as_ref().is_some_and(|place| place.place == DrillPlace::Target)
}

/// Which tables have other rows, and by how many.
pub(super) fn differences(different: &[restore::Difference]) -> String {
    let tables: Vec<String> = different
        .iter()
        .map(|d| {
            let by = i128::from(d.found) - i128::from(d.expected);
            format!("{} has {} rows and not {} ({by:+})", d.table, d.found, d.expected)
        })
        .collect();
    tables.join("; ")
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use DrillReason::{MissingExtension, RestoreError};
    use DrillVerdict::{Failed, Unproven};

    use super::*;
    use crate::drill::{self, PlaceFacts, a_record as record};

    #[test]
    fn what_somebody_else_s_database_does_not_take_is_no_fault_of_the_backup() {
        let of = |place, missing: &[&str]| {
            let mut record = record("2026-12-01T06-00-00Z", DrillVerdict::Passed);
            record.missing_extensions = missing.iter().map(|&name| name.to_owned()).collect();
            record.sandbox = Some(PlaceFacts {
                place,
                server_version: "15.4".to_owned(),
                network: "none".to_owned(),
            });
            record.skipped = vec![restore::Skipped {
                what: "policy own".to_owned(),
                reason: "the target has no role reader".to_owned(),
                class: restore::Class::DataLoss,
            }];
            let fault = judge(&record).unwrap();
            (fault.verdict, fault.reason)
        };
        for missing in [[].as_slice(), &["postgis"]] {
            assert_eq!(of(DrillPlace::Target, missing), (Unproven, DrillReason::Target));
        }
        assert_eq!(of(DrillPlace::Sandbox, &[]), (Failed, RestoreError));
        assert_eq!(of(DrillPlace::Sandbox, &["postgis"]), (Failed, MissingExtension));
    }

    #[test]
    fn a_target_that_was_not_emptied_is_in_every_outcome() {
        let fault = not_emptied(None, "it is full");
        assert_eq!((fault.verdict, fault.reason), (DrillVerdict::Unproven, DrillReason::Target));
        assert!(fault.message.contains("it is full"), "{fault:?}");
        let failed = Fault::failed(DrillReason::RowsDiffer, "t has 2 rows and not 3");
        let fault = not_emptied(Some(failed), "it is full");
        assert_eq!((fault.verdict, fault.reason), (DrillVerdict::Failed, DrillReason::RowsDiffer));
        assert_eq!(fault.message, "t has 2 rows and not 3; and it is full");
    }

    #[test]
    fn only_a_disk_without_room_has_none() {
        let unknown = DiskError::Unknown {
            dir: PathBuf::from("/x"),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let full = drill::NoRoom { dir: PathBuf::from("/x"), free: 1, needed: 2, keep: 3 };
        for (error, reason) in
            [(unknown, DrillReason::Sandbox), (DiskError::NoRoom(full), DrillReason::NoRoom)]
        {
            assert_eq!(Fault::from(SandboxError::Disk(error)).reason, reason);
        }
    }
}
