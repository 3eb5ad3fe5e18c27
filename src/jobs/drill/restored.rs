//! The restore within a drill, by the library that restores in earnest.

use std::{sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;

use super::{CONNECT_WITHIN, Environment, Progress, note, subject::Subject};
use crate::{
    archive::manifest::Extension,
    drill::{Record, Sandbox, stand_ins},
    postgres::{ConnectionUrl, Target},
    restore::{
        self, Kind, LegacyRequest, MemberError, Options, Request, RestoreError, SequenceValue,
        Statement,
    },
    state::StageSeconds,
    words::{DrillStage, RestoreStage},
};

/// What the comparison needs to know of what was restored.
pub(super) struct Restored {
    pub(super) statements: Vec<Statement>,
    pub(super) sequences: Result<Vec<SequenceValue>, String>,
    /// Schema and name of every table with rows of its own.
    pub(super) tables: Vec<(String, String)>,
}

/// A restore failed.
#[derive(Debug)]
pub(super) enum Error {
    /// The sandbox is at fault.
    Sandbox(String),
    /// The archive could not be read.
    Read(String),
    /// The archive does not restore.
    Restore(String),
}

impl From<RestoreError> for Error {
    fn from(error: RestoreError) -> Self {
        let message = error.to_string();
        match error {
            RestoreError::Target(_) | RestoreError::Client(_) => Self::Sandbox(message),
            RestoreError::Archive(MemberError::Store(_)) => Self::Read(message),
            // What is wrong with the bytes a second reading will show.
            RestoreError::Stopped(stopped) if stopped.stage == RestoreStage::Check => {
                Self::Read(message)
            }
            _ => Self::Restore(message),
        }
    }
}

/// Restores into a sandbox, and notes what is to be said of it.
pub(super) async fn restore(
    environment: &Environment,
    subject: &Subject,
    sandbox: &Sandbox,
    progress: &Progress,
    record: &mut Record,
) -> Result<Restored, Error> {
    let of_sandbox = |error: &dyn std::fmt::Display| Error::Sandbox(error.to_string());
    let target = sandbox.url().map_err(|error| of_sandbox(&error))?;
    let client_dirs = [&[sandbox.bins().dir.clone()][..], &environment.client_dirs].concat();
    progress.enter(DrillStage::Prepare);
    let clock = Instant::now();
    // Whoever stops the drill drops this, sessions and all.
    let never = CancellationToken::new();
    let (report, restored) = match subject {
        Subject::Backup(manifest) => {
            let options = Options { create_roles: true, ..Options::default() };
            let prepared = restore::prepare(Request {
                store: Arc::clone(&environment.store),
                manifest: manifest.as_ref().clone(),
                target: target.clone(),
                source: None,
                client_dirs,
                options,
            })
            .await?;
            let contents = prepared.contents();
            let statements: Vec<Statement> =
                contents.pre_data.iter().chain(&contents.post_data).cloned().collect();
            let available: Vec<&str> =
                prepared.facts().extensions.iter().map(|e| e.name.as_str()).collect();
            note_missing(&statements, &available, record);
            stand_in(&statements, &manifest.source.extensions, &target, record).await?;
            let sequences = restore::sequence_values(&prepared).await;
            let tables =
                manifest.tables.iter().map(|t| (t.schema.clone(), t.name.clone())).collect();
            note(record, DrillStage::Prepare.as_str(), clock.elapsed());
            progress.enter(DrillStage::Restore);
            let report = restore::run(prepared, &progress.restore, &never).await?;
            (report, Restored { statements, sequences, tables })
        }
        Subject::Legacy(legacy) => {
            let prepared = restore::prepare_legacy(LegacyRequest {
                store: Arc::clone(&environment.store),
                key: legacy.key.clone(),
                id: legacy.id.clone(),
                bytes: legacy.bytes,
                sha256: legacy.sha256.clone(),
                target: target.clone(),
                source: None,
                client_dirs,
                clean: false,
                newest: None,
                not_the_source: false,
            })
            .await?;
            let checked = prepared.check(&progress.restore).await?;
            if !checked.refusals.is_empty() {
                prepared.close().await;
                return Err(Error::Restore(checked.refusals.join("; ")));
            }
            let available: Vec<&str> =
                prepared.facts().extensions.iter().map(|e| e.name.as_str()).collect();
            note_missing(&checked.created, &available, record);
            stand_in(&checked.created, &[], &target, record).await?;
            let tables = checked
                .created
                .iter()
                .filter(|statement| statement.kind == Kind::Table)
                .filter_map(|statement| statement.object.as_ref())
                .map(|name| (name.schema.clone(), name.name.clone()))
                .collect();
            note(record, DrillStage::Prepare.as_str(), clock.elapsed());
            progress.enter(DrillStage::Restore);
            let report = restore::run_legacy(prepared, &progress.restore, &never).await?;
            let sequences = Ok(checked.sequences);
            (report, Restored { statements: checked.created, sequences, tables })
        }
    };
    record.restore_seconds = Some((report.seconds * 1000.0).round() / 1000.0);
    note(record, DrillStage::Restore.as_str(), std::time::Duration::from_secs_f64(report.seconds));
    record.stages.extend(report.stages.iter().map(|stage| StageSeconds {
        stage: format!("{}.{}", DrillStage::Restore, stage.stage),
        seconds: (stage.seconds * 1000.0).round() / 1000.0,
    }));
    record.tables_compared = report.tables_compared;
    record.rows_compared = report.rows_compared;
    record.different = report.different;
    record.skipped = report.skipped;
    record.warnings.extend(report.warnings);
    if !report.proven {
        let what = if report.uncounted.is_empty() {
            "the archive does not say at its end that it is complete".to_owned()
        } else {
            format!("not counted: {}", report.uncounted.join(", "))
        };
        return Err(Error::Restore(what));
    }
    Ok(restored)
}

/// Notes the extensions that the archive makes and the server does not have.
fn note_missing(statements: &[Statement], available: &[&str], record: &mut Record) {
    record.missing_extensions = statements
        .iter()
        .filter(|statement| statement.kind == Kind::Extension)
        .filter_map(|statement| Some(statement.object.as_ref()?.name.clone()))
        .filter(|name| !available.contains(&name.as_str()))
        .collect();
}

/// Puts stand-ins where the archive leaves something to its platform. The
/// restore was planned before, and does not take the sandbox for a platform.
async fn stand_in(
    statements: &[Statement],
    extensions: &[Extension],
    target: &ConnectionUrl,
    record: &mut Record,
) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Sandbox(error.to_string());
    let statements: Vec<&Statement> = statements.iter().collect();
    let wanted = stand_ins(&statements, extensions);
    if wanted.is_empty() {
        return Ok(());
    }
    let mut session =
        Target::another(target, CONNECT_WITHIN).await.map_err(|error| failed(&error))?;
    for stand_in in wanted {
        session.run(&stand_in.sql).await.map_err(|error| failed(&error))?;
        record.stand_ins.push(stand_in.what);
    }
    session.close().await;
    Ok(())
}
