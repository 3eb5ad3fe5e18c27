//! Years of hours in seconds: what a daemon's sweeps leave of its backups,
//! held against a judge that shares no code with the plan.
//!
//! Each step is an hour. Backups are made, fail for an hour or for weeks, are
//! verified and found damaged, drilled and found not to come back; people make some by hand, lower and raise
//! nothing; the daemon restarts, sleeps over sweeps, dies in the middle of one,
//! and now and then its clock is a year off.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use super::{
    Drilled, Policy, Refusal, check, check_clock, plan,
    testing::{at, entry, policy},
};
use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, Entry, State},
    drill::Mark,
    words::{DrillReason, DrillVerdict},
};

const YEARS: i64 = 3;
const STALE_AFTER: std::time::Duration = std::time::Duration::from_hours(2);

/// The same numbers on every run of a seed.
struct Dice(u64);

impl Dice {
    /// Whether something happens that happens once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[derive(Default, Debug)]
struct Told {
    steps: u64,
    made: u64,
    drilled: u64,
    failed: u64,
    swept: u64,
    removed: u64,
    cut_short: u64,
    by_hand: u64,
    refused: BTreeMap<&'static str, u64>,
}

/// The periods that a backup lies in, as a person would write them.
type Names = BTreeMap<BackupId, [String; 5]>;

const FORMATS: [&str; 5] = ["%Y-%m-%d %H", "%Y-%m-%d", "%G-%V", "%Y-%m", "%Y"];

struct World {
    policy: Policy,
    dice: Dice,
    entries: Vec<Entry>,
    drilled: Drilled,
    names: Names,
    /// The true time, which is the store's.
    now: DateTime<Utc>,
    /// How far the daemon's clock is off.
    off: TimeDelta,
    /// Until when the source is away, the daemon, the right time.
    source_back: DateTime<Utc>,
    daemon_back: DateTime<Utc>,
    clock_back: DateTime<Utc>,
    /// The day whose sweep has had its run; a restart forgets it.
    swept: Option<DateTime<Utc>>,
    /// When a sweep last came to its end.
    clean: Option<DateTime<Utc>>,
    told: Told,
}

impl World {
    fn new(policy: Policy, seed: u64) -> Self {
        let now = at(0);
        Self {
            policy,
            dice: Dice(seed),
            entries: Vec::new(),
            drilled: Drilled::new(),
            names: Names::new(),
            now,
            off: TimeDelta::zero(),
            source_back: now,
            daemon_back: now,
            clock_back: now,
            swept: None,
            clean: None,
            told: Told::default(),
        }
    }

    fn step(&mut self) {
        self.told.steps += 1;
        self.now += TimeDelta::hours(1);
        self.fate();
        if self.now < self.daemon_back {
            return;
        }
        if self.now >= self.source_back && !self.dice.once_in(40) {
            self.back_up(Kind::Scheduled);
        }
        if self.dice.once_in(2000) {
            self.back_up(Kind::Manual);
        }
        if self.now.hour() == 3 {
            self.verify();
        }
        if self.dice.once_in(100) {
            self.drill();
        }
        self.sweep_if_due();
    }

    /// What nobody wants.
    fn fate(&mut self) {
        let hours = |hours: u64| TimeDelta::hours(i64::try_from(hours).unwrap());
        if self.dice.once_in(400) {
            self.source_back = self.now + hours(1 + self.dice.below(9));
        }
        // Weeks without a backup: longer than anything is kept for its age.
        if self.dice.once_in(6000) {
            self.source_back = self.now + hours(24 * (20 + self.dice.below(20)));
        }
        if self.dice.once_in(300) {
            self.daemon_back = self.now + hours(self.dice.below(60));
            self.swept = None;
        }
        if self.dice.once_in(3000) {
            self.off = TimeDelta::days(if self.dice.once_in(2) { 365 } else { -365 });
            self.clock_back = self.now + hours(1 + self.dice.below(48));
        }
        if self.now >= self.clock_back {
            self.off = TimeDelta::zero();
        }
    }

    fn back_up(&mut self, kind: Kind) {
        let mut id = BackupId::at(self.now + self.off);
        while self.entries.iter().any(|entry| entry.id == id) {
            id = id.next();
        }
        // A few are legacy archives, of the old workflow that still runs.
        let state = if self.dice.once_in(30) { State::Legacy } else { State::Good };
        let entry = Entry { id, kind, state, last_modified: self.now, ..entry(0) };
        let names = FORMATS.map(|format| entry.time().format(format).to_string());
        self.names.insert(id, names);
        self.entries.push(entry);
        self.told.made += 1;
    }

