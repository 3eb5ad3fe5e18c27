//! `reliquary sweep`

mod text;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Chosen, DONE, FAILED, Global, UNHEALTHY, print};
use crate::{
    app,
    catalog::{Key, Layout},
    clock::Clock,
    jobs::sweep::{self, Decided, Removal, Stopped, SweepError},
    lifecycle::{Ended, Signals, interruptible},
    retention::{
        lifecycle::{Finding, Level},
        why,
    },
    settings::{DatabaseSettings, SweepMode},
    state::Progress,
    store::Store,
};

/// How long an interrupted sweep may take to let go.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
#[command(
    after_help = "It removes nothing at all, and exits 1, when the listing or the clock cannot \
    be trusted, when drills cannot be read, when no good backup is fresh, or when more than half of the good backups would go.\n\n\
    Examples:\n  reliquary sweep --dry-run\n  reliquary --json sweep --dry-run"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Print what would go and why, day by day; remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// Go on even where more than half of the good backups go at once.
    #[arg(long)]
    more_than_half: bool,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings_with_source()?;
    let database = arguments.chosen.of(&settings)?;
    let store = app::store_to_read(&settings.store).await?;
    let environment = app::environment(&settings, store.clone(), Clock::system());
    let layout = Layout::new(database.prefix.clone());
    let progress = Progress::default();
    if database.sweep.mode == SweepMode::Lifecycle {
        let findings = sweep::rules(&environment, database, &layout, &progress).await?;
        return tell_findings(global, database, &findings);
    }
    let (signals, cancel) = (Signals::install()?, CancellationToken::new());
    let work = async {
        let by_hand = arguments.more_than_half;
        let decide = sweep::decide(&environment, database, &layout, by_hand, &progress);
        let decided = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(SweepError::Cancelled),
            decided = decide => decided?,
        };
        if !global.json {
            print!("{}", text::plan(&decided, database, &layout, arguments.dry_run, global.quiet));
        }
        let removal = if arguments.dry_run || decided.refusal.is_some() {
            None
        } else {
            Some(sweep::remove(store.as_ref(), &layout, &decided, &progress, &cancel).await)
        };
        Ok((decided, removal))
    };
    let ended = interruptible(signals, cancel.clone(), GRACE, Box::pin(work)).await;
    let (result, signal) = match ended {
        Ended::Finished(result) => (Some(result), None),
        Ended::Interrupted { signal, value } => (value, Some(signal)),
    };
    let code = match result {
        None | Some(Err(SweepError::Cancelled)) => FAILED,
        Some(Err(SweepError::Refused(refusal))) if global.json => {
            let refused = json!({ "reason": refusal.reason(), "error": refusal.to_string() });
            let dry_run = arguments.dry_run;
            print::json(
                &json!({ "database": database.name, "dry_run": dry_run, "refused": refused }),
            )?;
            FAILED
        }
        Some(Err(error)) => return Err(error.into()),
        Some(Ok((decided, removal))) => {
            if global.json {
                let document =
                    document(store.as_ref(), database, &layout, &decided, removal.as_ref());
                print::json(&document)?;
            } else if let Some(removal) = &removal {
                print!("{}", text::removal(removal, global.quiet));
            }
            if let Some(refusal) = decided.refusal {
                if !global.json {
                    return Err(SweepError::Refused(refusal).into());
                }
                FAILED
            } else if removal.as_ref().is_none_or(Removal::is_whole) {
                DONE
            } else {
                FAILED
            }
        }
    };
    match signal {
        Some(signal) => {
            eprintln!("interrupted; whatever is half removed, the next sweep finishes");
            Ok(signal.exit_code())
        }
        None => Ok(code),
    }
}

/// Everything, for machines.
fn document(
    store: &dyn Store,
    database: &DatabaseSettings,
    layout: &Layout,
    decided: &Decided,
    removal: Option<&Removal>,
) -> Value {
    let inventory = &decided.inventory;
    let entries = &inventory.catalog.entries;
    let gone: std::collections::HashSet<usize> =
        removal.iter().flat_map(|removal| removal.gone.iter().copied()).collect();
    let backups: Vec<Value> = decided
        .plan
        .decisions
        .iter()
        .map(|decision| {
            let entry = &entries[decision.at];
            let keep: Vec<_> = decision.keep.iter().collect();
            json!({
                "id": entry.id,
                "kind": entry.kind,
                "state": entry.state.name(),
                "verified": entry.verified.is_some(),
                "drill_failed": decision.condemned,
                "archive_bytes": entry.archive_bytes,
                "uri": store.uri(&layout.key(Key::Archive(entry.kind, entry.id))),
                "decision": if keep.is_empty() { "remove" } else { "keep" },
                "keep": keep,
                "why": why(decision, entry, &decided.policy),
                "removed": removal.map(|_| gone.contains(&decision.at)),
            })
        })
        .collect();
    let debris: Vec<Value> = decided
        .debris
        .entries
        .iter()
        .map(|(at, kind)| {
            let entry = &entries[*at];
            let keys = inventory.parts[*at].keys(entry.kind, entry.id);
            let keys: Vec<String> = keys.map(|key| layout.key(key)).collect();
            json!({ "id": entry.id, "kind": kind, "keys": keys })
        })
        .collect();
    let uploads: Vec<Value> = decided
        .debris
        .uploads
        .iter()
        .map(|upload| {
            let started = crate::rfc3339::format(upload.started);
            json!({ "key": upload.upload.key, "started": started })
        })
        .collect();
    json!({
        "database": database.name,
        "dry_run": removal.is_none() && decided.refusal.is_none(),
        "now": crate::rfc3339::format(decided.now),
        "refused": decided.refusal.as_ref().map(|refusal| {
            json!({ "reason": refusal.reason(), "error": refusal.to_string() })
        }),
        "kept": decided.plan.kept().count(),
        "to_remove": decided.plan.removed().count(),
        "backups": backups,
        "debris": debris,
        "unfinished_uploads": uploads,
        "unfinished_uploads_error": decided.uploads_unknown.as_ref().map(ToString::to_string),
        "drills_error": decided.drills_unknown,
        "young_debris": decided.debris.young,
        "manual_without_manifest": decided.debris.manual,
        "foreign": { "count": inventory.catalog.foreign, "keys": inventory.foreign },
        "removal": removal.map(|removal| json!({
            "removed": removal.gone.len(),
            "removed_bytes": removal.bytes,
            "debris": removal.debris,
            "behind_delete_markers": removal.hidden,
            "left_count": removal.left_count,
            "left": removal.left.iter()
                .map(|left| json!({ "key": left.key, "error": left.error }))
                .collect::<Vec<_>>(),
            "stopped": removal.stopped.as_ref().map(|stopped| match stopped {
                Stopped::Cancelled => "interrupted".to_owned(),
                Stopped::Failed(error) => format!("failed to {error}"),
            }),
        })),
    })
}

fn tell_findings(global: &Global, database: &DatabaseSettings, findings: &[Finding]) -> Result<u8> {
    if global.json {
        print::json(&json!({ "database": database.name, "findings": findings }))?;
    } else {
        print!("{}", text::findings(findings));
    }
    let fails = findings.iter().any(|finding| finding.level == Level::Fail);
    Ok(if fails { UNHEALTHY } else { DONE })
}
