//! Whose fault it is that a restore stopped.

use crate::{
    postgres::PsqlError,
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
    /// Something that a statement is about is not there: the archive does not hold it,
    /// or an extension that was to make it is missing.
    Undefined,
    /// The same, of a statement that code of the database ran: most likely it names
    /// something without its schema, and a restore has no search path.
    Code,
    /// That is not said: the archive's, say.
    Unknown,
}

/// A schema, an object, a table, a column or a function that is not there.
const UNDEFINED: [&str; 5] = ["3F000", "42704", "42P01", "42703", "42883"];

/// A feature that is not there, an extension among them.
const UNSUPPORTED: &str = "0A000";

/// What a server says of its own files: they are damaged.
const CORRUPTED: [&str; 2] = ["XX001", "XX002"];

impl Blame {
    /// By the class of a server's error, empty where the connection was lost, and by
    /// whether code of the database met with it.
    pub(super) fn by(code: &str, of_code: bool) -> Self {
        let is_of = |classes: &[&str]| classes.iter().any(|class| code.starts_with(class));
        if code.is_empty() || is_of(&["08", "53", "57", "58"]) || CORRUPTED.contains(&code) {
            Self::Server
        } else if code == "42501" || is_of(&["25"]) {
            Self::Rights
        } else if UNDEFINED.contains(&code) {
            if of_code { Self::Code } else { Self::Undefined }
        } else if code == UNSUPPORTED && !of_code {
            Self::Undefined
        } else {
            Self::Unknown
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
    use super::{super::error::Failure, *};
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
        let lost = TargetError { message, code, of_code: false };
        let failure = Failure::at("rows of table gift")(lost);
        assert_eq!(failure.blame, Blame::Server);
        assert_eq!(failure.at.as_deref(), Some("rows of table gift"));
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
