//! What a person asks a restore for.

use super::tokens::{Cursor, tokens};
use crate::{archive::TableName, postgres::Section, process::Priority};

/// How much is restored, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Only these tables, with what they need.
    pub tables: Vec<TableName>,
    /// Only these schemas, with what they need.
    pub schemas: Vec<String>,
    /// Only these sections; all where it is empty.
    pub sections: Vec<Section>,
    /// How many sessions load at once; at least 1.
    pub jobs: usize,
    /// Drop first what the archive will create.
    pub clean: bool,
    /// Create the roles that policies name and the target lacks.
    pub create_roles: bool,
    /// The target only looks like the source: it is a clone of its server.
    pub not_the_source: bool,
    /// How psql stands to whatever else runs on the machine.
    pub priority: Priority,
}

/// A machine of many processors must not take all of a server's sessions.
const MOST_JOBS: usize = 8;

impl Default for Options {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            schemas: Vec::new(),
            sections: Vec::new(),
            jobs: std::thread::available_parallelism().map_or(1, usize::from).min(MOST_JOBS),
            clean: false,
            create_roles: false,
            not_the_source: false,
            priority: Priority::Usual,
        }
    }
}

impl Options {
    /// Whether only a part of the objects is wanted.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.tables.is_empty() || !self.schemas.is_empty()
    }

    /// Whether a section is wanted.
    #[must_use]
    pub fn wants(&self, section: Section) -> bool {
        self.sections.is_empty() || self.sections.contains(&section)
    }
}

/// A name that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `schema.name`.
    #[error(
        "{0:?} is no table; write schema.name, and what has capitals or other signs in double \
         quotes: 'public.\"Church\"'"
    )]
    Table(String),
    /// Not one name.
    #[error("{0:?} is no schema; write its name, in double quotes where it needs them")]
    Schema(String),
}

/// Reads `schema.name`, quoted as SQL wants it. A name whose capitals were
/// written without quotes is taken as it is written: who types `public.Church`
/// means the table that Prisma made.
///
/// # Errors
/// When it is no such name.
pub fn table(text: &str) -> Result<TableName, NameError> {
    let error = || NameError::Table(text.to_owned());
    let tokens = tokens(text.as_bytes());
    let mut cursor = Cursor::new(&tokens);
    let name = cursor.name().ok_or_else(error)?;
    if !cursor.rest().is_empty() || name.schema.is_empty() { Err(error()) } else { Ok(name) }
}

/// Reads a schema's name.
///
/// # Errors
/// When it is not one name.
pub fn schema(text: &str) -> Result<String, NameError> {
    let error = || NameError::Schema(text.to_owned());
    let tokens = tokens(text.as_bytes());
    let mut cursor = Cursor::new(&tokens);
    let name = cursor.identifier().ok_or_else(error)?;
    if cursor.rest().is_empty() { Ok(name) } else { Err(error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_quotes() {
        for (text, schema, name) in [
            ("public.donation", "public", "donation"),
            ("public.Church", "public", "Church"),
            ("public.\"Church\"", "public", "Church"),
            ("\"a.b\".\"c\"\"d\"", "a.b", "c\"d"),
        ] {
            let expected = TableName { schema: schema.into(), name: name.into() };
            assert_eq!(table(text), Ok(expected));
        }
        for text in ["donation", "a.b.c", "", "a.", "a.b c", "a.*"] {
            assert!(table(text).is_err(), "{text}");
        }
        assert_eq!(schema("\"We ird\""), Ok("We ird".to_owned()));
        assert!(schema("a.b").is_err());
    }
}
