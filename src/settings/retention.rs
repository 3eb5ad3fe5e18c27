//! `[retention]`, and `[databases.<name>.retention]`

use std::time::Duration;

use super::{RetentionSettings, raw::Section};
use crate::words::Period;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// A century: for ever, and still a number that no clock makes overflow.
const LONGEST: Duration = DAY.saturating_mul(36_500);
/// The most that a tier keeps, and the most that `keep_last` does.
const MOST: u32 = 100_000;

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { keep_for: DAY.saturating_mul(30), keep_last: 24, tiers: [0; 5] }
    }
}

impl RetentionSettings {
    /// Of how many of the newest periods of a kind one backup is kept.
    #[must_use]
    pub fn tier(&self, period: Period) -> u32 {
        self.tiers[period as usize]
    }
}

/// What holds, over what held before it.
pub(super) fn over(mut section: Section<'_>, general: &RetentionSettings) -> RetentionSettings {
    let keep_for = section.duration("keep_for", general.keep_for, HOUR..=LONGEST);
    // Without the last one there would be none when backups have stopped.
    let keep_last = section.count("keep_last", general.keep_last, 1..=MOST);
    let mut tiers = general.tiers;
    for period in Period::ALL {
        let tier = &mut tiers[*period as usize];
        *tier = section.count(period.as_str(), *tier, 0..=MOST);
    }
    section.finish();
    RetentionSettings { keep_for, keep_last, tiers }
}
