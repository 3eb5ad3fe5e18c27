//! What is written down of a drill.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    archive::manifest::Kind,
    catalog::BackupId,
    restore::{Difference, Skipped},
    state::{DrillReport, StageSeconds},
    words::{DrillChoice, DrillPlace, DrillReason, DrillVerdict, Looked},
};

/// The format that this version writes and reads.
pub const FORMAT: &str = "reliquary-drill/1";

/// How long a failure in short may be, in characters.
const SHORT: usize = 300;

/// One drill, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`]
    pub format: String,
    /// Its id: when it began.
    pub id: BackupId,
    /// Tells what it has written from what another drill of the same second has.
    #[serde(default)]
    pub token: String,
    /// Name of the database in the configuration.
    pub database: String,
    /// Who ran it.
    pub operator: String,
    /// Why it took the backup that it took.
    pub choice: DrillChoice,
    /// Reliquary's version.
    pub version: String,
    /// When it began.
    #[serde(with = "crate::rfc3339")]
    pub started: DateTime<Utc>,
    /// When it ended.
    #[serde(with = "crate::rfc3339")]
    pub finished: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How long the restore itself took, in seconds: the measured recovery time.
    pub restore_seconds: Option<f64>,
    /// What it came to.
    pub verdict: DrillVerdict,
    /// Why it did not pass.
    pub failure: Option<Failure>,
    /// The backup.
    pub backup: BackupFacts,
    /// Where it is to be restored: that is known before anything is there.
    #[serde(default = "sandbox")]
    pub place: DrillPlace,
    /// Whether the database of the settings was emptied again; `None` where nothing
    /// was put there, or where it has not come to that.
    #[serde(default)]
    pub emptied: Option<bool>,
    /// Where it was restored.
    pub sandbox: Option<PlaceFacts>,
    /// How long each stage took.
    pub stages: Vec<StageSeconds>,
    /// Tables whose rows were counted and compared.
    pub tables_compared: u64,
    /// Rows that they hold.
    pub rows_compared: u64,
    /// Tables with other rows than the backup says.
    pub different: Vec<Difference>,
    /// Everything else that was compared.
    pub comparisons: Vec<Comparison>,
    /// The questions, and what was answered.
    pub checks: Vec<Answer>,
    /// What stood in for the platform's own; never counted as data.
    pub stand_ins: Vec<String>,
    /// Extensions that the backup wants and this machine does not have.
    pub missing_extensions: Vec<String>,
    /// Those that it has in an older version than the source had; with both versions.
    #[serde(default)]
    pub older_extensions: Vec<String>,
    /// What was not restored.
    pub skipped: Vec<Skipped>,
    /// What should be known.
    pub warnings: Vec<String>,
}

fn sandbox() -> DrillPlace {
    DrillPlace::Sandbox
}

/// Why a drill did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub reason: DrillReason,
    /// What happened.
    pub message: String,
}

/// The backup that was drilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFacts {
    /// Its id.
    pub id: BackupId,
    /// Which place it stands in.
    pub kind: Kind,
    /// Whether it is a legacy archive, which has no manifest.
    pub legacy: bool,
    /// Size of its archive, in bytes.
    pub archive_bytes: u64,
    /// SHA-256 of its archive, where it is known.
    pub sha256: Option<String>,
    /// Rows by its manifest.
    pub rows: Option<u64>,
    /// Version of the server that was dumped, where it is known.
    pub source_version: Option<String>,
}

/// Where it was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceFacts {
    /// A sandbox, or the database of the settings.
    pub place: DrillPlace,
    /// The server's version.
    pub server_version: String,
    /// `none`, `the machine's` where this machine could not keep it off, or `its
    /// own` where it is no sandbox.
    pub network: String,
}

/// Something that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What should hold.
    pub name: String,
    /// Whether it does.
    pub outcome: Looked,
    /// What was found.
    pub detail: String,
}

impl Comparison {
    pub(super) fn new(name: &str, outcome: Looked, detail: String) -> Self {
        Self { name: name.to_owned(), outcome, detail }
    }
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the question is called.
    pub name: String,
    /// The query.
    pub sql: String,
    /// What was expected.
    pub expect: String,
    /// Whether that was found.
    pub outcome: Looked,
    /// What was found.
    pub value: Option<String>,
    /// What is to be said of it; empty where there is nothing.
    pub detail: String,
}

/// The drill that a backup's is compared with: of those that passed, the newest of
/// the newest backup that is older than it, and where there is none, one of that
/// very backup. What is newer says nothing of what was in an older one.
#[must_use]
pub fn passed_before(records: &[Record], backup: BackupId) -> Option<&Record> {
    let is_before =
        |record: &&Record| record.verdict == DrillVerdict::Passed && record.backup.id <= backup;
    let passed = records.iter().filter(is_before);
    passed.max_by_key(|record| (record.backup.id < backup, record.backup.id, record.id))
}

