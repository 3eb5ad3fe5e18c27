//! Turns a complete listing into backups, legacy archives, debris and foreign keys.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{id::BackupId, key::Layout, others::Others, sort::Inventory};
use crate::{
    archive::manifest::Kind,
    clock,
    store::ObjectMeta,
    words::{Review, Verdict},
};

/// What a database's prefix holds, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Everything that has an archive, a manifest or a checksum file.
    pub entries: Vec<Entry>,
    /// Drills that left a record, oldest first.
    pub drills: Vec<BackupId>,
    /// When people last reviewed what.
    pub reviews: BTreeMap<Review, BackupId>,
    /// Objects under the prefix that are not ours.
    pub foreign: u64,
    /// Whether either pointer object is there.
    pub has_pointer: bool,
    /// Which backups are another database's, where manifests were held against ours.
    pub others: Others,
}

/// What stands under one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it began.
    pub id: BackupId,
    /// Which place it stands in.
    pub kind: Kind,
    /// What it is.
    pub state: State,
    /// Size of the archive, in bytes; 0 where there is none.
    pub archive_bytes: u64,
    /// When the store last wrote to it, verdicts aside.
    pub last_modified: DateTime<Utc>,
    /// When verify last found it good, or damaged; `None` where it was not
    /// looked at since the archive was written.
    pub verified: Option<DateTime<Utc>>,
}

/// What an entry is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Archive and manifest: a backup.
    Good,
    /// A backup or a legacy archive in which verify found damage. It counts for nothing.
    Damaged,
    /// An archive without a manifest that is not ours: the old workflow's, or made by hand.
    Legacy,
    /// An archive without a manifest, with a checksum file: ours, unfinished,
    /// or legacy. The archive's first bytes tell.
    Unclear,
    /// Ours, and never committed or half removed.
    Debris,
    /// A manifest whose archive is gone.
    Broken,
}

impl Entry {
    /// When it began, as far as its id can be believed.
    ///
    /// An id from a time that had not come when the store last wrote to the
    /// entry was given by a wrong clock; the store's own date is then the
    /// nearest to the truth. Without that a backup of three hours ago would
    /// pass for the one of this hour, and keep it from being made.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        let time = self.id.time();
        if time > self.last_modified + clock::TOLERANCE { self.last_modified } else { time }
    }
}

impl State {
    /// As it is written in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Damaged => "damaged",
            Self::Legacy => "legacy",
            Self::Unclear => "unclear",
            Self::Debris => "debris",
            Self::Broken => "broken",
        }
    }
}

/// How much there is of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Good backups that the schedule made.
    pub scheduled: u64,
    /// Good backups that a person asked for.
    pub manual: u64,
    /// Legacy archives.
    pub legacy: u64,
    /// Backups and legacy archives in which verify found damage, and backups
    /// whose archive is gone.
    pub damaged: u64,
    /// Good backups that verify has read back whole.
    pub verified: u64,
    /// What was never committed, or is left of what was removed.
    pub debris: u64,
    /// Keys that are not ours.
    pub foreign: u64,
    /// Size of all archives of good backups and legacy archives, in bytes.
    pub bytes: u64,
    /// The oldest good backup.
    pub oldest: Option<BackupId>,
    /// The newest good backup.
    pub newest: Option<BackupId>,
    /// When verify last came to a verdict, whichever.
    pub last_verify: Option<DateTime<Utc>>,
}

impl Catalog {
    /// Sorts a listing, which must be complete.
    #[must_use]
    pub fn from_listing(layout: &Layout, objects: &[ObjectMeta]) -> Self {
        Inventory::from_listing(layout, objects).catalog
    }

    /// Good backups, newest first.
    pub fn good(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().filter(|entry| entry.state == State::Good)
    }

    /// Good backups that are not known to be another database's, newest first.
    pub fn good_of_ours(&self) -> impl Iterator<Item = &Entry> {
        self.good().filter(|entry| !self.others.holds(entry.id))
    }

    /// The entry of an id in a place.
    #[must_use]
    pub fn get(&self, kind: Kind, id: BackupId) -> Option<&Entry> {
        self.place(kind, id).map(|at| &self.entries[at])
    }

    /// Where that entry is: entries are in the order of their ids, and few have
    /// the same one.
    fn place(&self, kind: Kind, id: BackupId) -> Option<usize> {
        let first = self.entries.partition_point(|entry| entry.id < id);
        let mut of_id = (first..self.entries.len()).take_while(|at| self.entries[*at].id == id);
        of_id.find(|at| self.entries[*at].kind == kind)
    }

