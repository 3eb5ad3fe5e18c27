//! `reliquary incident`

mod find;
mod text;

use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

pub(super) use self::find::{Found, differs, find};
use super::{Chosen, DONE, Global, Misused, account::account, print};
use crate::{
    app,
    catalog::{self, BackupId, Layout, Query},
    channels,
    clock::{self, Clock},
    recovery::{self, Closed, Incident, Journal, Kept, Opened, STEPS, What, look},
    settings::{DatabaseSettings, Settings},
    store::Store,
    visible::visible,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Begin a recovery: find the backup of before the failure and say what is lost.
    Open(Open),
    /// Write a line into the log.
    Note(Note),
    /// Print the log; what was written while the bucket was away is uploaded.
    Show(Show),
    /// End it: timeline, and the message to those who were affected.
    Close(Close),
}

/// What every one of them takes.
#[derive(Args, Debug)]
pub(super) struct Who {
    #[command(flatten)]
    chosen: Chosen,
    /// Who writes, for the log [default: the account that runs this].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: reliquary incident open --failed-at \"2026-11-23 14:35Z\"")]
pub(super) struct Open {
    #[command(flatten)]
    who: Who,
    /// When it failed, in UTC [default: now].
    #[arg(long, value_name = "TIME")]
    failed_at: Option<String>,
    /// What is known of the cause.
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: reliquary incident note --done 2 \"deploys are off\"")]
pub(super) struct Note {
    #[command(flatten)]
    who: Who,
    /// What happened.
    #[arg(value_name = "TEXT")]
    text: String,
    /// The incident: its id, the beginning of it, or `latest` [default: the open one].
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// A step of the checklist that is done with it, 1 to 7; may be repeated.
    #[arg(long, value_name = "STEP", value_parser = clap::value_parser!(u8).range(1..=7))]
    done: Vec<u8>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: reliquary incident show > incident.md")]
pub(super) struct Show {
    #[command(flatten)]
    who: Who,
    /// The incident: its id, the beginning of it, or `latest` [default: the open one].
    #[arg(value_name = "ID")]
    incident: Option<String>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example: reliquary incident close --cause \"a migration dropped a column\" \
    --next \"review migrations by two people\""
)]
pub(super) struct Close {
    #[command(flatten)]
    who: Who,
    /// The incident: its id, the beginning of it, or `latest` [default: the open one].
    #[arg(value_name = "ID")]
    incident: Option<String>,
    /// What the cause was.
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
    /// What is still to be done; may be repeated.
    #[arg(long, value_name = "TEXT")]
    next: Vec<String>,
}

pub(super) async fn run(global: &Global, command: &Command) -> Result<u8> {
    let settings = global.settings(false)?;
    match command {
        Command::Open(open) => {
            let logs = Logs::open(&settings, &open.who).await?;
            logs.begin(global, open).await
        }
        Command::Note(note) => {
            let logs = Logs::open(&settings, &note.who).await?;
            logs.note(global, note).await
        }
        Command::Show(show) => {
            let logs = Logs::open(&settings, &show.who).await?;
            logs.show(global, show).await
        }
        Command::Close(close) => {
            let logs = Logs::open(&settings, &close.who).await?;
            logs.close(global, close).await
        }
    }
}

/// Where a database's logs are.
pub(super) fn journal(
    settings: &Settings,
    database: &DatabaseSettings,
    store: Result<Arc<dyn Store>, String>,
) -> Journal {
    let layout = Layout::new(database.prefix.clone());
    Journal::new(settings.runbook.clone(), layout, store, channels::scrub(settings))
}

/// The logs of one database, and who writes.
struct Logs<'s> {
    settings: &'s Settings,
    database: &'s DatabaseSettings,
    store: Result<Arc<dyn Store>, String>,
    journal: Journal,
    author: String,
    now: DateTime<Utc>,
}

impl<'s> Logs<'s> {
    async fn open(settings: &'s Settings, who: &Who) -> Result<Self> {
        let database = who.chosen.of(settings)?;
        // A bucket that is away is a reason to write an incident down, not to
        // refuse one.
        let store = app::store_of_an_incident(&settings.store).await;
        let journal = journal(settings, database, store.clone());
        let author = journal.clean(who.by.as_deref().unwrap_or(&account()));
        let now = Clock::system().now();
        Ok(Self { settings, database, store, journal, author, now })
    }

