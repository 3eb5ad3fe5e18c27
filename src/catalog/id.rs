//! A backup's id: the second, in UTC, in which it began.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

/// As `date -u +"%Y-%m-%dT%H-%M-%SZ"` writes it, which the runbook's own
/// commands use.
const FORMAT: &str = "%Y-%m-%dT%H-%M-%SZ";

/// A backup's id, such as `2026-11-23T14-00-00Z`. Ids sort by time, as do their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(DateTime<Utc>);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no backup id; ids look like 2026-11-23T14-00-00Z")]
pub struct IdError(String);

impl IdError {
    /// Of a text, of which no more is repeated than an id is long.
    pub(super) fn of(text: &str) -> Self {
        Self(text.chars().take(40).collect())
    }
}

impl BackupId {
    /// The id of a backup that begins at `time`; fractions of a second are dropped.
    #[must_use]
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(0))
    }

    /// When the backup began.
    #[must_use]
    pub fn time(self) -> DateTime<Utc> {
        self.0
    }

    /// The id of the next second, for when this one is taken.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + chrono::Duration::seconds(1))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format(FORMAT).fmt(f)
    }
}

impl FromStr for BackupId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::of(text);
        let time = NaiveDateTime::parse_from_str(text, FORMAT).map_err(|_| error())?;
        let id = Self(time.and_utc());
        // Only one spelling: a key that is not written as we write it is not ours.
        if id.to_string() == text { Ok(id) } else { Err(error()) }
    }
}

impl TryFrom<String> for BackupId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_spelling_is_an_id() {
        assert_eq!(
            "2026-11-23T14-00-00Z".parse::<BackupId>().unwrap().time().to_rfc3339(),
            "2026-11-23T14:00:00+00:00"
        );
        for text in [
            "",
            "latest",
            "2026-11-23T14:00:00Z",
            "2026-11-23T14-00-00",
            "2026-11-3T14-00-00Z",
            "2026-02-30T00-00-00Z",
            "2026-11-23T24-00-00Z",
            " 2026-11-23T14-00-00Z",
            "+2026-11-23T14-00-00Z",
        ] {
            assert!(text.parse::<BackupId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_is_written_and_sorts_as_its_text(
            a in 0_i64..253_000_000_000, b in 0_i64..253_000_000_000
        ) {
            let [a, b] = [a, b].map(|s| BackupId::at(DateTime::from_timestamp(s, 7).unwrap()));
            prop_assert_eq!(a.to_string().parse::<BackupId>().unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
