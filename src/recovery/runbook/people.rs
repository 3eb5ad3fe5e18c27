//! Who is called, what they do, and what customers are told.

use super::{super::steps::STEPS, heading, row};
use crate::settings::Settings;

/// Who is called.
pub(super) fn contacts(settings: &Settings) -> String {
    let runbook = &settings.runbook;
    let mut text = heading("Contacts");
    if runbook.contacts.is_empty() {
        text += "Nobody is named yet: write them into `[[runbook.contacts]]` of the settings.\n";
    } else {
        text += &row(&["Role", "Reach", "Does"]);
        text += &row(&["---"; 3]);
        for contact in &runbook.contacts {
            text += &row(&[&contact.role, &contact.reach, &contact.duties]);
        }
    }
    if let Some(escalation) = &runbook.escalation {
        text += &format!("\n{escalation}\n");
    }
    text
}

/// The seven steps.
pub(super) fn checklist(settings: &Settings) -> String {
    let mut text = heading("Checklist");
    text += "`reliquary incident open` writes this list, with what it finds out by itself, into \
             the log of the incident; tick it there.\n";
    for (at, (step, own)) in STEPS.iter().zip(&settings.runbook.steps).enumerate() {
        text += &format!("\n{}. **{}**\n", at + 1, step.name);
        for task in step.tasks.iter().copied().chain(own.iter().map(String::as_str)) {
            text += &format!("   - {}\n", task.replace('\n', " "));
        }
    }
    text
}

/// What customers are told.
pub(super) fn message(settings: &Settings) -> String {
    let product = settings.runbook.product.as_deref().unwrap_or("<product>");
    let mut text = heading("Post-recovery message");
    text += "`reliquary incident close` fills this in from the log.";
    if let Some(announce) = &settings.runbook.announce {
        text += &format!(" It goes to: {}.", announce.trim_end_matches('.'));
    }
    text += &format!(
        "\n\n```text\n\
         Subject: [Resolved] {product} data restoration completed\n\n\
         Summary: On <date>, our production database was restored from backups after <root \
         cause>. Data loss window: <minutes>. All services are now operational.\n\n\
         Actions taken:\n\
         - Restored backup <id> into a new server; the rows of all tables were counted and are \
         those of the backup\n\
         - <what the log says was done>\n\n\
         Next steps:\n\
         - <follow-up tasks>\n\n\
         Thank you for your patience.\n\
         ```\n"
    );
    text
}
