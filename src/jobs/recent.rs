//! What the last days have left in the store, and what retention makes of it:
//! a catalog in few words, for whoever shows it. Pure.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    archive::manifest::Kind,
    catalog::{Catalog, Entry, State},
    clock, drill,
    figures::span,
    jobs::drill::history::LOOK_BACK,
    retention::{self, Policy},
    settings::{DatabaseSettings, SweepMode},
    state::{DrillHistory, Going, Hours, Outlook, Stored, WINDOW},
    words::{Keep, Worth},
};

/// So many of those that go are named; the others are counted.
const NAMED: usize = 10;

/// The best of each hour of the last days.
#[must_use]
pub fn stored(catalog: &Catalog, now: DateTime<Utc>) -> Hours<Stored> {
    let mut hours = Hours::default();
    for entry in &catalog.entries {
        let time = entry.time();
        let worth = match entry.state {
            State::Good => Worth::Good,
            State::Legacy => Worth::Legacy,
            State::Damaged | State::Broken => Worth::Damaged,
            State::Unclear | State::Debris => continue,
        };
        if time < now - WINDOW || time > now + clock::TOLERANCE {
            continue;
        }
        hours.update(time, |known: Option<Stored>| {
            let one = one(entry, worth);
            let Some(known) = known else { return one };
            let (count, damaged) = (known.count + 1, known.damaged + one.damaged);
            let scheduled = known.scheduled || one.scheduled;
            let best = if rank(&one) <= rank(&known) { one } else { known };
            Stored { scheduled, count, damaged, ..best }
        });
    }
    hours
}

/// The newest good backups, newest first. As few drills as are looked back at can
/// not have condemned them all.
#[must_use]
pub fn newest(catalog: &Catalog, now: DateTime<Utc>) -> Arc<[Stored]> {
    let is_past = |entry: &&Entry| entry.time() <= now + clock::TOLERANCE;
    let mut good: Vec<&Entry> = catalog.good().filter(is_past).collect();
    good.sort_by_key(|entry| Reverse((entry.time(), entry.id)));
    good.into_iter().take(LOOK_BACK + 1).map(|entry| one(entry, Worth::Good)).collect()
}

fn one(entry: &Entry, worth: Worth) -> Stored {
    Stored {
        id: entry.id.to_string(),
        time: entry.time(),
        worth,
        manual: entry.kind == Kind::Manual,
        scheduled: entry.kind == Kind::Scheduled && worth != Worth::Legacy,
        bytes: entry.archive_bytes,
        verified: entry.verified.filter(|_| worth != Worth::Damaged),
        count: 1,
        damaged: u32::from(worth == Worth::Damaged),
    }
}

/// The least is the best; of equals the later one is taken.
fn rank(stored: &Stored) -> (Worth, bool, bool) {
    (stored.worth, stored.verified.is_none(), stored.manual)
}

/// What retention says at a time, which is the next sweep's where there is one.
#[must_use]
pub fn outlook(
    catalog: &Catalog,
    drills: Option<&DrillHistory>,
    settings: &DatabaseSettings,
    at: DateTime<Utc>,
) -> Outlook {
    let policy = Policy::of(settings);
    let drilled = drill::marks_in_short(drills.into_iter().flat_map(|drills| &drills.recent), at);
    let plan = retention::plan(&catalog.entries, &drilled, &policy, at);
    let mut reasons: BTreeMap<Keep, u64> = BTreeMap::new();
    for reason in plan.kept().flat_map(|decision| decision.keep.iter()) {
        *reasons.entry(reason).or_default() += 1;
    }
    let entry = |at: usize| &catalog.entries[at];
    let oldest_kept = plan.kept().next().map(|decision| {
        let entry = entry(decision.at);
        let until = retention::young_until(entry, &policy);
        (entry.id.to_string(), until.unwrap_or(DateTime::<Utc>::MAX_UTC))
    });
    let next = plan
        .removed()
        .take(NAMED)
        .map(|decision| {
            let entry = entry(decision.at);
            let why = retention::why(decision, entry, &policy);
            Going { id: entry.id.to_string(), bytes: entry.archive_bytes, why }
        })
        .collect();
    Outlook {
        rules: rules(&policy),
        at,
        sweeps: settings.sweep.enabled && settings.sweep.mode == SweepMode::Delete,
        kept: plan.kept().count() as u64,
        reasons: reasons.into_iter().collect(),
        going: plan.removed().count() as u64,
        going_bytes: plan.removed().map(|decision| entry(decision.at).archive_bytes).sum(),
        next,
        oldest_kept,
        horizon: at.checked_sub_signed(policy.keep_for),
    }
}

