//! Why a restore did not happen, or stopped.

use std::fmt;

use serde::Serialize;

use super::{
    blame::Blame, kind::Kind, members::MemberError, script::ScriptError, select::NotThere,
    statement::Statement,
};
use crate::{
    archive::map::MapError,
    figures::counted,
    postgres::{ClientError, PsqlError, Section, SessionError, TargetError},
    process::{Ending, ProcessError},
    store::StoreError,
    words::RestoreStage,
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

/// A restore that stopped in the middle.
#[derive(Debug)]
pub struct Stopped {
    /// Where.
    pub stage: RestoreStage,
    /// The statement and its object, or the table, where there is one.
    pub at: Option<String>,
    /// Why.
    pub message: String,
    /// Whose fault it is, as far as the server's answer tells.
    pub blame: Blame,
    /// Whether it was told to stop.
    pub cancelled: bool,
    /// What had been loaded by then; `None` where nobody can know.
    pub loaded: Option<Loaded>,
    /// Sessions of ours that the server would not end, where it could be asked.
    pub left_behind: Option<i64>,
    /// Whether anything of the target was changed.
    pub touched: bool,
    /// Of a part: tables that it made and that may lack keys, indexes and the
    /// like, named as SQL writes them; `None` where everything was wanted.
    pub not_whole: Option<Vec<String>>,
    /// Whether `--clean` would be refused without `--not-the-source`: the source is
    /// silent, and its database has the target's name.
    pub wants_word: bool,
}

/// What had been loaded when a restore stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Tables whose rows were all there.
    pub tables: u64,
    /// Rows, of all tables.
    pub rows: u64,
}

impl Stopped {
    /// What happened, without what to do next.
    #[must_use]
    pub fn what(&self) -> String {
        let at = self.at.as_ref().map_or_else(String::new, |at| format!(", at {at}"));
        let stopped = format!("the restore stopped at stage {}{at}: {}", self.stage, self.message);
        if !self.touched {
            return format!("{stopped}; nothing was touched");
        }
        let loaded = self.loaded.map_or_else(
            || "how much was loaded until then is not known".to_owned(),
            |Loaded { tables, rows }| {
                let (rows, tables) = (counted(rows, "row"), counted(tables, "table"));
                format!("loaded until then: {rows}, {tables} whole")
            },
        );
        let left = match self.left_behind {
            Some(0) => String::new(),
            Some(1) => "; 1 session of it still runs on the server".to_owned(),
            Some(left) => format!("; {left} sessions of it still run on the server"),
            None => "; whether sessions of it still run on the server is unknown".to_owned(),
        };
        format!("{stopped}; {loaded}{left}")
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        if self.blame == Blame::Locale {
            f.write_str("; the server's machine lacks that locale: install it there")?;
        }
        if !self.touched {
            return Ok(());
        }
        match self.not_whole.as_deref() {
            None if self.wants_word => write!(
                f,
                "; run it again with --clean and --not-the-source: the source cannot be asked, and \
                 its database has this one's name, so that --clean alone is refused"
            ),
            None => write!(f, "; run it again with --clean"),
            // With --clean, a table that is there is only filled: what it lacks
            // it would lack for ever.
            Some([]) => write!(f, "; run it again"),
            Some(tables) => {
                let them = if tables.len() == 1 { "it" } else { "them" };
                let tables = tables.join(", ");
                write!(f, "; made by this run and not whole: {tables}; drop {them}, then run again")
            }
        }
    }
}

impl std::error::Error for Stopped {}

/// Why one stage failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) at: Option<String>,
    pub(super) message: String,
    /// The class of the server's error, where it is one; empty where the connection
    /// was lost.
    pub(super) code: Option<String>,
    /// What it happened at, where that is a statement that defines something.
    pub(super) defines: Option<Kind>,
}

/// The class of what stopped `psql`; the empty one, too, where it did not come to an
/// end of its own: somebody has killed it, and the server has lost it.
pub(super) fn code_of(error: &PsqlError) -> Option<String> {
    match error {
        PsqlError::Stopped { code, .. } => code.clone(),
        PsqlError::Process(ProcessError::Failed { status: Ending::Code(_), .. }) => None,
        PsqlError::Tls(_) | PsqlError::Process(_) => Some(String::new()),
    }
}

impl Failure {
    pub(super) fn at(at: impl fmt::Display) -> impl FnOnce(TargetError) -> Self {
        let at = at.to_string();
        move |error| Self { at: Some(at), ..Self::from(error) }
    }

    pub(super) fn of(at: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { at: Some(at.to_string()), message: message.to_string(), code: None, defines: None }
    }

    /// At a statement of the archive.
    pub(super) fn in_statement<E: Into<Self>>(statement: &Statement) -> impl FnOnce(E) -> Self {
        let (at, defines) = (Some(statement.to_string()), statement.defines());
        move |error| Self { at, defines, ..error.into() }
    }

    /// The same, with the place where it happened.
    pub(super) fn located(self, at: &str) -> Self {
        Self { at: Some(at.to_owned()), ..self }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self { at: None, message: error.to_string(), code: Some(error.code), defines: None }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        // There is no session: whose fault that is, is the server's or the way's to it.
        Self { at: None, message: error.to_string(), code: Some(String::new()), defines: None }
    }
}

impl From<MemberError> for Failure {
    fn from(error: MemberError) -> Self {
        Self { at: None, message: error.to_string(), code: None, defines: None }
    }
}

impl From<ScriptError> for Failure {
    fn from(error: ScriptError) -> Self {
        Self { at: None, message: error.to_string(), code: None, defines: None }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { at: None, message: error.to_string(), code: None, defines: None }
    }
}

impl From<PsqlError> for Failure {
    fn from(error: PsqlError) -> Self {
        Self { at: None, message: error.to_string(), code: code_of(&error), defines: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped() -> Stopped {
        Stopped {
            stage: RestoreStage::Legacy,
            at: None,
            message: "no".to_owned(),
            blame: Blame::Unknown,
            cancelled: false,
            loaded: Some(Loaded { tables: 1, rows: 2 }),
            left_behind: Some(0),
            touched: true,
            not_whole: None,
            wants_word: false,
        }
    }

    #[test]
    fn what_nobody_can_know_is_not_counted() {
        let said = stopped().to_string();
        assert!(said.contains("loaded until then: 2 rows, 1 table whole; "), "{said}");
        let said = Stopped { loaded: None, ..stopped() }.to_string();
        assert!(said.contains("how much was loaded until then is not known"), "{said}");
        assert!(!said.contains("rows"), "{said}");
    }

    #[test]
    fn a_locale_that_is_not_there_is_to_be_installed_on_the_server_s_machine() {
        let said = Stopped { blame: Blame::Locale, ..stopped() }.to_string();
        assert!(said.contains("lacks that locale: install it there; run it again"), "{said}");
        assert!(!stopped().to_string().contains("locale"));
    }

    #[test]
    fn the_advice_is_not_refused() {
        assert!(stopped().to_string().ends_with("; run it again with --clean"));
        let said = Stopped { wants_word: true, ..stopped() }.to_string();
        assert!(said.contains("run it again with --clean and --not-the-source"), "{said}");
        // A part is not run with --clean.
        let part = Stopped { wants_word: true, not_whole: Some(Vec::new()), ..stopped() };
        assert!(part.to_string().ends_with("; run it again"), "{part}");
    }
}
