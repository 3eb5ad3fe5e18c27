//! What was never a backup, or is none any more, and is old enough to go.

use chrono::{DateTime, Utc};

use super::Policy;
use crate::{
    catalog::{Inventory, Layout, Parts, State},
    store::UnfinishedUpload,
    words::DebrisKind,
};

/// Debris, sorted by whether it goes.
#[derive(Clone, Debug, Default)]
pub struct Debris {
    /// Entries that go: their place in the inventory, and what they are.
    pub entries: Vec<(usize, DebrisKind)>,
    /// Uploads that are thrown away.
    pub uploads: Vec<UnfinishedUpload>,
    /// What is left alone because it may be a backup under way.
    pub young: u64,
    /// Unfinished uploads of keys that are not ours; they are left alone.
    pub foreign_uploads: u64,
}

impl Debris {
    /// Whether nothing goes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.uploads.is_empty()
    }
}

/// Finds what goes at a time of the store's own clock, which has dated it.
#[must_use]
pub fn debris(
    inventory: &Inventory,
    uploads: Vec<UnfinishedUpload>,
    layout: &Layout,
    policy: &Policy,
    store_now: DateTime<Utc>,
) -> Debris {
    let mut debris = Debris::default();
    let is_over = |touched: DateTime<Utc>| {
        touched.checked_add_signed(policy.grace).is_some_and(|over| over <= store_now)
    };
    for (at, (entry, parts)) in inventory.catalog.entries.iter().zip(&inventory.parts).enumerate() {
        if !matches!(entry.state, State::Debris | State::Broken) {
            continue;
        }
        // A verdict alone has no date but its own.
        let alone = entry.last_modified == DateTime::UNIX_EPOCH;
        let touched = entry.verified.filter(|_| alone).unwrap_or(entry.last_modified);
        if is_over(touched) {
            debris.entries.push((at, kind(*parts)));
        } else {
            debris.young += 1;
        }
    }
    for upload in uploads {
        if layout.parse(&upload.upload.key).is_none() {
            debris.foreign_uploads += 1;
        } else if is_over(upload.started) {
            debris.uploads.push(upload);
        } else {
            debris.young += 1;
        }
    }
    debris
}

fn kind(parts: Parts) -> DebrisKind {
    match (parts.has_archive(), parts.has_manifest()) {
        (true, _) => DebrisKind::Archive,
        (false, true) => DebrisKind::Manifest,
        (false, false) => DebrisKind::Orphan,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::Catalog,
        retention::testing::{at, policy},
        store::{ObjectMeta, UploadHandle},
    };

    /// An inventory of these keys under `database/2026/11/`, all of one age.
    fn inventory(keys: &[&str], hours: i64) -> Inventory {
        let layout = Layout::new("database/");
        let objects: Vec<ObjectMeta> = keys
            .iter()
            .map(|key| ObjectMeta {
                key: format!("database/2026/11/2026-11-23T{key}"),
                size: 1,
                last_modified: at(-hours),
            })
            .collect();
        let mut inventory = Inventory::from_listing(&layout, &objects);
        settle(&mut inventory.catalog);
        inventory
    }

    /// As reading the archives' beginnings would.
    fn settle(catalog: &mut Catalog) {
        for entry in &mut catalog.entries {
            if entry.state == State::Unclear {
                entry.state = State::Debris;
            }
        }
    }

    const KEYS: [&str; 9] = [
        // A backup, and a legacy archive: neither is debris.
        "10-00-00Z.sql.gz",
        "10-00-00Z.manifest.json",
        "11-00-00Z.sql.gz",
        // Never committed; without its archive; alone.
        "12-00-00Z.sql.gz",
        "12-00-00Z.sql.gz.sha256",
        "13-00-00Z.manifest.json",
        "14-00-00Z.sql.gz.sha256",
        "15-00-00Z.verified.json",
        "16-00-00Z.damaged.json",
    ];

    fn find(inventory: &Inventory, uploads: Vec<UnfinishedUpload>) -> Debris {
        debris(inventory, uploads, &Layout::new("database/"), &policy(), at(0))
    }

    #[test]
    fn debris_goes_when_its_grace_is_over_and_not_before() {
        let found = find(&inventory(&KEYS, 24), Vec::new());
        let kinds: Vec<DebrisKind> = found.entries.iter().map(|(_, kind)| *kind).collect();
        let expected = [
            DebrisKind::Archive,
            DebrisKind::Manifest,
            DebrisKind::Orphan,
            DebrisKind::Orphan,
            DebrisKind::Orphan,
        ];
        assert_eq!(kinds, expected);
        assert_eq!(found.young, 0);
        for hours in [23, 0, -5] {
            let found = find(&inventory(&KEYS, hours), Vec::new());
            assert!(found.is_empty());
            assert_eq!(found.young, 5, "{hours}");
        }
    }

    #[test]
    fn uploads_go_when_they_are_ours_and_old() {
        let upload = |key: &str, hours: i64| UnfinishedUpload {
            upload: UploadHandle { key: key.to_owned(), id: "1".to_owned() },
            started: at(-hours),
        };
        let ours = "database/2026/11/2026-11-23T14-00-00Z.sql.gz";
        let uploads = vec![
            upload(ours, 25),
            upload(ours, 23),
            upload("database/photos.zip", 900),
            upload("database/manual/2026-11-23T14-00-00Z.sql.gz", 24),
        ];
        let found = find(&Inventory::default(), uploads);
        assert_eq!(found.uploads.len(), 2);
        assert_eq!((found.young, found.foreign_uploads), (1, 1));
        assert!(!found.is_empty());
    }
}
