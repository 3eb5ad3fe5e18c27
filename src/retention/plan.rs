//! The plan: for every backup and legacy archive, whether it is kept and why.
//!
//! A backup is kept when anything keeps it: its age, its place among the last
//! good ones, a period whose one backup it is, or that a person made it. What
//! nothing keeps goes. No rule looks at the time but the one of age, so that a
//! clock that goes back never removes more, and each period is counted from
//! the newest one that has a backup, so that a year without backups removes
//! nothing.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::{DateTime, Datelike, Utc};

use super::Policy;
use crate::{
    archive::manifest::Kind,
    catalog::{Entry, State},
    words::{Keep, Period},
};

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
#[must_use]
pub fn plan(entries: &[Entry], policy: &Policy, now: DateTime<Utc>) -> Plan {
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
        let until = entry.time().checked_add_signed(policy.keep_for);
        if until.is_none_or(|until| until > now) {
            decision.keep.add(Keep::Young);
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
    for &place in good.iter().take(policy.keep_last.max(1)) {
        decisions[place].keep.add(Keep::Last);
    }
    for (period, reason) in Period::ALL.iter().zip(TIERS) {
        let tier = policy.tier(*period);
        let number = |place: &usize| number(*period, entries[decisions[*place].at].time());
        let proven = |place: &usize| is_proven(&entries[decisions[*place].at]);
        let kept = tiered(&good, &legacy, tier, number, proven);
        for place in kept {
            decisions[place].keep.add(reason);
        }
    }
    Plan { decisions }
}

/// The reason that each period's tier is, in the order of [`Period::ALL`].
const TIERS: [Keep; 5] = [Keep::Hour, Keep::Day, Keep::Week, Keep::Month, Keep::Year];

/// By which backups are older and newer than another.
fn when(entry: &Entry) -> (DateTime<Utc>, crate::catalog::BackupId, &'static str) {
    (entry.time(), entry.id, entry.kind.name())
}

/// Whether it was read back whole since it was made.
fn is_proven(entry: &Entry) -> bool {
    entry.state == State::Good && entry.verified.is_some()
}

/// The one backup of each of the newest periods that have a good one, and, of
/// each of the newest periods that have anything, a legacy archive where there
/// is nothing better. Legacy archives never take a period from good backups.
fn tiered(
    good: &[usize],
    legacy: &[usize],
    tier: usize,
    number: impl Fn(&usize) -> i64,
    proven: impl Fn(&usize) -> bool,
) -> Vec<usize> {
    if tier == 0 {
        return Vec::new();
    }
    let mut good_ones: BTreeMap<Reverse<i64>, usize> = BTreeMap::new();
    let mut legacy_ones: BTreeMap<Reverse<i64>, Option<usize>> = BTreeMap::new();
    // The newest comes first, and stands unless an older one is proven and it is not.
    for place in legacy {
        legacy_ones.entry(Reverse(number(place))).or_insert(Some(*place));
    }
    for place in good {
        let period = Reverse(number(place));
        let chosen = good_ones.entry(period).or_insert(*place);
        if proven(place) && !proven(chosen) {
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
