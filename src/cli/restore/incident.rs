//! A restore in the log of an incident.
//!
//! That a log cannot be written is told, and stops no restore that is under way.

use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::Value;

use super::super::{
    Misused,
    account::account,
    incident::{find, journal, warn},
    which::Which,
};
use crate::{
    app,
    catalog::{BackupId, Catalog, Entry, Query},
    clock::Clock,
    recovery::{Journal, Proof, Restored, What, command_line},
    restore::Report,
    settings::Settings,
};

/// The log that a restore is written into.
pub(super) struct Log {
    journal: Journal,
    id: BackupId,
    /// The backup that the incident is to be restored from.
    backup: Option<BackupId>,
    author: String,
    began: Instant,
}

impl Log {
    /// The log of an incident that is there.
    pub(super) async fn open(settings: &Settings, which: &Which, wanted: &str) -> Result<Self> {
        let database = which.database(settings)?;
        let store = app::store_to_read(&settings.store).await.map_err(|error| format!("{error:#}"));
        let journal = journal(settings, database, store);
        let found = find(&journal, &database.name, Some(wanted)).await?;
        let looked = found.incident.looked();
        Ok(Self {
            journal,
            id: found.id,
            backup: looked.and_then(|looked| looked.backup.as_ref()).map(|backup| backup.id),
            author: account(),
            began: Instant::now(),
        })
    }

    /// The backup that the incident names.
    pub(super) fn backup<'c>(&self, catalog: &'c Catalog) -> Result<&'c Entry> {
        let Some(backup) = self.backup else {
            bail!(Misused(format!(
                "incident {} names no backup; name one: `reliquary restore ID --incident {}`",
                self.id, self.id
            )));
        };
        Ok(Query::Prefix(None, backup.to_string()).find(catalog)?)
    }

    /// Writes down that it begins.
    pub(super) async fn began(&self) -> Result<()> {
        let words: Vec<String> =
            std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let command = self.journal.clean(&command_line(&words));
        self.tell(What::RestoreBegan { command }).await.map_err(Into::into)
    }

    /// Writes down how it ended.
    pub(super) async fn ended(&self, mut restored: Restored) {
        restored.error = restored.error.map(|error| self.journal.clean_error(&error));
        if restored.seconds <= 0.0 {
            restored.seconds = self.began.elapsed().as_secs_f64();
        }
        if let Err(error) = self.tell(What::RestoreEnded(restored)).await {
            eprintln!("warning: how it ended is not in the log of incident {}: {error}", self.id);
        }
    }

    async fn tell(&self, what: What) -> Result<(), crate::recovery::JournalError> {
        let now = Clock::system().now();
        let kept = self.journal.append(self.id, &self.author, now, vec![what]).await?;
        warn(&kept);
        Ok(())
    }
}

/// What is told of a restore that came to its end.
pub(super) fn of_report(report: &Report) -> Restored {
    let (different, lost) = (report.different.len() as u64, report.lost().count() as u64);
    Restored {
        outcome: if report.is_whole() { "ok" } else { "failed" }.to_owned(),
        backup: Some(report.backup.clone()),
        error: None,
        seconds: report.seconds,
        target: Some(format!(
            "database {} on PostgreSQL {}",
            report.database, report.server_version
        )),
        proof: Some(Proof {
            proven: report.proven,
            tables: report.tables_compared,
            rows: report.rows_compared,
            different,
            lost,
        }),
    }
}

/// What is told of one that did not.
pub(super) fn of_document(document: &Value) -> Restored {
    let text = |key: &str| document[key].as_str().map(str::to_owned);
    Restored {
        outcome: text("outcome").unwrap_or_else(|| "failed".to_owned()),
        backup: text("backup"),
        error: text("error"),
        seconds: 0.0,
        target: None,
        proof: None,
    }
}