    fn clean(&self, text: &str) -> String {
        self.journal.clean(text)
    }

    async fn begin(&self, global: &Global, open: &Open) -> Result<u8> {
        let failed_at = self.failed_at(open.failed_at.as_deref())?;
        let id = self.journal.claim(self.now).await;
        let opened = Opened {
            database: self.database.name.clone(),
            failed_at,
            assumed: open.failed_at.is_none(),
            cause: open.cause.as_deref().map(|cause| self.clean(cause)),
        };
        let mut what = vec![What::Opened(opened)];
        what.extend(self.look(failed_at).await.map(What::Looked));
        let kept = self.journal.append(id, &self.author, self.now, what).await;
        self.warn(&kept);
        // What was found is said even where nothing can be written down.
        if global.json {
            print::json(&document(&kept, &[]))?;
        } else {
            print!("{}", text::opened(&kept, &self.named()));
        }
        kept.somewhere()?;
        Ok(DONE)
    }

    async fn note(&self, global: &Global, note: &Note) -> Result<u8> {
        if note.text.trim().is_empty() {
            bail!(Misused("the note is empty: write what happened".to_owned()));
        }
        let id = self.find(note.incident.as_deref()).await?.id;
        let text = self.clean(note.text.trim());
        let what = vec![What::Note { text, steps: note.done.clone() }];
        let kept = self.journal.append(id, &self.author, self.now, what).await;
        kept.somewhere()?;
        let kept = self.look_again(kept).await;
        self.warn(&kept);
        if global.json {
            print::json(&document(&kept, &[]))?;
        } else {
            println!("noted in incident {id}");
            for step in &note.done {
                if let Some(step) = STEPS.get(usize::from(*step) - 1) {
                    println!("  done: {}", step.name);
                }
            }
        }
        Ok(DONE)
    }

