//! The plan: for every backup and legacy archive, whether it is kept and why.
//!
//! A backup is kept when anything keeps it: its age, its place among the last
//! good ones, a period whose one backup it is, that a person made it, or that it
//! was found damaged of late. What nothing keeps goes. One that did not come back
//! in a drill is no good one: it takes no place from another, and is kept for its
//! age, and where there is nothing good in its place. No rule looks at the time
//! but the one of age, so that a clock that goes back never removes more, and
//! each period is counted from the newest one that has a backup, so that a year
//! without backups removes nothing.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::{DateTime, Datelike, Utc};

use super::{
    Policy,
    proof::{Drilled, Proof, proof},
};
use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, Entry, State},
    drill,
    words::{DrillReason, DrillVerdict, Keep, Period},
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
    /// Why a drill says that it is no good one, where it does.
    pub condemned: Option<DrillReason>,
}

impl Decision {
    /// Whether it counts as good where something must remain.
    #[must_use]
    pub fn is_good(&self, entries: &[Entry]) -> bool {
        entries[self.at].state == State::Good && self.condemned.is_none()
    }
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

impl Plan {
    /// Keeps whatever a drill may have been of that began then and cannot be read:
    /// it may have proven it, or may have said that it is no good one and that others
    /// must stay in its place. Where a later drill of it is known, that one counts.
    pub fn keep_what_was_there(&mut self, began: BackupId, entries: &[Entry], drilled: &Drilled) {
        for decision in &mut self.decisions {
            let entry = &entries[decision.at];
            let is_known = drilled.get(&(entry.kind.name(), entry.id)).is_some_and(|mark| {
                mark.verdict != DrillVerdict::Unproven && mark.time > began.time()
            });
            if entry.id <= began && entry.state != State::Damaged && !is_known {
                decision.keep.add(Keep::DrillUnknown);
            }
        }
    }
}

/// Decides on every backup and legacy archive among these entries.
///
/// Where a period has several, one that passed a drill stands for it before one
/// that was only verified, that one before one that nobody looked at, and one
/// that did not come back in a drill where there is no other.
#[must_use]
pub fn plan(entries: &[Entry], drilled: &Drilled, policy: &Policy, now: DateTime<Utc>) -> Plan {
    let is_planned =
        |entry: &Entry| matches!(entry.state, State::Good | State::Damaged | State::Legacy);
    let mut decisions: Vec<Decision> = (0..entries.len())
        .filter(|&at| is_planned(&entries[at]))
        .map(|at| Decision {
            at,
            keep: Reasons::default(),
            condemned: drill::condemned(&entries[at], drilled),
        })
        .collect();
    decisions.sort_by_key(|decision| when(&entries[decision.at]));
    for decision in &mut decisions {
        let entry = &entries[decision.at];
        if entry.kind == Kind::Manual {
            decision.keep.add(Keep::Manual);
        }
        // A sum that no calendar holds is as good as for ever.
        if young_until(entry, policy).is_none_or(|until| until > now) {
            decision.keep.add(Keep::Young);
        }
        if entry.state == State::Damaged && is_evidence(entry, policy, now) {
            decision.keep.add(Keep::Damaged);
        }
    }
    let candidates = Candidates::of(entries, &decisions);
    let last = policy.keep_last.max(1);
    let mut keep = |places: &[usize], most: usize, reason| {
        for &place in places.iter().take(most) {
            decisions[place].keep.add(reason);
        }
    };
    keep(&candidates.good, last, Keep::Last);
    // Until there are as many good ones, what was there before them is worth
    // more than its age: on the day of a takeover it is all there is.
    let missing = last.saturating_sub(candidates.good.len());
    keep(&candidates.legacy, missing, Keep::Legacy);
    // A drill may be wrong, too: the machine lacked an extension, say. What the
    // pointer names is never taken for it.
    let is_newest = candidates.condemned.first() > candidates.good.first();
    keep(&candidates.condemned, missing.max(usize::from(is_newest)), Keep::DrillFailed);
    let proofs: Vec<Proof> =
        decisions.iter().map(|decision| proof(&entries[decision.at], drilled)).collect();
    for (period, reason) in Period::ALL.iter().zip(TIERS) {
        let tier = policy.tier(*period);
        let number = |place: &usize| number(*period, entries[decisions[*place].at].time());
        for place in candidates.tiered(tier, number, |place| proofs[*place]) {
            decisions[place].keep.add(reason);
        }
    }
    Plan { decisions }
}

/// What the schedule made, by what it counts for: places among the decisions, in
/// the order in which they are chosen.
///
/// What a person made is not among them. It is kept anyway, and must not stand in
/// for what the schedule made: the person may remove it.
struct Candidates {
    /// Newest first.
    good: Vec<usize>,
    /// Newest first; those that did not come back in a drill come last.
    legacy: Vec<usize>,
    /// Backups that did not come back in a drill, newest first.
    condemned: Vec<usize>,
}

impl Candidates {
    fn of(entries: &[Entry], decisions: &[Decision]) -> Self {
        let mut candidates = Self { good: Vec::new(), legacy: Vec::new(), condemned: Vec::new() };
        for (place, decision) in decisions.iter().enumerate().rev() {
            let entry = &entries[decision.at];
            match (entry.kind, entry.state, decision.condemned) {
                (Kind::Scheduled, State::Good, None) => candidates.good.push(place),
                (Kind::Scheduled, State::Good, Some(_)) => candidates.condemned.push(place),
                (Kind::Scheduled, State::Legacy, _) => candidates.legacy.push(place),
                _ => {}
            }
        }
        candidates.legacy.sort_by_key(|place| decisions[*place].condemned.is_some());
        candidates
    }

    /// The one backup of each of the newest periods that have a good one; and of
    /// what counts for less, the best of each of the newest periods that have it
    /// or a good one, where there is no good one. What counts for less never
    /// takes a period from good ones, nor legacy archives and backups that did
    /// not come back in a drill one from each other.
    fn tiered(
        &self,
        tier: usize,
        number: impl Fn(&usize) -> i64,
        proof: impl Fn(&usize) -> Proof,
    ) -> Vec<usize> {
        if tier == 0 {
            return Vec::new();
        }
        let best = |places: &[usize]| {
            let mut best: BTreeMap<Reverse<i64>, usize> = BTreeMap::new();
            for place in places {
                // The first one stands unless a later one is better known.
                let chosen = best.entry(Reverse(number(place))).or_insert(*place);
                if proof(place) > proof(chosen) {
                    *chosen = *place;
                }
            }
            best
        };
        let good = best(&self.good);
        let mut kept: Vec<usize> = good.values().copied().take(tier).collect();
        for lesser in [&self.legacy, &self.condemned] {
            let mut periods: BTreeMap<Reverse<i64>, Option<usize>> =
                best(lesser).into_iter().map(|(period, place)| (period, Some(place))).collect();
            periods.extend(good.keys().map(|period| (*period, None)));
            kept.extend(periods.into_values().take(tier).flatten());
        }
        kept
    }
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

/// Until when its age keeps it; `None` where no calendar holds that.
///
/// Its age is counted from its id, or from what the store says where that is
/// later. A clock that was a year behind gave ids that look a year old once it is
/// right, and nothing that was written yesterday goes for its age.
#[must_use]
pub fn young_until(entry: &Entry, policy: &Policy) -> Option<DateTime<Utc>> {
    entry.time().max(entry.last_modified).checked_add_signed(policy.keep_for)
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
