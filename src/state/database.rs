//! What is known about one database, and how the end of a job changes it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    AuditReport, BackupSize, DrillHistory, FailedRuns, Hours, Made, Measure, NewBackup, Outlook,
    Progress, RunReport, Running, Stored, SweepReport,
};
use crate::{
    catalog::TwoSources,
    settings::Schedule,
    words::{JobKind, Outcome, Review},
};

/// What is known about one database.
#[derive(Clone, Debug)]
pub struct DatabaseState {
    /// Its name in the settings.
    pub name: String,
    /// Where its backups stand in the store.
    pub prefix: String,
    /// Its cron line, as it was written.
    pub schedule: String,
    /// Health turns to `stale` when the last good backup is older than this.
    pub stale_after: Duration,
    /// The time of the newest good backup, which is the time in its id. One that is
    /// known to be another database's is none.
    pub last_success: Option<DateTime<Utc>>,
    /// The newest good backup that is dated in the future, where one is.
    pub ahead: Option<DateTime<Utc>>,
    /// When the last run began that was not skipped.
    pub last_attempt: Option<DateTime<Utc>>,
    /// How the last run ended.
    pub last_run: Option<RunReport>,
    /// How the last run that failed did so; stays after a success.
    pub last_failure: Option<RunReport>,
    /// What runs now.
    pub running: Option<Running>,
    /// What goes on meanwhile, where a backup is made beside it.
    pub aside: Option<Running>,
    /// When the next scheduled backup is due.
    pub next_run: Option<DateTime<Utc>>,
    /// When the next scheduled verify is due.
    pub next_verify: Option<DateTime<Utc>>,
    /// How the last verify of this process ended.
    pub last_verify: Option<RunReport>,
    /// When the daemon verifies; `None` where it does not.
    pub verify_schedule: Option<Schedule>,
    /// Backups that could not be read when it was last their turn to be verified.
    pub unread: u64,
    /// When the next scheduled sweep is due.
    pub next_sweep: Option<DateTime<Utc>>,
    /// What the last sweep of this process came to.
    pub last_sweep: Option<SweepReport>,
    /// When the next scheduled audit is due.
    pub next_audit: Option<DateTime<Utc>>,
    /// What the last audit of this process came to.
    pub last_audit: Option<AuditReport>,
    /// When the next scheduled drill is due.
    pub next_drill: Option<DateTime<Utc>>,
    /// When the daemon drills; `None` where it does not.
    pub drill_schedule: Option<Schedule>,
    /// How long one drill may take.
    pub drill_timeout: Duration,
    /// How many the daemon does one after the other.
    pub drills_in_a_row: usize,
    /// What the drills in the bucket say; `None` before they were read.
    pub drills: Option<DrillHistory>,
    /// When the last sweep of this process began that came to its end.
    pub last_clean_sweep: Option<DateTime<Utc>>,
    /// What the store holds; `None` before the first listing that succeeded.
    pub catalog: Option<CatalogTotals>,
    /// Why the last listing failed; `None` when it did not.
    pub catalog_error: Option<String>,
    /// Another database whose backups come under this prefix, and this one.
    pub two_sources: Option<TwoSources>,
    /// Whether the pointer names the newest backup; `None` when it was not looked at.
    pub pointer_ok: Option<bool>,
    /// Failed runs since the last one that succeeded.
    pub consecutive_failures: u32,
    /// Whether every attempt of the last slot failed.
    pub giving_up: bool,
    /// The measures of the newest backup.
    pub last_backup: Option<BackupSize>,
    /// When people last reviewed what, by the last listing.
    pub reviews: BTreeMap<Review, DateTime<Utc>>,
    /// When a backup is due; `None` where that is not told.
    pub backup_schedule: Option<Schedule>,
    /// What stands in the store of the last days.
    pub stored: Hours<Stored>,
    /// The newest good backups, newest first: one more than drills are known of, so
    /// that they can not all have failed one.
    pub newest: Arc<[Stored]>,
    /// What backups of the last days measured, as far as their manifests were read.
    pub measures: Hours<Measure>,
    /// What the last backups of this process measured, each of them.
    pub made: Made,
    /// Runs of the last days that failed, as far as this process has seen them.
    pub failures: Hours<FailedRuns>,
    /// What retention says; `None` before the first listing that succeeded.
    pub outlook: Option<Arc<Outlook>>,
}

/// What a listing found under one database's prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CatalogTotals {
    /// Scheduled backups.
    pub scheduled: u64,
    /// Manual backups.
    pub manual: u64,
    /// Legacy archives.
    pub legacy: u64,
    /// Backups and legacy archives in which verify found damage; they count for nothing.
    #[serde(default)]
    pub damaged: u64,
    /// Good backups that verify has read back whole.
    #[serde(default)]
    pub verified: u64,
    /// Unfinished uploads, and archives that were never committed.
    pub debris: u64,
    /// Keys that are not ours.
    pub foreign: u64,
    /// Bytes of all archives, legacy ones included.
    pub bytes: u64,
    /// The time of the oldest backup.
    #[serde(with = "crate::rfc3339::option")]
    pub oldest: Option<DateTime<Utc>>,
    /// The time of the newest backup.
    #[serde(with = "crate::rfc3339::option")]
    pub newest: Option<DateTime<Utc>>,
    /// When verify last came to a verdict, whichever.
    #[serde(default, with = "crate::rfc3339::option")]
    pub last_verify: Option<DateTime<Utc>>,
}

