//! What the drills in the bucket say together.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, Catalog, Entry, Layout},
    clock,
    drill::{self, Record},
    state::{DrillHistory, DrillReport, State},
    store::{Store, StoreError},
    words::{DrillChoice, DrillReason, DrillVerdict},
};

/// So many records are read at a time: two years of monthly drills, two each time.
const PAGE: usize = 48;

/// It is looked back until so many drills are known that have passed or failed: the
/// two of each day for longer than backups are usually kept. What was interrupted, or
/// proved nothing, must not hide what was found before.
const VERDICTS: usize = 128;

/// Verdicts that are known at most: the last page is read whole.
pub const LOOK_BACK: usize = VERDICTS + PAGE;

/// And no further than over so many records, whatever they are.
const MOST: usize = 1536;

/// The newest drills, in short.
#[derive(Clone, Debug, Default)]
pub struct Drills {
    /// `None` stands for a record that says nothing to this version.
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
        let listed = &listed[listed.len().saturating_sub(MOST)..];
        let (mut known, mut unknown) = (BTreeMap::new(), Vec::new());
        for page in listed.rchunks(PAGE) {
            for id in page {
                if let Some(report) = self.settled(*id) {
                    known.insert(*id, report.clone());
                }
            }
            let wanted: Vec<BackupId> =
                page.iter().copied().filter(|id| !known.contains_key(id)).collect();
            let read = drill::read(store, layout, &wanted).await?;
            known.extend(wanted.into_iter().map(|id| (id, None)));
            known.extend(read.records.iter().map(|record| (record.id, Some(record.report()))));
            unknown.extend(read.unknown);
            if known.values().flatten().filter(|report| is_judged(report)).count() >= VERDICTS {
                break;
            }
        }
        self.known = known;
        // Each is read once, and so said once.
        if let Some(warning) = (drill::Read { records: Vec::new(), unknown }).warning() {
            tracing::warn!("{warning}");
        }
        Ok(())
    }

    /// What is known of a drill, where it is not to be read again.
    fn settled(&self, id: BackupId) -> Option<&Option<DrillReport>> {
        let known = self.known.get(&id)?;
        (!known.as_ref().is_some_and(DrillReport::is_open)).then_some(known)
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

    /// What they say together of what the bucket holds.
    #[must_use]
    pub fn history(&self, catalog: &Catalog, now: DateTime<Utc>) -> DrillHistory {
        let of = |verdict: DrillVerdict| self.reports().filter(move |r| r.verdict == verdict);
        let ended = |verdict| of(verdict).map(|report| report.finished).max();
        let passed = || of(DrillVerdict::Passed);
        // The recovery time is that of backups, which are restored in another way.
        let passed_backups = passed().filter(|report| !report.legacy);
        let newest_passed = passed_backups.max_by_key(|report| (&report.backup, &report.id));
        DrillHistory {
            last: self.reports().next_back().cloned(),
            recent: self.reports().rev().cloned().collect(),
            passed: ended(DrillVerdict::Passed),
            failed: ended(DrillVerdict::Failed),
            unproven: ended(DrillVerdict::Unproven),
            proof: self.judged(now).map(|report| report.started).max(),
            covered: self.covered(catalog, now),
            restore_seconds: newest_passed.and_then(|report| report.restore_seconds),
            failure: of(DrillVerdict::Failed)
                .rfind(|failed| !passed().any(|later| makes_good(later, failed)))
                .cloned(),
            in_vain: of(DrillVerdict::Unproven)
                .filter(|report| report.reason != Some(DrillReason::Interrupted))
                .rfind(|vain| {
                    let mut judged = self.reports().filter(|report| is_judged(report));
                    !judged.any(|later| makes_good(later, vain))
                })
                .cloned(),
            left: self
                .reports()
                .filter(|report| report.may_have_left())
                .rfind(|left| {
                    let mut later = self.reports().filter(|report| report.id > left.id);
                    !later.any(|later| later.emptied == Some(true))
                })
                .cloned(),
        }
    }

    /// Those that have passed or failed. One of a clock that was wrong must not
    /// keep others from being made.
    fn judged(&self, now: DateTime<Utc>) -> impl Iterator<Item = &DrillReport> {
        let is_past = move |report: &&DrillReport| report.started <= now + clock::TOLERANCE;
        self.reports().filter(|report| is_judged(report)).filter(is_past)
    }

    /// The last time of which what was the newest backup then has come to a
    /// verdict: a moment before the next one was made. What is legacy proves
    /// nothing of backups.
    fn covered(&self, catalog: &Catalog, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let judged = || self.judged(now).filter(|report| !report.legacy);
        let made = |report: &DrillReport| {
            let id: BackupId = report.backup.parse().ok()?;
            let kinds = [Kind::Scheduled, Kind::Manual];
            let kind = kinds.into_iter().find(|kind| kind.name() == report.kind)?;
            // What is gone had a date that may have lain in the future.
            let gone = id.time().min(report.started);
            Some(catalog.get(kind, id).map_or(gone, Entry::time))
        };
        let newest = judged().filter_map(made).max()?;
        let next = catalog.good().map(Entry::time).filter(|time| *time > newest).min();
        let until = next.map_or(now, |next| next - TimeDelta::seconds(1));
        // Whatever has come to light since: this one was the newest when it began.
        let then = judged().filter(|report| report.choice == DrillChoice::Newest);
        then.map(|report| report.started).max().max(Some(until))
    }

    /// Tells the live state.
    pub fn tell(&self, state: &State, database: &str, catalog: &Catalog) {
        let history = self.history(catalog, state.now());
        state.update(database, |database| database.drills = Some(history));
    }
}

