//! `reliquary drill`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    DONE, FAILED, Global, UNHEALTHY,
    account::account,
    print, progress,
    which::{Opened, Which},
};
use crate::{
    app,
    catalog::Key,
    clock::Clock,
    drill::Record,
    jobs::drill::{self, Drilled, Progress, Request},
    lifecycle::{Ended, Signals, interruptible},
    visible::{visible, visible_lines},
    words::{DrillChoice, DrillStage, DrillVerdict, Looked},
};

/// How long an interrupted drill may take to remove its sandbox and say so.
const GRACE: Duration = Duration::from_secs(30);

#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 it passed; 3 something did not agree; 1 it could not be run to \
        its end, which proves nothing.\n\nExamples:\n  reliquary drill\n  \
        reliquary drill 2026-11-23T14 --operator \"Ada\""
)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Who does it, for the record [default: the account that runs this].
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Leave the bucket as it is: do not write down what was found.
    #[arg(long)]
    no_record: bool,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    arguments.which.query()?;
    let settings = global.settings(false)?;
    let Opened { database, store, layout, catalog } = arguments.which.open(&settings).await?;
    let entry = arguments.which.find(&catalog, "drill ID")?.clone();
    let environment = app::environment(&settings, store, Clock::system());
    let request = Request {
        database: database.name.clone(),
        layout,
        source: app::live(database),
        settings: database.drill.clone(),
        catalog,
        entry,
        operator: arguments.operator.clone().unwrap_or_else(account),
        choice: DrillChoice::Asked,
        record: !arguments.no_record,
    };
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let shown = {
        let progress = progress.clone();
        progress::show_line(move || line(&progress), global.quiet || global.json)
    };
    let work = Box::pin(drill::run(&environment, &request, &progress, &cancel));
    let ended = interruptible(Signals::install()?, cancel.clone(), GRACE, work).await;
    shown.end();
    let (drilled, signal) = match ended {
        Ended::Finished(drilled) => (drilled, None),
        Ended::Interrupted { signal, value: Some(drilled) } => (drilled, Some(signal)),
        Ended::Interrupted { signal, value: None } => {
            let record = progress.claimed().map(|id| request.layout.key(Key::Drill(id)));
            let record = record.map(|key| environment.store.uri(&key));
            eprintln!("{}", cut_short(record.as_deref(), request.settings.target.is_some()));
            return Ok(signal.exit_code());
        }
    };
    let Drilled { record, is_recorded, not_recorded } = drilled;
    let page = request.layout.key(Key::DrillPage(record.id));
    let page = environment.store.uri(&page);
    if global.json {
        let mut document = json!(record);
        document["recorded"] = json!(is_recorded);
        print::json(&document)?;
    } else if !global.quiet || record.verdict != DrillVerdict::Passed {
        print!("{}", text(&record));
        if is_recorded {
            println!("  {page}");
        }
    }
    if let Some(error) = &not_recorded {
        eprintln!("error: what was found could not be written down: {}", visible_lines(error));
    }
    Ok(match (signal, record.verdict) {
        (Some(signal), DrillVerdict::Unproven) => signal.exit_code(),
        (_, DrillVerdict::Failed) => UNHEALTHY,
        (_, DrillVerdict::Passed) if not_recorded.is_none() => DONE,
        _ => FAILED,
    })
}

/// What is to be said where a drill did not even end: what its record says by then, and
/// who clears away what it has left.
fn cut_short(record: Option<&str>, in_target: bool) -> String {
    let written = record.map_or_else(
        || "nothing was written down".to_owned(),
        |record| format!("{record} says that it began, and not what it came to"),
    );
    let place = if in_target { "in drill.target may still be there" } else { "may still be there" };
    format!("interrupted; {written}; what it restored {place}, and the next drill clears it away")
}

fn line(progress: &Progress) -> String {
    let stage = progress.stage();
    if stage != DrillStage::Restore {
        return stage.to_string();
    }
    let report = progress.restore.report();
    let share = (100 * report.done).checked_div(report.total).unwrap_or_default().min(100);
    format!("{stage}, {}: {share} %, {} rows loaded", report.stage, print::count(report.rows))
}

fn text(record: &Record) -> String {
    let backup = record.backup.id;
    let took =
        record.restore_seconds.map_or_else(String::new, |seconds| format!(" in {seconds:.1} s"));
    let mut text = match (record.verdict, &record.failure) {
        (DrillVerdict::Passed, _) => {
            let not_run: Vec<&str> = record.not_run().collect();
            let but = if not_run.is_empty() {
                String::new()
            } else {
                format!("; not looked at: {}", not_run.join("; "))
            };
            format!(
                "{backup} passed: {} rows of {} tables restored{took} and compared{}\n",
                print::count(record.rows_compared),
                print::count(record.tables_compared),
                visible(&but),
            )
        }
        (DrillVerdict::Failed, Some(failure)) => {
            format!("{backup} FAILED ({}): {}\n", failure.reason, visible_lines(&failure.message))
        }
        (_, failure) => {
            let why = failure.as_ref().map_or_else(String::new, |failure| {
                format!(" ({}): {}", failure.reason, visible_lines(&failure.message))
            });
            format!("{backup} is UNPROVEN{why}\n")
        }
    };
    let comparisons = record.comparisons.iter().map(|c| (c.outcome, &c.name, &c.detail));
    let checks = record.checks.iter().map(|c| (c.outcome, &c.name, &c.detail));
    for (outcome, name, detail) in comparisons.chain(checks) {
        let mark = match outcome {
            Looked::Ok => "ok     ",
            Looked::Failed => "FAILED ",
            Looked::NotRun => "not run",
            Looked::CouldNotRun => "COULD NOT",
        };
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        text += &format!("  {mark} {}\n", visible(&format!("{name}{detail}")));
    }
    for (what, names) in [
        ("stood in for", &record.stand_ins),
        ("missing here", &record.missing_extensions),
        ("older here", &record.older_extensions),
    ] {
        if !names.is_empty() {
            text += &format!("  {what}: {}\n", visible(&names.join(", ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_that_did_not_end_says_what_was_written_down() {
        let said = cut_short(Some("s3://b/database/drills/x.json"), true);
        assert!(said.contains("drills/x.json says that it began"), "{said}");
        assert!(said.contains("in drill.target may still be there"), "{said}");
        let said = cut_short(None, false);
        assert!(said.contains("nothing was written down"), "{said}");
    }
}