    async fn show(&self, global: &Global, show: &Show) -> Result<u8> {
        let id = match self.find(show.incident.as_deref()).await {
            Ok(found) => found.id,
            // There is none that is open: the last one is what is meant.
            Err(error) if show.incident.is_none() => match self.last().await {
                Some(id) => id,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        let kept = self.journal.load(id, &self.author, self.now).await?;
        let kept = self.look_again(kept).await;
        self.warn(&kept);
        let doubt: Vec<String> = self.doubt(&kept).await.into_iter().collect();
        for doubt in &doubt {
            eprintln!("warning: {doubt}");
        }
        if global.json {
            print::json(&document(&kept, &doubt))?;
        } else {
            print!("{}", recovery::page(&kept.incident, &self.settings.runbook));
        }
        Ok(DONE)
    }

    async fn close(&self, global: &Global, close: &Close) -> Result<u8> {
        let found = self.find(close.incident.as_deref()).await?;
        if let Some((when, _)) = found.incident.closed() {
            bail!(Misused(format!(
                "incident {} was closed at {}; `reliquary incident note --incident {}` still adds \
                 to it",
                found.id,
                crate::rfc3339::format(when),
                found.id
            )));
        }
        let closed = Closed {
            cause: close.cause.as_deref().map(|cause| self.clean(cause)),
            next: close.next.iter().map(|next| self.clean(next)).collect(),
        };
        let what = vec![What::Closed(closed)];
        let kept = self.journal.append(found.id, &self.author, self.now, what).await;
        self.warn(&kept);
        let unticked: Vec<String> = text::unticked(&kept.incident).into_iter().collect();
        for unticked in &unticked {
            eprintln!("warning: {unticked}");
        }
        let message = recovery::message(&kept.incident, &self.settings.runbook);
        if global.json {
            let mut document = document(&kept, &unticked);
            document["message"] = json!(message);
            print::json(&document)?;
        } else {
            print!("{}", text::closed(&kept, message.as_deref()));
        }
        kept.somewhere()?;
        Ok(DONE)
    }

    fn failed_at(&self, text: Option<&str>) -> Result<DateTime<Utc>> {
        let Some(text) = text else { return Ok(end_of_second(self.now)) };
        let failed_at = match Query::parse_time(text) {
            Ok(Query::At(time)) => time,
            Ok(_) => self.now,
            Err(error) => bail!(Misused(format!("--failed-at: {error}"))),
        };
        if failed_at > self.now + clock::TOLERANCE {
            bail!(Misused(format!(
                "--failed-at: {} lies in the future; times are in UTC, and it is {} now",
                crate::rfc3339::format(failed_at),
                crate::rfc3339::format(self.now)
            )));
        }
        Ok(failed_at)
    }

    async fn find(&self, wanted: Option<&str>) -> Result<Found> {
        find(&self.journal, &self.database.name, wanted).await
    }

    /// The newest incident of this database, open or not.
    async fn last(&self) -> Option<BackupId> {
        let (ids, _) = self.journal.ids().await;
        for id in ids.into_iter().rev() {
            if find::is_of(&self.journal.read(id).await, &self.database.name) {
                return Some(id);
            }
        }
        None
    }

    /// What the catalog says; nothing where it cannot be read, which is told.
    async fn look(&self, failed_at: DateTime<Utc>) -> Option<recovery::Looked> {
        let store = self.store.as_ref().ok()?;
        let layout = Layout::new(self.database.prefix.clone());
        match look(store.as_ref(), &layout, failed_at).await {
            Ok(looked) => Some(looked),
            Err(error) => {
                let error = visible(&error.to_string());
                eprintln!("warning: the catalog could not be read: {error}");
                None
            }
        }
    }

    /// What the catalog says against the backup that a log names: it may have
    /// been found damaged since, or somebody else may have written the entry.
    async fn doubt(&self, kept: &Kept) -> Option<String> {
        let store = self.store.as_ref().ok()?;
        let named = kept.incident.looked()?.backup.as_ref()?;
        let failed_at = kept.incident.opened()?.failed_at;
        let layout = Layout::new(self.database.prefix.clone());
        let catalog = catalog::read(store.as_ref(), &layout).await.ok()?;
        let newest = recovery::newest_before(store.as_ref(), &layout, &catalog, failed_at).await;
        differs(named, newest.ok()?)
    }

    /// Looks at the catalog where that was not possible before.
    async fn look_again(&self, kept: Kept) -> Kept {
        let Some(opened) = kept.incident.opened() else { return kept };
        if kept.incident.looked().is_some() || kept.there.is_err() {
            return kept;
        }
        let Some(looked) = self.look(opened.failed_at).await else { return kept };
        let (id, what) = (kept.incident.id(), vec![What::Looked(looked)]);
        self.journal.append(id, &self.author, self.now, what).await
    }

    fn warn(&self, kept: &Kept) {
        warn(kept, &self.named());
    }

    /// What names the database in a command, where there are several.
    fn named(&self) -> String {
        named(self.settings, self.database)
    }
}

/// What names a database in a command, where there are several.
pub(super) fn named(settings: &Settings, database: &DatabaseSettings) -> String {
    match settings.databases.len() {
        1 => String::new(),
        _ => format!(" -d {}", database.name),
    }
}

/// Says which of the two places does not have it yet. That neither has it is no
/// warning.
pub(super) fn warn(kept: &Kept, named: &str) {
    match (&kept.here, &kept.there) {
        (Err(error), Ok(_)) => {
            eprintln!("warning: this machine does not have it: {}", visible(error));
        }
        (Ok(_), Err(error)) => {
            eprintln!(
                "warning: the bucket does not have it yet: {}; the next `reliquary incident \
                 show{named}` uploads it",
                visible(error)
            );
        }
        _ => {}
    }
}

/// A log for a machine.
fn document(kept: &Kept, further: &[String]) -> serde_json::Value {
    let Kept { incident, here, there } = kept;
    let places = [here.as_ref().err(), there.as_ref().err()];
    let warnings: Vec<&String> = places.into_iter().flatten().chain(further).collect();
    json!({
        "incident": incident.id(),
        "status": status(incident),
        "opened": incident.opened(),
        "looked": incident.looked(),
        "steps_done": incident.done(),
        "entries": incident.entries().collect::<Vec<_>>(),
        "file": here.as_ref().ok(),
        "uri": there.as_ref().ok(),
        "warnings": warnings,
    })
}

fn status(incident: &Incident) -> &'static str {
    if incident.closed().is_some() { "closed" } else { "open" }
}

/// A log tells whole seconds; a backup of this very second is one of before now.
fn end_of_second(time: DateTime<Utc>) -> DateTime<Utc> {
    let second = time.trunc_subsecs(0);
    if second < time { second + TimeDelta::seconds(1) } else { second }
}