impl DatabaseState {
    /// A database of which only the settings are known yet.
    pub fn new(
        name: impl Into<String>,
        prefix: impl Into<String>,
        schedule: impl Into<String>,
        stale_after: Duration,
    ) -> Self {
        Self {
            name: name.into(),
            prefix: prefix.into(),
            schedule: schedule.into(),
            stale_after,
            last_success: None,
            ahead: None,
            last_attempt: None,
            last_run: None,
            last_failure: None,
            running: None,
            aside: None,
            next_run: None,
            next_verify: None,
            last_verify: None,
            verify_schedule: None,
            unread: 0,
            next_sweep: None,
            last_sweep: None,
            last_clean_sweep: None,
            next_audit: None,
            last_audit: None,
            next_drill: None,
            drill_schedule: None,
            drill_timeout: Duration::ZERO,
            drills_in_a_row: 1,
            drills: None,
            catalog: None,
            catalog_error: None,
            two_sources: None,
            pointer_ok: None,
            consecutive_failures: 0,
            giving_up: false,
            last_backup: None,
            reviews: BTreeMap::new(),
            backup_schedule: None,
            stored: Hours::default(),
            newest: Arc::default(),
            measures: Hours::default(),
            made: Made::default(),
            failures: Hours::default(),
            outlook: None,
        }
    }

    /// Notes that a run begins, and returns the progress that its threads write to.
    pub fn began(&mut self, job: JobKind, now: DateTime<Utc>) -> Progress {
        let progress = Progress::default();
        self.running = Some(Running { job, since: now, progress: progress.clone() });
        progress
    }

    /// Remembers what a backup measured, as long as it is of the last days.
    pub fn measured(&mut self, time: DateTime<Utc>, size: BackupSize) {
        let newest = |known: Option<Measure>| match known {
            Some(known) if known.time > time => known,
            _ => Measure { time, size },
        };
        self.measures.update(time, newest);
    }

    /// Lets a backup be made beside what runs.
    pub fn step_aside(&mut self) {
        self.aside = self.running.take();
    }

    /// The backup is made; what ran beside it still does.
    pub fn step_back(&mut self) {
        self.running = self.aside.take();
    }

    /// A job's run, while it goes on.
    #[must_use]
    pub fn run_of(&self, job: JobKind) -> Option<&Running> {
        self.running.iter().chain(&self.aside).find(|running| running.job == job)
    }

    /// Notes how a verify ended. It says nothing of how backups are made.
    pub fn verify_ended(&mut self, report: RunReport) {
        self.running = None;
        self.last_verify = Some(report);
    }

    /// Notes what an audit came to. It says nothing of how backups are made.
    pub fn audit_ended(&mut self, report: AuditReport) {
        self.running = None;
        self.last_audit = Some(report);
    }

    /// Notes how a sweep ended. One that gave way has not: it goes on, and what
    /// was known of the last one stays known.
    pub fn sweep_ended(&mut self, report: SweepReport) {
        self.running = None;
        match report.run.outcome {
            Outcome::Cancelled | Outcome::Skipped => return,
            Outcome::Ok => self.last_clean_sweep = Some(report.run.started),
            Outcome::Failed => {}
        }
        self.last_sweep = Some(report);
    }

    /// Notes how a backup ended. `last_attempt_of_slot` says that no further
    /// attempt will be made before the next slot; `backup` is what the run made.
    ///
    /// A skipped or cancelled run proves nothing either way, so it neither
    /// counts as a failure nor clears the ones before it.
    pub fn ended(
        &mut self,
        report: RunReport,
        last_attempt_of_slot: bool,
        backup: Option<NewBackup>,
    ) {
        self.running = None;
        if report.outcome != Outcome::Skipped {
            self.last_attempt = Some(report.started);
        }
        match report.outcome {
            Outcome::Ok => {
                self.consecutive_failures = 0;
                self.giving_up = false;
            }
            Outcome::Failed => {
                self.consecutive_failures = self.consecutive_failures.saturating_add(1);
                self.giving_up |= last_attempt_of_slot;
                self.last_failure = Some(report.clone());
                self.failures.update(report.started, |known| FailedRuns {
                    count: known.map_or(0, |known| known.count).saturating_add(1),
                    stage: report.stage,
                    error: report.error.clone(),
                });
            }
            Outcome::Skipped | Outcome::Cancelled => {}
        }
        if let Some(backup) = backup {
            self.last_success = self.last_success.max(Some(backup.time));
            self.last_backup = Some(backup.size);
            self.measured(backup.time, backup.size);
            self.made.add(Measure { time: backup.time, size: backup.size });
        }
        self.last_run = Some(report);
    }
}
