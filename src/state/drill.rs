//! What drills came to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::words::{DrillChoice, DrillPlace, DrillReason, DrillVerdict};

/// Giving back what a drill was given, and writing down what it came to, may take so
/// long after its time is up.
const AFTERWARDS: Duration = Duration::from_mins(15);

/// How long drills may take, one after the other, each of which has its time.
#[must_use]
pub fn longest(drills: usize, timeout: Duration) -> Duration {
    let drills = u32::try_from(drills).unwrap_or(u32::MAX);
    timeout.saturating_add(AFTERWARDS).saturating_mul(drills)
}

/// One drill in short. What it found, table by table and question by question,
/// stands in its record and not here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// Its id: when it began, and the name of its record.
    pub id: String,
    /// The id of the backup.
    pub backup: String,
    /// Which place the backup stands in: `scheduled` or `manual`.
    pub kind: String,
    /// Whether the backup is a legacy archive.
    pub legacy: bool,
    /// Why it was this backup.
    pub choice: DrillChoice,
    /// Where it was to be restored.
    pub place: DrillPlace,
    /// Whether the database of the settings was emptied again; `None` where nothing
    /// was put there, or where it has not come to that.
    pub emptied: Option<bool>,
    /// When it began.
    #[serde(with = "crate::rfc3339")]
    pub started: DateTime<Utc>,
    /// When it ended; when it began where it has not.
    #[serde(with = "crate::rfc3339")]
    pub finished: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How long the restore itself took, in seconds.
    pub restore_seconds: Option<f64>,
    /// What it came to.
    pub verdict: DrillVerdict,
    /// Why it did not pass.
    pub reason: Option<DrillReason>,
    /// The same in a few words; no row of the data, no host and no user.
    pub error: Option<String>,
    /// What there was nothing to look at with, `pg_amcheck` say.
    #[serde(default)]
    pub not_run: Vec<String>,
    /// How long each stage took.
    pub stages: Vec<StageSeconds>,
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// The stage; those of the restore are `restore.data` and so on.
    pub stage: String,
    /// Its time, in seconds.
    pub seconds: f64,
}

/// What the drills of a database say together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrillHistory {
    /// The newest one.
    pub last: Option<DrillReport>,
    /// When one last ended that passed.
    #[serde(with = "crate::rfc3339::option")]
    pub passed: Option<DateTime<Utc>>,
    /// When one last ended that failed.
    #[serde(with = "crate::rfc3339::option")]
    pub failed: Option<DateTime<Utc>>,
    /// When one last ended that proved nothing.
    #[serde(with = "crate::rfc3339::option")]
    pub unproven: Option<DateTime<Utc>>,
    /// When the newest began that passed or failed.
    #[serde(with = "crate::rfc3339::option")]
    pub proof: Option<DateTime<Utc>>,
    /// The last time of which the backup that was the newest then has passed or
    /// failed, whenever that was.
    #[serde(with = "crate::rfc3339::option")]
    pub covered: Option<DateTime<Utc>>,
    /// The measured recovery time: how long the newest backup that passed took
    /// to restore, in seconds.
    pub restore_seconds: Option<f64>,
    /// The newest failure that no later drill, of a backup as new or newer, has
    /// made good.
    pub failure: Option<DrillReport>,
    /// The newest that proved nothing, for a reason that does not pass by itself,
    /// and that nobody has made good: no later one of a backup as new or newer has
    /// passed or failed.
    pub in_vain: Option<DrillReport>,
    /// The newest that has left what it restored in the database of the settings, or
    /// may have, since no later one has emptied that.
    pub left: Option<DrillReport>,
    /// The last ones, newest first.
    #[serde(skip)]
    pub recent: Vec<DrillReport>,
}

impl DrillHistory {
    /// Whether a backup was restored and everything agreed, by the newest of
    /// its drills that came to a verdict.
    #[must_use]
    pub fn proves(&self, backup: &str) -> bool {
        let mut of_it = self.recent.iter().filter(|drill| drill.backup == backup);
        let newest = of_it.find(|drill| drill.verdict.is_of_the_backup(drill.reason));
        newest.is_some_and(|drill| drill.verdict == DrillVerdict::Passed)
    }

    /// When a drill last ended so.
    #[must_use]
    pub fn last_of(&self, verdict: DrillVerdict) -> Option<DateTime<Utc>> {
        match verdict {
            DrillVerdict::Passed => self.passed,
            DrillVerdict::Failed => self.failed,
            DrillVerdict::Unproven => self.unproven,
        }
    }
}

impl DrillReport {
    /// Whether it has begun and not ended, as far as its record knows: it is
    /// under way, or it was killed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.reason == Some(DrillReason::Interrupted) && self.finished == self.started
    }

    /// Whether what it restored is still in the database of the settings, or may be,
    /// unless it is under way yet.
    #[must_use]
    pub fn may_have_left(&self) -> bool {
        let is_not_known = self.emptied.is_none() && self.is_open();
        self.place == DrillPlace::Target && (self.emptied == Some(false) || is_not_known)
    }
}
