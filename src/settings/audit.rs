//! `[audit]`, and `[databases.<name>.audit]`

use super::{AuditSettings, Schedule, raw::Section};

/// A quarter to five in the night, UTC: after the night's other work, and at no
/// full hour, when backups are made.
const DEFAULT_SCHEDULE: &str = "0 45 4 * * *";

/// What holds for every database; `None` when a problem was reported.
pub(super) fn audit(section: Section<'_>) -> Option<AuditSettings> {
    over(section, &AuditSettings::usual()?)
}

impl AuditSettings {
    /// What holds where nothing is said.
    pub(super) fn usual() -> Option<Self> {
        Some(Self { enabled: true, schedule: Schedule::parse(DEFAULT_SCHEDULE).ok()? })
    }
}

/// What holds for one database: what it says itself, over what holds for all.
pub(super) fn over(mut section: Section<'_>, general: &AuditSettings) -> Option<AuditSettings> {
    let enabled = section.flag("enabled", general.enabled);
    let given = section.has("schedule");
    let schedule = match section.text("schedule") {
        Some(line) => Schedule::parse(&line)
            .map_err(|error| section.problem("schedule", error.to_string()))
            .ok(),
        None => (!given).then(|| general.schedule.clone()),
    };
    section.finish();
    Some(AuditSettings { enabled, schedule: schedule? })
}
