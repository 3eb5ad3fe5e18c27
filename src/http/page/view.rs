//! What the page says, before any of it is HTML: pure, from copies of the live
//! state and the one evaluation of health.

mod chart;
mod glance;
mod grid;
mod running;
mod sections;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

pub(super) use self::{
    chart::Chart,
    glance::{Answer, Tone},
    grid::{Grid, Slot},
    running::Now,
    sections::{Audit, Channel, Drills, Due, Retention},
};
use crate::{
    figures::{age, span},
    health::{self, Check, DatabaseHealth, ProcessHealth, Status},
    state::{ChannelState, DatabaseState, State},
    status::StatusInfo,
    visible::visible,
    words::ChannelKind,
};

/// Everything that the page says.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) status: Status,
    pub(super) version: String,
    pub(super) now: DateTime<Utc>,
    /// How long the process is up, in words.
    pub(super) up: String,
    pub(super) stopping: bool,
    pub(super) databases: Vec<Database>,
    pub(super) channels: Vec<Channel>,
}

/// What it says of one database.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) status: Status,
    /// The verdict in one sentence.
    pub(super) headline: String,
    pub(super) answers: Vec<Answer>,
    /// What runs.
    pub(super) now: Vec<Now>,
    pub(super) restore: Vec<String>,
    pub(super) grid: Grid,
    pub(super) charts: Vec<Chart>,
    pub(super) drills: Drills,
    pub(super) retention: Option<Retention>,
    pub(super) audit: Option<Audit>,
    pub(super) checks: Vec<Check>,
    /// How the last run that failed did so, in words.
    pub(super) failure: Option<String>,
    pub(super) due: Vec<Due>,
}

/// Reads everything from the live state, as it is now.
pub(super) fn current(state: &State, info: &StatusInfo) -> Page {
    let process = ProcessHealth { started_at: state.started_at(), liveness: state.liveness() };
    let now = state.now();
    let mut page = page(now, &process, &state.databases(), &state.channels(), info);
    state.version().clone_into(&mut page.version);
    page.stopping = state.stopping();
    page
}

/// Decides what the page says.
pub(super) fn page(
    now: DateTime<Utc>,
    process: &ProcessHealth,
    databases: &[DatabaseState],
    channels: &BTreeMap<ChannelKind, ChannelState>,
    info: &StatusInfo,
) -> Page {
    let health = health::evaluate(now, process, databases);
    let several = databases.len() > 1;
    let shown = databases.iter().zip(&health.databases);
    let shown = shown.map(|(known, health)| database(now, known, health, several, info));
    Page {
        status: health.status,
        version: String::new(),
        now,
        up: age(now, process.started_at),
        stopping: false,
        databases: shown.collect(),
        channels: sections::channels(now, channels, &Shown::new(info)),
    }
}

fn database(
    now: DateTime<Utc>,
    known: &DatabaseState,
    health: &DatabaseHealth,
    several: bool,
    info: &StatusInfo,
) -> Database {
    let shown = &Shown::new(info);
    let failure = known.last_failure.as_ref().map(|run| {
        let stage = run.stage.map(|stage| format!(" at {stage}")).unwrap_or_default();
        let error = shown.after_colon(run.error.as_deref());
        let (job, ago) = (run.job, age(now, run.started));
        format!("The last {job} that failed began {ago} ago, and failed{stage}{error}.")
    });
    let checks = health
        .checks
        .iter()
        .map(|check| Check { detail: shown.text(&check.detail), ..check.clone() })
        .collect();
    Database {
        name: visible(&known.name),
        status: health.status,
        headline: glance::headline(now, known, health),
        answers: glance::answers(now, known, health),
        now: running::now(now, known),
        restore: restore(known, several),
        grid: grid::grid(now, known, shown),
        charts: chart::charts(now, known),
        drills: sections::drills(now, known, shown),
        retention: sections::retention(now, known, shown),
        audit: sections::audit(now, known, shown),
        checks,
        failure,
        due: sections::due(now, known),
    }
}

/// How to get it back: what a person types, where the settings are at hand.
fn restore(known: &DatabaseState, several: bool) -> Vec<String> {
    let of = if several { format!(" -d {}", known.name) } else { String::new() };
    vec![
        format!("reliquary restore latest{of} --to env:TARGET_URL --dry-run"),
        format!("reliquary restore latest{of} --to env:TARGET_URL"),
    ]
}

/// How text from elsewhere is shown: in one line of characters that are seen,
/// and without the path of a store that is a folder, which may hold a user's name.
struct Shown<'a> {
    folder: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(info: &'a StatusInfo) -> Self {
        let folder = info.store.strip_prefix("file://").filter(|path| path.len() > 1);
        Self { folder }
    }

    fn text(&self, text: &str) -> String {
        let text = visible(text);
        match self.folder {
            Some(folder) => {
                text.replace(&format!("file://{folder}"), "store").replace(folder, "store")
            }
            None => text,
        }
    }

    /// The same of what follows a colon, where there is anything.
    fn after_colon(&self, text: Option<&str>) -> String {
        text.map(|text| format!(": {}", self.text(text))).unwrap_or_default()
    }
}

/// How long until a time, or since it.
fn distance(now: DateTime<Utc>, time: DateTime<Utc>) -> String {
    if time > now {
        format!("in {}", span(time - now))
    } else {
        format!("{} ago", span(now - time))
    }
}

/// `23 Nov 14:00` in UTC.
fn moment(time: DateTime<Utc>) -> String {
    time.format("%-d %b %H:%M").to_string()
}

/// A measured time, in words.
fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1}s");
    }
    // No run takes as long as fits.
    #[expect(clippy::cast_possible_truncation, reason = "rounded, and a cast saturates")]
    let whole = seconds.round() as i64;
    span(TimeDelta::try_seconds(whole).unwrap_or(TimeDelta::MAX))
}

#[cfg(test)]
pub(super) mod tests;
