//! `[verify]`, and `[databases.<name>.verify]`

use super::{Schedule, VerifySettings, raw::Section};

/// Half past three in the night, UTC: no full hour, when backups are made.
const DEFAULT_SCHEDULE: &str = "0 30 3 * * *";
const DEFAULT_SAMPLE: usize = 3;

/// What holds for every database; `None` when a problem was reported.
pub(super) fn verify(section: Section<'_>) -> Option<VerifySettings> {
    over(section, &VerifySettings::usual()?)
}

impl VerifySettings {
    /// What holds where nothing is said.
    pub(super) fn usual() -> Option<Self> {
        let schedule = Schedule::parse(DEFAULT_SCHEDULE).ok()?;
        Some(Self { enabled: true, schedule, sample: DEFAULT_SAMPLE })
    }
}

/// What holds for one database: what it says itself, over what holds for all.
pub(super) fn over(mut section: Section<'_>, general: &VerifySettings) -> Option<VerifySettings> {
    let enabled = section.flag("enabled", general.enabled);
    let given = section.has("schedule");
    let schedule = match section.text("schedule") {
        Some(line) => Schedule::parse(&line)
            .map_err(|error| section.problem("schedule", error.to_string()))
            .ok(),
        None => (!given).then(|| general.schedule.clone()),
    };
    let sample = section.count("sample", general.sample, 0..=1000);
    section.finish();
    Some(VerifySettings { enabled, schedule: schedule?, sample })
}
