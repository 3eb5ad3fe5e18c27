//! What the drills in the bucket say together.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    catalog::{BackupId, Layout},
    clock,
    drill::{self, Record},
    state::{DrillHistory, DrillReport, State},
    store::{Store, StoreError},
    words::DrillVerdict,
};

/// So many drills are looked back at: two years of monthly ones, two each time.
const LOOK_BACK: usize = 48;

/// The newest of these that are looked at.
#[must_use]
pub fn newest(drills: &[BackupId]) -> &[BackupId] {
    &drills[drills.len().saturating_sub(LOOK_BACK)..]
}

/// The newest drills, in short.
#[derive(Clone, Debug, Default)]
pub struct Drills {
    /// `None` stands for a record that this version cannot read.
    known: BTreeMap<BackupId, Option<DrillReport>>,
}

impl Drills {
    /// Reads what is new among the drills that a listing has found, and those
    /// that had not ended when they were last read.
    ///
    /// # Errors
    /// When the store fails; what is known then is what was known before.
    pub async fn refresh(
        &mut self,
        store: &dyn Store,
        layout: &Layout,
        listed: &[BackupId],
    ) -> Result<(), StoreError> {
        let listed = newest(listed);
        let is_settled = |id: &BackupId| {
            self.known
                .get(id)
                .is_some_and(|known| !known.as_ref().is_some_and(DrillReport::is_open))
        };
        let wanted: Vec<BackupId> = listed.iter().copied().filter(|id| !is_settled(id)).collect();
        let found = drill::read(store, layout, &wanted).await?;
        self.known.retain(|id, _| listed.contains(id));
        self.known.extend(wanted.into_iter().map(|id| (id, None)));
        self.known.extend(found.iter().map(|record| (record.id, Some(record.report()))));
        Ok(())
    }

    /// Adds one that has just ended.
    pub fn add(&mut self, record: &Record) {
        self.known.insert(record.id, Some(record.report()));
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn reports(&self) -> impl DoubleEndedIterator<Item = &DrillReport> + Clone {
        self.known.values().flatten()
    }

    /// What they say together.
    #[must_use]
    pub fn history(&self, now: DateTime<Utc>) -> DrillHistory {
        let of = |verdict: DrillVerdict| self.reports().filter(move |r| r.verdict == verdict);
        let ended = |verdict| of(verdict).map(|report| report.finished).max();
        let passed = || of(DrillVerdict::Passed);
        let newest_passed = passed().max_by_key(|report| (&report.backup, &report.id));
        DrillHistory {
            last: self.reports().next_back().cloned(),
            recent: self.reports().rev().cloned().collect(),
            passed: ended(DrillVerdict::Passed),
            failed: ended(DrillVerdict::Failed),
            unproven: ended(DrillVerdict::Unproven),
            proof: self
                .reports()
                .filter(|report| report.verdict != DrillVerdict::Unproven)
                .map(|report| report.started)
                // One of a clock that was wrong must not keep others from being made.
                .filter(|started| *started <= now + clock::TOLERANCE)
                .max(),
            restore_seconds: newest_passed.and_then(|report| report.restore_seconds),
            failure: of(DrillVerdict::Failed)
                .rfind(|failed| {
                    !passed().any(|later| later.id > failed.id && later.backup >= failed.backup)
                })
                .cloned(),
        }
    }

    /// Tells the live state.
    pub fn tell(&self, state: &State, database: &str) {
        let history = self.history(state.now());
        state.update(database, |database| database.drills = Some(history));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use DrillVerdict::{Failed, Passed, Unproven};

    use super::*;
    use crate::words::{DrillChoice, DrillReason};

    /// A drill that began at an id's time, of the backup of another's.
    pub(in crate::jobs::drill) fn report(
        id: &str,
        backup: &str,
        verdict: DrillVerdict,
    ) -> DrillReport {
        let at = |id: &str| id.parse::<BackupId>().unwrap().time();
        let finished = at(id) + chrono::TimeDelta::seconds(9);
        DrillReport {
            id: id.to_owned(),
            backup: backup.to_owned(),
            kind: "scheduled".to_owned(),
            legacy: false,
            choice: DrillChoice::Newest,
            started: at(id),
            finished,
            seconds: 9.0,
            restore_seconds: (verdict != Unproven).then_some(5.0),
            verdict,
            reason: (verdict == Unproven).then_some(DrillReason::Interrupted),
            error: None,
            not_run: Vec::new(),
            stages: Vec::new(),
        }
    }

    impl Drills {
        pub(in crate::jobs::drill) fn of(reports: impl IntoIterator<Item = DrillReport>) -> Self {
            let known = reports.into_iter().map(|r| (r.id.parse().unwrap(), Some(r))).collect();
            Self { known }
        }
    }

    fn day(day: u32) -> String {
        format!("2026-11-{day:02}T06-00-00Z")
    }

    fn history(drills: &[(u32, u32, DrillVerdict)]) -> DrillHistory {
        let reports = drills.iter().map(|(id, backup, v)| report(&day(*id), &day(*backup), *v));
        Drills::of(reports).history(day(28).parse::<BackupId>().unwrap().time())
    }

    fn failure(drills: &[(u32, u32, DrillVerdict)]) -> Option<String> {
        history(drills).failure.map(|report| report.id)
    }

    #[test]
    fn a_failure_stands_until_a_backup_as_new_has_passed() {
        assert_eq!(failure(&[]), None);
        assert_eq!(failure(&[(5, 4, Passed)]), None);
        assert_eq!(failure(&[(5, 4, Failed)]), Some(day(5)));
        assert_eq!(failure(&[(5, 4, Failed), (6, 4, Passed)]), None);
        assert_eq!(failure(&[(5, 4, Failed), (6, 5, Passed)]), None);
        assert_eq!(failure(&[(5, 4, Failed), (6, 3, Passed)]), Some(day(5)), "an older one");
        assert_eq!(failure(&[(5, 4, Passed), (6, 3, Failed)]), Some(day(6)), "it was before");
        assert_eq!(failure(&[(5, 4, Failed), (6, 5, Unproven)]), Some(day(5)));
        assert_eq!(failure(&[(5, 4, Failed), (6, 5, Failed), (7, 5, Passed)]), None);
        assert_eq!(failure(&[(5, 4, Failed), (6, 3, Failed), (7, 3, Passed)]), Some(day(5)));
    }

    #[test]
    fn what_proved_nothing_counts_as_no_proof() {
        let seen = history(&[(5, 4, Passed), (6, 5, Failed), (7, 6, Unproven)]);
        let time = |d| Some(day(d).parse::<BackupId>().unwrap().time());
        assert_eq!(seen.proof, time(6));
        assert_eq!(seen.last.map(|report| report.id), Some(day(7)));
        let ended = time(7).map(|time| time + chrono::TimeDelta::seconds(9));
        assert_eq!(seen.unproven, ended);
        assert_eq!(history(&[(5, 4, Unproven)]).proof, None);
        assert_eq!(history(&[(30, 4, Passed)]).proof, None, "it lies in the future");
    }

    #[test]
    fn the_recovery_time_is_that_of_the_newest_backup_and_not_of_an_old_one() {
        let mut newest = report(&day(5), &day(4), Passed);
        newest.restore_seconds = Some(60.0);
        let older = report(&day(6), &day(1), Passed);
        let failed = report(&day(7), &day(6), Failed);
        let drills = Drills::of([newest, older, failed]);
        assert_eq!(drills.history(DateTime::UNIX_EPOCH).restore_seconds, Some(60.0));
    }
}
