//! A database of the settings that drills are to use: what marks it, and why it
//! cannot be used.

use crate::postgres::{SessionError, TargetError};

/// The schema whose presence says that a drill has put there what is there. Its
/// comment holds what was there before.
pub const MARK: &str = "reliquary_drill";

/// The database of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BorrowError {
    /// It cannot be reached or asked.
    #[error("drill.target: {0}")]
    Session(#[from] SessionError),
    /// It does not do what it is told.
    #[error("drill.target: {what}: {source}")]
    Server {
        /// What was tried.
        what: &'static str,
        /// Why it was not done.
        source: TargetError,
    },
    /// It may not be used. Nothing was touched.
    #[error("drill.target: {0}; nothing was touched")]
    Refused(String),
    /// It may not be used now.
    #[error("drill.target: another drill is in it; nothing was touched")]
    Busy,
    /// It is not known to be ours any more.
    #[error(
        "drill.target: the session that held it was lost, and its schema {MARK} is gone: what \
         is in it now is not known"
    )]
    Unmarked,
}

impl BorrowError {
    /// Whether the session that holds it is gone.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Session(_) => true,
            Self::Server { source, .. } => source.is_lost(),
            Self::Refused(_) | Self::Busy | Self::Unmarked => false,
        }
    }
}

pub(super) fn failed(what: &'static str) -> impl Fn(TargetError) -> BorrowError {
    move |source| BorrowError::Server { what, source }
}
