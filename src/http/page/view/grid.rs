//! The last thirty days, an hour a cell: what became of each slot.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike as _, Utc};

use super::{
    Shown,
    glance::{condemned, proves},
    seconds,
};
use crate::{
    figures::{count, size},
    state::{DatabaseState, Stored, hour},
    words::{JobKind, Worth},
};

/// Days that are shown, today's included.
const DAYS: i64 = 30;

/// A slot of this hour whose backup has not begun by then was missed.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// Retention has reached as far back as the store does, within this.
const REACH: TimeDelta = TimeDelta::days(1);

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::http::page) enum Slot {
    Proven,
    Verified,
    Good,
    Legacy,
    Running,
    Late,
    Missed,
    Failed,
    Damaged,
    Swept,
    Future,
    /// The store was not listed yet.
    Unknown,
    /// Nothing was to be made then.
    Unplanned,
}

impl Slot {
    pub(in crate::http::page) const ALL: [Self; 13] = [
        Self::Proven,
        Self::Verified,
        Self::Good,
        Self::Legacy,
        Self::Running,
        Self::Late,
        Self::Missed,
        Self::Failed,
        Self::Damaged,
        Self::Swept,
        Self::Future,
        Self::Unknown,
        Self::Unplanned,
    ];

    /// Its word on the page.
    pub(in crate::http::page) fn word(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Verified => "verified",
            Self::Good => "good",
            Self::Legacy => "legacy",
            Self::Running => "running",
            Self::Late => "made late",
            Self::Missed => "missed",
            Self::Failed => "failed",
            Self::Damaged => "damaged",
            Self::Swept => "swept",
            Self::Future => "future",
            Self::Unknown => "unknown",
            Self::Unplanned => "nothing planned",
        }
    }

    /// What the word means.
    pub(in crate::http::page) fn meaning(self) -> &'static str {
        match self {
            Self::Proven => "a drill restored it, and every row was there",
            Self::Verified => "verify read every byte back",
            Self::Good => "whole, and not read back yet",
            Self::Legacy => "an archive without a manifest: no proof",
            Self::Running => "a backup runs",
            Self::Late => "made later, and before the next slot",
            Self::Missed => "no backup was made, and no attempt was seen",
            Self::Failed => "every attempt failed",
            Self::Damaged => "verify found damage: it counts for nothing",
            Self::Swept => "older than retention keeps",
            Self::Future => "still to come",
            Self::Unknown => "the store was not listed yet",
            Self::Unplanned => "no backup was due",
        }
    }

    /// Whether somebody should look.
    pub(in crate::http::page) fn is_bad(self) -> bool {
        matches!(self, Self::Missed | Self::Failed | Self::Damaged)
    }
}

/// One hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Cell {
    pub(in crate::http::page) slot: Slot,
    /// Its details.
    pub(in crate::http::page) text: String,
}

/// One day, from its first hour to its last.
#[derive(Clone, Debug)]
pub(in crate::http::page) struct Day {
    /// `Mon 23 Nov`
    pub(in crate::http::page) label: String,
    pub(in crate::http::page) cells: Vec<Cell>,
}

/// The days, the newest first.
#[derive(Clone, Debug)]
pub(in crate::http::page) struct Grid {
    /// Whether the store was listed, so that it is known what became of slots.
    pub(in crate::http::page) is_known: bool,
    pub(in crate::http::page) days: Vec<Day>,
}

impl Grid {
    /// How many cells there are of each kind that there is.
    pub(in crate::http::page) fn counts(&self) -> BTreeMap<Slot, usize> {
        let mut counts = BTreeMap::new();
        for cell in self.days.iter().flat_map(|day| &day.cells) {
            *counts.entry(cell.slot).or_default() += 1;
        }
        counts
    }
}

