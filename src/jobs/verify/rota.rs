//! Whose turn it is to be verified: pure, from the catalog and the schedule.
//!
//! At each slot it is the newest backup's turn, and that of a sample of older
//! ones: those first that were never looked at, or not for the longest time.
//! What was looked at since the slot, by whoever, has had its turn; so a run
//! that was interrupted goes on where it stopped, and a second process does not
//! do the work again. What could not be read at an earlier slot was looked at
//! then, too, as far as the order goes: others come before it.
//!
//! A damaged one has no turn, unless it was written again since: somebody may
//! have put a good copy in its place, and only a look can tell.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use super::Unread;
use crate::catalog::{Catalog, Entry, State};

/// The backups that are to be verified for a slot, the newest first. Those that
/// were made after the slot wait for the next one.
#[must_use]
pub fn targets(
    catalog: &Catalog,
    slot: DateTime<Utc>,
    sample: usize,
    unread: &Unread,
) -> Vec<Entry> {
    let replaced = catalog.entries.iter().rev().filter(|entry| is_replaced(entry));
    let (newest, sample) = good(catalog, slot, sample, unread);
    newest.into_iter().chain(replaced).chain(sample).cloned().collect()
}

/// Whether it was written again since it was found damaged.
fn is_replaced(entry: &Entry) -> bool {
    entry.state == State::Damaged && entry.verified.is_some_and(|time| entry.last_modified > time)
}

/// The newest good backup, and the sample of the others, as far as they did not
/// have their turn.
fn good<'a>(
    catalog: &'a Catalog,
    slot: DateTime<Utc>,
    sample: usize,
    unread: &Unread,
) -> (Option<&'a Entry>, Vec<&'a Entry>) {
    let mut there: Vec<&Entry> = catalog.good().filter(|entry| entry.time() <= slot).collect();
    there.sort_by_key(|entry| Reverse((entry.time(), entry.id)));
    let Some((newest, older)) = there.split_first() else { return (None, Vec::new()) };
    let had_its_turn = |entry: &Entry| entry.verified.is_some_and(|time| time >= slot);
    let done = older.iter().filter(|entry| had_its_turn(entry)).count();
    let mut waiting: Vec<&Entry> =
        older.iter().copied().filter(|entry| !had_its_turn(entry)).collect();
    // One that could not be read at this slot keeps its place until it can be,
    // or the slot's attempts are used up.
    let looked_at = |entry: &Entry| {
        let failed = unread.slot(entry).filter(|failed| *failed < slot);
        entry.verified.max(failed)
    };
    // Most were never looked at: an order of each slot's own reaches all ages.
    waiting.sort_by_key(|entry| (looked_at(entry), shuffled(entry, slot), entry.id));
    waiting.truncate(sample.saturating_sub(done));
    (Some(*newest).filter(|entry| !had_its_turn(entry)), waiting)
}

