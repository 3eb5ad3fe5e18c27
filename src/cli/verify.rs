//! `reliquary verify`

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    DONE, FAILED, Global, UNHEALTHY, print, progress,
    which::{self, Opened, Which},
};
use crate::{
    app,
    catalog::{Catalog, Entry, Key, Layout, State},
    clock::Clock,
    drill::{self, Marks},
    jobs::{
        Environment,
        survey::survey,
        verify::{self, Options, Recorded, Verified, VerifyError},
    },
    lifecycle::{Ended, Signals, interruptible},
    state::Progress,
    store::{Patience, Store},
    visible::visible_lines,
};

/// How long an interrupted verify may take to let go.
const GRACE: Duration = Duration::from_secs(2);

/// Findings that are printed of one backup; the rest is in the report beside it.
const SHOWN: usize = 20;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  reliquary verify\n  reliquary verify 2026-11-23T14\n  \
    reliquary verify --since 7d --jobs 2")]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Everything: scheduled and manual backups, and legacy archives.
    #[arg(long, conflicts_with_all = ["id", "at", "since"])]
    all: bool,
    /// Everything that is not older than this, such as 7d.
    #[arg(
        long,
        value_name = "AGE",
        value_parser = humantime::parse_duration,
        conflicts_with_all = ["id", "at"],
    )]
    since: Option<Duration>,
    /// Backups that are read at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_once)]
    jobs: usize,
    /// Leave the bucket as it is: do not write down what was found.
    #[arg(long)]
    no_record: bool,
}

fn at_once(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=16) => Ok(number),
        _ => Err("must be a number from 1 to 16".to_owned()),
    }
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    arguments.which.query()?;
    let settings = global.settings(false)?;
    let Opened { database, store, layout, catalog } = arguments.which.open(&settings).await?;
    let now = Clock::system().now();
    let entries = if arguments.all || arguments.since.is_some() {
        since(&catalog, arguments.since, now)
    } else {
        vec![arguments.which.find_any(&catalog, "verify ID")?.clone()]
    };
    if entries.is_empty() {
        bail!("there is nothing to verify; `reliquary list` shows what there is");
    }
    let marks = which::marks(store.as_ref(), &layout, &catalog).await.unwrap_or_default();
    let environment = app::environment(&settings, store.clone(), Clock::system());
    let options = Options {
        threads: (settings.archive.threads / arguments.jobs).max(1),
        at_once: arguments.jobs,
        record: !arguments.no_record,
        patience: Patience::default(),
    };

    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let wanted = entries.len();
    let total = entries.iter().map(|entry| entry.archive_bytes).sum();
    let shown = progress::show_reading(&progress, total, global.quiet || global.json);
    let mut done = Vec::new();
    let mut tell = |entry: &Entry, result: Result<Verified, VerifyError>| {
        if !global.json {
            shown.aside(|| {
                say(&environment, &layout, &catalog, &marks, entry, &result, global.quiet);
            });
        }
        done.push((entry.clone(), result));
    };
    let work = verify::all(&environment, &layout, entries, options, &progress, &cancel, &mut tell);
    let ended = interruptible(Signals::install()?, cancel.clone(), GRACE, Box::pin(work)).await;
    shown.end();
    if let Ended::Interrupted { signal, .. } = ended {
        let through = done.iter().filter(|(_, result)| result.is_ok()).count();
        eprintln!("interrupted; {through} of {wanted} were verified before that");
        return Ok(signal.exit_code());
    }
    // Damage takes the pointer's backup out of the good ones, or brings one back.
    let is_news = |(entry, result): &(Entry, Result<Verified, VerifyError>)| {
        let recorded = result.as_ref().ok().filter(|found| found.recorded == Recorded::Yes);
        recorded.is_some_and(|found| found.is_damaged() || entry.state == State::Damaged)
    };
    if done.iter().any(is_news) {
        point(store.as_ref(), &layout).await;
    }
    let summary = Summary::of(&done);
    if global.json {
        let backups: Vec<Value> =
            done.iter().map(|(entry, result)| json_of(entry, result)).collect();
        print::json(&json!({
            "database": database.name,
            "verified": summary.good + summary.legacy,
            "damaged": summary.damaged,
            "failed": summary.failed,
            "backups": backups,
        }))?;
    } else if done.len() != 1 && !global.quiet {
        println!("{}", summary.text());
    }
    Ok(summary.exit_code())
}

/// Puts the pointer right. It is a convenience: where that fails, it is only said.
async fn point(store: &dyn Store, layout: &Layout) {
    let pointed = match survey(store, layout, Clock::system().now()).await {
        Ok(found) => match found.point(store, layout).await {
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(())) | None => Ok(()),
        },
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = pointed {
        eprintln!("warning: LATEST.txt could not be put right: {}", visible_lines(&error));
    }
}

/// What is not older than `age`, newest first; everything where none is given.
fn since(catalog: &Catalog, age: Option<Duration>, now: DateTime<Utc>) -> Vec<Entry> {
    let is_archive = |entry: &&Entry| !matches!(entry.state, State::Unclear | State::Debris);
    let is_young = |entry: &&Entry| {
        let passed = now.signed_duration_since(entry.time()).to_std().unwrap_or_default();
        age.is_none_or(|age| passed <= age)
    };
    catalog.entries.iter().rev().filter(is_archive).filter(is_young).cloned().collect()
}

#[derive(Default)]
struct Summary {
    good: usize,
    legacy: usize,
    damaged: usize,
    failed: usize,
}

