//! The message to those who were affected, as far as the log can write it.

use chrono::TimeDelta;

use super::{
    entry::{Restored, What},
    incident::Incident,
    steps::STEPS,
    words::{count, minutes},
};
use crate::settings::RunbookSettings;

/// When the root cause is reviewed at the latest.
const REVIEW_WITHIN: TimeDelta = TimeDelta::hours(48);

/// What is backed up, as customers call it.
pub(super) fn product(incident: &Incident, settings: &RunbookSettings) -> String {
    let database = incident.opened().map_or("the", |opened| opened.database.as_str());
    settings.product.clone().unwrap_or_else(|| format!("{database} database"))
}

/// The message of a closed incident, ready to be sent; `None` while it is open.
#[must_use]
pub fn message(incident: &Incident, settings: &RunbookSettings) -> Option<String> {
    let (closed_at, closed) = incident.closed()?;
    let opened = incident.opened()?;
    let product = product(incident, settings);
    let restored = incident.attempts().into_iter().rev().find_map(|attempt| {
        let (when, restored) = attempt.ended?;
        (restored.outcome == "ok").then_some((when, restored))
    });
    let cause = incident.cause().unwrap_or("an incident whose cause is still being looked for");
    let mut text = match &restored {
        Some((when, _)) => format!(
            "Subject: [Resolved] {product} data restoration completed\n\n\
             Summary: On {}, our production database was restored from backups after {}. {} \
             All services are now operational.\n",
            when.format("%Y-%m-%d at %H:%M UTC"),
            cause.trim_end_matches('.'),
            window(incident, restored.as_ref().map(|(_, restored)| *restored)),
        ),
        None => format!(
            "Subject: [Resolved] {product} incident of {}\n\n\
             Summary: The incident that began on {} after {} is over. No data was restored from \
             backups.\n",
            opened.failed_at.format("%Y-%m-%d"),
            opened.failed_at.format("%Y-%m-%d at %H:%M UTC"),
            cause.trim_end_matches('.'),
        ),
    };
    text += "\nActions taken:\n";
    for action in actions(incident) {
        text += &format!("- {action}\n");
    }
    text += "\nNext steps:\n";
    for next in &closed.next {
        text += &format!("- {}\n", one_line(next));
    }
    let backup = incident.looked().and_then(|looked| looked.backup.as_ref());
    if let (Some(_), Some(backup)) = (&restored, backup) {
        text += &format!(
            "- Reconcile what was written between {} and {}\n",
            backup.snapshot_at.format("%Y-%m-%d %H:%M UTC"),
            opened.failed_at.format("%Y-%m-%d %H:%M UTC"),
        );
    }
    let review = closed_at + REVIEW_WITHIN;
    text += &format!("- Review the root cause by {}\n", review.format("%Y-%m-%d %H:%M UTC"));
    text += "\nThank you for your patience.\n";
    Some(text)
}

/// The data-loss window, where what was restored is what it was told for.
fn window(incident: &Incident, restored: Option<&Restored>) -> String {
    let looked = incident.looked();
    let found = looked.and_then(|looked| Some((looked.backup.as_ref()?, looked.loss_seconds?)));
    let restored = restored.and_then(|restored| restored.backup.as_deref());
    match (found, restored, incident.opened()) {
        (Some((found, seconds)), Some(id), _) if found.id.to_string() == id => {
            format!("Data loss window: {}.", minutes(seconds))
        }
        // Another backup was taken in the end; its id says when it began.
        (_, Some(id), Some(opened)) => match id.parse::<crate::catalog::BackupId>() {
            Ok(id) if id.time() <= opened.failed_at => {
                let lost = (opened.failed_at - id.time()).num_seconds();
                format!("Data loss window: {}.", minutes(u64::try_from(lost).unwrap_or(0)))
            }
            _ => "Data loss window: none is known.".to_owned(),
        },
        _ => "Data loss window: none is known.".to_owned(),
    }
}

/// What was done, in order: what was restored, and the steps with what was said of them.
fn actions(incident: &Incident) -> Vec<String> {
    let mut actions = Vec::new();
    let attempts = incident.attempts();
    for entry in incident.entries() {
        match &entry.what {
            What::Note { text, steps } if !steps.is_empty() => actions.push(one_line(text)),
            What::ByHand { steps, .. } => actions.extend(
                steps
                    .iter()
                    .filter_map(|step| STEPS.get(usize::from(*step).checked_sub(1)?))
                    .map(|step| step.name.to_owned()),
            ),
            What::RestoreEnded(restored) if restored.outcome == "ok" => {
                actions.push(of_restore(restored));
            }
            _ => {}
        }
    }
    if actions.is_empty() {
        let tried = attempts.len();
        actions.push(format!("Looked at the backups; {tried} restores were tried"));
    }
    actions
}

fn of_restore(restored: &Restored) -> String {
    let backup = restored.backup.as_deref().unwrap_or("a backup");
    match &restored.proof {
        Some(proof) if proof.proven && proof.different == 0 && proof.tables > 0 => format!(
            "Restored backup {backup} into a new server; the rows of all {} tables were counted \
             and are those of the backup ({} in all)",
            count(proof.tables),
            count(proof.rows)
        ),
        _ => format!("Restored backup {backup} into a new server"),
    }
}

/// A text in one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
