//! The id of an entry in an incident's log: when it was made, and a number that
//! nobody else has drawn, so that two people who write at once never write to
//! one key.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::id::IdError;

/// With milliseconds: entries are shown in the order of their ids.
const FORMAT: &str = "%Y-%m-%dT%H-%M-%S%.3fZ";

/// An entry's id, such as `2026-11-23T15-12-07.250Z-9f3a2b1c`. Ids sort by time,
/// as do their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId {
    at: DateTime<Utc>,
    salt: u32,
}

impl EntryId {
    /// The id of an entry that is made at `at`; `salt` tells it from others of
    /// the same millisecond.
    #[must_use]
    pub fn new(at: DateTime<Utc>, salt: u32) -> Self {
        Self { at: at.trunc_subsecs(3), salt }
    }

    /// When the entry was made.
    #[must_use]
    pub fn time(self) -> DateTime<Utc> {
        self.at
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.at.format(FORMAT), self.salt)
    }
}

impl FromStr for EntryId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let read = || {
            let (at, salt) = text.rsplit_once('-')?;
            let at = NaiveDateTime::parse_from_str(at, FORMAT).ok()?.and_utc();
            Some(Self { at, salt: u32::from_str_radix(salt, 16).ok()? })
        };
        // Only one spelling: a key that is not written as we write it is not ours.
        read().filter(|id| id.to_string() == text).ok_or_else(|| IdError::of(text))
    }
}

impl TryFrom<String> for EntryId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_read_as_it_is_written_and_sorts_as_its_text(
            a in 0_i64..253_000_000_000_000, b in 0_i64..253_000_000_000_000,
            x in any::<u32>(), y in any::<u32>()
        ) {
            let id = |ms, salt| EntryId::new(DateTime::from_timestamp_millis(ms).unwrap(), salt);
            let (a, b) = (id(a, x), id(b, y));
            prop_assert_eq!(a.to_string().parse::<EntryId>().unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }

    #[test]
    fn only_one_spelling_is_an_id() {
        let id = "2026-11-23T15-12-07.250Z-9f3a2b1c";
        assert_eq!(id.parse::<EntryId>().unwrap().to_string(), id);
        for text in [
            "",
            "2026-11-23T15-12-07Z-9f3a2b1c",
            "2026-11-23T15-12-07.25Z-9f3a2b1c",
            "2026-11-23T15-12-07.250Z-9F3A2B1C",
            "2026-11-23T15-12-07.250Z-1c",
            "2026-11-23T15-12-07.250Z",
        ] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }
}
