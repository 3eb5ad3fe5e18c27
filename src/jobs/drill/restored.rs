//! The restore within a drill, by the library that restores in earnest.

use std::{path::PathBuf, sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;

use super::{
    CONNECT_WITHIN, Environment, Progress, Request as Drill,
    error::{Error, blame, of_sandbox, of_target},
    fault::Fault,
    missing::{self, Lacks},
    note,
    place::Place,
    reads::Reads,
    subject::{Legacy, Subject},
};
use crate::{
    archive::manifest::Extension,
    drill::{Record, stand_ins},
    postgres::{ConnectionUrl, Target, TargetFacts},
    process::Priority,
    restore::{
        self, Kind, LegacyRequest, Live, Options, Request, SequenceValue, Statement, Stored, Stream,
    },
    state::StageSeconds,
    store::Patience,
    words::DrillStage,
};

/// What the comparison needs to know of what was restored.
pub(super) struct Restored {
    pub(super) statements: Vec<Statement>,
    pub(super) sequences: Result<Vec<SequenceValue>, String>,
    /// Schema and name of every table with rows of its own.
    pub(super) tables: Vec<(String, String)>,
}

/// Restores, and notes what is to be said of it.
pub(super) async fn restore(
    environment: &Environment,
    request: &Drill,
    subject: &Subject,
    place: &Place,
    progress: &Progress,
    record: &mut Record,
) -> Result<Restored, Error> {
    let (store, reads) = Reads::watch(&environment.store);
    let environment = Environment { store, ..environment.clone() };
    let restoring = restore_there(&environment, request, subject, place, progress, record);
    match Box::pin(restoring).await {
        Err(error) => {
            let error = match blame(error, reads.have_failed()) {
                error @ (Error::Restore(_)
                | Error::Place(_)
                | Error::Definition(_)
                | Error::Code(_)) => still_there(error, place).await,
                error => error,
            };
            Err(match place {
                Place::Target(borrowed) => of_target(error, |text| borrowed.url().redact(&text)),
                Place::Sandbox(_) => of_sandbox(error),
            })
        }
        // What is compared with the sequences is not known, for the store's fault.
        Ok(Restored { sequences: Err(error), .. }) if reads.have_failed() => {
            Err(Error::Read(error))
        }
        result => result,
    }
}

/// What stopped it may have ended the server itself.
async fn still_there(error: Error, place: &Place) -> Error {
    let answers = match place.url() {
        Ok(url) => Target::another(&url, CONNECT_WITHIN).await.is_ok(),
        Err(_) => false,
    };
    match error {
        Error::Restore(message)
        | Error::Place(message)
        | Error::Definition(message)
        | Error::Code(message)
            if !answers =>
        {
            Error::Sandbox(format!("{message}; its server is gone"))
        }
        error => error,
    }
}

async fn restore_there(
    environment: &Environment,
    request: &Drill,
    subject: &Subject,
    place: &Place,
    progress: &Progress,
    record: &mut Record,
) -> Result<Restored, Error> {
    let target = place.url().map_err(|error| Error::Sandbox(error.to_string()))?;
    let (source, client_dirs) = (request.source.clone(), place.client_dirs(environment));
    progress.enter(DrillStage::Prepare);
    let clock = Instant::now();
    // Whoever stops the drill drops this, sessions and all.
    let never = CancellationToken::new();
    let (report, restored) = match subject {
        Subject::Backup(manifest) => {
            let options =
                Options { create_roles: true, priority: Priority::Low, ..Options::default() };
            let prepared = restore::prepare(Request {
                stored: Stored::new(Arc::clone(&environment.store), manifest.as_ref().clone()),
                damage: None,
                target: target.clone(),
                source,
                // These were asked when the place was taken.
                others: Vec::new(),
                newest: None,
                client_dirs,
                options,
                // The place is the drill's own.
                alone: false,
            })
            .await?;
            let contents = prepared.contents();
            let statements: Vec<Statement> =
                contents.pre_data.iter().chain(&contents.post_data).cloned().collect();
            let (there, of_source) = (&prepared.facts().extensions, &manifest.source.extensions);
            tell(missing::extensions(&statements, there, of_source), record);
            let unmakeable = prepared.plan().unmakeable.join("; ");
            if !unmakeable.is_empty() {
                prepared.close().await;
                return Err(Error::Extension(unmakeable));
            }
            let there = schemas(prepared.facts());
            stand_in(&statements, &manifest.source.extensions, &there, &target, record).await?;
            let sequences = restore::sequence_values(&prepared).await;
            let tables =
                manifest.tables.iter().map(|t| (t.schema.clone(), t.name.clone())).collect();
            note(record, DrillStage::Prepare.as_str(), clock.elapsed());
            progress.enter(DrillStage::Restore);
            let running = Box::pin(restore::run(prepared, &progress.restore, &never));
            let report = running.await?;
            // What the restore lists as not set is not looked for.
            let sequences = sequences.map(|mut all| {
                all.retain(|sequence| !report.unset.contains(&sequence.name));
                all
            });
            (report, Restored { statements, sequences, tables })
        }
        Subject::Legacy(legacy) => {
            let asked = legacy_request(environment, legacy, target.clone(), source, client_dirs);
            let mut prepared = restore::prepare_legacy(asked).await?;
            let checked = prepared.check(&progress.restore).await?;
            if !checked.refusals.is_empty() {
                prepared.close().await;
                return Err(Error::Restore(checked.refusals.join("; ")));
            }
            let there = &prepared.facts().extensions;
            tell(missing::extensions(&checked.created, there, &[]), record);
            let there = schemas(prepared.facts());
            stand_in(&checked.created, &[], &there, &target, record).await?;
            let roles = place.create_owners(&checked.roles).await;
            roles.map_err(|Fault { message, .. }| Error::Sandbox(message))?;
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
        return Err(if report.uncounted.is_empty() {
            let what = "the archive does not say at its end that it is complete";
            Error::Restore(what.to_owned())
        } else {
            Error::Uncounted(format!("not counted: {}", report.uncounted.join(", ")))
        });
    }
    Ok(restored)
}

fn legacy_request(
    environment: &Environment,
    legacy: &Legacy,
    target: ConnectionUrl,
    source: Live,
    client_dirs: Vec<PathBuf>,
) -> LegacyRequest {
    LegacyRequest {
        archive: Stream {
            store: Arc::clone(&environment.store),
            key: legacy.key.clone(),
            bytes: legacy.bytes,
            patience: Patience::default(),
        },
        id: legacy.id.clone(),
        sha256: legacy.sha256.clone(),
        target,
        source,
        others: Vec::new(),
        client_dirs,
        clean: false,
        newest: None,
        not_the_source: false,
        damaged: false,
        priority: Priority::Low,
        // The place is the drill's own.
        alone: false,
    }
}

fn tell(Lacks { missing, older }: Lacks, record: &mut Record) {
    (record.missing_extensions, record.older_extensions) = (missing, older);
}

/// The schemas that are there, in which the platform has its own.
fn schemas(facts: &TargetFacts) -> Vec<String> {
    facts.schemas.iter().map(|schema| schema.name.clone()).collect()
}

/// Puts stand-ins where the archive leaves something to its platform. The
/// restore was planned before, and does not take the sandbox for a platform.
async fn stand_in(
    statements: &[Statement],
    extensions: &[Extension],
    there: &[String],
    target: &ConnectionUrl,
    record: &mut Record,
) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Sandbox(error.to_string());
    let statements: Vec<&Statement> = statements.iter().collect();
    let wanted = stand_ins(&statements, extensions, there);
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
