//! Which backups are no good ones, by what drills found, and which is the newest
//! that is: what restores, incidents, retention and the status page all go by.

use chrono::{DateTime, Utc};

use super::mark::{Mark, Marks};
use crate::{
    catalog::{Catalog, Entry},
    words::DrillReason,
};

/// Why a drill says that this is no good backup, where it does. The newest drill
/// that came to a verdict says it; and where that found other bytes than were
/// written, a verify that has read all of them since knows better.
#[must_use]
pub fn condemned(entry: &Entry, marks: &Marks) -> Option<DrillReason> {
    mark(entry, marks)?.condemns(entry.verified)
}

/// What the drills of a backup say of it.
#[must_use]
pub fn mark<'m>(entry: &Entry, marks: &'m Marks) -> Option<&'m Mark> {
    marks.get(&(entry.kind.name(), entry.id))
}

/// The newest good backup, and newer ones that are whole and did not come back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewestGood<'c> {
    /// `None` where there is none.
    pub entry: Option<&'c Entry>,
    /// Those that were passed over, with what their drills found, newest first.
    pub passed_over: Vec<(&'c Entry, DrillReason)>,
}

/// The newest good backup, at or before a time where one is given.
#[must_use]
pub fn newest_good<'c>(
    catalog: &'c Catalog,
    marks: &Marks,
    until: Option<DateTime<Utc>>,
) -> NewestGood<'c> {
    let mut good: Vec<&Entry> =
        catalog.good().filter(|entry| until.is_none_or(|until| entry.time() <= until)).collect();
    good.sort_by_key(|entry| std::cmp::Reverse((entry.time(), entry.id)));
    let mut newest = NewestGood::default();
    for entry in good {
        let Some(reason) = condemned(entry, marks) else {
            newest.entry = Some(entry);
            break;
        };
        newest.passed_over.push((entry, reason));
    }
    newest
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{
        archive::manifest::Kind,
        catalog::{BackupId, State},
        words::DrillVerdict,
    };

    fn id(hour: u32) -> BackupId {
        format!("2026-11-23T{hour:02}-00-00Z").parse().unwrap()
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for (hour, state) in [(10, State::Good), (11, State::Good), (12, State::Good)] {
            let (id, kind) = (id(hour), Kind::Scheduled);
            let (last_modified, archive_bytes, verified) = (id.time(), 1, None);
            catalog.add(Entry { id, kind, state, archive_bytes, last_modified, verified });
        }
        catalog
    }

    fn failed(hours: &[u32], reason: DrillReason) -> Marks {
        let mark = |hour: &u32| {
            let time = id(*hour).time() + TimeDelta::minutes(30);
            let mark = Mark { verdict: DrillVerdict::Failed, reason: Some(reason), time };
            ((Kind::Scheduled.name(), id(*hour)), mark)
        };
        hours.iter().map(mark).collect()
    }

    #[test]
    fn what_did_not_come_back_in_its_drill_is_passed_over_and_named() {
        let catalog = catalog();
        let found = |hours: &[u32], reason, until: Option<u32>| {
            let marks = failed(hours, reason);
            let newest = newest_good(&catalog, &marks, until.map(|hour| id(hour).time()));
            let passed_over: Vec<_> = newest.passed_over.iter().map(|(e, _)| e.id).collect();
            (newest.entry.map(|entry| entry.id), passed_over)
        };
        let rows = DrillReason::RowsDiffer;
        assert_eq!(found(&[], rows, None), (Some(id(12)), vec![]));
        assert_eq!(found(&[12], rows, None), (Some(id(11)), vec![id(12)]));
        assert_eq!(found(&[12, 11], rows, None), (Some(id(10)), vec![id(12), id(11)]));
        assert_eq!(found(&[11], rows, Some(11)), (Some(id(10)), vec![id(11)]));
        assert_eq!(found(&[10], rows, None), (Some(id(12)), vec![]), "an older one's is no matter");
        let all = (None, vec![id(12), id(11), id(10)]);
        assert_eq!(found(&[10, 11, 12], rows, None), all);
        // It came back whole; a question of the settings had another answer.
        assert_eq!(found(&[12], DrillReason::CheckFailed, None), (Some(id(12)), vec![]));
        // This machine lacks an extension; another one has it.
        assert_eq!(found(&[12], DrillReason::MissingExtension, None), (Some(id(12)), vec![]));
    }

    #[test]
    fn what_was_read_back_whole_since_is_not_damaged() {
        let mut catalog = catalog();
        let newest = |catalog: &Catalog, reason| {
            newest_good(catalog, &failed(&[12], reason), None).entry.map(|entry| entry.id)
        };
        assert_eq!(newest(&catalog, DrillReason::ArchiveDamaged), Some(id(11)));
        catalog.entries[2].verified = Some(id(12).time() + TimeDelta::hours(1));
        assert_eq!(newest(&catalog, DrillReason::ArchiveDamaged), Some(id(12)));
        assert_eq!(newest(&catalog, DrillReason::RowsDiffer), Some(id(11)));
    }
}
