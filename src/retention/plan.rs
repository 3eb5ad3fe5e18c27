//! The plan: for every backup and legacy archive, whether it is kept and why.
//!
//! A backup is kept when anything keeps it: its age, its place among the last
//! good ones, a period whose one backup it is, that a person made it, or that it
//! was found damaged of late. What nothing keeps goes. No rule looks at the time
//! but the one of age, so that a clock that goes back never removes more, and
//! each period is counted from the newest one that has a backup, so that a year
//! without backups removes nothing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Datelike, Utc};

use super::Policy;
use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, Entry, State},
    words::{Keep, Period},
};

/// Backups that passed a drill, by the name of their kind and their id.
pub type Drilled = BTreeSet<(&'static str, BackupId)>;

/// What becomes of every backup and legacy archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Oldest first. Debris is not among them.
    pub decisions: Vec<Decision>,
}

/// What becomes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its place among the entries that were planned.
    pub at: usize,
    /// Why it is kept; it goes where there is nothing.
    pub keep: Reasons,
}

/// A few reasons to keep something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u16);

impl Reasons {
    /// Adds one.
    pub fn add(&mut self, reason: Keep) {
        self.0 |= 1 << reason as u16;
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn has(self, reason: Keep) -> bool {
        self.0 & (1 << reason as u16) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Keep> {
        Keep::ALL.iter().copied().filter(move |reason| self.has(*reason))
    }
}

impl Plan {
    /// What goes, oldest first.
    pub fn removed(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| decision.keep.is_empty())
    }

    /// What stays, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| !decision.keep.is_empty())
    }
}

/// Decides on every backup and legacy archive among these entries.
///
/// Where a period has several, one that passed a drill stands for it before one
/// that was only verified, and that one before one that nobody looked at.
#[must_use]
pub fn plan(entries: &[Entry], drilled: &Drilled, policy: &Policy, now: DateTime<Utc>) -> Plan {
    let is_planned =
        |entry: &Entry| matches!(entry.state, State::Good | State::Damaged | State::Legacy);
    let mut decisions: Vec<Decision> = (0..entries.len())
        .filter(|&at| is_planned(&entries[at]))
        .map(|at| Decision { at, keep: Reasons::default() })
        .collect();
    decisions.sort_by_key(|decision| when(&entries[decision.at]));
    for decision in &mut decisions {
        let entry = &entries[decision.at];
        if entry.kind == Kind::Manual {
            decision.keep.add(Keep::Manual);
        }
        // A sum that no calendar holds is as good as for ever.
        let until = made(entry).checked_add_signed(policy.keep_for);
        if until.is_none_or(|until| until > now) {
            decision.keep.add(Keep::Young);
        }
        if entry.state == State::Damaged && is_evidence(entry, policy, now) {
            decision.keep.add(Keep::Damaged);
        }
    }
    // What a person made is kept anyway, and must not stand in for what the
    // schedule made: the person may remove it.
    let scheduled = |decision: &Decision, state| {
        let entry = &entries[decision.at];
        entry.kind == Kind::Scheduled && entry.state == state
    };
    let newest_first: Vec<usize> = (0..decisions.len()).rev().collect();
    let of = |state| {
        let fits = |place: &usize| scheduled(&decisions[*place], state);
        newest_first.iter().copied().filter(fits).collect::<Vec<_>>()
    };
    let (good, legacy) = (of(State::Good), of(State::Legacy));
    let last = policy.keep_last.max(1);
    for &place in good.iter().take(last) {
        decisions[place].keep.add(Keep::Last);
    }
    // Until there are as many good ones, what was there before them is worth
    // more than its age: on the day of a takeover it is all there is.
    for &place in legacy.iter().take(last.saturating_sub(good.len())) {
        decisions[place].keep.add(Keep::Legacy);
    }
    for (period, reason) in Period::ALL.iter().zip(TIERS) {
        let tier = policy.tier(*period);
        let number = |place: &usize| number(*period, entries[decisions[*place].at].time());
        let proof = |place: &usize| proof(&entries[decisions[*place].at], drilled);
        let kept = tiered(&good, &legacy, tier, number, proof);
        for place in kept {
            decisions[place].keep.add(reason);
        }
    }
    Plan { decisions }
}

/// Whether a damaged one's verdict is so young that people may not have looked
/// yet. A verdict may be wrong: a bad cache between us and the store must not
/// empty it.
fn is_evidence(entry: &Entry, policy: &Policy, now: DateTime<Utc>) -> bool {
    let until = entry.verified.and_then(|judged| judged.checked_add_signed(policy.keep_damaged()));
    until.is_none_or(|until| until > now)
}

/// The reason that each period's tier is, in the order of [`Period::ALL`].
const TIERS: [Keep; 5] = [Keep::Hour, Keep::Day, Keep::Week, Keep::Month, Keep::Year];

/// By which backups are older and newer than another.
fn when(entry: &Entry) -> (DateTime<Utc>, BackupId, &'static str) {
    (entry.time(), entry.id, entry.kind.name())
}

/// From when on its age is counted: its id, or what the store says where that is
/// later. A clock that was a year behind gave ids that look a year old once it is
/// right, and nothing that was written yesterday goes for its age.
fn made(entry: &Entry) -> DateTime<Utc> {
    entry.time().max(entry.last_modified)
}

/// How well a backup is known to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// It was written, and nobody looked since.
    Written,
    /// It was read back whole since.
    Verified,
    /// It was restored and compared.
    Drilled,
}

fn proof(entry: &Entry, drilled: &Drilled) -> Proof {
    if drilled.contains(&(entry.kind.name(), entry.id)) {
        Proof::Drilled
    } else if entry.verified.is_some() {
        Proof::Verified
    } else {
        Proof::Written
    }
}

/// The one backup of each of the newest periods that have a good one, and, of
/// each of the newest periods that have anything, a legacy archive where there
/// is nothing better. Legacy archives never take a period from good backups.
fn tiered(
    good: &[usize],
    legacy: &[usize],
    tier: usize,
    number: impl Fn(&usize) -> i64,
    proof: impl Fn(&usize) -> Proof,
) -> Vec<usize> {
    if tier == 0 {
        return Vec::new();
    }
    let mut good_ones: BTreeMap<Reverse<i64>, usize> = BTreeMap::new();
    let mut legacy_ones: BTreeMap<Reverse<i64>, Option<usize>> = BTreeMap::new();
    // The newest comes first, and stands unless an older one is better known.
    for place in legacy {
        legacy_ones.entry(Reverse(number(place))).or_insert(Some(*place));
    }
    for place in good {
        let period = Reverse(number(place));
        let chosen = good_ones.entry(period).or_insert(*place);
        if proof(place) > proof(chosen) {
            *chosen = *place;
        }
        legacy_ones.insert(period, None);
    }
    let good_ones = good_ones.into_values().take(tier);
    good_ones.chain(legacy_ones.into_values().take(tier).flatten()).collect()
}

/// Numbers the periods of a kind, upwards in time.
fn number(period: Period, time: DateTime<Utc>) -> i64 {
    let days = i64::from(time.date_naive().num_days_from_ce());
    match period {
        Period::Hour => time.timestamp().div_euclid(3600),
        Period::Day => days,
        // Day 1 was a Monday.
        Period::Week => (days - 1).div_euclid(7),
        Period::Month => i64::from(time.year()) * 12 + i64::from(time.month0()),
        Period::Year => i64::from(time.year()),
    }
}

#[cfg(test)]
mod tests;
