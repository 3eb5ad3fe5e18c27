//! A restore in the log of an incident.
//!
//! That a log cannot be written is told, and stops no restore that is under way.

use std::{mem, time::Instant};

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::Value;

use super::super::{
    Misused,
    account::account,
    incident::{differs, find, journal, named, warn},
    which::Which,
};
use crate::{
    app,
    catalog::{BackupId, Catalog, Entry, EntryId, Layout, Query},
    clock::Clock,
    postgres::Section,
    recovery::{self, Drawn, Found, Journal, Proof, Restored, What, command_line},
    restore::{Options, Report},
    settings::Settings,
    store::Store,
};

/// The log that a restore is written into.
pub(super) struct Log {
    journal: Journal,
    id: BackupId,
    /// The backup that the incident is to be restored from.
    backup: Option<Found>,
    failed_at: Option<DateTime<Utc>>,
    /// What alone is wanted of it.
    only: Vec<String>,
    author: String,
    /// What names the database in a command.
    named: String,
    /// The entry with which it begins.
    entry: EntryId,
    /// That entry, as long as it is written down nowhere.
    unwritten: Drawn,
    is_begun: bool,
    began: Instant,
}

impl Log {
    /// The log of an incident that is there, in which none of these secrets is
    /// to stand. Nothing is written into it yet.
    pub(super) async fn open(
        settings: &Settings,
        which: &Which,
        wanted: &str,
        options: &Options,
        secrets: Vec<SecretString>,
    ) -> Result<Self> {
        let database = which.database(settings)?;
        let store = app::store_of_an_incident(&settings.store).await;
        let journal = journal(settings, database, store).hiding(secrets);
        let found = find(&journal, &database.name, Some(wanted)).await?;
        let words: Vec<String> =
            std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let command = journal.clean(&command_line(&words));
        let (author, now) = (account(), Clock::system().now());
        let entry = EntryId::new(now, rand::random());
        let unwritten = journal.draw(found.id, &author, entry, What::RestoreBegan { command });
        let looked = found.incident.looked();
        Ok(Self {
            backup: looked.and_then(|looked| looked.backup.clone()),
            failed_at: found.incident.opened().map(|opened| opened.failed_at),
            only: only(options),
            named: named(settings, database),
            id: found.id,
            journal,
            author,
            entry,
            unwritten,
            is_begun: false,
            began: Instant::now(),
        })
    }

    /// The backup that the incident names, which the catalog must name as well:
    /// more people may write a log than a backup.
    pub(super) async fn backup<'c>(
        &self,
        store: &dyn Store,
        layout: &Layout,
        catalog: &'c Catalog,
    ) -> Result<&'c Entry> {
        let (Some(backup), Some(failed_at)) = (&self.backup, self.failed_at) else {
            bail!(Misused(format!(
                "incident {} names no backup; name one: `reliquary restore ID{} --incident {}`",
                self.id, self.named, self.id
            )));
        };
        let newest = recovery::newest_before(store, layout, catalog, failed_at).await?;
        if let Some(differs) = differs(backup, newest) {
            bail!("incident {}: {differs}: `reliquary restore ID{}`", self.id, self.named);
        }
        Ok(Query::Prefix(Some(backup.kind), backup.id.to_string()).find(catalog)?)
    }

    /// Writes down that it begins.
    pub(super) async fn began(&mut self) {
        self.is_begun = true;
        let entries = mem::take(&mut self.unwritten);
        self.keep(entries, "that it began").await;
    }

    /// Writes down how it ended. What was typed wrong is no restore.
    pub(super) async fn ended(mut self, mut restored: Restored) {
        if !self.is_begun && restored.outcome == "misused" {
            return;
        }
        restored.error = restored.error.map(|error| self.journal.clean_error(&error));
        restored.only = mem::take(&mut self.only);
        if restored.seconds <= 0.0 {
            restored.seconds = self.began.elapsed().as_secs_f64();
        }
        let entry = EntryId::new(Clock::system().now(), rand::random());
        let what = What::RestoreEnded { began: self.entry, restored };
        let mut entries = mem::take(&mut self.unwritten);
        entries.add(self.journal.draw(self.id, &self.author, entry, what));
        self.keep(entries, "how it ended").await;
    }

    async fn keep(&mut self, entries: Drawn, what: &str) {
        let now = Clock::system().now();
        let kept = self.journal.keep(self.id, &self.author, now, entries.clone()).await;
        warn(&kept, &self.named);
        if let Err(error) = kept.somewhere() {
            eprintln!("warning: {what} is not in the log of incident {}: {error}", self.id);
            self.unwritten = entries;
        }
    }
}

/// What alone the options ask for; empty where that is everything.
fn only(options: &Options) -> Vec<String> {
    let tables = options.tables.iter().map(|table| format!("table {table}"));
    let schemas = options.schemas.iter().map(|schema| format!("schema {schema}"));
    let all = Section::ALL.iter().all(|section| options.wants(*section));
    let sections = Section::ALL.iter().filter(|section| !all && options.wants(**section));
    let sections = sections.map(|section| format!("section {}", section.name()));
    tables.chain(schemas).chain(sections).collect()
}

/// What is told of a restore that came to its end.
pub(super) fn of_report(report: &Report) -> Restored {
    let (different, lost) = (report.different.len() as u64, report.lost().count() as u64);
    Restored {
        outcome: if report.is_whole() { "ok" } else { "failed" }.to_owned(),
        backup: Some(report.backup.clone()),
        only: Vec::new(),
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
        only: Vec::new(),
        error: text("error"),
        seconds: 0.0,
        target: None,
        proof: None,
    }
}
