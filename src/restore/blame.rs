//! Whose fault it is that a restore stopped.

use super::{kind::Kind, locale};
use crate::{
    postgres::{PsqlError, is_servers_own},
    process::{Ending, ProcessError},
};

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
    /// The same, of a statement that code of the database ran: most likely it names
    /// something without its schema, and a restore has no search path.
    Code,
    /// The database's: something of that name is there already, or its encoding does not
    /// hold a text. Where it was made for the archive, the archive's own.
    Place,
    /// That is not said, and it is a definition that failed, and not the rows that it is
    /// about: what it lacks may be an extension's.
    Definition,
    /// That is not said: the archive's, say.
    Unknown,
}

/// A schema, an object, a table, a column or a function that is not there.
const UNDEFINED: [&str; 5] = ["3F000", "42704", "42P01", "42703", "42883"];

/// A feature that is not there, an extension among them.
const UNSUPPORTED: &str = "0A000";

/// A schema that is not there: an archive names those of its extensions.
const NO_SCHEMA: &str = "3F000";

/// A file that is not there.
const NO_FILE: &str = "58P01";

/// The class of what rows violate.
const OF_ROWS: &str = "23";

/// Bad syntax, and a column that is there already: no extension that is missing brings that.
const OF_THE_ARCHIVE: [&str; 2] = ["42601", "42701"];

/// A schema, a relation, an object or a function that is there already; a character that
/// an encoding does not have, and bytes that are none in it.
const OF_THE_PLACE: [&str; 6] = ["42P06", "42P07", "42710", "42723", "22P05", "22021"];

impl Blame {
    /// By the class of a server's error, empty where the connection was lost, and by
    /// whether code of the database met with it.
    pub(super) fn by(code: &str, of_code: bool) -> Self {
        if is_servers_own(code) {
            Self::Server
        } else if code == "42501" || code.starts_with("25") {
            Self::Rights
        } else if UNDEFINED.contains(&code) {
            if of_code { Self::Code } else { Self::Undefined }
        } else if OF_THE_PLACE.contains(&code) {
            Self::Place
        } else if code == UNSUPPORTED && !of_code {
            Self::Undefined
        } else {
            Self::Unknown
        }
    }

    /// The same at a statement that defines something of this kind, by the error's class,
    /// where that is known, and what is said of it.
    pub(super) fn in_definition(self, kind: Kind, code: &str, message: &str) -> Self {
        match self {
            Self::Server if code == NO_FILE => Self::File,
            Self::Server | Self::Rights => self,
            _ if locale::is_lacking(code, message, kind) => Self::Locale,
            _ if kind == Kind::Extension && code != NO_SCHEMA => Self::Extension,
            Self::Unknown if code.starts_with(OF_ROWS) || OF_THE_ARCHIVE.contains(&code) => self,
            Self::Unknown => Self::Definition,
            _ => self,
        }
    }

    /// By what stopped `psql`; where it did not come to an end of its own, somebody has
    /// killed it, and the server has lost it.
    pub(super) fn of_psql(error: &PsqlError) -> Self {
        match error {
            PsqlError::Stopped { code, of_code, .. } => {
                code.as_deref().map_or(Self::Unknown, |code| Self::by(code, *of_code))
            }
            PsqlError::Process(ProcessError::Failed { status: Ending::Code(_), .. }) => {
                Self::Unknown
            }
            PsqlError::Tls(_) | PsqlError::Process(_) => Self::Server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::failure::Failure, *};
    use crate::postgres::TargetError;

    #[test]
    fn a_server_that_goes_away_or_allows_too_little_is_not_the_archive_s_fault() {
        for code in ["", "08006", "53200", "53300", "57014", "57P01", "58030", "XX001", "XX002"] {
            assert_eq!(Blame::by(code, false), Blame::Server, "{code}");
        }
        for code in ["42501", "25006"] {
            assert_eq!(Blame::by(code, false), Blame::Rights, "{code}");
        }
        for code in ["42P01", "42703", "42704", "42883", "3F000", "0A000"] {
            assert_eq!(Blame::by(code, false), Blame::Undefined, "{code}");
            let blame = if code == "0A000" { Blame::Unknown } else { Blame::Code };
            assert_eq!(Blame::by(code, true), blame, "{code}");
        }
        for code in ["22P02", "23503", "42809", "XX000"] {
            assert_eq!(Blame::by(code, false), Blame::Unknown, "{code}");
        }
        let (message, code) = ("lost".to_owned(), String::new());
        let lost = TargetError { message, named: None, code, of_code: false };
        let failure = Failure::at("rows of table gift")(lost);
        assert_eq!(failure.blame, Blame::Server);
        assert_eq!(failure.at.as_deref(), Some("rows of table gift"));
    }

    #[test]
    fn what_a_definition_lacks_may_be_the_machine_s() {
        for (code, message, kind, blame) in [
            ("58P01", "could not access file \"$libdir/x\"", Kind::Routine, Blame::File),
            ("53200", "out of shared memory", Kind::Routine, Blame::Server),
            ("42704", "language \"plv8\" does not exist", Kind::Routine, Blame::Undefined),
            ("22023", "could not create locale \"de\"", Kind::Collation, Blame::Locale),
            ("55000", "must be loaded", Kind::Extension, Blame::Extension),
            ("0A000", "is not available", Kind::Extension, Blame::Extension),
            ("3F000", "no schema", Kind::Extension, Blame::Undefined),
        ] {
            let found = Blame::by(code, false).in_definition(kind, code, message);
            assert_eq!(found, blame, "{code} {message}");
        }
    }

    #[test]
    fn a_definition_that_fails_is_told_from_rows() {
        let of = |code, of_code, kind| Blame::by(code, of_code).in_definition(kind, code, "no");
        // `SECURITY LABEL`, and more of the kind.
        for code in ["22023", "22P02", "42809", "XX000"] {
            assert_eq!(of(code, false, Kind::Other), Blame::Definition, "{code}");
        }
        // Code of the database raised it, and `psql` says no class.
        assert_eq!(Blame::Unknown.in_definition(Kind::Index, "", "no"), Blame::Definition);
        assert_eq!(of("42883", true, Kind::Index), Blame::Code);
        assert_eq!(of("23505", false, Kind::Key), Blame::Unknown, "two rows are the same");
        assert_eq!(of("42601", false, Kind::Table), Blame::Unknown, "no extension's");
        for code in ["42P07", "42710", "22P05"] {
            assert_eq!(of(code, false, Kind::Table), Blame::Place, "{code}");
            assert_eq!(Blame::by(code, false), Blame::Place, "{code}");
        }
    }

    #[test]
    fn a_psql_that_was_killed_is_not_the_archive_s_fault() {
        let ended = |status| {
            let (program, stderr) = ("psql".to_owned(), String::new());
            let failed = ProcessError::Failed { program, status, stderr };
            Failure::from(PsqlError::from(failed)).blame
        };
        assert_eq!(ended(Ending::Signal(9)), Blame::Server);
        assert_eq!(ended(Ending::Unknown), Blame::Server);
        assert_eq!(ended(Ending::Code(3)), Blame::Unknown);
    }
}
