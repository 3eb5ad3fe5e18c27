//! Whose fault it is that a restore stopped, as far as the server's answer tells.

use super::{error::Failure, kind::Kind, locale};
use crate::postgres::is_servers_own;

/// Whose fault it is that a restore stopped, as far as the server's answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The server's: it or the connection is gone, it was stopped by somebody, or it
    /// has too little of something.
    Server,
    /// The role's, which lacks a right, or the database's, which takes no writes.
    Rights,
    /// The server's machine's: it lacks a locale, or a provider of locales.
    Locale,
    /// The server's: it does not make an extension, of which an archive says no more
    /// than its name.
    Extension,
    /// A file of the server's is not there that a definition wants: a library, say.
    File,
    /// Something that a statement is about is not there: the archive does not hold it,
    /// or an extension that was to make it is missing.
    Undefined,
    /// That is not said, and it is a definition that failed, and not the rows that it is
    /// about: what it lacks may be an extension's.
    Definition,
    /// That is not said: the archive's, say.
    Unknown,
}

/// A schema, an object, a table, a column, a function or a feature, an extension
/// among them, that is not there.
const UNDEFINED: [&str; 6] = ["3F000", "42704", "42P01", "42703", "42883", "0A000"];

/// A schema that is not there: an archive names those of its extensions.
const NO_SCHEMA: &str = "3F000";

/// A file that is not there.
const NO_FILE: &str = "58P01";

/// The class of what rows violate.
const OF_ROWS: &str = "23";

impl Blame {
    pub(super) fn of(failure: &Failure) -> Self {
        let Failure { message, code, defines, .. } = failure;
        let unknown = if defines.is_some() { Self::Definition } else { Self::Unknown };
        let Some(code) = code.as_deref() else { return unknown };
        match *defines {
            Some(_) if code == NO_FILE => Self::File,
            _ if is_servers_own(code) => Self::Server,
            _ if code == "42501" || code.starts_with("25") => Self::Rights,
            Some(kind) if locale::is_lacking(code, message, kind) => Self::Locale,
            Some(Kind::Extension) if code != NO_SCHEMA => Self::Extension,
            _ if UNDEFINED.contains(&code) => Self::Undefined,
            _ if code.starts_with(OF_ROWS) => Self::Unknown,
            _ => unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        postgres::{PsqlError, TargetError},
        process::{Ending, ProcessError},
    };

    fn by(code: Option<&str>, message: &str, defines: Option<Kind>) -> Blame {
        let (code, message) = (code.map(str::to_owned), message.to_owned());
        Blame::of(&Failure { at: None, message, code, defines })
    }

    #[test]
    fn a_server_that_goes_away_or_allows_too_little_is_not_the_archive_s_fault() {
        for defines in [None, Some(Kind::Table)] {
            let by = |code| by(Some(code), "no", defines);
            for code in ["", "08006", "53200", "53300", "57014", "57P01", "58030", "XX001", "XX002"]
            {
                assert_eq!(by(code), Blame::Server, "{code}");
            }
            for code in ["42501", "25006"] {
                assert_eq!(by(code), Blame::Rights, "{code}");
            }
            for code in ["42P01", "42703", "42704", "42883", "3F000", "0A000"] {
                assert_eq!(by(code), Blame::Undefined, "{code}");
            }
            assert_eq!(by("23503"), Blame::Unknown, "rows are at fault");
        }
        assert_eq!(by(Some("58P01"), "no", None), Blame::Server);
        let lost = TargetError { message: "lost".to_owned(), code: String::new() };
        let failure = Failure::at("rows of table gift")(lost);
        assert_eq!(Blame::of(&failure), Blame::Server);
        assert_eq!(failure.at.as_deref(), Some("rows of table gift"));
    }

    #[test]
    fn what_a_definition_lacks_may_be_the_machine_s() {
        for (code, message, kind, blame) in [
            ("58P01", "could not access file \"$libdir/x\"", Kind::Routine, Blame::File),
            ("42704", "language \"plv8\" does not exist", Kind::Routine, Blame::Undefined),
            ("22023", "could not create locale \"de\"", Kind::Collation, Blame::Locale),
            ("55000", "must be loaded", Kind::Extension, Blame::Extension),
            ("0A000", "is not available", Kind::Extension, Blame::Extension),
            ("3F000", "no schema", Kind::Extension, Blame::Undefined),
        ] {
            assert_eq!(by(Some(code), message, Some(kind)), blame, "{code} {message}");
        }
    }

    #[test]
    fn a_definition_that_fails_is_told_from_rows() {
        // `SECURITY LABEL`, what code of the database raised, and more of the kind.
        for code in [Some("22023"), Some("22P02"), Some("42809"), Some("XX000"), None] {
            assert_eq!(by(code, "no", Some(Kind::Other)), Blame::Definition, "{code:?}");
            assert_eq!(by(code, "no", None), Blame::Unknown, "{code:?}");
        }
        let same = by(Some("23505"), "no", Some(Kind::Key));
        assert_eq!(same, Blame::Unknown, "two rows are the same");
    }

    #[test]
    fn a_psql_that_was_killed_is_not_the_archive_s_fault() {
        let ended = |status| {
            let (program, stderr) = ("psql".to_owned(), String::new());
            let failed = ProcessError::Failed { program, status, stderr };
            Blame::of(&Failure::from(PsqlError::from(failed)))
        };
        assert_eq!(ended(Ending::Signal(9)), Blame::Server);
        assert_eq!(ended(Ending::Unknown), Blame::Server);
        assert_eq!(ended(Ending::Code(3)), Blame::Unknown);
    }
}
