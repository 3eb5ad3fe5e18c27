//! The keys of a database's prefix.
//!
//! ```text
//! <prefix>2026/11/2026-11-23T14-00-00Z.sql.gz
//! <prefix>2026/11/2026-11-23T14-00-00Z.sql.gz.sha256
//! <prefix>2026/11/2026-11-23T14-00-00Z.manifest.json
//! <prefix>2026/11/2026-11-23T14-00-00Z.verified.json   what verify found last:
//! <prefix>2026/11/2026-11-23T14-00-00Z.damaged.json    one of the two, or neither
//! <prefix>manual/2026-11-23T14-05-09Z.sql.gz       with the same companions
//! <prefix>drills/2026-12-01T06-00-00Z.json         what a drill found; its id is
//! <prefix>drills/2026-12-01T06-00-00Z.md           when it began
//! <prefix>LATEST.txt
//! <prefix>LATEST.sha256
//! <prefix>audit/probe.sql.gz                      what an audit tries its rights on
//! <prefix>audit/latest.json                       what the last audit found
//! <prefix>alerts.json                              which problems were told
//! <prefix>incidents/2026-11-23T15-10-00Z.md        a recovery's log, and its entries:
//! <prefix>incidents/2026-11-23T15-10-00Z/2026-11-23T15-12-07.250Z-9f3a2b1c.json
//! <prefix>reviews/2026-12-01T09-00-00Z.drill.json  that people reviewed a drill, or
//! <prefix>reviews/2026-12-01T09-00-00Z.runbook.json the runbook
//! ```

use super::{entry_id::EntryId, id::BackupId};
use crate::{
    archive::manifest::Kind,
    words::{Review, Verdict},
};

/// Builds and reads the keys under one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    prefix: String,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// `….sql.gz`
    Archive(Kind, BackupId),
    /// `….sql.gz.sha256`
    Checksum(Kind, BackupId),
    /// `….manifest.json`
    Manifest(Kind, BackupId),
    /// `….verified.json` or `….damaged.json`: what verify found, in the name
    /// already, so that a listing tells it.
    Verdict(Kind, BackupId, Verdict),
    /// `drills/….json`: what a drill found.
    Drill(BackupId),
    /// `drills/….md`: the same for people.
    DrillPage(BackupId),
    /// `LATEST.txt`
    PointerText,
    /// `LATEST.sha256`
    PointerChecksum,
    /// What an audit writes, and deletes where it may. It ends like an archive,
    /// so that rights that are narrowed by the name's end hold for it as well.
    Probe,
    /// `audit/latest.json`: what the last audit found.
    Audit,
    /// `alerts.json`: which problems were told.
    Alerts,
    /// `incidents/….md`: a recovery's log, for people; its id is when it was opened.
    Incident(BackupId),
    /// `incidents/…/….json`: one entry of that log.
    IncidentEntry(BackupId, EntryId),
    /// `reviews/….drill.json`, `reviews/….runbook.json`: that people looked; the
    /// name says at what, so that a listing tells it.
    Review(Review, BackupId),
}

const ARCHIVE: &str = ".sql.gz";
const CHECKSUM: &str = ".sql.gz.sha256";
const MANIFEST: &str = ".manifest.json";
const VERIFIED: &str = ".verified.json";
const DAMAGED: &str = ".damaged.json";
const POINTER_TEXT: &str = "LATEST.txt";
const POINTER_CHECKSUM: &str = "LATEST.sha256";
const PROBE: &str = "audit/probe.sql.gz";
const AUDIT: &str = "audit/latest.json";
const ALERTS: &str = "alerts.json";
const INCIDENTS: &str = "incidents";
const INCIDENT: &str = ".md";
const INCIDENT_ENTRY: &str = ".json";
const REVIEWS: &str = "reviews";
const MANUAL: &str = "manual";
const DRILLS: &str = "drills";
const DRILL: &str = ".json";
const DRILL_PAGE: &str = ".md";