impl Summary {
    fn of(done: &[(Entry, Result<Verified, VerifyError>)]) -> Self {
        let mut summary = Self::default();
        for (_, result) in done {
            match result {
                Ok(verified) if verified.is_damaged() => summary.damaged += 1,
                Ok(verified) if verified.legacy => summary.legacy += 1,
                Ok(_) => summary.good += 1,
                // Retention was faster; nobody misses it.
                Err(error) if error.removed => {}
                Err(_) => summary.failed += 1,
            }
        }
        summary
    }

    fn exit_code(&self) -> u8 {
        match (self.damaged, self.failed) {
            // What vanished may be skipped, but not all that was asked for.
            (0, 0) if self.good + self.legacy == 0 => FAILED,
            (0, 0) => DONE,
            (0, _) => FAILED,
            _ => UNHEALTHY,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} verified", self.good);
        if self.legacy > 0 {
            text += &format!(", {} legacy archives undamaged", self.legacy);
        }
        format!("{text}, {} damaged, {} could not be verified", self.damaged, self.failed)
    }
}

fn json_of(entry: &Entry, result: &Result<Verified, VerifyError>) -> Value {
    match result {
        Ok(verified) => {
            let mut value = json!(verified.judgement);
            value["legacy"] = json!(verified.legacy);
            value["recorded"] = json!(verified.recorded == Recorded::Yes);
            value["checksum_written"] = json!(verified.checksum_written);
            if let Recorded::Refused(error) = &verified.recorded {
                value["record_error"] = json!(error);
            }
            value
        }
        Err(error) => json!({ "id": entry.id, "kind": entry.kind, "error": error.message }),
    }
}

/// Tells a person what was found of one backup.
fn say(
    environment: &Environment,
    layout: &Layout,
    catalog: &Catalog,
    marks: &Marks,
    entry: &Entry,
    result: &Result<Verified, VerifyError>,
    quiet: bool,
) {
    let verified = match result {
        Ok(verified) => verified,
        Err(error) if error.cancelled => return,
        Err(error) => {
            let error = visible_lines(&error.to_string());
            eprintln!("{} could not be verified, which says nothing of it: {error}", entry.id);
            return;
        }
    };
    if verified.is_damaged() {
        let uri = environment.store.uri(&layout.key(Key::Archive(entry.kind, entry.id)));
        print!("{}", damaged(verified, catalog, marks, &uri));
    } else if !quiet {
        println!("{}", undamaged(verified));
        for remark in &verified.judgement.remarks {
            println!("  note: {remark}");
        }
    }
    if verified.checksum_written && !quiet {
        println!("  its checksum file was written anew");
    }
    if let Recorded::Refused(error) = &verified.recorded {
        let error = visible_lines(error);
        eprintln!(
            "warning: what was found of {} could not be written down, so that it counts as \
             before: {error}",
            entry.id
        );
    }
}

fn undamaged(verified: &Verified) -> String {
    let judgement = &verified.judgement;
    let (id, seconds) = (judgement.id, judgement.seconds);
    let (archive, dump) = (print::size(judgement.archive_bytes), print::size(judgement.dump_bytes));
    match judgement.rows {
        Some(rows) if !verified.legacy => format!(
            "{id} is good: {} rows, {dump} of dump in {archive}, {} members ({seconds:.1} s)",
            print::count(rows),
            print::count(judgement.members),
        ),
        _ => format!(
            "{id} is a legacy archive without damage: {dump} of dump in {archive} ({seconds:.1} s); \
             nothing proves that it is complete"
        ),
    }
}

fn damaged(verified: &Verified, catalog: &Catalog, marks: &Marks, uri: &str) -> String {
    let judgement = &verified.judgement;
    let mut text = format!("{} is DAMAGED\n  {uri}\n", judgement.id);
    for finding in judgement.findings.iter().take(SHOWN) {
        text += &format!("  {finding}\n");
    }
    for remark in &judgement.remarks {
        text += &format!("  note: {remark}\n");
    }
    let more = judgement.findings.len().saturating_sub(SHOWN);
    if more > 0 {
        text += &format!("  … and {more} more; --json shows them\n");
    }
    let time = judgement.id.time();
    let is_other =
        |entry: &&Entry| entry.id != judgement.id && drill::condemned(entry, marks).is_none();
    let others = || catalog.good().filter(is_other);
    let before = others().filter(|entry| entry.time() <= time).max_by_key(|entry| entry.time());
    let newest = others().max_by_key(|entry| entry.time());
    text += &match (before, newest) {
        (Some(before), _) => format!(
            "  it counts as no backup any more; the newest good one before it is {}{}\n",
            before.id,
            if before.verified.is_some() { ", verified" } else { "; verify that one next" }
        ),
        (None, Some(newest)) => format!(
            "  it counts as no backup any more; there is no good one before it, and the newest is {}\n",
            newest.id
        ),
        (None, None) => {
            "  there is NO other good backup: take one now with `reliquary backup`\n".to_owned()
        }
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_was_verified_nothing_was_done() {
        let code =
            |good, legacy, damaged, failed| Summary { good, legacy, damaged, failed }.exit_code();
        assert_eq!(code(0, 0, 0, 0), FAILED, "all that was asked for had vanished");
        assert_eq!((code(1, 0, 0, 0), code(0, 1, 0, 0)), (DONE, DONE));
        assert_eq!((code(1, 0, 0, 1), code(1, 0, 1, 1)), (FAILED, UNHEALTHY));
    }
}