    /// The newest and a few others; now and then one is found damaged.
    fn verify(&mut self) {
        for _ in 0..4 {
            let count = self.entries.len() as u64;
            if count == 0 {
                return;
            }
            let at = usize::try_from(self.dice.below(count)).unwrap();
            let damaged = self.dice.once_in(50);
            let entry = &mut self.entries[at];
            if entry.state == State::Good {
                entry.verified = Some(self.now);
                if damaged {
                    entry.state = State::Damaged;
                }
            }
        }
    }

    /// Any of them, whether it was drilled before or not. Most pass; the others
    /// fail in one way or another.
    fn drill(&mut self) {
        let count = self.entries.len() as u64;
        if count == 0 {
            return;
        }
        // Half of them are of the newest.
        let of_all = if self.dice.once_in(2) { count } else { count.min(30) };
        let back = usize::try_from(self.dice.below(of_all)).unwrap();
        let entry = &self.entries[self.entries.len() - 1 - back];
        let reasons = [
            DrillReason::ArchiveDamaged,
            DrillReason::RestoreError,
            DrillReason::RowsDiffer,
            DrillReason::CheckFailed,
            DrillReason::MissingExtension,
        ];
        let reason = reasons.get(usize::try_from(self.dice.below(10)).unwrap()).copied();
        let verdict = if reason.is_some() { DrillVerdict::Failed } else { DrillVerdict::Passed };
        let mark = Mark { verdict, reason, time: self.now };
        self.drilled.insert((entry.kind.name(), entry.id), mark);
        self.told.drilled += 1;
        self.told.failed += u64::from(reason.is_some());
    }

    /// At the first look after a quarter past four, or after a start.
    fn sweep_if_due(&mut self) {
        let day = (self.now - TimeDelta::minutes(255)).date_naive().and_hms_opt(4, 15, 0).unwrap();
        if self.swept == Some(day.and_utc()) {
            return;
        }
        self.swept = Some(day.and_utc());
        match self.sweep(false) {
            Ok(()) => {}
            Err(Refusal::MoreThanHalf { .. } | Refusal::MoreThanHalfOfAll { .. }) => {
                *self.told.refused.entry("more_than_half").or_default() += 1;
                // A person looks, and finds that it is so.
                self.told.by_hand += 1;
                self.sweep(true).unwrap();
            }
            Err(refusal) => {
                *self.told.refused.entry(refusal.reason().as_str()).or_default() += 1;
            }
        }
    }

    fn sweep(&mut self, by_hand: bool) -> Result<(), Refusal> {
        let ours = self.now + self.off;
        check_clock(ours, self.now)?;
        self.entries.sort_by_key(|entry| (entry.id, entry.kind.name()));
        let plan = plan(&self.entries, &self.drilled, &self.policy, ours);
        check(&self.entries, &plan, 0, STALE_AFTER, by_hand, ours)?;
        let judge = Judge::new(self);
        let mut going: Vec<usize> = plan.removed().map(|decision| decision.at).collect();
        for (at, entry) in self.entries.iter().enumerate() {
            let told = judge.keeps(entry);
            assert_eq!(!going.contains(&at), told, "{} at {}", entry.id, self.now);
        }
        // Killed in the middle, or done.
        let whole = !self.dice.once_in(20);
        if !whole {
            going.truncate(going.len() / 2);
            self.told.cut_short += 1;
            self.swept = None;
        }
        self.told.swept += 1;
        self.told.removed += going.len() as u64;
        let going: BTreeSet<usize> = going.into_iter().collect();
        let mut place = 0..;
        self.entries.retain(|_| place.next().is_none_or(|at| !going.contains(&at)));
        if whole {
            self.clean = Some(self.now);
        }
        Ok(())
    }

