//! `[runbook]`

use std::path::PathBuf;

use super::raw::Section;

/// Where incidents are kept on this machine, below the working directory.
const DEFAULT_INCIDENTS: &str = "incidents";
const DEFAULT_DRILL_OWNER: &str = "Database Engineer";
const DEFAULT_REVIEW_OWNER: &str = "Incident Commander";

/// `[runbook]`: what only people know about a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunbookSettings {
    /// What is backed up, as customers call it.
    pub product: Option<String>,
    /// Where the log of an incident is kept on this machine.
    pub incidents: PathBuf,
    /// Who is called, in order.
    pub contacts: Vec<Contact>,
    /// What to do when nobody answers.
    pub escalation: Option<String>,
    /// Where customers are told.
    pub announce: Option<String>,
    /// Where tests are written down, beside the bucket.
    pub test_log: Option<String>,
    /// Who reviews the month's drill.
    pub drill_owner: String,
    /// Who reviews the runbook.
    pub review_owner: String,
    /// What is to be done here in each of the seven steps, beside what is always.
    pub steps: [Vec<String>; 7],
}

/// `[[runbook.contacts]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// What they are in an incident.
    pub role: String,
    /// Name, mail address, telephone number.
    pub reach: String,
    /// What they do.
    pub duties: String,
}

impl RunbookSettings {
    /// The names of the steps, as the settings know them.
    pub const STEPS: [&str; 7] =
        ["assess", "stabilize", "prepare", "restore", "validate", "cut_over", "follow_up"];
}

/// Reads it.
pub(super) fn runbook(mut section: Section<'_>) -> RunbookSettings {
    let product = section.text("product");
    let incidents = section.text("incidents").unwrap_or_else(|| DEFAULT_INCIDENTS.to_owned());
    let contacts = section.list_of_sections("contacts").unwrap_or_default();
    let contacts = contacts.into_iter().filter_map(contact).collect();
    let escalation = section.text("escalation");
    let announce = section.text("announce");
    let test_log = section.text("test_log");
    let owner = |owner: Option<String>, usual: &str| owner.unwrap_or_else(|| usual.to_owned());
    let drill_owner = owner(section.text("drill_owner"), DEFAULT_DRILL_OWNER);
    let review_owner = owner(section.text("review_owner"), DEFAULT_REVIEW_OWNER);
    let mut steps = section.section("steps");
    let lists = RunbookSettings::STEPS.map(|step| steps.list(step));
    steps.finish();
    section.finish();
    RunbookSettings {
        product,
        incidents: PathBuf::from(incidents),
        contacts,
        escalation,
        announce,
        test_log,
        drill_owner,
        review_owner,
        steps: lists,
    }
}

fn contact(mut section: Section<'_>) -> Option<Contact> {
    let mut text = |key: &str| {
        let given = section.has(key);
        let text = section.text(key);
        if !given {
            section.problem(key, "is missing");
        }
        text
    };
    let (role, reach, duties) = (text("role"), text("reach"), text("duties"));
    section.finish();
    Some(Contact { role: role?, reach: reach?, duties: duties? })
}