fn rules(policy: &Policy) -> Vec<String> {
    let mut rules = vec![
        format!("everything younger than {}", span(policy.keep_for)),
        format!("the last {} good backups, whatever their age", policy.keep_last),
    ];
    let tiers = policy.tiers_in_words();
    if !tiers.is_empty() {
        rules.push(format!("one backup of each of the newest periods: {tiers}"));
    }
    rules.push("every manual backup".to_owned());
    rules
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{
        catalog::BackupId,
        settings::{Sources, load},
    };

    fn now() -> DateTime<Utc> {
        "2026-11-23T14:30:00Z".parse().unwrap()
    }

    fn entry(ago: TimeDelta, kind: Kind, state: State) -> Entry {
        let time = now() - ago;
        Entry {
            id: BackupId::at(time),
            kind,
            state,
            archive_bytes: 10,
            last_modified: time,
            verified: None,
        }
    }

    fn catalog(entries: impl IntoIterator<Item = Entry>) -> Catalog {
        let mut catalog = Catalog::default();
        entries.into_iter().for_each(|entry| catalog.add(entry));
        catalog
    }

    fn settings(extra: &str) -> DatabaseSettings {
        let mut sources = Sources::default();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("reliquary.toml");
        let text = format!(
            "store.url = \"s3://bucket\"\ndatabases.main.url = \"postgres://h/db\"\n{extra}"
        );
        std::fs::write(&file, text).unwrap();
        sources.config = Some(file);
        load(&sources).unwrap().0.databases.remove("main").unwrap()
    }

    #[test]
    fn an_hour_shows_its_best_and_counts_the_others() {
        let minutes = TimeDelta::minutes;
        let mut verified = entry(minutes(20), Kind::Scheduled, State::Good);
        verified.verified = Some(now());
        let hours = stored(
            &catalog([
                entry(minutes(25), Kind::Scheduled, State::Damaged),
                verified.clone(),
                entry(minutes(10), Kind::Manual, State::Good),
                entry(minutes(70), Kind::Scheduled, State::Debris),
                entry(minutes(130), Kind::Scheduled, State::Legacy),
                entry(TimeDelta::days(40), Kind::Scheduled, State::Good),
                entry(TimeDelta::days(-400), Kind::Manual, State::Broken),
            ]),
            now(),
        );
        let found: Vec<_> = hours.iter().map(|(_, one)| one.clone()).collect();
        assert_eq!(found.len(), 2, "{found:#?}");
        assert_eq!((found[0].worth, found[0].count), (Worth::Legacy, 1));
        assert_eq!((&*found[1].id, found[1].worth), (&*verified.id.to_string(), Worth::Good));
        assert_eq!((found[1].count, found[1].damaged), (3, 1));
        assert!(found[1].scheduled && !found[0].scheduled, "{found:#?}");
    }

    #[test]
    fn the_newest_good_ones_are_told_one_by_one_and_one_more_than_drills_are_known_of() {
        let minutes = TimeDelta::minutes;
        let newest = newest(
            &catalog((0..300).map(|at| {
                let state = if at == 3 { State::Damaged } else { State::Good };
                entry(minutes(at - 10), Kind::Scheduled, state)
            })),
            now(),
        );
        assert_eq!(newest.len(), LOOK_BACK + 1);
        assert!(newest.iter().is_sorted_by(|one, next| one.time > next.time), "{newest:#?}");
        assert!(newest[0].time <= now() + clock::TOLERANCE, "{newest:#?}");
        assert!(newest.iter().all(|one| one.worth == Worth::Good && one.count == 1));
    }

    #[test]
    fn the_outlook_says_what_stays_and_what_goes_at_the_next_sweep() {
        let settings = settings("retention.keep_for = \"10d\"\nretention.keep_last = 3");
        let days = |days| entry(TimeDelta::days(days), Kind::Scheduled, State::Good);
        let catalog = catalog((0..20).map(days));
        let outlook = outlook(&catalog, None, &settings, now() + TimeDelta::hours(1));
        assert_eq!((outlook.kept, outlook.going, outlook.going_bytes), (10, 10, 100));
        assert_eq!(outlook.reasons, [(Keep::Young, 10), (Keep::Last, 3)]);
        assert_eq!(outlook.next.len(), NAMED);
        assert_eq!(outlook.next[0].id, BackupId::at(now() - TimeDelta::days(19)).to_string());
        let (oldest, until) = outlook.oldest_kept.unwrap();
        assert_eq!(oldest, BackupId::at(now() - TimeDelta::days(9)).to_string());
        assert_eq!(until, now() + TimeDelta::days(1));
        // What was written later than its id says is kept from then on.
        let mut catalog = catalog;
        catalog.entries[0].last_modified = now();
        let outlook = super::outlook(&catalog, None, &settings, now());
        let (oldest, until) = outlook.oldest_kept.unwrap();
        assert_eq!(oldest, catalog.entries[0].id.to_string());
        assert_eq!(until, now() + TimeDelta::days(10));
        assert!(outlook.rules[0].ends_with(" 10d"), "{:?}", outlook.rules);
    }
}
