//! Which database a backup was made of, in as few words as tell it from another.

use std::fmt;

use crate::{archive::manifest::Source, visible::visible};

/// A database, as far as a backup can tell it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name on its server.
    pub database: String,
    /// Identifies the cluster, where the role may read it.
    pub system_identifier: Option<String>,
}

impl Origin {
    /// Whether two are known to be different databases. An identifier that cannot be
    /// read is unknown, and not a different one.
    #[must_use]
    pub fn is_another(&self, than: &Self) -> bool {
        let identifiers = self.system_identifier.as_ref().zip(than.system_identifier.as_ref());
        self.database != than.database || identifiers.is_some_and(|(a, b)| a != b)
    }
}

impl From<&Source> for Origin {
    fn from(source: &Source) -> Self {
        Self {
            database: source.database.clone(),
            system_identifier: source.system_identifier.clone(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} ", visible(&self.database))?;
        match &self.system_identifier {
            Some(identifier) => {
                write!(f, "of the server with the system identifier {}", visible(identifier))
            }
            None => f.write_str("of a server whose system identifier cannot be read"),
        }
    }
}
