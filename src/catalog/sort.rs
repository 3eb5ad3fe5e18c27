//! Sorts a listing, page by page: what stands under which id, and what is not ours.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    id::BackupId,
    key::{Key, Layout},
    listing::{Catalog, Entry, State},
};
use crate::{
    archive::manifest::Kind,
    store::ObjectMeta,
    words::{Review, Verdict},
};

/// Foreign keys that are remembered by name; the others are counted.
const NAMED: usize = 1000;

/// A catalog, and beside it what only a sweep wants to know.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// What the prefix holds.
    pub catalog: Catalog,
    /// Which objects each entry has, in the order of the catalog's entries.
    pub parts: Vec<Parts>,
    /// The first thousand keys that are not ours.
    pub foreign: Vec<String>,
}

impl Inventory {
    /// Sorts a listing, which must be complete.
    #[must_use]
    pub fn from_listing(layout: &Layout, objects: &[ObjectMeta]) -> Self {
        let mut sorter = Sorter::new(layout);
        for object in objects {
            sorter.take(object);
        }
        sorter.finish()
    }
}

/// Which objects stand under an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    const MANIFEST: u8 = 1;
    const ARCHIVE: u8 = 2;
    const CHECKSUM: u8 = 4;
    const VERIFIED: u8 = 8;
    const DAMAGED: u8 = 16;

    /// Whether there is an archive.
    #[must_use]
    pub fn has_archive(self) -> bool {
        self.0 & Self::ARCHIVE != 0
    }

    /// Whether there is a manifest.
    #[must_use]
    pub fn has_manifest(self) -> bool {
        self.0 & Self::MANIFEST != 0
    }

    /// The keys that are there.
    pub fn keys(self, kind: Kind, id: BackupId) -> impl Iterator<Item = Key> {
        [
            (Self::MANIFEST, Key::Manifest(kind, id)),
            (Self::ARCHIVE, Key::Archive(kind, id)),
            (Self::CHECKSUM, Key::Checksum(kind, id)),
            (Self::VERIFIED, Key::Verdict(kind, id, Verdict::Good)),
            (Self::DAMAGED, Key::Verdict(kind, id, Verdict::Damaged)),
        ]
        .into_iter()
        .filter_map(move |(bit, key)| (self.0 & bit != 0).then_some(key))
    }
}

/// What is being put together.
pub(super) struct Sorter<'l> {
    layout: &'l Layout,
    found: BTreeMap<(BackupId, &'static str), (Kind, Found)>,
    foreign: Vec<String>,
    foreign_count: u64,
    has_pointer: bool,
    drills: Vec<BackupId>,
    reviews: BTreeMap<Review, BackupId>,
}

#[derive(Default)]
struct Found {
    parts: Parts,
    archive_bytes: u64,
    last_modified: DateTime<Utc>,
    verified: Option<DateTime<Utc>>,
    damaged: Option<DateTime<Utc>>,
}

impl<'l> Sorter<'l> {
    pub(super) fn new(layout: &'l Layout) -> Self {
        Self {
            layout,
            found: BTreeMap::new(),
            foreign: Vec::new(),
            foreign_count: 0,
            has_pointer: false,
            drills: Vec::new(),
            reviews: BTreeMap::new(),
        }
    }

    /// Puts an object into its place.
    pub(super) fn take(&mut self, object: &ObjectMeta) {
        let Some(key) = self.layout.parse(&object.key) else {
            self.foreign_count += 1;
            if self.foreign.len() < NAMED {
                self.foreign.push(object.key.clone());
            }
            return;
        };
        let (kind, id, bit) = match key {
            Key::Probe
            | Key::Audit
            | Key::Alerts
            | Key::DrillPage(_)
            | Key::Incident(_)
            | Key::IncidentEntry(..) => return,
            Key::Review(what, id) => {
                let newest = self.reviews.entry(what).or_insert(id);
                *newest = id.max(*newest);
                return;
            }
            Key::PointerText | Key::PointerChecksum => {
                self.has_pointer = true;
                return;
            }
            Key::Drill(id) => {
                self.drills.push(id);
                return;
            }
            Key::Archive(kind, id) => (kind, id, Parts::ARCHIVE),
            Key::Checksum(kind, id) => (kind, id, Parts::CHECKSUM),
            Key::Manifest(kind, id) => (kind, id, Parts::MANIFEST),
            Key::Verdict(kind, id, Verdict::Good) => (kind, id, Parts::VERIFIED),
            Key::Verdict(kind, id, Verdict::Damaged) => (kind, id, Parts::DAMAGED),
        };
        let place = self.found.entry((id, kind.name()));
        let (_, found) = place.or_insert_with(|| (kind, Found::default()));
        found.parts.0 |= bit;
        // A verdict is later than what it is about, and says nothing of when
        // that was made.
        match bit {
            Parts::VERIFIED => found.verified = Some(object.last_modified),
            Parts::DAMAGED => found.damaged = Some(object.last_modified),
            _ => found.last_modified = found.last_modified.max(object.last_modified),
        }
        if bit == Parts::ARCHIVE {
            found.archive_bytes = object.size;
        }
    }

    /// What came together; the listing must have been complete.
    pub(super) fn finish(self) -> Inventory {
        let mut inventory = Inventory { foreign: self.foreign, ..Inventory::default() };
        inventory.catalog.foreign = self.foreign_count;
        inventory.catalog.has_pointer = self.has_pointer;
        inventory.catalog.reviews = self.reviews;
        inventory.catalog.drills = self.drills;
        inventory.catalog.drills.sort_unstable();
        inventory.catalog.entries.reserve_exact(self.found.len());
        inventory.parts.reserve_exact(self.found.len());
        for ((id, _), (kind, found)) in self.found {
            inventory.parts.push(found.parts);
            inventory.catalog.entries.push(Entry {
                id,
                kind,
                state: found.state(),
                archive_bytes: found.archive_bytes,
                last_modified: found.last_modified,
                verified: found.verified(),
            });
        }
        inventory
    }
}

impl Found {
    fn state(&self) -> State {
        let has = |bit| self.parts.0 & bit != 0;
        match (has(Parts::ARCHIVE), has(Parts::MANIFEST), has(Parts::CHECKSUM)) {
            // Until a later verify finds it good, and takes that verdict away.
            (true, _, _) if self.damaged.is_some() => State::Damaged,
            (true, true, _) => State::Good,
            (true, false, false) => State::Legacy,
            (true, false, true) => State::Unclear,
            (false, true, _) => State::Broken,
            (false, false, _) => State::Debris,
        }
    }

    /// When the verdict was given that holds. One that is older than what it is
    /// about was given of something else.
    fn verified(&self) -> Option<DateTime<Utc>> {
        self.damaged.or(self.verified.filter(|time| *time >= self.last_modified))
    }
}