impl Layout {
    /// The layout under a prefix, which is empty or ends with a slash.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The prefix that every key begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The whole key of something.
    #[must_use]
    pub fn key(&self, key: Key) -> String {
        let prefix = &self.prefix;
        let companion = |kind, id: BackupId, suffix| match kind {
            Kind::Scheduled => format!("{prefix}{}/{id}{suffix}", folder(id)),
            Kind::Manual => format!("{prefix}{MANUAL}/{id}{suffix}"),
        };
        match key {
            Key::Archive(kind, id) => companion(kind, id, ARCHIVE),
            Key::Checksum(kind, id) => companion(kind, id, CHECKSUM),
            Key::Manifest(kind, id) => companion(kind, id, MANIFEST),
            Key::Verdict(kind, id, Verdict::Good) => companion(kind, id, VERIFIED),
            Key::Verdict(kind, id, Verdict::Damaged) => companion(kind, id, DAMAGED),
            Key::Drill(id) => format!("{prefix}{DRILLS}/{id}{DRILL}"),
            Key::DrillPage(id) => format!("{prefix}{DRILLS}/{id}{DRILL_PAGE}"),
            Key::PointerText => format!("{prefix}{POINTER_TEXT}"),
            Key::PointerChecksum => format!("{prefix}{POINTER_CHECKSUM}"),
            Key::Alerts => format!("{prefix}{ALERTS}"),
            Key::Probe => format!("{prefix}{PROBE}"),
            Key::Audit => format!("{prefix}{AUDIT}"),
            Key::Incident(id) => format!("{prefix}{INCIDENTS}/{id}{INCIDENT}"),
            Key::IncidentEntry(id, entry) => {
                format!("{prefix}{INCIDENTS}/{id}/{entry}{INCIDENT_ENTRY}")
            }
            Key::Review(what, id) => format!("{prefix}{REVIEWS}/{id}.{what}.json"),
        }
    }

    /// The folder below which every incident's log stands, or one incident's entries.
    #[must_use]
    pub fn incidents(&self, of: Option<BackupId>) -> String {
        let prefix = &self.prefix;
        of.map_or_else(
            || format!("{prefix}{INCIDENTS}/"),
            |id| format!("{prefix}{INCIDENTS}/{id}/"),
        )
    }

    /// The folder below which everything of a kind stands.
    #[must_use]
    pub fn folder(&self, kind: Kind) -> String {
        match kind {
            Kind::Scheduled => self.prefix.clone(),
            Kind::Manual => format!("{}{MANUAL}/", self.prefix),
        }
    }

    /// The name that an archive has in whatever folder it is in.
    #[must_use]
    pub fn file_name(id: BackupId) -> String {
        format!("{id}{ARCHIVE}")
    }

    /// What a key stands for; `None` for one that is not ours.
    #[must_use]
    pub fn parse(&self, key: &str) -> Option<Key> {
        let rest = key.strip_prefix(&self.prefix)?;
        match rest {
            POINTER_TEXT => return Some(Key::PointerText),
            POINTER_CHECKSUM => return Some(Key::PointerChecksum),
            PROBE => return Some(Key::Probe),
            AUDIT => return Some(Key::Audit),
            ALERTS => return Some(Key::Alerts),
            _ => {}
        }
        let (place, file) = rest.rsplit_once('/')?;
        let id = |suffix: &str| file.strip_suffix(suffix)?.parse::<BackupId>().ok();
        if place == DRILLS {
            return match id(DRILL) {
                Some(id) => Some(Key::Drill(id)),
                None => id(DRILL_PAGE).map(Key::DrillPage),
            };
        }
        if place == INCIDENTS {
            return id(INCIDENT).map(Key::Incident);
        }
        if let Some(incident) = place.strip_prefix(INCIDENTS) {
            let incident = incident.strip_prefix('/')?.parse().ok()?;
            let entry = file.strip_suffix(INCIDENT_ENTRY)?.parse().ok()?;
            return Some(Key::IncidentEntry(incident, entry));
        }
        if place == REVIEWS {
            return Review::ALL
                .iter()
                .find_map(|what| Some(Key::Review(*what, id(&format!(".{what}.json"))?)));
        }
        let kind = |id| match place {
            MANUAL => Some(Kind::Manual),
            place if place == folder(id) => Some(Kind::Scheduled),
            _ => None,
        };
        if let Some(id) = id(ARCHIVE) {
            Some(Key::Archive(kind(id)?, id))
        } else if let Some(id) = id(CHECKSUM) {
            Some(Key::Checksum(kind(id)?, id))
        } else if let Some(id) = id(MANIFEST) {
            Some(Key::Manifest(kind(id)?, id))
        } else if let Some(id) = id(VERIFIED) {
            Some(Key::Verdict(kind(id)?, id, Verdict::Good))
        } else {
            let id = id(DAMAGED)?;
            Some(Key::Verdict(kind(id)?, id, Verdict::Damaged))
        }
    }
}

