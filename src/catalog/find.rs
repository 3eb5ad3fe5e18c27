//! Finds the backup that a person means.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{
    id::BackupId,
    listing::{Catalog, Entry, State},
};
use crate::{archive::manifest::Kind, clock};

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The newest good backup that is not dated in the future, as of now.
    Latest(DateTime<Utc>),
    /// An id, or the beginning of one, and which place it stands in where that
    /// was said: `manual/2026-11-23T14-05-09Z`.
    Prefix(Option<Kind>, String),
    /// The newest good backup that began at or before a time.
    At(DateTime<Utc>),
}

/// Nothing, or too much, is what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is no good backup at all.
    #[error("there is no good backup; `reliquary list` shows what there is")]
    Empty,
    /// There is none, and there are legacy archives, of which only a person can
    /// say whether they will do.
    #[error(
        "there is no good backup, only legacy archives, of which nothing proves that they are \
         complete; the newest is {0}, to be asked for by its id"
    )]
    OnlyLegacy(BackupId),
    /// The same, as of a time.
    #[error(
        "no good backup began at or before {0}, only legacy archives, of which nothing proves \
         that they are complete; the newest of them is {1}, to be asked for by its id"
    )]
    OnlyLegacyAt(DateTime<Utc>, BackupId),
    /// There is nothing but what verify found damaged.
    #[error("there is no good backup, only damaged ones; the newest of them is {0}")]
    OnlyDamaged(BackupId),
    /// There is none but what is dated in the future.
    #[error(
        "there is no good backup but what is dated in the future by this machine's clock; the \
         newest of that is {0}, to be asked for by its id"
    )]
    OnlyAhead(BackupId),
    /// Nothing has that id.
    #[error("no backup's id begins with {0:?}; `reliquary list` shows what there is")]
    Unknown(String),
    /// What is asked for is damaged.
    #[error("{0} is damaged; `reliquary verify {0}` says how")]
    Damaged(BackupId),
    /// Of what is asked for only the manifest is left.
    #[error("the archive of {0} is gone; only its manifest is left")]
    Gone(BackupId),
    /// Two have exactly that one.
    #[error("{0} is a scheduled backup and a manual one; name it scheduled/{0} or manual/{0}")]
    Twice(BackupId),
    /// Several have.
    #[error("{0:?} is the beginning of {1} ids; name one more exactly")]
    Ambiguous(String, usize),
    /// All are newer.
    #[error("no good backup began at or before {0}; the oldest is {1}")]
    TooEarly(DateTime<Utc>, BackupId),
    /// Not a time.
    #[error("{0:?} is no time; write \"2026-11-23 14:30Z\" (UTC)")]
    BadTime(String),
}

impl FindError {
    /// The legacy archive that might do instead.
    #[must_use]
    pub fn legacy(&self) -> Option<BackupId> {
        match self {
            Self::OnlyLegacy(id) | Self::OnlyLegacyAt(_, id) => Some(*id),
            _ => None,
        }
    }

    /// The damaged backup of which something may still be had.
    #[must_use]
    pub fn damaged(&self) -> Option<BackupId> {
        match self {
            Self::Damaged(id) | Self::OnlyDamaged(id) => Some(*id),
            _ => None,
        }
    }
}

impl Query {
    /// Reads an id, the beginning of one, or `latest`, which is as of `now`. An id
    /// may be led by the place it stands in, `manual/` or `scheduled/`.
    #[must_use]
    pub fn parse(text: &str, now: DateTime<Utc>) -> Self {
        let placed = |kind: Kind| Some((kind, text.strip_prefix(kind.name())?.strip_prefix('/')?));
        match text {
            "" | "latest" => Self::Latest(now),
            text => match [Kind::Manual, Kind::Scheduled].into_iter().find_map(placed) {
                Some((kind, id)) => Self::Prefix(Some(kind), id.to_owned()),
                None => Self::Prefix(None, text.to_owned()),
            },
        }
    }