    /// Notes what verify found.
    pub fn judge(&mut self, kind: Kind, id: BackupId, verdict: Verdict, now: DateTime<Utc>) {
        if let Some(at) = self.place(kind, id) {
            let entry = &mut self.entries[at];
            entry.verified = Some(now);
            entry.state = match (verdict, entry.state) {
                (Verdict::Damaged, _) => State::Damaged,
                // What a damaged one was before only the next listing knows.
                (Verdict::Good, state) => state,
            };
        }
    }

    /// Notes a drill that has left a record since the listing.
    pub fn add_drill(&mut self, id: BackupId) {
        if let Err(at) = self.drills.binary_search(&id) {
            self.drills.insert(at, id);
        }
    }

    /// Adds a backup that was just committed.
    pub fn add(&mut self, entry: Entry) {
        self.entries.retain(|other| (other.kind, other.id) != (entry.kind, entry.id));
        let at = self.entries.partition_point(|other| other.id <= entry.id);
        self.entries.insert(at, entry);
    }

    /// How much there is of what.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { foreign: self.foreign, ..Totals::default() };
        for entry in &self.entries {
            match (entry.state, entry.kind) {
                (State::Good, Kind::Scheduled) => totals.scheduled += 1,
                (State::Good, Kind::Manual) => totals.manual += 1,
                (State::Legacy | State::Unclear, _) => totals.legacy += 1,
                // Nothing of ours removes an archive before its manifest.
                (State::Damaged | State::Broken, _) => totals.damaged += 1,
                (State::Debris, _) => totals.debris += 1,
            }
            if entry.state == State::Good && entry.verified.is_some() {
                totals.verified += 1;
            }
            totals.last_verify = totals.last_verify.max(entry.verified);
            if matches!(entry.state, State::Good | State::Legacy) {
                totals.bytes += entry.archive_bytes;
            }
        }
        totals.newest = self.good().next().map(|entry| entry.id);
        totals.oldest = self.good().last().map(|entry| entry.id);
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, size: u64) -> ObjectMeta {
        let last_modified = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        ObjectMeta { key: key.into(), size, last_modified }
    }

    #[test]
    fn what_stands_under_an_id_decides_what_it_is() {
        let day = "database/2026/11/2026-11-23T";
        let objects: Vec<ObjectMeta> = [
            "10-00-00Z.sql.gz",
            "10-00-00Z.sql.gz.sha256",
            "10-00-00Z.manifest.json",
            "11-00-00Z.sql.gz",
            "12-00-00Z.sql.gz",
            "12-00-00Z.sql.gz.sha256",
            "13-00-00Z.manifest.json",
            "14-00-00Z.sql.gz.sha256",
            "15-00-00Z.sql.gz",
            "15-00-00Z.manifest.json",
        ]
        .iter()
        .map(|rest| object(&format!("{day}{rest}"), 5))
        .chain(
            [
                "database/LATEST.txt",
                "database/notes.txt",
                "database/manual/2026-11-23T10-00-00Z.sql.gz",
            ]
            .map(|key| object(key, 7)),
        )
        .collect();
        let catalog = Catalog::from_listing(&Layout::new("database/"), &objects);
        let states: Vec<(String, &str, State)> = catalog
            .entries
            .iter()
            .map(|entry| (entry.id.to_string()[11..13].to_owned(), entry.kind.name(), entry.state))
            .collect();
        let expected = [
            ("10", "manual", State::Legacy),
            ("10", "scheduled", State::Good),
            ("11", "scheduled", State::Legacy),
            ("12", "scheduled", State::Unclear),
            ("13", "scheduled", State::Broken),
            ("14", "scheduled", State::Debris),
            ("15", "scheduled", State::Good),
        ];
        assert_eq!(states, expected.map(|(hour, kind, state)| (hour.to_owned(), kind, state)));
        assert_eq!(catalog.foreign, 1);
        assert!(catalog.has_pointer);
        let totals = catalog.totals();
        assert_eq!((totals.scheduled, totals.manual, totals.legacy, totals.debris), (2, 0, 3, 1));
        assert_eq!(totals.damaged, 1);
        assert_eq!(totals.bytes, 5 + 7 + 5 + 5);
        assert_eq!(totals.newest.unwrap().to_string(), "2026-11-23T15-00-00Z");
    }

    #[test]
    fn an_added_backup_takes_its_place_in_time() {
        let mut catalog = Catalog::default();
        for hour in [2, 1, 3, 2] {
            let id: BackupId = format!("2026-11-23T0{hour}-00-00Z").parse().unwrap();
            catalog.add(Entry {
                id,
                kind: Kind::Scheduled,
                state: State::Good,
                archive_bytes: 1,
                last_modified: id.time(),
                verified: None,
            });
        }
        let ids: Vec<String> = catalog.good().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, ["2026-11-23T03-00-00Z", "2026-11-23T02-00-00Z", "2026-11-23T01-00-00Z"]);
    }

    #[test]
    fn an_entry_is_found_by_its_id_and_its_place() {
        let mut catalog = Catalog::default();
        let id = |hour| format!("2026-11-23T0{hour}-00-00Z").parse::<BackupId>().unwrap();
        for (hour, kind) in [1, 2, 3]
            .into_iter()
            .flat_map(|hour| [Kind::Manual, Kind::Scheduled].map(|k| (hour, k)))
        {
            catalog.add(Entry {
                id: id(hour),
                kind,
                state: State::Good,
                archive_bytes: 1,
                last_modified: id(hour).time(),
                verified: None,
            });
        }
        catalog.entries.retain(|entry| (entry.id, entry.kind) != (id(2), Kind::Manual));
        for hour in [1, 2, 3] {
            let found = catalog.get(Kind::Scheduled, id(hour)).unwrap();
            assert_eq!((found.id, found.kind), (id(hour), Kind::Scheduled));
            assert_eq!(catalog.get(Kind::Manual, id(hour)).is_some(), hour != 2);
        }
        assert!(catalog.get(Kind::Manual, id(4)).is_none());
        catalog.judge(Kind::Scheduled, id(2), Verdict::Damaged, id(3).time());
        assert_eq!(catalog.totals().damaged, 1);
    }

    #[test]
    fn a_verdict_counts_for_what_it_is_about_and_damage_wins() {
        let time = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        let objects: Vec<ObjectMeta> = [
            // Never looked at.
            ("10-00-00Z.sql.gz", 0),
            ("10-00-00Z.manifest.json", 1),
            // Good; damaged; both; good, and written again since.
            ("11-00-00Z.sql.gz", 0),
            ("11-00-00Z.manifest.json", 1),
            ("11-00-00Z.verified.json", 1),
            ("12-00-00Z.sql.gz", 0),
            ("12-00-00Z.manifest.json", 1),
            ("12-00-00Z.damaged.json", 9),
            ("13-00-00Z.sql.gz", 0),
            ("13-00-00Z.manifest.json", 1),
            ("13-00-00Z.damaged.json", 8),
            ("13-00-00Z.verified.json", 9),
            ("14-00-00Z.sql.gz", 5),
            ("14-00-00Z.manifest.json", 1),
            ("14-00-00Z.verified.json", 4),
            // Of nothing; of a legacy archive.
            ("15-00-00Z.verified.json", 9),
            ("16-00-00Z.sql.gz", 0),
            ("16-00-00Z.damaged.json", 9),
        ]
        .map(|(rest, seconds)| ObjectMeta {
            key: format!("database/2026/11/2026-11-23T{rest}"),
            size: 5,
            last_modified: time(seconds),
        })
        .into();
        let catalog = Catalog::from_listing(&Layout::new("database/"), &objects);
        let found: Vec<_> =
            catalog.entries.iter().map(|entry| (entry.state, entry.verified)).collect();
        assert_eq!(
            found,
            [
                (State::Good, None),
                (State::Good, Some(time(1))),
                (State::Damaged, Some(time(9))),
                (State::Damaged, Some(time(8))),
                (State::Good, None),
                (State::Debris, Some(time(9))),
                (State::Damaged, Some(time(9))),
            ]
        );
        assert_eq!(catalog.entries[1].last_modified, time(1), "a verdict is no part of it");
        let totals = catalog.totals();
        assert_eq!((totals.scheduled, totals.damaged, totals.verified), (3, 3, 1));
        assert_eq!(totals.bytes, 15);
        assert_eq!(totals.newest.unwrap().to_string(), "2026-11-23T14-00-00Z");
    }
}