    /// After a whole sweep there is no surplus at all; from then on each hour
    /// takes a backup's age away, and its place among the last and in each tier,
    /// and each verify may choose another one for a period.
    fn check(&self) {
        let Some(clean) = self.clean else { return };
        let judge = Judge::new(self);
        let surplus = self.entries.iter().filter(|entry| !judge.keeps(entry)).count();
        let tiers = self.policy.tiers.iter().filter(|tier| **tier > 0).count();
        let hours = usize::try_from((self.now - clean).num_hours()).unwrap();
        let most = hours * (2 + tiers) + 4 * 5 * hours.div_ceil(24);
        assert!(surplus <= most, "{surplus} at {}, {hours} h after a sweep", self.now);
    }
}

/// What retention says, told a second time and plainly: by the texts of times.
struct Judge {
    young: DateTime<Utc>,
    kept: BTreeSet<BackupId>,
}

impl Judge {
    fn new(world: &World) -> Self {
        let World { entries, drilled, names, policy, now, .. } = world;
        let scheduled = entries.iter().filter(|entry| entry.kind == Kind::Scheduled);
        let mut newest: Vec<&Entry> = scheduled.collect();
        newest.sort_by_key(|entry| std::cmp::Reverse((entry.time(), entry.id)));
        let mark = |entry: &Entry| drilled.get(&(entry.kind.name(), entry.id));
        let is_lost = |entry: &&&Entry| match mark(entry).map(|mark| (mark.reason, mark.time)) {
            Some((Some(DrillReason::RestoreError | DrillReason::RowsDiffer), _)) => true,
            Some((Some(DrillReason::ArchiveDamaged), drilled)) => {
                entry.verified.is_none_or(|verified| verified <= drilled)
            }
            _ => false,
        };
        let lost: BTreeSet<BackupId> =
            newest.iter().filter(is_lost).map(|entry| entry.id).collect();
        let came_back = |entry: &Entry| !lost.contains(&entry.id);
        let of = |state: State, wanted: bool| -> Vec<&Entry> {
            let alike = |entry: &&Entry| entry.state == state && came_back(entry) == wanted;
            newest.iter().copied().filter(alike).collect()
        };
        let (good, failed) = (of(State::Good, true), of(State::Good, false));
        let legacy = [of(State::Legacy, true), of(State::Legacy, false)].concat();
        let mut kept: BTreeSet<BackupId> =
            good.iter().take(policy.keep_last).map(|entry| entry.id).collect();
        let missing = policy.keep_last.saturating_sub(kept.len());
        for others in [&legacy, &failed] {
            kept.extend(others.iter().take(missing).map(|entry| entry.id));
        }
        kept.extend(newest.iter().find(|entry| entry.state == State::Good).map(|entry| entry.id));
        let found = *now - policy.keep_for.max(TimeDelta::days(8));
        let damaged = newest.iter().filter(|entry| entry.state == State::Damaged);
        let looked_at = |entry: &&&Entry| entry.verified.is_none_or(|time| time > found);
        kept.extend(damaged.filter(looked_at).map(|entry| entry.id));
        for (column, tier) in policy.tiers.into_iter().enumerate().filter(|(_, tier)| *tier > 0) {
            let name = |entry: &Entry| names[&entry.id][column].as_str();
            let passed = |entry: &&&Entry| {
                came_back(entry) && mark(entry).is_some_and(|mark| mark.reason.is_none())
            };
            let best = |period: &[&Entry]| {
                let best = period.iter().find(passed).or_else(|| {
                    period.iter().find(|entry| came_back(entry) && entry.verified.is_some())
                });
                best.or_else(|| period.iter().find(|entry| came_back(entry)))
                    .unwrap_or(&period[0])
                    .id
            };
            for period in good.chunk_by(|a, b| name(a) == name(b)).take(tier) {
                kept.insert(best(period));
            }
            for others in [State::Legacy, State::Good] {
                let is_good = |entry: &Entry| entry.state == State::Good && came_back(entry);
                let is_any = |entry: &&&Entry| entry.state == others || is_good(entry);
                let any: Vec<&Entry> = newest.iter().filter(is_any).copied().collect();
                for period in any.chunk_by(|a, b| name(a) == name(b)).take(tier) {
                    if !period.iter().any(|entry| is_good(entry)) {
                        kept.insert(best(period));
                    }
                }
            }
        }
        Self { young: *now - policy.keep_for, kept }
    }

    /// The store knows when it was made, whatever the clock said that named it.
    fn keeps(&self, entry: &Entry) -> bool {
        let is_young = entry.last_modified > self.young;
        entry.kind == Kind::Manual || is_young || self.kept.contains(&entry.id)
    }
}

/// Lives through the years, and tells how it went.
fn live(policy: Policy, seed: u64) -> Told {
    let mut world = World::new(policy, seed);
    for hour in 0..YEARS * 365 * 24 {
        world.step();
        // The judge is slow; a look a day, at all hours of it.
        if hour % 25 == 0 {
            world.check();
        }
    }
    world.told
}

#[test]
fn years_of_hours_lose_nothing_that_is_kept_and_keep_nothing_beyond_a_period() {
    let mut steps = 0;
    let tiers = Policy { keep_for: TimeDelta::days(3), tiers: [48, 14, 8, 12, 3], ..policy() };
    let sparse =
        Policy { keep_for: TimeDelta::days(1), keep_last: 1, tiers: [0, 7, 0, 6, 0], ..policy() };
    for (policy, seed) in
        [(policy(), 1), (policy(), 2), (tiers.clone(), 3), (tiers, 4), (sparse, 5)]
    {
        let told = live(policy, seed);
        println!("seed {seed}: {told:?}");
        steps += told.steps;
        assert!(told.swept > 700 && told.removed > 15_000, "{told:?}");
        for reason in ["clock", "no_fresh_backup"] {
            assert!(told.refused.contains_key(reason), "{told:?}");
        }
        assert!(told.cut_short > 10 && told.drilled > 100 && told.failed > 30, "{told:?}");
    }
    println!("{steps} simulated hours");
    assert_eq!(steps, 5 * 3 * 365 * 24);
}
