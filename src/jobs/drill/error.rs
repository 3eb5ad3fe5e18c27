//! Why the restore of a drill failed, and whose fault that is.

use crate::restore::{self, Blame, MemberError, RestoreError};

/// What a server says, in its own or the system's words, of a full disk.
const NO_SPACE: &str = "No space left on device";

/// A restore failed.
#[derive(Debug)]
pub(super) enum Error {
    /// The sandbox is at fault.
    Sandbox(String),
    /// The database of the settings is.
    Target(String),
    /// The disk is full.
    Full(String),
    /// The archive could not be read.
    Read(String),
    /// The archive does not restore.
    Restore(String),
    /// What a statement of it is about is not there.
    Undefined(String),
    /// A statement that defines something fails, for whatever reason.
    Definition(String),
    /// Something is there already, or the encoding does not hold a text.
    Place(String),
    /// Code of the database, which rows make run as well, does not find something.
    Code(String),
    /// So does one, because a file of the server's is not there.
    File(String),
    /// An extension that it names is not made.
    Extension(String),
    /// A locale that it names is not there; its name, where that is said.
    Locale { name: Option<String>, message: String },
    /// The role may not do what it takes, or the database takes no writes.
    Denied(String),
    /// It was restored, and not all of it could be counted.
    Uncounted(String),
}

impl From<RestoreError> for Error {
    fn from(error: RestoreError) -> Self {
        let message = match &error {
            // What to do next is said to who restores in earnest.
            RestoreError::Stopped(stopped) => stopped.what(),
            error => error.to_string(),
        };
        match error {
            RestoreError::Stopped(stopped) => match stopped.blame {
                _ if message.contains(NO_SPACE) => Self::Full(message),
                Blame::Server => Self::Sandbox(message),
                Blame::Rights => Self::Denied(message),
                Blame::Undefined => Self::Undefined(message),
                Blame::File => Self::File(message),
                Blame::Extension => Self::Extension(message),
                Blame::Locale => {
                    let name = restore::locale_named(&stopped.message).map(str::to_owned);
                    Self::Locale { name, message }
                }
                Blame::Definition => Self::Definition(message),
                Blame::Place => Self::Place(message),
                // It may look for what an extension was to make.
                Blame::Code => Self::Code(message),
                Blame::Unknown => Self::Restore(message),
            },
            // A sandbox is new and ours: nothing but its server can be in the way.
            RestoreError::Target(_) | RestoreError::Client(_) | RestoreError::Refused(_) => {
                Self::Sandbox(message)
            }
            RestoreError::Archive(MemberError::Store(_)) => Self::Read(message),
            _ => Self::Restore(message),
        }
    }
}

/// A restore that stops says where, and not always who is to blame: where the store
/// has failed, that one is, unless the server was gone by itself.
pub(super) fn blame(error: Error, store_failed: bool) -> Error {
    match error {
        Error::Restore(message)
        | Error::Undefined(message)
        | Error::Definition(message)
        | Error::Code(message)
        | Error::Place(message)
        | Error::Denied(message)
            if store_failed =>
        {
            Error::Read(message)
        }
        error => error,
    }
}

/// In a sandbox everything is allowed, and it is made for the archive: what is not, or
/// does not fit, is the archive's own doing, or an extension would have allowed it.
pub(super) fn of_sandbox(error: Error) -> Error {
    match error {
        Error::Denied(message) => Error::Definition(message),
        Error::Place(message) => Error::Restore(message),
        error => error,
    }
}

/// Where it is not our own server, that one is to blame for what is to blame on a
/// server, for what it does not allow, and for what it has and how; and its address is
/// nobody's business.
pub(super) fn of_target(error: Error, redact: impl Fn(String) -> String) -> Error {
    match error {
        Error::Sandbox(message)
        | Error::Target(message)
        | Error::Full(message)
        | Error::Place(message)
        | Error::Denied(message) => Error::Target(redact(message)),
        Error::Read(message) => Error::Read(message),
        Error::Restore(message) => Error::Restore(redact(message)),
        Error::Undefined(message) => Error::Undefined(redact(message)),
        Error::Definition(message) => Error::Definition(redact(message)),
        Error::Code(message) => Error::Code(redact(message)),
        Error::File(message) => Error::File(redact(message)),
        Error::Extension(message) => Error::Extension(redact(message)),
        Error::Locale { name, message } => Error::Locale { name, message: redact(message) },
        Error::Uncounted(message) => Error::Uncounted(redact(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        restore::{Loaded, Stopped},
        words::RestoreStage,
    };

    fn stopped(stage: RestoreStage, touched: bool, blame: Blame) -> Error {
        Error::from(RestoreError::Stopped(Box::new(Stopped {
            stage,
            at: None,
            message: "it ends inside the rows of public.gift".to_owned(),
            blame,
            cancelled: false,
            loaded: Some(Loaded::default()),
            left_behind: Some(0),
            touched,
            not_whole: None,
            marked: false,
            defines: true,
            wants_word: false,
            lacking: Vec::new(),
            denied: Vec::new(),
        })))
    }

    /// A restore that stopped says what is wrong with the archive, whatever the
    /// stage: whether it was the store is seen by its calls.
    #[test]
    fn what_stops_a_restore_is_the_archive_s_fault_and_comes_without_a_restore_s_advice() {
        for (stage, touched) in [(RestoreStage::Check, false), (RestoreStage::Legacy, true)] {
            let error = stopped(stage, touched, Blame::Unknown);
            let Error::Restore(message) = error else { panic!("{error:?}") };
            assert!(message.contains("inside the rows of public.gift"), "{message}");
            assert!(!message.contains("--clean"), "{message}");
        }
    }

    #[test]
    fn what_a_server_does_not_allow_or_does_not_survive_is_not_the_archive_s_fault() {
        let of = |blame| stopped(RestoreStage::Data, true, blame);
        for blame in [Blame::Server, Blame::Rights] {
            let error = of_target(of(blame), |text| text);
            assert!(matches!(error, Error::Target(_)), "{error:?}");
        }
        let error = of_target(of(Blame::Unknown), |text| text);
        assert!(matches!(error, Error::Restore(_)), "{error:?}");
        let error = of_target(of(Blame::Undefined), |text| text);
        assert!(matches!(error, Error::Undefined(_)), "{error:?}");
        // What code of the database does not find, an extension may have had to make.
        let code = || of(Blame::Code);
        for error in [of_target(code(), |text| text), of_sandbox(code())] {
            assert!(matches!(error, Error::Code(_)), "{error:?}");
        }
        // In a sandbox nobody forbids anything, and a killed backend is still ours.
        assert!(matches!(of_sandbox(of(Blame::Server)), Error::Sandbox(_)));
        assert!(matches!(of_sandbox(of(Blame::Rights)), Error::Definition(_)));
        assert!(matches!(blame(of(Blame::Unknown), true), Error::Read(_)));
        assert!(matches!(blame(of(Blame::Server), true), Error::Sandbox(_)));
        let definition = || of(Blame::Definition);
        assert!(matches!(definition(), Error::Definition(_)));
        assert!(matches!(of_target(definition(), |text| text), Error::Definition(_)));
        assert!(matches!(blame(definition(), true), Error::Read(_)));
    }
}