/// A number that is the same everywhere, and another one for each slot (FNV-1a).
pub(in crate::jobs) fn shuffled(entry: &Entry, slot: DateTime<Utc>) -> u64 {
    let text = format!("{} {} {}", slot.timestamp(), entry.id, entry.kind.name());
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        archive::manifest::Kind,
        catalog::{BackupId, State},
        words::Verdict,
    };

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_446_000, 0).unwrap() + TimeDelta::hours(hour)
    }

    /// A good backup for each hour.
    fn catalog(hours: std::ops::Range<i64>) -> Catalog {
        let mut catalog = Catalog::default();
        for hour in hours {
            let (kind, state, last_modified) = (Kind::Scheduled, State::Good, at(hour));
            let (id, archive_bytes, verified) = (BackupId::at(at(hour)), 1, None);
            catalog.add(Entry { id, kind, state, archive_bytes, last_modified, verified });
        }
        catalog
    }

    /// Where everything could be read so far.
    fn targets(catalog: &Catalog, slot: DateTime<Utc>, sample: usize) -> Vec<Entry> {
        super::targets(catalog, slot, sample, &Unread::default())
    }

    fn hours(entries: &[Entry]) -> Vec<i64> {
        entries.iter().map(|entry| (entry.time() - at(0)).num_hours()).collect()
    }

    #[test]
    fn the_newest_of_the_slot_comes_first_and_then_the_sample() {
        let catalog = catalog(0..30);
        let found = targets(&catalog, at(27), 3);
        assert_eq!(found.len(), 4);
        assert_eq!(hours(&found)[0], 27);
        assert!(hours(&found)[1..].iter().all(|hour| *hour < 27));
        assert_eq!(targets(&catalog, at(27), 3), found, "the same for everyone");
        assert_eq!(hours(&targets(&catalog, at(27), 0)), [27]);
        assert_eq!(targets(&catalog, at(-1), 3), []);
        assert_eq!(targets(&catalog, at(100), 1000).len(), 30);
    }

    #[test]
    fn what_was_never_or_not_for_long_looked_at_comes_first() {
        let mut catalog = catalog(0..6);
        for (hour, verified) in [(0, 10), (1, 12), (2, 11), (4, 9)] {
            catalog.judge(Kind::Scheduled, BackupId::at(at(hour)), Verdict::Good, at(verified));
        }
        assert_eq!(hours(&targets(&catalog, at(20), 3)), [5, 3, 4, 0]);
        assert_eq!(hours(&targets(&catalog, at(20), 9)), [5, 3, 4, 0, 2, 1]);
    }

    #[test]
    fn what_was_looked_at_since_the_slot_has_had_its_turn() {
        let mut catalog = catalog(0..30);
        let slot = at(27);
        let mut left = targets(&catalog, slot, 3);
        while let Some(entry) = left.first().cloned() {
            catalog.judge(entry.kind, entry.id, Verdict::Good, at(28));
            left.remove(0);
            assert_eq!(targets(&catalog, slot, 3), left, "the rest, in the same order");
        }
    }

    #[test]
    fn what_is_damaged_has_no_turn() {
        let mut catalog = catalog(0..3);
        catalog.judge(Kind::Scheduled, BackupId::at(at(2)), Verdict::Damaged, at(5));
        assert_eq!(hours(&targets(&catalog, at(10), 9)).len(), 2);
        assert_eq!(hours(&targets(&catalog, at(10), 0)), [1]);
    }

    #[test]
    fn what_is_damaged_and_was_written_again_has_a_turn_once() {
        let mut catalog = catalog(0..6);
        for hour in [1, 2, 4] {
            catalog.judge(Kind::Scheduled, BackupId::at(at(hour)), Verdict::Damaged, at(8));
        }
        catalog.entries[2].last_modified = at(9);
        assert_eq!(hours(&targets(&catalog, at(10), 0)), [5, 2]);
        assert_eq!(targets(&catalog, at(10), 9).len(), 4, "it takes nobody's place");
        catalog.judge(Kind::Scheduled, BackupId::at(at(2)), Verdict::Damaged, at(10));
        assert_eq!(hours(&targets(&catalog, at(20), 0)), [5]);
    }

    #[test]
    fn what_can_never_be_read_lets_others_pass() {
        let mut catalog = catalog(0..7);
        let mut unread = Unread::default();
        let never = [at(1), at(3), at(4)];
        let mut looks = std::collections::BTreeMap::<i64, u32>::new();
        for day in 1..=9 {
            let slot = at(24 * day);
            let turn = super::targets(&catalog, slot, 2, &unread);
            for entry in &turn {
                *looks.entry(hours(std::slice::from_ref(entry))[0]).or_default() += 1;
                if never.contains(&entry.time()) {
                    unread.note(entry, slot);
                } else {
                    unread.forget(entry);
                    catalog.judge(entry.kind, entry.id, Verdict::Good, slot);
                }
            }
            // Within its slot it is tried again, and nobody takes its place.
            let again = super::targets(&catalog, slot, 2, &unread);
            let failed = |entry: &&Entry| never.contains(&entry.time());
            assert!(turn.iter().filter(failed).eq(&again), "{turn:?} {again:?}");
        }
        // Nine times the newest, and three rounds of the six others.
        assert_eq!(looks.into_values().collect::<Vec<_>>(), [3, 3, 3, 3, 3, 3, 9]);
        assert_eq!(unread.count(&catalog), 3);
        catalog.entries.retain(|entry| entry.time() != at(3));
        assert_eq!(unread.count(&catalog), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn everyone_gets_a_turn(backups in 2_usize..60, sample in 1_usize..8) {
            let mut catalog = catalog(0..i64::try_from(backups).unwrap());
            let mut seen = BTreeSet::new();
            let rounds = 1 + backups.div_ceil(sample);
            for round in 0..rounds {
                let slot = at(100 + 24 * i64::try_from(round).unwrap());
                let turn = targets(&catalog, slot, sample);
                prop_assert!(turn.len() <= sample + 1);
                for entry in turn {
                    prop_assert!(seen.insert((slot, entry.id)));
                    catalog.judge(entry.kind, entry.id, Verdict::Good, slot);
                }
            }
            let ids: BTreeSet<BackupId> = seen.into_iter().map(|(_, id)| id).collect();
            prop_assert_eq!(ids.len(), catalog.entries.len());
        }
    }
}
