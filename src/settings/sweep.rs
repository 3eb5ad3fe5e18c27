//! `[sweep]`, and `[databases.<name>.sweep]`

use super::{Schedule, SweepMode, SweepSettings, raw::Section};

/// A quarter past four in the night, UTC: after the night's verify, whose
/// verdicts it heeds, and at no full hour, when backups are made.
const DEFAULT_SCHEDULE: &str = "0 15 4 * * *";

pub(super) const MODES: [(&str, SweepMode); 2] =
    [("delete", SweepMode::Delete), ("lifecycle", SweepMode::Lifecycle)];

/// What holds for every database; `None` when a problem was reported.
pub(super) fn sweep(section: Section<'_>) -> Option<SweepSettings> {
    over(section, &SweepSettings::usual()?)
}

impl SweepSettings {
    /// What holds where nothing is said.
    pub(super) fn usual() -> Option<Self> {
        let schedule = Schedule::parse(DEFAULT_SCHEDULE).ok()?;
        Some(Self { enabled: true, mode: SweepMode::Delete, schedule })
    }
}

/// What holds for one database: what it says itself, over what holds for all.
pub(super) fn over(mut section: Section<'_>, general: &SweepSettings) -> Option<SweepSettings> {
    let enabled = section.flag("enabled", general.enabled);
    let mode = section.choice("mode", general.mode, &MODES);
    let given = section.has("schedule");
    let schedule = match section.text("schedule") {
        Some(line) => Schedule::parse(&line)
            .map_err(|error| section.problem("schedule", error.to_string()))
            .ok(),
        None => (!given).then(|| general.schedule.clone()),
    };
    section.finish();
    Some(SweepSettings { enabled, mode, schedule: schedule? })
}

/// A folder does nothing by itself with what grows old in it.
pub(super) fn check_mode(path: &str, mode: SweepMode, in_bucket: bool) -> Option<(String, String)> {
    (mode == SweepMode::Lifecycle && !in_bucket).then(|| {
        let message = "`lifecycle` needs a bucket: a folder removes nothing by itself; \
                       take `delete`";
        (format!("{path}.mode"), message.to_owned())
    })
}
