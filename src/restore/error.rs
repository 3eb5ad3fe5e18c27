//! Why a restore did not happen.

use super::{members::MemberError, script::ScriptError, select::NotThere, stopped::Stopped};
use crate::{
    archive::map::MapError,
    postgres::{ClientError, Section, SessionError},
};

/// What to do about an archive that is not what was stored.
pub const OTHERWISE: &str = "restore an older backup (`reliquary list`), see what is wrong \
     with `reliquary verify`, or bring back what can be read of this one with --damaged";

/// A restore that did not happen, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something stands in the way; nothing was touched.
    #[error("nothing was touched: {}", .0.join("; "))]
    Refused(Vec<String>),
    /// What was asked for is not in the archive; nothing was touched.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// The target cannot be reached or asked.
    #[error("the target: {0}")]
    Target(#[from] SessionError),
    /// There is no psql for the target.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The archive cannot be read; nothing was touched.
    #[error("{}", otherwise(.0))]
    Archive(#[from] MemberError),
    /// Definitions that everything else stands on are damaged; nothing was touched.
    #[error(
        "the definitions of section {} cannot be read: {error}; nothing was touched, and {}",
        .section.name(), without(*.section)
    )]
    Definitions {
        /// Which section.
        section: Section,
        /// Why.
        error: MemberError,
    },
    /// The archive's manifest contradicts itself; nothing was touched.
    #[error("the backup cannot be trusted: {0}")]
    Map(#[from] MapError),
    /// The archive's statements are not a dump's; nothing was touched.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// It stopped in the middle.
    #[error(transparent)]
    Stopped(Box<Stopped>),
}

/// A store that fails says nothing of the archive.
fn otherwise(error: &MemberError) -> String {
    match error {
        MemberError::Damaged { .. } | MemberError::Different { .. } => {
            format!("{error}; {OTHERWISE}")
        }
        MemberError::Store(_) | MemberError::TooLarge(_) => error.to_string(),
    }
}

/// What can be had where a section's definitions cannot be read.
fn without(section: Section) -> &'static str {
    match section {
        Section::PostData => {
            "tables and rows can be had without their indexes and keys: add --section pre-data \
             --section data"
        }
        _ => "rows can be had for tables that are there: add --section data",
    }
}
