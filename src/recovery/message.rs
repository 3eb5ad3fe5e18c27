//! The message to those who were affected, as far as the log can write it.

use chrono::TimeDelta;

use super::{
    entry::{Restored, What},
    incident::Incident,
    recovered::{Done, Recovered, named},
    steps::{BEFORE_OPERATION, STEPS},
    words::{count, counted, minutes},
};
use crate::{settings::RunbookSettings, visible::visible_lines};

/// When the root cause is reviewed at the latest.
const REVIEW_WITHIN: TimeDelta = TimeDelta::hours(48);

/// What is backed up, as customers call it.
fn product(incident: &Incident, settings: &RunbookSettings) -> String {
    let database = incident.opened().map_or("the", |opened| opened.database.as_str());
    settings.product.clone().unwrap_or_else(|| format!("{database} database"))
}

/// The message of a closed incident, ready to be sent; `None` while it is open.
/// It claims no more than the log proves.
#[must_use]
pub fn message(incident: &Incident, settings: &RunbookSettings) -> Option<String> {
    let (closed_at, closed) = incident.closed()?;
    let opened = incident.opened()?;
    let recovered = Recovered::of(incident);
    let up_to = recovered.up_to(incident);
    let mut text = summary(incident, &recovered, settings)?;
    text += "\nActions taken:\n";
    for action in actions(incident) {
        text += &format!("- {action}\n");
    }
    text += "\nNext steps:\n";
    for next in &closed.next {
        text += &format!("- {}\n", one_line(next));
    }
    if let Some(up_to) = up_to {
        text += &format!(
            "- Reconcile what was written between {} and {}\n",
            up_to.format("%Y-%m-%d %H:%M UTC"),
            opened.failed_at.format("%Y-%m-%d %H:%M UTC"),
        );
    }
    let review = closed_at + REVIEW_WITHIN;
    text += &format!("- Review the root cause by {}\n", review.format("%Y-%m-%d %H:%M UTC"));
    text += "\nThank you for your patience.\n";
    Some(visible_lines(&text))
}

/// Whether the message of an incident may say that all services are operational.
#[must_use]
pub fn is_operational(incident: &Incident) -> bool {
    let done = incident.done();
    matches!(Recovered::of(incident), Recovered::Whole(..))
        && BEFORE_OPERATION.iter().all(|step| done.contains(step))
}

/// Subject and summary.
fn summary(
    incident: &Incident,
    recovered: &Recovered<'_>,
    settings: &RunbookSettings,
) -> Option<String> {
    let opened = incident.opened()?;
    let product = one_line(&product(incident, settings));
    let cause = incident.cause().map(one_line);
    let cause = cause.as_deref().unwrap_or("an incident whose cause is still being looked for");
    let cause = cause.trim_end_matches('.');
    let window = window(incident, recovered);
    if let Recovered::Whole((when, whole), parts) = recovered {
        let operational =
            if is_operational(incident) { " All services are now operational." } else { "" };
        return Some(format!(
            "Subject: [Resolved] {product} data restoration completed\n\n\
             Summary: On {}, our production database was restored from backups after {cause}. \
             {}{window}{operational}\n",
            when.format("%Y-%m-%d at %H:%M UTC"),
            afterwards(whole, parts),
        ));
    }
    let came = match recovered {
        Recovered::Whole((when, whole), parts) | Recovered::Unproven((when, whole), parts) => {
            format!(
                "On {} a backup was restored; that all of it is there is not proven. {}{window}",
                when.format("%Y-%m-%d at %H:%M UTC"),
                afterwards(whole, parts),
            )
        }
        Recovered::Parts(parts) => format!("Restored from backups: {}. {window}", listed(parts)),
        Recovered::Unlogged => format!(
            "A restore is reported as done, and the log does not hold the restore itself: what \
             came back is not proven. {window}"
        ),
        Recovered::Unended => format!(
            "A restore was begun, and the log does not hold how it ended: what came back is not \
             known. {window}"
        ),
        Recovered::Nothing => "No data was restored from backups.".to_owned(),
    };
    Some(format!(
        "Subject: [Resolved] {product} incident of {}\n\n\
         Summary: The incident that began on {} after {cause} is over. {came}\n",
        opened.failed_at.format("%Y-%m-%d"),
        opened.failed_at.format("%Y-%m-%d at %H:%M UTC"),
    ))
}