impl Day {
    /// What the day came to, in words: hours of one kind that follow each other
    /// are told together, and what is bad is told with its details.
    pub(in crate::http::page) fn words(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut at = 0;
        while at < self.cells.len() {
            let cell = &self.cells[at];
            let alike = |other: &&Cell| other.slot == cell.slot && !cell.slot.is_bad();
            let until = at + self.cells[at..].iter().take_while(alike).count().max(1);
            if cell.slot.is_bad() {
                parts.push(cell.text.clone());
            } else if cell.slot != Slot::Unplanned {
                let hours = if until - at == 1 {
                    format!("{at:02}")
                } else {
                    format!("{at:02} to {:02}", until - 1)
                };
                parts.push(format!("{hours} {}", cell.slot.word()));
            }
            at = until;
        }
        if parts.is_empty() { Slot::Unplanned.word().to_owned() } else { parts.join("; ") }
    }
}

/// Decides on every cell.
pub(super) fn grid(now: DateTime<Utc>, known: &DatabaseState, shown: &Shown<'_>) -> Grid {
    let today = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let first = today - TimeDelta::days(DAYS - 1);
    let slots = slots(known, first, today + TimeDelta::days(1));
    let looker = Looker { now, known, shown, slots, beginning: beginning(known) };
    let days = (0..DAYS).map(|back| {
        let day = today - TimeDelta::days(back);
        let cells = (0..24).map(|at| looker.cell(day + TimeDelta::hours(at))).collect();
        Day { label: day.format("%a %-d %b").to_string(), cells }
    });
    Grid { is_known: known.catalog.is_some(), days: days.collect() }
}

/// The slots of one hour.
struct Slots {
    first: DateTime<Utc>,
    /// The first one after that hour.
    next: Option<DateTime<Utc>>,
}

/// The slots of each hour that has any.
fn slots(
    known: &DatabaseState,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> BTreeMap<DateTime<Utc>, Slots> {
    let mut slots = BTreeMap::new();
    let Some(schedule) = &known.backup_schedule else { return slots };
    let next =
        |time: DateTime<Utc>, inclusive| schedule.cron.find_next_occurrence(&time, inclusive).ok();
    let mut slot = next(from, true);
    while let Some(this) = slot.filter(|slot| *slot < to) {
        // A cron line of every second has no more of them than one of every hour.
        let after = next(hour(this) + TimeDelta::hours(1), true);
        slots.insert(hour(this), Slots { first: this, next: after });
        slot = after;
    }
    slots
}

/// When the oldest thing in the store began.
fn beginning(known: &DatabaseState) -> Option<DateTime<Utc>> {
    let oldest = known.catalog.as_ref().and_then(|totals| totals.oldest);
    let stored = known.stored.iter().next().map(|(_, stored)| stored.time);
    oldest.into_iter().chain(stored).min()
}

struct Looker<'a> {
    now: DateTime<Utc>,
    known: &'a DatabaseState,
    shown: &'a Shown<'a>,
    slots: BTreeMap<DateTime<Utc>, Slots>,
    beginning: Option<DateTime<Utc>>,
}

