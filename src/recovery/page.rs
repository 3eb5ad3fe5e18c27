//! An incident's log as Markdown.

use chrono::{DateTime, Utc};

use super::{
    entry::{Condemned, Entry, Expected, Found, Looked, Restored, What},
    hand::step_line,
    incident::{Attempt, Incident},
    message::message,
    steps::STEPS,
    words::{counted, minutes, size, span},
};
use crate::{
    rfc3339,
    settings::RunbookSettings,
    visible::{visible, visible_lines},
    words::DrillVerdict,
};

/// The document; the same entries and settings always make the same one. Whoever
/// may write into the bucket may write entries, so that nothing of them reaches a
/// terminal as it is.
#[must_use]
pub fn page(incident: &Incident, settings: &RunbookSettings) -> String {
    visible_lines(&document(incident, settings))
}

fn document(incident: &Incident, settings: &RunbookSettings) -> String {
    let id = incident.id();
    let Some(opened) = incident.opened() else {
        return format!("# Incident {id}\n\nIts first entry has not arrived here yet.\n");
    };
    let mut text = format!("# Incident {id}: database {}\n\n", visible(&opened.database));
    text += &match incident.closed() {
        Some((when, _)) => format!("**Closed** at {}.\n\n", rfc3339::format(when)),
        None => "**Open.**\n\n".to_owned(),
    };
    text += "| | |\n| --- | --- |\n";
    let mut row = |name: &str, value: &str| {
        text += &format!("| {name} | {} |\n", visible(value).replace('|', "\\|"));
    };
    let assumed = if opened.assumed { ", or before: nobody said when" } else { "" };
    row("Failed at", &format!("{}{assumed}", rfc3339::format(opened.failed_at)));
    row("Cause", incident.cause().map_or("not known yet", first_line));
    match incident.looked() {
        Some(looked) => facts(looked, &mut row),
        None => row(
            "Backups",
            "the bucket could not be read yet; `reliquary incident show` looks again",
        ),
    }
    text += "\nThis page is made from the entries of the log. Lines that you add by hand and boxes \
             that you tick become entries with the next command; lines that you delete come back.\n";
    text += &checklist(incident, settings);
    text += &commands(incident);
    text += &restores(incident);
    text += &log(incident);
    if let Some((when, _)) = incident.closed() {
        text += &timeline(incident, opened.failed_at, when);
    }
    if let Some(message) = message(incident, settings) {
        text += "\n## Message\n\n";
        if let Some(announce) = &settings.announce {
            text += &format!("To be sent through: {}.\n\n", announce.trim_end_matches('.'));
        }
        text += &fenced("text", &message);
    }
    text
}

fn facts(looked: &Looked, row: &mut impl FnMut(&str, &str)) {
    row("Backups", &format!("`{}`", looked.place));
    match &looked.backup {
        Some(found) => {
            row("Newest good backup before it", &backup_line(found));
            row(
                "Verified",
                &found.verified.map_or("not yet: no byte of it was read back".to_owned(), |time| {
                    format!("yes, every byte, at {}", rfc3339::format(time))
                }),
            );
            row(
                "Drilled",
                &match found.drilled {
                    Some((DrillVerdict::Passed, time)) => {
                        format!("yes, it was restored and compared at {}", rfc3339::format(time))
                    }
                    Some((verdict, time)) => {
                        format!("**{verdict}** at {}", rfc3339::format(time))
                    }
                    None => "no: this one was never restored".to_owned(),
                },
            );
        }
        None => row(
            "Newest good backup before it",
            &format!("**none**: {}", looked.why_none.as_deref().unwrap_or("none is known")),
        ),
    }
    if let Some(legacy) = looked.legacy {
        row("Legacy archive", &format!("`{legacy}`, of which nothing proves that it is whole"));
    }
    if !looked.unusable.is_empty() {
        let ids: Vec<String> = looked.unusable.iter().map(|id| format!("`{id}`")).collect();
        row("Newer, and not to be used", &format!("{} (damaged or unreadable)", ids.join(", ")));
    }
    if !looked.condemned.is_empty() {
        let told = |one: &Condemned| format!("`{}` ({})", one.named(), one.reason);
        let told: Vec<String> = looked.condemned.iter().map(told).collect();
        row("Newer, and did not come back in a drill", &told.join(", "));
    }
    if looked.newer > 0 {
        row(
            "Made after it",
            &format!("{}, which may hold the damage", counted(looked.newer, "backup")),
        );
    }
    if let (Some(seconds), Some(found)) = (looked.loss_seconds, &looked.backup) {
        row(
            "Data-loss window",
            &format!(
                "**{}**: what was written after {} is not in the backup",
                minutes(seconds),
                rfc3339::format(found.snapshot_at)
            ),
        );
    }
    row("Expected time to restore", &expectation(looked.expected.as_ref()));
}