fn is_judged(report: &DrillReport) -> bool {
    report.verdict != DrillVerdict::Unproven
}

/// Whether a drill is later than another one, and of a backup as new or newer. What
/// is legacy proves nothing of backups.
fn makes_good(later: &DrillReport, earlier: &DrillReport) -> bool {
    let is_as_good = !later.legacy || earlier.legacy;
    is_as_good && later.id > earlier.id && later.backup >= earlier.backup
}

#[cfg(test)]
pub(super) mod tests {
    use DrillChoice::{Asked, Newest, Rota};
    use DrillPlace::{Sandbox, Target};
    use DrillVerdict::{Failed, Passed, Unproven};

    use super::*;
    use crate::{catalog, drill::a_record, store::LocalStore, words::DrillPlace};

    #[tokio::test]
    async fn a_failure_is_seen_behind_however_many_that_were_interrupted() {
        let (dir, layout) = (tempfile::tempdir().unwrap(), Layout::new("x/"));
        let store = LocalStore::open(dir.path()).await.unwrap();
        let mut listed: Vec<BackupId> = Vec::new();
        for minute in 0..2 * PAGE {
            let id = format!("2026-12-{:02}T06-{:02}-00Z", 1 + minute / 60, minute % 60);
            let mut record = a_record(&id, if minute == 0 { Failed } else { Unproven });
            if minute > 0 {
                let (reason, message) = (DrillReason::Interrupted, "told to stop".to_owned());
                record.failure = Some(drill::Failure { reason, message });
                record.finished += TimeDelta::seconds(1);
            }
            drill::write(&store, &layout, &record).await.unwrap();
            listed.push(record.id);
        }
        let mut drills = Drills::default();
        drills.refresh(&store, &layout, &listed).await.unwrap();
        let now = time(28) + TimeDelta::days(30);
        let failure = drills.history(&Catalog::default(), now).failure.unwrap();
        assert_eq!(failure.id, listed[0].to_string());
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_hides_no_other() {
        let (dir, layout) = (tempfile::tempdir().unwrap(), Layout::new("x/"));
        let store = LocalStore::open(dir.path()).await.unwrap();
        let mut listed = Vec::new();
        for day in [1, 2] {
            let record = a_record(&self::day(day), Failed);
            drill::write(&store, &layout, &record).await.unwrap();
            listed.push(record.id);
        }
        let key = layout.key(catalog::Key::Drill(listed[0]));
        store.put(&key, bytes::Bytes::from_static(b"{")).await.unwrap();
        let mut drills = Drills::default();
        drills.refresh(&store, &layout, &listed).await.unwrap();
        let seen: Vec<&str> = drills.reports().map(|report| report.id.as_str()).collect();
        assert_eq!(seen, [day(2)]);
    }

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
            place: DrillPlace::Sandbox,
            emptied: None,
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

    fn time(day: u32) -> DateTime<Utc> {
        self::day(day).parse::<BackupId>().unwrap().time()
    }

    fn history(drills: &[(u32, u32, DrillVerdict)]) -> DrillHistory {
        let reports = drills.iter().map(|(id, backup, v)| report(&day(*id), &day(*backup), *v));
        Drills::of(reports).history(&Catalog::default(), time(28))
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
        assert_eq!(seen.proof, Some(time(6)));
        assert_eq!(seen.last.map(|report| report.id), Some(day(7)));
        assert_eq!(seen.unproven, Some(time(7) + TimeDelta::seconds(9)));
        assert_eq!(history(&[(5, 4, Unproven)]).proof, None);
        assert_eq!(history(&[(30, 4, Passed)]).proof, None, "it lies in the future");
    }

    #[test]
    fn what_proved_nothing_stands_until_one_of_a_backup_as_new_comes_to_a_verdict() {
        let in_vain = |drills: &[(u32, u32, DrillVerdict, Option<DrillReason>)]| {
            let reports = drills.iter().map(|(id, backup, verdict, reason)| DrillReport {
                reason: *reason,
                ..report(&day(*id), &day(*backup), *verdict)
            });
            let history = Drills::of(reports).history(&Catalog::default(), time(28));
            history.in_vain.map(|report| report.id)
        };
        let vain = (5, 4, Unproven, Some(DrillReason::NoRoom));
        assert_eq!(in_vain(&[(5, 4, Unproven, Some(DrillReason::Interrupted))]), None);
        assert_eq!(in_vain(&[vain]), Some(day(5)));
        // The rota's older one, in the same slot.
        assert_eq!(in_vain(&[vain, (6, 1, Passed, None)]), Some(day(5)));
        assert_eq!(in_vain(&[(3, 4, Passed, None), vain]), Some(day(5)), "it was before");
        assert_eq!(in_vain(&[vain, (6, 4, Unproven, Some(DrillReason::Timeout))]), Some(day(6)));
        assert_eq!(
            in_vain(&[vain, (6, 4, Unproven, Some(DrillReason::Interrupted))]),
            Some(day(5))
        );
        for verdict in [Passed, Failed] {
            assert_eq!(in_vain(&[vain, (6, 4, verdict, None)]), None);
            assert_eq!(in_vain(&[vain, (6, 1, Passed, None), (7, 5, verdict, None)]), None);
        }
    }

    #[test]
    fn what_lies_in_the_settings_database_is_seen_until_a_later_drill_has_emptied_it() {
        let left = |drills: &[(u32, DrillPlace, Option<bool>, bool)]| {
            let reports = drills.iter().map(|(id, place, emptied, is_open)| {
                let ended = report(&day(*id), &day(1), Unproven);
                let finished = if *is_open { ended.started } else { ended.finished };
                DrillReport { place: *place, emptied: *emptied, finished, ..ended }
            });
            let history = Drills::of(reports).history(&Catalog::default(), time(28));
            history.left.map(|report| report.id)
        };
        let killed = (5, Target, None, true);
        let hung = (5, Target, Some(false), false);
        for first in [killed, hung] {
            assert_eq!(left(&[first]), Some(day(5)));
            assert_eq!(left(&[first, (6, Target, Some(true), false)]), None);
            assert_eq!(left(&[(4, Target, Some(true), false), first]), Some(day(5)));
            // One that was refused, and one that was elsewhere.
            assert_eq!(left(&[first, (6, Target, None, false)]), Some(day(5)));
            assert_eq!(left(&[first, (6, Sandbox, None, false)]), Some(day(5)));
            assert_eq!(left(&[first, (6, Target, Some(false), false)]), Some(day(6)));
        }
        assert_eq!(left(&[(5, Sandbox, None, true)]), None, "the next one clears it away");
        assert_eq!(left(&[(5, Target, None, false), (6, Target, Some(true), false)]), None);
    }

    #[test]
    fn what_was_the_newest_is_covered_until_the_next_one_was_made() {
        let backups = |days: &[u32]| {
            let mut catalog = Catalog::default();
            for day in days {
                let (id, kind) = (BackupId::at(time(*day)), Kind::Scheduled);
                let (state, last_modified) = (catalog::State::Good, time(*day));
                let (archive_bytes, verified) = (1, None);
                catalog.add(Entry { id, kind, state, archive_bytes, last_modified, verified });
            }
            catalog
        };
        let covered = |days: &[u32], drills: &[(u32, u32, DrillVerdict, DrillChoice)]| {
            let reports = drills.iter().map(|(id, backup, verdict, choice)| DrillReport {
                choice: *choice,
                ..report(&day(*id), &day(*backup), *verdict)
            });
            Drills::of(reports).history(&backups(days), time(28)).covered
        };
        let before = |day| Some(time(day) - TimeDelta::seconds(1));
        let all = [2, 4, 6, 8];
        assert_eq!(covered(&all, &[]), None);
        assert_eq!(covered(&all, &[(9, 8, Unproven, Newest)]), None);
        // An old one says nothing of a newer one, whoever chose it and whenever.
        for choice in [Rota, Asked] {
            assert_eq!(covered(&all, &[(9, 2, Passed, choice)]), before(4));
            assert_eq!(covered(&all, &[(9, 6, Failed, choice), (10, 2, Passed, Rota)]), before(8));
            assert_eq!(covered(&all, &[(9, 8, Passed, choice)]), Some(time(28)), "it still is");
        }
        assert_eq!(covered(&all, &[(9, 8, Unproven, Newest), (10, 6, Passed, Rota)]), before(8));
        // The newest of its time, though another one began before it.
        assert_eq!(covered(&all, &[(9, 6, Passed, Newest)]), Some(time(9)));
        // One that is gone, and one of a wrong clock.
        assert_eq!(covered(&[6, 8], &[(9, 4, Passed, Asked)]), before(6));
        assert_eq!(covered(&[6, 8], &[(7, 25, Passed, Asked)]), before(8));
        let legacy = DrillReport { legacy: true, ..report(&day(9), &day(8), Passed) };
        assert_eq!(Drills::of([legacy]).history(&backups(&all), time(28)).covered, None);
    }

    #[test]
    fn a_legacy_archive_makes_nothing_good_but_another_one() {
        let legacy = |drill: u32, backup: u32, verdict| DrillReport {
            legacy: true,
            ..report(&day(drill), &day(backup), verdict)
        };
        let seen =
            |reports: [DrillReport; 2]| Drills::of(reports).history(&Catalog::default(), time(28));
        let failed = report(&day(5), &day(4), Failed);
        let vain =
            DrillReport { reason: Some(DrillReason::NoRoom), ..report(&day(5), &day(4), Unproven) };
        let history = seen([failed.clone(), legacy(6, 5, Passed)]);
        assert_eq!(history.failure.map(|report| report.id), Some(day(5)));
        assert_eq!(history.restore_seconds, None, "it says nothing of a backup's restore");
        assert!(seen([vain, legacy(6, 5, Passed)]).in_vain.is_some());
        assert!(seen([legacy(5, 4, Failed), legacy(6, 5, Passed)]).failure.is_none());
        let passed = report(&day(6), &day(5), Passed);
        assert!(seen([legacy(5, 4, Failed), passed]).failure.is_none());
    }

    #[test]
    fn the_recovery_time_is_that_of_the_newest_backup_and_not_of_an_old_one() {
        let mut newest = report(&day(5), &day(4), Passed);
        newest.restore_seconds = Some(60.0);
        let older = report(&day(6), &day(1), Passed);
        let failed = report(&day(7), &day(6), Failed);
        let drills = Drills::of([newest, older, failed]);
        let seen = drills.history(&Catalog::default(), DateTime::UNIX_EPOCH);
        assert_eq!(seen.restore_seconds, Some(60.0));
    }
}
