//! Whose turn it is to be drilled: pure, from the catalog, the drills before, and
//! the schedule.
//!
//! At each slot it is the newest good backup's turn, and that of a sample of
//! others: those that were never drilled come first, and among them legacy
//! archives, manual backups and scheduled ones take turns. Nobody has a turn for
//! the second time while others wait for their first; after that it is those
//! whose last turn is the longest ago.
//!
//! A drill that failed was a turn: it has said what there is to say. One that
//! proved nothing was none, and is made again within its slot, unless it would
//! come to nothing again (there is no room, say); then others come before it at
//! the next slot. Drills count wherever they were made: a new process, and a
//! person's own drill, are seen in the bucket.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::{DateTime, Utc};

use super::{super::verify::rota::shuffled, history::Drills};
use crate::{
    archive::manifest::Kind,
    catalog::{Catalog, Entry, State},
    clock,
    state::DrillReport,
    words::{DrillChoice, DrillReason, DrillVerdict},
};

/// How much is drilled at each slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How many beside the newest.
    pub sample: usize,
    /// Drills that may prove nothing before a slot is left as it is.
    pub attempts: usize,
}

/// What is to be drilled for a slot, in its order, and why.
#[must_use]
pub fn targets(
    catalog: &Catalog,
    drills: &Drills,
    slot: DateTime<Utc>,
    measure: Measure,
    now: DateTime<Utc>,
) -> Vec<(Entry, DrillChoice)> {
    let there: Vec<&Entry> = catalog
        .entries
        .iter()
        .filter(|entry| matches!(entry.state, State::Good | State::Legacy))
        .filter(|entry| entry.time() <= now + clock::TOLERANCE)
        .collect();
    let seen = Seen::of(drills, slot, now);
    // A slot of a time before there was anything was not missed.
    let was_there = there.iter().any(|entry| entry.time() <= slot);
    let wanted = (1 + measure.sample).saturating_sub(seen.turns);
    if !was_there || seen.in_vain >= measure.attempts || wanted == 0 {
        return Vec::new();
    }
    let good = || there.iter().copied().filter(|entry| entry.state == State::Good);
    let newest = good().max_by_key(|entry| (entry.time(), entry.id));
    let had_newest = seen.newest.iter().any(|report| {
        let between =
            |entry: &Entry| entry.id.to_string() > report.backup && entry.time() <= report.started;
        report.choice == DrillChoice::Newest || !good().any(between)
    });
    let newest = newest.filter(|entry| !had_newest && seen.looked(entry).is_none());
    let mut turns: Vec<(Entry, DrillChoice)> =
        newest.iter().map(|entry| ((*entry).clone(), DrillChoice::Newest)).collect();
    let waiting = there
        .iter()
        .copied()
        .filter(|entry| Some(*entry) != newest && !seen.has_had_its_turn(entry))
        .collect();
    let others = in_order(waiting, &seen, slot);
    turns.extend(others.into_iter().map(|entry| (entry.clone(), DrillChoice::Rota)));
    turns.truncate(wanted);
    turns
}

/// What takes turns with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Legacy,
    Manual,
    Scheduled,
}

impl Class {
    fn of(entry: &Entry) -> Self {
        match (entry.state, entry.kind) {
            (State::Legacy, _) => Self::Legacy,
            (_, Kind::Manual) => Self::Manual,
            (_, Kind::Scheduled) => Self::Scheduled,
        }
    }

    fn of_drilled(report: &DrillReport) -> Self {
        match (report.legacy, report.kind.as_str()) {
            (true, _) => Self::Legacy,
            (_, kind) if kind == Kind::Manual.name() => Self::Manual,
            _ => Self::Scheduled,
        }
    }
}

/// What the drills before tell.
struct Seen<'a> {
    /// When each was last looked at, by place and id.
    looked: BTreeMap<(&'a str, &'a str), DateTime<Utc>>,
    /// Those that have had their turn at this slot.
    settled: Vec<(&'a str, &'a str)>,
    /// Turns at this slot.
    turns: usize,
    /// Drills at this slot that proved nothing.
    in_vain: usize,
    /// Turns at this slot that may have been the newest's.
    newest: Vec<&'a DrillReport>,
    /// When each class last had a turn on the rota.
    classes: BTreeMap<Class, DateTime<Utc>>,
}

impl<'a> Seen<'a> {
    fn of(drills: &'a Drills, slot: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let mut seen = Self {
            looked: BTreeMap::new(),
            settled: Vec::new(),
            turns: 0,
            in_vain: 0,
            newest: Vec::new(),
            classes: BTreeMap::new(),
        };
        // What a wrong clock has dated ahead must not keep others from their turn.
        let believed = drills.reports().filter(|report| report.started <= now + clock::TOLERANCE);
        for report in believed {
            let name = (report.kind.as_str(), report.backup.as_str());
            let of_this_slot = report.started >= slot;
            let is_turn = report.verdict != DrillVerdict::Unproven;
            seen.in_vain += usize::from(of_this_slot && !is_turn);
            let is_settled = is_turn || !is_worth_trying_again(report);
            if of_this_slot && is_settled && !seen.settled.contains(&name) {
                seen.settled.push(name);
                seen.turns += 1;
                if !report.legacy && report.choice != DrillChoice::Rota {
                    seen.newest.push(report);
                }
            }
            if is_settled || !of_this_slot {
                seen.looked.insert(name, report.started);
                if report.choice == DrillChoice::Rota {
                    seen.classes.insert(Class::of_drilled(report), report.started);
                }
            }
        }
        seen
    }

    fn looked(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        self.looked.get(&(entry.kind.name(), entry.id.to_string().as_str())).copied()
    }

    fn has_had_its_turn(&self, entry: &Entry) -> bool {
        self.settled.contains(&(entry.kind.name(), entry.id.to_string().as_str()))
    }
}

/// Whether a drill that proved nothing may prove something a moment later.
fn is_worth_trying_again(report: &DrillReport) -> bool {
    report.reason.is_some_and(DrillReason::may_pass_by_itself)
}

/// Those that were never looked at, the classes in turn, and then the others.
fn in_order<'a>(waiting: Vec<&'a Entry>, seen: &Seen<'_>, slot: DateTime<Utc>) -> Vec<&'a Entry> {
    let (mut never, mut again): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|entry| seen.looked(entry).is_none());
    // An order of each slot's own reaches all ages.
    never.sort_by_key(|entry| (shuffled(entry, slot), Reverse(entry.id)));
    again.sort_by_key(|entry| (seen.looked(entry), entry.id));
    let mut classes = [Class::Legacy, Class::Manual, Class::Scheduled];
    classes.sort_by_key(|class| (seen.classes.get(class).copied(), *class));
    let mut of_class = classes.map(|class| {
        let of_it = never.iter().copied().filter(move |entry| Class::of(entry) == class);
        of_it.collect::<Vec<_>>().into_iter()
    });
    let mut order = Vec::new();
    while order.len() < never.len() {
        order.extend(of_class.iter_mut().filter_map(Iterator::next));
    }
    order.extend(again);
    order
}

#[cfg(test)]
#[path = "rota_tests.rs"]
mod tests;