fn folder(id: BackupId) -> String {
    id.time().format("%Y/%m").to_string()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn id() -> BackupId {
        "2026-11-23T14-00-00Z".parse().unwrap()
    }

    #[test]
    fn keys_are_those_of_the_design() {
        let layout = Layout::new("database/");
        for (key, text) in [
            (Key::Archive(Kind::Scheduled, id()), "database/2026/11/2026-11-23T14-00-00Z.sql.gz"),
            (
                Key::Checksum(Kind::Scheduled, id()),
                "database/2026/11/2026-11-23T14-00-00Z.sql.gz.sha256",
            ),
            (
                Key::Manifest(Kind::Scheduled, id()),
                "database/2026/11/2026-11-23T14-00-00Z.manifest.json",
            ),
            (Key::Archive(Kind::Manual, id()), "database/manual/2026-11-23T14-00-00Z.sql.gz"),
            (
                Key::Verdict(Kind::Scheduled, id(), Verdict::Good),
                "database/2026/11/2026-11-23T14-00-00Z.verified.json",
            ),
            (
                Key::Verdict(Kind::Manual, id(), Verdict::Damaged),
                "database/manual/2026-11-23T14-00-00Z.damaged.json",
            ),
            (Key::Drill(id()), "database/drills/2026-11-23T14-00-00Z.json"),
            (Key::DrillPage(id()), "database/drills/2026-11-23T14-00-00Z.md"),
            (Key::PointerText, "database/LATEST.txt"),
            (Key::Probe, "database/audit/probe.sql.gz"),
            (Key::PointerChecksum, "database/LATEST.sha256"),
            (Key::Alerts, "database/alerts.json"),
            (Key::Audit, "database/audit/latest.json"),
            (Key::Incident(id()), "database/incidents/2026-11-23T14-00-00Z.md"),
            (
                Key::IncidentEntry(id(), "2026-11-23T15-12-07.250Z-9f3a2b1c".parse().unwrap()),
                "database/incidents/2026-11-23T14-00-00Z/2026-11-23T15-12-07.250Z-9f3a2b1c.json",
            ),
            (Key::Review(Review::Drill, id()), "database/reviews/2026-11-23T14-00-00Z.drill.json"),
            (
                Key::Review(Review::Runbook, id()),
                "database/reviews/2026-11-23T14-00-00Z.runbook.json",
            ),
        ] {
            assert_eq!(layout.key(key), text);
            assert_eq!(layout.parse(text), Some(key));
        }
    }

    #[test]
    fn foreign_keys_are_not_ours() {
        let layout = Layout::new("database/");
        for key in [
            "database/",
            "database/README",
            "database/2026/12/2026-11-23T14-00-00Z.sql.gz",
            "database/2026/11/2026-11-23T14-00-00Z.sql",
            "database/2026/11/backup.sql.gz",
            "database/2026/11/2026-11-23T14-00-00Z.verify.json",
            "database/2026/12/2026-11-23T14-00-00Z.verified.json",
            "database/2026-11-23T14-00-00Z.damaged.json",
            "database/2026-11-23T14-00-00Z.sql.gz",
            "database/manual/x/2026-11-23T14-00-00Z.sql.gz",
            "other/2026/11/2026-11-23T14-00-00Z.sql.gz",
            "database/drills/2026-12-01T06-00-00Z.sql.gz",
            "database/drills/notes.md",
            "database/drills/x/2026-12-01T06-00-00Z.json",
            "database/incidents/2026-12-01T06-00-00Z.json",
            "database/incidents/notes.md",
            "database/incidents/2026-11-23T14-00-00Z/2026-11-23T15-12-07Z-9f3a2b1c.json",
            "database/incidentsx/2026-11-23T15-12-07.250Z-9f3a2b1c.json",
            "database/reviews/2026-12-01T06-00-00Z.json",
        ] {
            assert_eq!(layout.parse(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn every_key_is_read_as_it_is_built(
            prefix in "([a-z]{1,6}/){0,3}", seconds in 0_i64..253_000_000_000, what in 0..16
        ) {
            let layout = Layout::new(prefix);
            let id = BackupId::at(DateTime::from_timestamp(seconds, 0).unwrap());
            let key = match what {
                0 => Key::Archive(Kind::Scheduled, id),
                1 => Key::Checksum(Kind::Scheduled, id),
                2 => Key::Manifest(Kind::Scheduled, id),
                3 => Key::Archive(Kind::Manual, id),
                4 => Key::Checksum(Kind::Manual, id),
                5 => Key::Manifest(Kind::Manual, id),
                6 => Key::Verdict(Kind::Scheduled, id, Verdict::Good),
                7 => Key::Verdict(Kind::Scheduled, id, Verdict::Damaged),
                8 => Key::Verdict(Kind::Manual, id, Verdict::Good),
                9 => Key::Drill(id),
                10 => Key::DrillPage(id),
                11 => Key::Incident(id),
                12 => Key::IncidentEntry(id, EntryId::new(id.time(), 7)),
                13 => Key::Review(Review::Drill, id),
                14 => Key::Review(Review::Runbook, id),
                _ => Key::Verdict(Kind::Manual, id, Verdict::Damaged),
            };
            prop_assert_eq!(layout.parse(&layout.key(key)), Some(key));
        }

        #[test]
        fn what_is_read_as_ours_is_what_would_be_built(key in "(database/)?[0-9TZ/.a-z-]{0,60}") {
            let layout = Layout::new("database/");
            if let Some(parsed) = layout.parse(&key) {
                prop_assert_eq!(layout.key(parsed), key);
            }
        }
    }
}