/// How long a restore will take, in a sentence.
pub(super) fn expectation(expected: Option<&Expected>) -> String {
    match expected {
        Some(expected) => format!(
            "about {}: the drill {} restored an archive of {} in {}",
            span(expected.seconds),
            expected.drill,
            size(expected.drill_bytes),
            span(expected.drill_seconds),
        ),
        None => "unknown, no drill yet".to_owned(),
    }
}

fn backup_line(found: &Found) -> String {
    format!(
        "`{}` ({}, {}, {} of {})",
        found.id,
        found.kind.name(),
        size(found.archive_bytes),
        counted(found.rows, "row"),
        counted(found.tables, "table")
    )
}

fn checklist(incident: &Incident, settings: &RunbookSettings) -> String {
    let mut text = "\n## Checklist\n\n".to_owned();
    let done = incident.done();
    for (at, (step, own)) in STEPS.iter().zip(&settings.steps).enumerate() {
        let is_done = done.iter().any(|number| usize::from(*number) == at + 1);
        text += &format!("{}{}**\n", step_line(at + 1, is_done), step.name);
        for task in step.tasks.iter().copied().chain(own.iter().map(String::as_str)) {
            text += &format!("  - {}\n", first_line(task));
        }
    }
    text
}

/// What to run, while there is something to run.
fn commands(incident: &Incident) -> String {
    let (None, Some(opened)) = (incident.closed(), incident.opened()) else {
        return String::new();
    };
    let Some(found) = incident.looked().and_then(|looked| looked.backup.as_ref()) else {
        return String::new();
    };
    let (id, database, backup) = (incident.id(), visible(&opened.database), found.named());
    let lines = format!(
        "export TARGET_URL='postgresql://…'   # the new, empty database\n\
         reliquary restore {backup} -d {database} --to env:TARGET_URL --dry-run\n\
         reliquary restore {backup} -d {database} --to env:TARGET_URL --incident {id}\n\
         reliquary incident note -d {database} --incident {id} --done 4 \"restored\"\n\
         reliquary incident close -d {database} {id} --cause \"…\" --next \"…\"\n"
    );
    format!("\n## Commands\n\n{}", fenced("sh", &lines))
}

fn restores(incident: &Incident) -> String {
    let attempts = incident.attempts();
    if attempts.is_empty() {
        return String::new();
    }
    let mut text = "\n## Restores\n".to_owned();
    for (at, attempt) in attempts.iter().enumerate() {
        text += &format!(
            "\n{}. By {}, begun {}, {}\n\n",
            at + 1,
            visible(attempt.author),
            rfc3339::format(attempt.began()),
            ended(attempt)
        );
        text += &indented(&fenced("sh", &visible(attempt.command)));
        if let Some((_, restored)) = attempt.ended {
            text += &indented(&result(restored));
        }
    }
    text
}

fn ended(attempt: &Attempt<'_>) -> String {
    match attempt.ended {
        Some((when, restored)) => format!(
            "ended {} after {}: **{}**",
            rfc3339::format(when),
            span(restored.seconds),
            visible(&restored.outcome)
        ),
        None => "**not known to have ended**: it runs still, or was killed".to_owned(),
    }
}

fn result(restored: &Restored) -> String {
    let mut text = String::new();
    if let (Some(backup), Some(target)) = (&restored.backup, &restored.target) {
        text += &format!("\nBackup `{}` into {}.\n", visible(backup), visible(target));
    }
    if !restored.only.is_empty() {
        text += &format!("\nOnly a part of it: {}.\n", visible(&restored.only.join(", ")));
    }
    if let Some(error) = &restored.error {
        text += &format!("\n{}", fenced("text", &visible_lines(error)));
    }
    if let Some(proof) = &restored.proof {
        let rows = format!("{} of {}", counted(proof.rows, "row"), counted(proof.tables, "table"));
        text += &match (proof.different, proof.lost) {
            (0, 0) if proof.holds() => {
                format!(
                    "\n**Proof**: {rows} were counted, every table holds those of the backup.\n"
                )
            }
            (0, 0) => format!(
                "\n**Not proven**: {rows} were counted; that nothing lacks cannot be told.\n"
            ),
            (different, lost) => format!(
                "\n**Not whole**: other rows in {}; not there, of the source: {}.\n",
                counted(different, "table"),
                counted(lost, "thing")
            ),
        };
    }
    text
}

