//! Backups of another database under this one's prefix: pure.
//!
//! Two installations with default settings on one bucket write to one prefix. What
//! the other one makes must not pass for a backup of this one's database. A source
//! that has moved looks the same at first, but it moves once: backups of two sources
//! that take turns are the sign of two installations.

use std::collections::BTreeSet;

use super::{id::BackupId, origin::Origin};
use crate::archive::manifest::Kind;

/// What is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    ids: BTreeSet<BackupId>,
    found: Option<Box<TwoSources>>,
    /// Whether the newest backup of all is one of them.
    lead: bool,
    /// Whether one of them came after a backup of our own.
    take_turns: bool,
}

/// The two databases whose backups stand under one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwoSources {
    /// The one whose backup is the newest that is not ours.
    pub theirs: Origin,
    /// The one that is ours.
    pub ours: Origin,
}

impl Others {
    /// What good backups say, newest first, as far as they were `read`. Where no
    /// scheduled one of ours is among them, the `older` ones are not taken for ours
    /// either: a backup too many harms nobody, and none at all does.
    #[must_use]
    pub fn of(
        read: &[(Kind, BackupId, Origin)],
        older: impl IntoIterator<Item = BackupId>,
        ours: &Origin,
    ) -> Self {
        let mut others = Self::default();
        let mut served = false;
        for (kind, id, theirs) in read {
            if theirs.is_another(ours) {
                others.ids.insert(*id);
                others.found.get_or_insert_with(|| {
                    Box::new(TwoSources { theirs: theirs.clone(), ours: ours.clone() })
                });
            } else {
                others.take_turns |= others.found.is_some();
                served |= *kind == Kind::Scheduled;
            }
        }
        others.lead = read.first().is_some_and(|(_, id, _)| others.holds(*id));
        if !served && others.found.is_some() {
            others.ids.extend(older);
        }
        others
    }

    /// Whether a backup is known to be another database's.
    #[must_use]
    pub fn holds(&self, id: BackupId) -> bool {
        self.ids.contains(&id)
    }

    /// The two databases, as long as that is a fault: the newest backup is another
    /// one's, or one of theirs has come between two of ours.
    #[must_use]
    pub fn two_sources(&self) -> Option<&TwoSources> {
        self.found.as_deref().filter(|_| self.lead || self.take_turns)
    }

    /// Notes that ours is the newest now. That is the end of it where the source has
    /// moved; where the two take turns, only a look can tell that they have stopped.
    pub fn ours_was_added(&mut self) {
        self.lead = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(database: &str, identifier: Option<&str>) -> Origin {
        Origin {
            database: database.to_owned(),
            system_identifier: identifier.map(ToOwned::to_owned),
        }
    }

    fn id(hour: i64) -> BackupId {
        BackupId::at(chrono::DateTime::from_timestamp(hour * 3600, 0).unwrap())
    }

    /// Of hourly backups, newest first: `o` is ours, `t` is theirs, and of a `?` the
    /// identifier is not known.
    fn others(backups: &str) -> Others {
        let hours = (1..=i64::try_from(backups.len()).unwrap()).rev();
        let read: Vec<_> = std::iter::zip(hours, backups.chars())
            .map(|(hour, whose)| {
                let identifier = match whose {
                    'o' => Some("1"),
                    't' => Some("2"),
                    _ => None,
                };
                (Kind::Scheduled, id(hour), origin("app", identifier))
            })
            .collect();
        Others::of(&read, [id(0)], &origin("app", Some("1")))
    }

    #[test]
    fn an_identifier_that_cannot_be_read_is_no_other_one_and_another_name_is() {
        let ours = origin("app", Some("1"));
        for (theirs, is_another) in [
            (origin("app", Some("1")), false),
            (origin("app", Some("2")), true),
            (origin("app", None), false),
            (origin("prod", Some("1")), true),
            (origin("prod", None), true),
        ] {
            assert_eq!(theirs.is_another(&ours), is_another, "{theirs}");
            assert_eq!(ours.is_another(&theirs), is_another, "{theirs}");
        }
        assert!(!origin("app", None).is_another(&origin("app", None)));
    }

    #[test]
    fn another_database_s_backups_are_known_and_ours_and_unknown_ones_are_not_among_them() {
        let found = others("tto");
        let held: Vec<_> = (0..=3).rev().map(|hour| found.holds(id(hour))).collect();
        assert_eq!(held, [true, true, false, false]);
        assert_eq!(found.two_sources().unwrap().theirs, origin("app", Some("2")));
        for backups in ["", "o", "?", "?o"] {
            assert_eq!(others(backups), Others::default(), "{backups}");
        }
    }

    #[test]
    fn one_of_theirs_between_two_of_ours_is_a_fault_whoever_made_the_newest() {
        for (backups, is_fault) in
            [("oto", true), ("otto", true), ("oot?", true), ("ot", false), ("oottt", false)]
        {
            assert_eq!(others(backups).two_sources().is_some(), is_fault, "{backups}");
        }
    }

    #[test]
    fn where_none_of_ours_is_near_the_older_ones_are_not_taken_for_ours() {
        assert!(others("ttt").holds(id(0)));
        // One that a person has made serves no slot.
        let manual = (Kind::Manual, id(2), origin("app", Some("1")));
        let theirs = (Kind::Scheduled, id(1), origin("app", Some("2")));
        let found = Others::of(&[manual, theirs], [id(0)], &origin("app", Some("1")));
        assert!(found.holds(id(0)) && found.holds(id(1)) && !found.holds(id(2)));
    }

    #[test]
    fn a_move_is_over_with_the_first_backup_of_ours_and_taking_turns_is_not() {
        for (backups, stays) in [("t", false), ("ttt", false), ("to", true), ("tto", true)] {
            let mut found = others(backups);
            assert!(found.two_sources().is_some(), "{backups}");
            found.ours_was_added();
            assert_eq!(found.two_sources().is_some(), stays, "{backups}");
            // A backup that was another's stays another's.
            assert!(found.holds(id(i64::try_from(backups.len()).unwrap())), "{backups}");
        }
    }

    #[test]
    fn both_are_named_without_their_hosts() {
        let found = others("to");
        let TwoSources { theirs, ours } = found.two_sources().unwrap();
        assert_eq!(
            format!("{theirs}; {ours}"),
            "database app of the server with the system identifier 2; \
             database app of the server with the system identifier 1"
        );
        assert_eq!(
            origin("a\u{1b}b", None).to_string(),
            "database a\\u{1b}b of a server whose system identifier cannot be read"
        );
    }
}
