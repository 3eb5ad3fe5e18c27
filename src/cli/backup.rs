//! `reliquary backup`

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Chosen, DONE, FAILED, Global, print, progress};
use crate::{
    app,
    archive::{Manifest, manifest::Kind},
    clock::Clock,
    jobs::backup::{self, BackupError, Done, Request},
    lifecycle::{Ended, Signals, interruptible},
    state::Progress,
};

/// How long an interrupted backup may take to throw its upload away.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
#[command(after_help = "Example: reliquary backup --manual    before a risky migration")]
pub(super) struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Keep it until a person deletes it: under manual/, apart from pointer and retention.
    #[arg(long)]
    manual: bool,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings_with_source()?;
    let database = arguments.chosen.of(&settings)?;
    let source = app::source(database)?;
    let store = app::store(&settings.store).await?;
    let environment = app::environment(&settings, store, Clock::system());
    let kind = if arguments.manual { Kind::Manual } else { Kind::Scheduled };
    let request = Request { kind, slot: None };

    let began = Instant::now();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let shown = progress::show(&progress, global.quiet || global.json);
    let work = Box::pin(backup::run(&environment, &source, request, &progress, &cancel));
    let ended = interruptible(Signals::install()?, cancel.clone(), GRACE, work).await;
    shown.end();
    let result = match ended {
        Ended::Finished(result) => result,
        Ended::Interrupted { signal, value } => {
            eprintln!("interrupted; {}", what_stands(value.as_ref()));
            if global.json {
                let stands = value.as_ref().and_then(standing).map(|manifest| &manifest.id);
                print::json(&json!({ "outcome": "interrupted", "stands": stands }))?;
            }
            return Ok(signal.exit_code());
        }
    };
    if let Err(error) = &result
        && global.json
    {
        print::json(&json!({
            "outcome": "failed",
            "stage": error.stage,
            "error": error.message,
            "transient": error.transient,
            "stands": standing(&result).map(|manifest| &manifest.id),
        }))?;
    }
    match result? {
        Done::Skipped(skip) => {
            let reason = skip.reason();
            if global.json {
                print::json(&json!({ "outcome": "skipped", "reason": reason }))?;
            } else {
                println!("skipped: {reason}");
            }
            // The other's backup serves the schedule. A person who wants one of
            // their own, before a risky migration say, has got none.
            return Ok(if arguments.manual { FAILED } else { DONE });
        }
        Done::Backup { manifest, .. } => {
            let seconds = began.elapsed().as_secs_f64();
            let uri = environment.store.uri(&manifest.archive.key);
            if global.json {
                print::json(&document(&manifest, &uri, seconds))?;
            } else if !global.quiet {
                print!("{}", summary(&manifest, &uri, seconds));
            }
        }
    }
    Ok(DONE)
}

/// What became of a backup that was interrupted.
fn what_stands(ended: Option<&Result<Done, BackupError>>) -> String {
    let Some(ended) = ended else {
        return "it did not end in time; `reliquary list` shows what stands".to_owned();
    };
    match standing(ended) {
        Some(manifest) => format!("backup {} was committed before that and stands", manifest.id),
        None => "nothing was committed".to_owned(),
    }
}

/// The backup that stands, however its run ended.
fn standing(ended: &Result<Done, BackupError>) -> Option<&Manifest> {
    match ended {
        Ok(Done::Backup { manifest, .. }) => Some(manifest),
        Err(BackupError { committed: Some(committed), .. }) => Some(&committed.0),
        Ok(Done::Skipped(_)) | Err(_) => None,
    }
}

fn document(manifest: &Manifest, uri: &str, seconds: f64) -> serde_json::Value {
    json!({
        "outcome": "ok",
        "id": manifest.id,
        "database": manifest.database,
        "kind": manifest.kind,
        "uri": uri,
        "sha256": manifest.archive.sha256,
        "archive_bytes": manifest.archive.bytes,
        "dump_bytes": manifest.archive.uncompressed_bytes,
        "tables": manifest.tables.len(),
        "rows": manifest.rows,
        "seconds": seconds,
        "warnings": manifest.warnings,
    })
}

/// What a person is told of a backup that stands.
pub(super) fn summary(manifest: &Manifest, uri: &str, seconds: f64) -> String {
    let archive = &manifest.archive;
    let mut text = format!(
        "backup {} stands: {} rows of {} tables, {} of dump in {} ({:.1} s)\n  {uri}\n  sha256 {}\n",
        manifest.id,
        print::count(manifest.rows),
        print::count(manifest.tables.len() as u64),
        print::size(archive.uncompressed_bytes),
        print::size(archive.bytes),
        seconds,
        archive.sha256,
    );
    for warning in &manifest.warnings {
        text += &format!("  warning: {}\n", warning.replace('\n', "\n    "));
    }
    text
}