    /// Reads a time in UTC, such as `2026-11-23 14:30Z` or RFC 3339.
    ///
    /// # Errors
    /// When it is no time.
    pub fn parse_time(text: &str) -> Result<Self, FindError> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(time.to_utc()));
        }
        let naive = text.trim_end_matches(['Z', 'z']).trim_end().replace('T', " ");
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&naive, format).ok())
            .map(|time| Self::At(time.and_utc()))
            .ok_or_else(|| FindError::BadTime(text.to_owned()))
    }

    /// Finds what was asked for among good backups and legacy archives.
    ///
    /// # Errors
    /// When nothing or several things fit, or what fits is damaged.
    pub fn find<'a>(&self, catalog: &'a Catalog) -> Result<&'a Entry, FindError> {
        match self.find_readable(catalog)? {
            entry if entry.state == State::Damaged => Err(FindError::Damaged(entry.id)),
            entry => Ok(entry),
        }
    }

    /// Finds what was asked for; where it is asked for by its id, also what is
    /// damaged, of which a person wants what can still be read.
    ///
    /// # Errors
    /// When nothing or several things fit, or the archive of what fits is gone.
    pub fn find_readable<'a>(&self, catalog: &'a Catalog) -> Result<&'a Entry, FindError> {
        match self.find_any(catalog)? {
            entry if entry.state == State::Broken => Err(FindError::Gone(entry.id)),
            entry => Ok(entry),
        }
    }

    /// Finds what was asked for; where it is asked for by its id, also among
    /// what is damaged or lacks its archive: to look at, never to restore.
    ///
    /// # Errors
    /// When nothing or several things fit.
    pub fn find_any<'a>(&self, catalog: &'a Catalog) -> Result<&'a Entry, FindError> {
        match self {
            Self::Latest(now) => catalog.newest_as_of(*now).ok_or_else(|| {
                let newest = |state| newest(catalog, state, None).map(|entry| entry.id);
                if let Some(ahead) = newest(State::Good) {
                    return FindError::OnlyAhead(ahead);
                }
                let legacy = newest(State::Legacy).map(FindError::OnlyLegacy);
                let damaged = || newest(State::Damaged).map(FindError::OnlyDamaged);
                legacy.or_else(damaged).unwrap_or(FindError::Empty)
            }),
            Self::At(time) => newest(catalog, State::Good, Some(*time)).ok_or_else(|| {
                if let Some(legacy) = newest(catalog, State::Legacy, Some(*time)) {
                    return FindError::OnlyLegacyAt(*time, legacy.id);
                }
                let oldest = catalog.good().last();
                oldest.map_or(FindError::Empty, |oldest| FindError::TooEarly(*time, oldest.id))
            }),
            Self::Prefix(kind, prefix) => {
                let fits = |entry: &&Entry| {
                    !matches!(entry.state, State::Unclear | State::Debris)
                        && kind.is_none_or(|kind| entry.kind == kind)
                        && entry.id.to_string().starts_with(prefix.as_str())
                };
                let asked = || match kind {
                    Some(kind) => format!("{}/{prefix}", kind.name()),
                    None => prefix.clone(),
                };
                let found: Vec<&Entry> = catalog.entries.iter().filter(fits).collect();
                match found[..] {
                    [] => Err(FindError::Unknown(asked())),
                    [entry] => Ok(entry),
                    [one, other] if one.id == other.id => Err(FindError::Twice(one.id)),
                    _ => Err(FindError::Ambiguous(asked(), found.len())),
                }
            }
        }
    }
}

impl Catalog {
    /// The newest good backup that is not dated in the future.
    #[must_use]
    pub fn newest_as_of(&self, now: DateTime<Utc>) -> Option<&Entry> {
        newest(self, State::Good, Some(now + clock::TOLERANCE))
    }

