//! Why one stage of a restore failed.

use std::fmt;

use super::{
    blame::Blame, members::MemberError, noted::Noted, script::ScriptError, statement::Statement,
};
use crate::{
    postgres::{PsqlError, SessionError, TargetError},
    store::StoreError,
};

/// Why one stage failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) at: Option<String>,
    pub(super) message: String,
    /// Whose fault it is.
    pub(super) blame: Blame,
}

impl Failure {
    pub(super) fn at(at: impl fmt::Display) -> impl FnOnce(TargetError) -> Self {
        let at = at.to_string();
        move |error| Self { at: Some(at), ..Self::from(error) }
    }

    pub(super) fn of(at: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { at: Some(at.to_string()), message: message.to_string(), blame: Blame::Unknown }
    }

    /// What `psql` stopped at, where that is known.
    pub(super) fn of_psql(noted: Option<&Noted>, error: &PsqlError) -> Self {
        let (blame, Some(noted)) = (Blame::of_psql(error), noted) else {
            return Self { at: None, message: error.to_string(), blame: Blame::of_psql(error) };
        };
        let (message, code) = match error {
            PsqlError::Stopped { message, named, code, .. } => {
                let said = noted.said(message, named.as_deref());
                (said, code.as_deref().unwrap_or_default())
            }
            PsqlError::Tls(_) | PsqlError::Process(_) => (error.to_string(), ""),
        };
        let blame = noted.defines.map_or(blame, |kind| blame.in_definition(kind, code, &message));
        Self { at: Some(noted.at.clone()), message, blame }
    }

    /// At a statement of the archive.
    pub(super) fn in_statement(statement: &Statement) -> impl FnOnce(TargetError) -> Self {
        let noted = Noted::from(statement);
        move |error| {
            let blame = Blame::by(&error.code, error.of_code);
            let message = noted.said(&error.message, error.named.as_deref());
            let in_definition = |kind| blame.in_definition(kind, &error.code, &message);
            let blame = noted.defines.map_or(blame, in_definition);
            let message = TargetError { message, ..error }.to_string();
            Self { at: Some(noted.at), message, blame }
        }
    }

    /// What happened and where, in one text.
    pub(super) fn said(&self) -> String {
        let message = &self.message;
        self.at.as_ref().map_or_else(|| message.clone(), |at| format!("{at}: {message}"))
    }

    /// The same, with the place where it happened.
    pub(super) fn located(self, at: &str) -> Self {
        Self { at: Some(at.to_owned()), ..self }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        let blame = Blame::by(&error.code, error.of_code);
        Self { at: None, message: error.to_string(), blame }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        // There is no session: whose fault that is, is the server's or the way's to it.
        Self { at: None, message: error.to_string(), blame: Blame::Server }
    }
}

impl From<MemberError> for Failure {
    fn from(error: MemberError) -> Self {
        Self { at: None, message: error.to_string(), blame: Blame::Unknown }
    }
}

impl From<ScriptError> for Failure {
    fn from(error: ScriptError) -> Self {
        Self { at: None, message: error.to_string(), blame: Blame::Unknown }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { at: None, message: error.to_string(), blame: Blame::Unknown }
    }
}

impl From<PsqlError> for Failure {
    fn from(error: PsqlError) -> Self {
        Self::of_psql(None, &error)
    }
}