impl Looker<'_> {
    fn cell(&self, start: DateTime<Utc>) -> Cell {
        let slot = self.slots.get(&start).map(|slots| slots.first);
        let time = slot.unwrap_or(start);
        let (kind, detail) = match self.known.stored.get(start) {
            Some(stored) => self.of_stored(start, slot, stored),
            None => self.of_nothing(start, slot),
        };
        let at = format!("{:02}:{:02}", time.hour(), time.minute());
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        Cell { slot: kind, text: format!("{at} {}{detail}", kind.word()) }
    }

    /// What stands in an hour; unless that is not what the slot was due, and the
    /// slot was lost.
    fn of_stored(
        &self,
        start: DateTime<Utc>,
        slot: Option<DateTime<Utc>>,
        stored: &Stored,
    ) -> (Slot, String) {
        let (kind, detail) = self.of_archive(stored);
        if stored.scheduled || !(stored.manual || stored.worth == Worth::Legacy) {
            return (kind, detail);
        }
        let (lost, why) = self.of_nothing(start, slot);
        // Before our first backup somebody else's archives were all that was due.
        let oldest = self.known.catalog.as_ref().and_then(|totals| totals.oldest);
        let ours = oldest.zip(slot).is_some_and(|(oldest, slot)| slot >= oldest);
        match lost {
            Slot::Failed => {}
            Slot::Missed if stored.manual || ours => {}
            _ => return (kind, detail),
        }
        let why = if why.is_empty() { why } else { format!("{why}; ") };
        (lost, format!("{why}beside it {}: {detail}", kind.word()))
    }

    fn of_archive(&self, stored: &Stored) -> (Slot, String) {
        let kind = match stored.worth {
            Worth::Good if proves(self.known, &stored.id) => Slot::Proven,
            Worth::Good if stored.verified.is_some() => Slot::Verified,
            Worth::Good => Slot::Good,
            Worth::Legacy => Slot::Legacy,
            Worth::Damaged => Slot::Damaged,
        };
        let mut parts = vec![stored.id.clone(), size(stored.bytes)];
        if stored.manual {
            parts.push("made by hand".to_owned());
        }
        let measure =
            self.known.measures.get(stored.time).filter(|one| hour(one.time) == hour(stored.time));
        if let Some(measure) = measure {
            let size = measure.size;
            parts.push(format!("{} rows in {}", count(size.rows), seconds(size.seconds)));
        }
        if let Some(reason) = condemned(self.now, self.known, stored) {
            parts.push(format!("did not come back in its drill ({reason})"));
        }
        if stored.count > 1 {
            parts.push(format!("the best of {} of this hour", stored.count));
        }
        if stored.damaged > 0 && stored.worth != Worth::Damaged {
            parts.push(format!("{} damaged beside it", stored.damaged));
        }
        if let Some(failed) = self.known.failures.get(stored.time) {
            parts.push(format!("after {} that failed", failed.count));
        }
        (kind, parts.join(", "))
    }

    fn of_nothing(&self, start: DateTime<Utc>, slot: Option<DateTime<Utc>>) -> (Slot, String) {
        let end = start + TimeDelta::hours(1);
        let running = self.known.running.as_ref().filter(|run| run.job == JobKind::Backup);
        if running.is_some_and(|run| run.since >= start && run.since < end) {
            return (Slot::Running, String::new());
        }
        if let Some(failed) = self.known.failures.get(start) {
            let stage = failed.stage.map(|stage| format!(" at {stage}")).unwrap_or_default();
            let error =
                failed.error.as_deref().map(|error| format!(", {}", self.shown.text(error)));
            let times = if failed.count == 1 {
                "once".to_owned()
            } else {
                format!("{} times", failed.count)
            };
            return (Slot::Failed, format!("{times}{stage}{}", error.unwrap_or_default()));
        }
        let Some(slot) = slot else { return (Slot::Unplanned, String::new()) };
        if slot > self.now {
            return (Slot::Future, String::new());
        }
        if self.now - slot < PATIENCE {
            return (Slot::Future, "due now".to_owned());
        }
        if self.known.catalog.is_none() {
            return (Slot::Unknown, String::new());
        }
        let Some(beginning) = self.beginning else {
            return (Slot::Unplanned, "before the oldest backup".to_owned());
        };
        let horizon = self.known.outlook.as_ref().and_then(|outlook| outlook.horizon);
        if horizon.is_some_and(|horizon| slot < horizon && beginning <= horizon + REACH) {
            return (Slot::Swept, String::new());
        }
        if slot < beginning {
            return (Slot::Unplanned, "before the oldest backup".to_owned());
        }
        match self.served_late(start) {
            Some(late) => (Slot::Late, late),
            None => (Slot::Missed, String::new()),
        }
    }

    /// The backup that was made after the slot's own hour and before the next slot.
    fn served_late(&self, start: DateTime<Utc>) -> Option<String> {
        let Slots { first, next } = self.slots.get(&start)?;
        let until = next.unwrap_or(self.now);
        let mut later = self.known.stored.iter().map(|(_, stored)| stored);
        let served = later.find(|stored| {
            stored.worth == Worth::Good
                && !stored.manual
                && stored.time > *first
                && stored.time < until
        })?;
        Some(served.id.clone())
    }
}