    /// Good backups that are dated in the future: a clock was wrong when they were
    /// made, or this machine's is wrong now. They count when their time has come.
    pub fn ahead_of(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Entry> {
        self.good().filter(move |entry| entry.time() > now + clock::TOLERANCE)
    }
}

/// The newest entry of a state, at or before a time where one is given.
fn newest(catalog: &Catalog, state: State, until: Option<DateTime<Utc>>) -> Option<&Entry> {
    let of_state = catalog.entries.iter().filter(|entry| entry.state == state);
    let fits = of_state.filter(|entry| until.is_none_or(|until| entry.time() <= until));
    fits.max_by_key(|entry| (entry.time(), entry.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(hours: &[u32]) -> Catalog {
        let mut catalog = Catalog::default();
        for hour in hours {
            let id: BackupId = format!("2026-11-23T{hour:02}-00-00Z").parse().unwrap();
            let (kind, state) = (Kind::Scheduled, State::Good);
            let (archive_bytes, last_modified, verified) = (1, id.time(), None);
            catalog.add(Entry { id, kind, state, archive_bytes, last_modified, verified });
        }
        catalog
    }

    /// Later than all of them.
    fn now() -> DateTime<Utc> {
        "2026-11-24T00:00:00Z".parse().unwrap()
    }

    fn parse(text: &str) -> Query {
        Query::parse(text, now())
    }

    fn found(query: &Query, hours: &[u32]) -> Result<String, FindError> {
        query.find(&catalog(hours)).map(|entry| entry.id.to_string())
    }

    #[test]
    fn latest_a_prefix_and_a_time_find_their_backup() {
        let hours = [1, 12, 14];
        let id = |hour: u32| Ok(format!("2026-11-23T{hour:02}-00-00Z"));
        assert_eq!(found(&parse("latest"), &hours), id(14));
        assert_eq!(found(&parse("2026-11-23T12"), &hours), id(12));
        assert_eq!(found(&Query::parse_time("2026-11-23 13:59Z").unwrap(), &hours), id(12));
        assert_eq!(found(&Query::parse_time("2026-11-23T12:00:00Z").unwrap(), &hours), id(12));
    }

    #[test]
    fn what_is_dated_in_the_future_is_no_latest_until_its_time_comes() {
        let as_of = |time: &str| Query::Latest(format!("2026-11-23T{time}Z").parse().unwrap());
        let id = |hour: u32| Ok(format!("2026-11-23T{hour:02}-00-00Z"));
        assert_eq!(found(&as_of("13:00:00"), &[12, 14]), id(12));
        // Two machines are never at one about the second.
        assert_eq!(found(&as_of("13:56:00"), &[12, 14]), id(14));
        assert_eq!(found(&parse("2026-11-23T14"), &[12, 14]), id(14), "its id takes it");
        let only = Err(FindError::OnlyAhead("2026-11-23T14-00-00Z".parse().unwrap()));
        assert_eq!(found(&as_of("11:00:00"), &[12, 14]), only);
        let catalog = catalog(&[12, 14]);
        let ahead = |time: &str| {
            let now = format!("2026-11-23T{time}Z").parse().unwrap();
            catalog.ahead_of(now).map(|entry| entry.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ahead("13:00:00"), ["2026-11-23T14-00-00Z"]);
        assert!(ahead("14:00:00").is_empty());
    }

    #[test]
    fn what_is_damaged_is_found_by_its_id_alone_and_only_to_look_at() {
        let mut catalog = catalog(&[12, 14]);
        let id = catalog.entries[1].id;
        catalog.judge(Kind::Scheduled, id, crate::words::Verdict::Damaged, id.time());
        let query = parse("2026-11-23T14");
        assert_eq!(query.find(&catalog), Err(FindError::Damaged(id)));
        assert_eq!(query.find_readable(&catalog).unwrap().id, id);
        assert_eq!(query.find_any(&catalog).unwrap().id, id);
        catalog.entries[1].state = State::Broken;
        assert_eq!(query.find_readable(&catalog), Err(FindError::Gone(id)));
        assert_eq!(query.find_any(&catalog).unwrap().id, id);
        for query in [Query::Latest(now()), Query::At(id.time())] {
            assert_eq!(query.find(&catalog).unwrap().id, catalog.entries[0].id);
            assert_eq!(query.find_any(&catalog).unwrap().id, catalog.entries[0].id);
        }
    }

    #[test]
    fn a_legacy_archive_is_named_and_never_taken_by_itself() {
        let mut catalog = catalog(&[1, 2, 14]);
        let ids: Vec<BackupId> = catalog.entries.iter().map(|entry| entry.id).collect();
        for at in [0, 1] {
            catalog.entries[at].state = State::Legacy;
        }
        assert_eq!(Query::Latest(now()).find(&catalog).unwrap().id, ids[2]);
        let time = ids[1].time();
        let error = Query::At(time).find(&catalog).unwrap_err();
        assert_eq!(error, FindError::OnlyLegacyAt(time, ids[1]));
        assert_eq!(error.legacy(), Some(ids[1]));
        catalog.entries.pop();
        let error = Query::Latest(now()).find(&catalog).unwrap_err();
        assert_eq!(error, FindError::OnlyLegacy(ids[1]));
        assert_eq!(parse("2026-11-23T01").find(&catalog).unwrap().id, ids[0]);
    }

    #[test]
    fn where_nothing_but_damage_is_left_it_is_named() {
        let mut catalog = catalog(&[12, 14]);
        for entry in &mut catalog.entries {
            entry.state = State::Damaged;
        }
        let error = Query::Latest(now()).find(&catalog).unwrap_err();
        assert_eq!(error, FindError::OnlyDamaged(catalog.entries[1].id));
        assert_eq!(error.damaged(), Some(catalog.entries[1].id));
    }

    #[test]
    fn a_manual_and_a_scheduled_backup_of_one_second_are_told_apart() {
        let mut catalog = catalog(&[12, 14]);
        let manual = Entry { kind: Kind::Manual, ..catalog.entries[1].clone() };
        let id = manual.id;
        catalog.add(manual);
        let kind = |text: &str| parse(text).find(&catalog).map(|entry| entry.kind);
        assert_eq!(kind(&id.to_string()), Err(FindError::Twice(id)));
        assert_eq!(kind(&format!("manual/{id}")), Ok(Kind::Manual));
        assert_eq!(kind("manual/2026"), Ok(Kind::Manual));
        assert_eq!(kind(&format!("scheduled/{id}")), Ok(Kind::Scheduled));
        assert_eq!(kind("scheduled/2026-11-23T12"), Ok(Kind::Scheduled));
        let none = Err(FindError::Unknown("manual/2026-11-23T12".into()));
        assert_eq!(kind("manual/2026-11-23T12"), none);
    }

    #[test]
    fn what_cannot_be_found_is_said() {
        assert_eq!(found(&Query::Latest(now()), &[]), Err(FindError::Empty));
        let ambiguous = Err(FindError::Ambiguous("2026-11-23T1".into(), 2));
        assert_eq!(found(&parse("2026-11-23T1"), &[1, 12, 14]), ambiguous);
        assert_eq!(found(&parse("x"), &[1]), Err(FindError::Unknown("x".into())));
        let early = Query::parse_time("2026-11-23 00:30").unwrap();
        assert!(matches!(found(&early, &[1]), Err(FindError::TooEarly(..))));
        assert!(matches!(Query::parse_time("yesterday"), Err(FindError::BadTime(_))));
    }
}
