//! A legacy archive: one stream through `psql`.
//!
//! It is read twice. The first time nothing is touched: the gzip stream must be
//! whole, the hash must be the one that is known, where one is, and what it
//! creates and from which server it comes is found out. The second time it goes
//! through `psql`, which stops at the first error; rows are counted on the way,
//! and compared in the end.

mod found;
mod refusals;
mod run;
mod sent;
mod text;

use std::sync::Arc;

use self::found::Found;
pub use self::run::run;
pub(super) use self::text::Text;
use super::{
    drop::{self, Rehearsed},
    ending::{self, Cause, Known},
    error::RestoreError,
    identity::{self, Asked, Live},
    prepare::CONNECT_WITHIN,
    progress::Progress,
    sequences::SequenceValue,
    statement::Statement,
    turn,
};
use crate::{
    postgres::{ConnectionUrl, Psql, Target, TargetFacts, clients},
    process::Priority,
    store::{Patience, Store},
    words::RestoreStage,
};

/// An archive that is read from its first byte to its last.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Where it is.
    pub store: Arc<dyn Store>,
    /// Its key.
    pub key: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// How long the store is asked for what it does not give.
    pub patience: Patience,
}

/// A legacy archive to restore.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
pub struct LegacyRequest {
    /// The archive.
    pub archive: Stream,
    /// Its id.
    pub id: String,
    /// Its SHA-256, where one is known.
    pub sha256: Option<String>,
    /// Where it goes.
    pub target: ConnectionUrl,
    /// The source, where the settings name it: it is never a target.
    pub source: Live,
    /// Where PostgreSQL's client programs may be, searched first.
    pub client_dirs: Vec<std::path::PathBuf>,
    /// Drop first what it will create.
    pub clean: bool,
    /// Other databases that the settings name, by name: none is a target unasked.
    pub others: Vec<(String, ConnectionUrl)>,
    /// What the newest backup says of the source, where there is one.
    pub newest: Option<crate::archive::manifest::Source>,
    /// The target only looks like the source: it is a clone of its server.
    pub not_the_source: bool,
    /// It is known to be damaged, and wanted all the same where it can be read.
    pub damaged: bool,
    /// How psql stands to whatever else runs on the machine.
    pub priority: Priority,
    /// As [`Request::alone`](super::Request::alone).
    pub alone: bool,
}

/// A legacy archive and its target, which was asked; nothing is touched yet.
#[derive(Debug)]
pub struct PreparedLegacy {
    request: LegacyRequest,
    url: ConnectionUrl,
    control: Target,
    facts: TargetFacts,
    psql: Psql,
    asked: Asked,
    warnings: Vec<String>,
}

/// What reading the archive once has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Why it is refused; nothing is done where there is a reason.
    pub refusals: Vec<String>,
    /// Tables whose rows it holds; `None` where it was refused without reading it.
    pub tables: Option<u64>,
    /// Their rows.
    pub rows: Option<u64>,
    /// The version of the server that was dumped, where it says so.
    pub server: Option<String>,
    /// What it creates.
    pub created: Vec<Statement>,
    /// Where it says that sequences stood.
    pub sequences: Vec<SequenceValue>,
    /// Roles that it names and does not make.
    pub roles: Vec<String>,
}

/// Asks the target of a legacy restore.
///
/// # Errors
/// When it cannot be asked, there is no psql for it, or another restore is in it.
pub async fn prepare(request: LegacyRequest) -> Result<PreparedLegacy, RestoreError> {
    let url = request.target.with_application(&turn::application());
    let mut control = Target::open(&url, CONNECT_WITHIN).await?;
    let unsure = if request.alone { turn::take(&mut control).await? } else { None };
    let facts = control.facts().await?;
    let client = clients::find_psql(&request.client_dirs, facts.server.major).await?;
    let mut warnings: Vec<String> = client.warning.iter().cloned().collect();
    warnings
        .push("a legacy archive has no manifest: its rows are compared with its own text".into());
    let remembered = request.newest.iter().cloned().collect();
    let (source, others) = (&request.source, &request.others);
    let asked = identity::look(source, others, remembered, &url, &facts, &mut control).await;
    warnings.extend(unsure);
    warnings.extend(identity::warning(&asked.answer, request.clean));
    let psql = Psql { client, url: url.clone(), priority: request.priority };
    Ok(PreparedLegacy { request, url, control, facts, psql, asked, warnings })
}

impl PreparedLegacy {
    /// What the target is.
    #[must_use]
    pub fn facts(&self) -> &TargetFacts {
        &self.facts
    }

    /// What should be known before anything is dropped.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// See [`Stopped::wants_word`](super::Stopped::wants_word).
    #[must_use]
    pub fn wants_word(&self) -> bool {
        identity::wants_word(&self.facts, &self.asked, self.request.not_the_source)
    }

    /// Reads the archive, unless the target is refused without that; and where it is to be
    /// emptied, tries whether it can be, and takes that back.
    ///
    /// # Errors
    /// When it cannot be read, or is no whole dump.
    pub async fn check(&mut self, progress: &Progress) -> Result<Checked, RestoreError> {
        let refusals = refusals::of_target(self);
        if !refusals.is_empty() {
            let (created, sequences, roles) = (Vec::new(), Vec::new(), Vec::new());
            let (tables, rows, server) = (None, None, None);
            return Ok(Checked { refusals, tables, rows, server, created, sequences, roles });
        }
        progress.enter(RestoreStage::Check, self.request.archive.bytes);
        match Found::read(&self.request, progress).await {
            Ok(found) => {
                let mut refusals = refusals::of_archive(self, &found);
                if refusals.is_empty() && self.request.clean {
                    match run::rehearse(&found, &mut self.control).await {
                        Ok(Rehearsed::Whole) => {}
                        Ok(Rehearsed::Late) => self.warnings.push(drop::late()),
                        Err(why) => refusals.push(self.url.mask(&why)),
                    }
                }
                Ok(Checked {
                    refusals,
                    tables: Some(found.rows.len() as u64),
                    rows: Some(found.rows.values().sum()),
                    roles: found.roles.wanted(),
                    server: found.server,
                    created: found.created,
                    sequences: found.sequences,
                })
            }
            Err(failure) => {
                let known = self.known(false, false);
                Err(ending::stopped(Cause::Failed(failure), &self.url, progress, known).await)
            }
        }
    }

    /// What is known of it when it stops.
    fn known(&self, touched: bool, uncounted: bool) -> Known {
        let wants_word = self.wants_word();
        let (lacking, denied) = (Vec::new(), Vec::new());
        Known {
            touched,
            making: None,
            marked: false,
            defines: true,
            uncounted,
            wants_word,
            lacking,
            denied,
        }
    }

    /// Lets the target go; nothing was touched.
    pub async fn close(self) {
        self.control.close().await;
    }
}