/// What was brought back after everything, where anything was, with the backups
/// that all of it is from.
fn afterwards(whole: &Restored, parts: &[Done<'_>]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    format!("It is of backup {}, and after it were restored: {}. ", backup(whole), listed(parts))
}

fn listed(parts: &[Done<'_>]) -> String {
    let parts: Vec<String> = parts.iter().map(part).collect();
    parts.join("; ")
}

fn part((_, restored): &Done<'_>) -> String {
    let proven = if restored.is_proven() { "" } else { ", which is not proven" };
    format!("{} only, of backup {}{proven}", only(restored), backup(restored))
}

fn backup(restored: &Restored) -> String {
    restored.backup.as_deref().map_or_else(|| "that is not known".to_owned(), one_line)
}

fn only(restored: &Restored) -> String {
    one_line(&restored.only.join(", "))
}

/// The data-loss window.
fn window(incident: &Incident, recovered: &Recovered<'_>) -> String {
    let failed_at = incident.opened().map(|opened| opened.failed_at);
    match failed_at.zip(recovered.up_to(incident)) {
        Some((failed_at, up_to)) => {
            // A second that has begun is lost.
            let lost = (failed_at - up_to).num_milliseconds();
            let seconds = u64::try_from(lost).unwrap_or(0).div_ceil(1000);
            format!("Data loss window: {}{}.", minutes(seconds), supposed(incident, recovered))
        }
        None => "Data loss window: not known.".to_owned(),
    }
}

/// On what the data-loss window rests, where the log does not say what was restored.
fn supposed(incident: &Incident, recovered: &Recovered<'_>) -> String {
    match (recovered, named(incident)) {
        (Recovered::Unlogged | Recovered::Unended, Some(found)) => format!(
            ", if it was backup {}, the newest good one of before the failure",
            found.named()
        ),
        _ => String::new(),
    }
}

/// What was done, in order: what was restored, and the steps with what was said of them.
fn actions(incident: &Incident) -> Vec<String> {
    let mut actions = Vec::new();
    for entry in incident.entries() {
        match &entry.what {
            What::Note { text, steps } if !steps.is_empty() => actions.push(one_line(text)),
            What::ByHand { steps, .. } => actions.extend(
                steps
                    .iter()
                    .filter_map(|step| STEPS.get(usize::from(*step).checked_sub(1)?))
                    .map(|step| step.name.to_owned()),
            ),
            What::RestoreEnded { restored, .. } if restored.is_done() => {
                actions.push(of_restore(restored));
            }
            _ => {}
        }
    }
    if actions.is_empty() {
        let tried = incident.attempts().len() as u64;
        let were = if tried == 1 { "was" } else { "were" };
        let tried = counted(tried, "restore");
        actions.push(format!("Looked at the backups; {tried} {were} tried"));
    }
    actions
}

fn of_restore(restored: &Restored) -> String {
    let backup = one_line(restored.backup.as_deref().unwrap_or("a backup"));
    let what = if restored.only.is_empty() {
        format!("Restored backup {backup} into a new server")
    } else {
        format!("Restored {} only, from backup {backup}", only(restored))
    };
    match restored.proof.as_ref().filter(|proof| proof.holds()) {
        Some(proof) => {
            let tables = match proof.tables {
                1 => "its 1 table".to_owned(),
                tables => format!("all {} tables", count(tables)),
            };
            let rows = count(proof.rows);
            format!(
                "{what}; the rows of {tables} were counted and are those of the backup ({rows} in \
                 all)"
            )
        }
        None => what,
    }
}

/// A text in one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