impl Record {
    pub(super) fn json(&self) -> Bytes {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        Bytes::from(text)
    }

    /// It in short.
    #[must_use]
    pub fn report(&self) -> DrillReport {
        DrillReport {
            id: self.id.to_string(),
            backup: self.backup.id.to_string(),
            kind: self.backup.kind.name().to_owned(),
            legacy: self.backup.legacy,
            choice: self.choice,
            place: self.place,
            emptied: self.emptied,
            started: self.started,
            finished: self.finished,
            seconds: self.seconds,
            restore_seconds: self.restore_seconds,
            verdict: self.verdict,
            reason: self.failure.as_ref().map(|failure| failure.reason),
            error: self.failure.as_ref().map(|failure| self.in_short(failure)),
            not_run: self.not_run().map(str::to_owned).collect(),
            stages: self.stages.clone(),
        }
    }

    /// A failure without what a query returned, nor what a server adds of the row
    /// that it did not like.
    fn in_short(&self, failure: &Failure) -> String {
        let comparisons = self.comparisons.iter().map(|c| (c.outcome, &c.name));
        let checks = self.checks.iter().map(|c| (c.outcome, &c.name));
        let failed: Vec<&str> = comparisons
            .chain(checks)
            .filter(|(outcome, _)| *outcome == Looked::Failed)
            .map(|(_, name)| name.as_str())
            .collect();
        let text = match failure.reason {
            DrillReason::CheckFailed => format!("failed: {}", failed.join("; ")),
            _ => failure.message.lines().next().unwrap_or_default().to_owned(),
        };
        match text.char_indices().nth(SHORT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// What there was nothing to look at with, by name.
    pub fn not_run(&self) -> impl Iterator<Item = &str> {
        let not_run = self.comparisons.iter().filter(|c| c.outcome == Looked::NotRun);
        not_run.map(|comparison| comparison.name.as_str())
    }

    /// The value of a question, where it was answered.
    #[must_use]
    pub fn value_of(&self, question: &str) -> Option<&str> {
        let answer = self.checks.iter().find(|answer| answer.name == question)?;
        answer.value.as_deref()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(id: &str, verdict: DrillVerdict) -> Record {
        let id: BackupId = id.parse().unwrap();
        Record {
            format: FORMAT.to_owned(),
            id,
            token: format!("{verdict} {id}"),
            database: "main".to_owned(),
            operator: "ops".to_owned(),
            choice: DrillChoice::Asked,
            version: "0.1.0".to_owned(),
            started: id.time(),
            finished: id.time(),
            seconds: 1.0,
            restore_seconds: None,
            verdict,
            failure: None,
            backup: BackupFacts {
                id: "2026-11-23T14-00-00Z".parse().unwrap(),
                kind: Kind::Scheduled,
                legacy: false,
                archive_bytes: 1,
                sha256: None,
                rows: Some(7),
                source_version: None,
            },
            place: DrillPlace::Sandbox,
            emptied: None,
            sandbox: None,
            stages: Vec::new(),
            tables_compared: 0,
            rows_compared: 0,
            different: Vec::new(),
            comparisons: Vec::new(),
            checks: Vec::new(),
            stand_ins: Vec::new(),
            missing_extensions: Vec::new(),
            older_extensions: Vec::new(),
            skipped: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_backup_is_compared_with_the_one_before_it_whatever_was_drilled_last() {
        use DrillVerdict::{Failed, Passed, Unproven};
        let drill = |day: u32, backup: u32, verdict| {
            let mut record = record(&format!("2026-12-{day:02}T06-00-00Z"), verdict);
            record.backup.id = format!("2026-11-{backup:02}T14-00-00Z").parse().unwrap();
            record
        };
        let before = |records: &[Record], backup: u32| {
            let backup = format!("2026-11-{backup:02}T14-00-00Z").parse().unwrap();
            passed_before(records, backup).map(|record| record.id.to_string()[8..10].to_owned())
        };
        let day = |day: &str| Some(day.to_owned());
        let records = [drill(1, 20, Passed), drill(2, 10, Passed), drill(3, 15, Failed)];
        assert_eq!(
            before(&records, 25),
            day("01"),
            "not the last drill, which was of an older one"
        );
        assert_eq!(before(&records, 15), day("02"), "and not the newest backup's");
        assert_eq!(before(&records, 9), None, "nothing is older: it is the first");
        // A second drill of one is compared as its first one was, or with that.
        assert_eq!(before(&records, 20), day("02"));
        assert_eq!(before(&records, 10), day("02"));
        assert_eq!(before(&[drill(1, 10, Unproven), drill(2, 10, Failed)], 20), None);
        let twice = [drill(1, 10, Passed), drill(2, 10, Passed)];
        assert_eq!(before(&twice, 20), day("02"));
    }
}
