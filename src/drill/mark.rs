//! What drills say of each backup.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::record::Record;
use crate::{
    archive::manifest::Kind,
    catalog::BackupId,
    clock,
    state::DrillReport,
    words::{DrillReason, DrillVerdict},
};

/// What a drill says of its backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// What it came to.
    pub verdict: DrillVerdict,
    /// Why it did not pass.
    pub reason: Option<DrillReason>,
    /// When it ended.
    #[serde(with = "crate::rfc3339")]
    pub time: DateTime<Utc>,
}

/// The mark of each backup, by the name of its kind and its id.
pub type Marks = BTreeMap<(&'static str, BackupId), Mark>;

impl Mark {
    /// Whether the backup was restored and everything agreed.
    #[must_use]
    pub fn proves(&self) -> bool {
        self.verdict == DrillVerdict::Passed
    }

    /// Why the backup is no good one, where this says so and no verify has read it
    /// back whole since.
    #[must_use]
    pub fn condemns(&self, verified: Option<DateTime<Utc>>) -> Option<DrillReason> {
        let is_read_back = verified.is_some_and(|verified| verified > self.time);
        let holds = |reason: &DrillReason| *reason != DrillReason::ArchiveDamaged || !is_read_back;
        self.condemned().filter(holds)
    }

    /// Why the backup was no good one then, where this says so.
    #[must_use]
    pub fn condemned(&self) -> Option<DrillReason> {
        self.reason.filter(|reason| self.verdict == DrillVerdict::Failed && reason.condemns())
    }
}

/// What the newest drill of each backup says of it.
#[must_use]
pub fn marks(records: &[Record], now: DateTime<Utc>) -> Marks {
    newest(
        now,
        records.iter().map(|record| {
            let reason = record.failure.as_ref().map(|failure| failure.reason);
            let mark = Mark { verdict: record.verdict, reason, time: record.finished };
            ((record.backup.kind.name(), record.backup.id), mark)
        }),
    )
}

/// The same by drills in short.
#[must_use]
pub fn marks_in_short<'a>(
    reports: impl IntoIterator<Item = &'a DrillReport>,
    now: DateTime<Utc>,
) -> Marks {
    newest(
        now,
        reports.into_iter().filter_map(|report| {
            let is_manual = report.kind == Kind::Manual.name();
            let kind = if is_manual { Kind::Manual } else { Kind::Scheduled };
            let DrillReport { verdict, reason, finished: time, .. } = *report;
            Some(((kind.name(), report.backup.parse().ok()?), Mark { verdict, reason, time }))
        }),
    )
}

fn newest(
    now: DateTime<Utc>,
    marks: impl Iterator<Item = ((&'static str, BackupId), Mark)>,
) -> Marks {
    let mut newest = Marks::new();
    for (backup, mark) in marks {
        let held = newest.entry(backup).or_insert(mark);
        // One that came to nothing takes nothing away from what is known.
        let known = |mark: Mark| mark.verdict.is_of_the_backup(mark.reason);
        // What a clock that was ahead has dated would win for ever.
        let is_past = |mark: Mark| mark.time <= now + clock::TOLERANCE;
        let rank = |mark: Mark| (known(mark), is_past(mark), mark.time);
        if rank(mark) >= rank(*held) {
            *held = mark;
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use DrillVerdict::{Failed, Passed, Unproven};

    use super::*;
    use crate::drill::{Failure, record::tests::record};

    fn now() -> DateTime<Utc> {
        "2026-12-09T06:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_a_clock_ahead_has_dated_gives_way_to_what_was_found_since() {
        let found = |drills: &[(&str, DrillVerdict)]| {
            let records: Vec<Record> = drills.iter().map(|(id, v)| record(id, *v)).collect();
            marks(&records, now()).into_values().next().unwrap().verdict
        };
        let ahead = ("2036-12-01T06-00-00Z", Passed);
        assert_eq!(found(&[("2026-12-08T06-00-00Z", Failed), ahead]), Failed);
        assert_eq!(found(&[("2026-12-08T06-00-00Z", Unproven), ahead]), Passed);
        assert_eq!(found(&[ahead]), Passed, "it is all that is known");
    }

    #[test]
    fn what_was_not_looked_at_takes_no_mark_away_and_gives_none_that_is_better() {
        for (verdicts, expected) in [
            (&[Passed][..], Passed),
            (&[Passed, Unproven], Passed),
            (&[Unproven, Passed], Passed),
            (&[Passed, Failed], Failed),
            (&[Failed, Passed], Passed),
            (&[Failed, Unproven], Failed),
            (&[Unproven, Unproven], Unproven),
        ] {
            let records: Vec<Record> = verdicts
                .iter()
                .enumerate()
                .map(|(at, verdict)| record(&format!("2026-12-0{}T06-00-00Z", at + 1), *verdict))
                .collect();
            let found = marks(&records, now());
            let reports: Vec<DrillReport> = records.iter().map(Record::report).collect();
            assert_eq!(marks_in_short(&reports, now()), found);
            let found: Vec<DrillVerdict> = found.values().map(|mark| mark.verdict).collect();
            assert_eq!(found, [expected], "{verdicts:?}");
        }
    }

    #[test]
    fn a_machine_that_lacks_something_takes_nothing_away_from_what_is_known() {
        for reason in [DrillReason::MissingExtension, DrillReason::MissingLocale] {
            let passed = record("2026-12-01T06-00-00Z", Passed);
            let failure = Some(Failure { reason, message: String::new() });
            let lacking = Record { failure, ..record("2026-12-02T06-00-00Z", Failed) };
            let found = |records: &[Record]| marks(records, now()).into_values().next().unwrap();
            assert!(found(&[passed, lacking.clone()]).proves());
            assert_eq!(found(&[lacking]).verdict, Failed);
        }
    }

    #[test]
    fn a_backup_is_condemned_by_what_did_not_come_back_and_not_by_what_was_in_it() {
        let condemned = |verdict, reason| {
            let failure = Some(Failure { reason, message: String::new() });
            let record = Record { failure, ..record("2026-12-01T06-00-00Z", verdict) };
            marks(&[record], now()).values().next().and_then(Mark::condemned)
        };
        for reason in
            [DrillReason::ArchiveDamaged, DrillReason::RestoreError, DrillReason::RowsDiffer]
        {
            assert_eq!(condemned(Failed, reason), Some(reason));
        }
        for reason in
            [DrillReason::CheckFailed, DrillReason::MissingExtension, DrillReason::MissingLocale]
        {
            assert_eq!(condemned(Failed, reason), None);
        }
        assert_eq!(condemned(Unproven, DrillReason::NoRoom), None);
    }
}