fn log(incident: &Incident) -> String {
    let mut text = "\n## Log\n\n".to_owned();
    for entry in incident.entries() {
        let when = entry.id.time().format("%Y-%m-%d %H:%M:%SZ");
        let said = indented(&said(entry));
        text += &format!("- {when} **{}** {}\n", visible(&entry.author), said.trim());
    }
    text
}

fn said(entry: &Entry) -> String {
    match &entry.what {
        What::Opened(opened) => format!(
            "opened the incident; it failed at {}{}",
            rfc3339::format(opened.failed_at),
            opened
                .cause
                .as_ref()
                .map_or(String::new(), |cause| format!(": {}", visible_lines(cause)))
        ),
        What::Looked(looked) => match &looked.backup {
            Some(found) => {
                format!("looked at the catalog: `{}` is the backup to restore", found.id)
            }
            None => "looked at the catalog: there is no good backup of before it".to_owned(),
        },
        What::Note { text, steps } => format!("{}{}", visible_lines(text.trim()), ticks(steps)),
        What::ByHand { lines, steps } if lines.is_empty() => {
            format!("ticked by hand:{}", ticks(steps))
        }
        What::ByHand { lines, steps } => {
            let lines: String =
                lines.iter().map(|l| format!("\n> {}", visible(l.trim()))).collect();
            format!("wrote by hand:{}\n{lines}", ticks(steps))
        }
        What::RestoreBegan { .. } => "began a restore".to_owned(),
        What::RestoreEnded { restored, .. } => {
            let backup = visible(restored.backup.as_deref().unwrap_or("-"));
            let only = match restored.only.as_slice() {
                [] => String::new(),
                only => format!(", {} only", visible(&only.join(", "))),
            };
            format!("restore of `{backup}`{only}: {}", visible(&restored.outcome))
        }
        What::Closed(closed) => format!(
            "closed the incident{}",
            closed
                .cause
                .as_ref()
                .map_or(String::new(), |cause| format!(": {}", visible_lines(cause)))
        ),
    }
}

/// Which steps were done with it.
fn ticks(steps: &[u8]) -> String {
    steps
        .iter()
        .filter_map(|step| Some((step, STEPS.get(usize::from(*step).checked_sub(1)?)?)))
        .map(|(number, step)| format!(" [done: {number}. {}]", step.name))
        .collect()
}

fn timeline(incident: &Incident, failed_at: DateTime<Utc>, closed_at: DateTime<Utc>) -> String {
    let mut points = vec![(failed_at, "the failure".to_owned())];
    points.push((incident.id().time(), "the incident was opened".to_owned()));
    for attempt in incident.attempts() {
        points.push((attempt.began(), "a restore began".to_owned()));
        if let Some((when, restored)) = attempt.ended {
            points.push((when, format!("that restore ended: {}", visible(&restored.outcome))));
        }
    }
    for entry in incident.entries() {
        if let What::Note { steps, .. } | What::ByHand { steps, .. } = &entry.what {
            for step in steps {
                let known = usize::from(*step).checked_sub(1).and_then(|at| STEPS.get(at));
                let Some(known) = known else { continue };
                points.push((entry.id.time(), format!("done: {step}. {}", known.name)));
            }
        }
    }
    points.push((closed_at, "the incident was closed".to_owned()));
    points.sort_by_key(|(when, _)| *when);
    let mut text =
        "\n## Timeline\n\n| Time (UTC) | After the failure | |\n| --- | --- | --- |\n".to_owned();
    for (when, what) in points {
        let after = (when - failed_at).num_seconds().max(0) as f64;
        text += &format!("| {} | {} | {what} |\n", when.format("%Y-%m-%d %H:%M:%S"), span(after));
    }
    text
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

/// A block of text that nothing in it ends.
fn fenced(language: &str, text: &str) -> String {
    let text = text.replace("```", "'''");
    format!("```{language}\n{}\n```\n", text.trim_end())
}

/// Under a list's item.
fn indented(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("   {line}\n") })
        .collect()
}
