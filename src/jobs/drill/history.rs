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
pub(super) mod tests;
