//! The restore within a drill, by the library that restores in earnest.

use std::{path::PathBuf, sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;

use super::{
    CONNECT_WITHIN, Environment, Progress, Request as Drill,
    fault::Fault,
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
        self, Blame, Kind, LegacyRequest, Live, MemberError, Options, Request, RestoreError,
        SequenceValue, Statement, Stored, Stream,
    },
    state::StageSeconds,
    store::Patience,
    words::DrillStage,
};

/// What a server says, in its own or the system's words, of a full disk.
const NO_SPACE: &str = "No space left on device";

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
    /// A statement that defines something fails, for whatever reason, or code of the
    /// database does not find something.
    Definition(String),
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
                // Code that rows make run may look for what an extension was to make.
                Blame::Definition | Blame::Code => Self::Definition(message),
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
                error @ (Error::Restore(_) | Error::Definition(_)) => {
                    still_there(error, place).await
                }
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

/// A restore that stops says where, and not always who is to blame: where the store
/// has failed, that one is, unless the server was gone by itself.
fn blame(error: Error, store_failed: bool) -> Error {
    match error {
        Error::Restore(message)
        | Error::Undefined(message)
        | Error::Definition(message)
        | Error::Denied(message)
            if store_failed =>
        {
            Error::Read(message)
        }
        error => error,
    }
}

/// What stopped it may have ended the server itself.
async fn still_there(error: Error, place: &Place) -> Error {
    let answers = match place.url() {
        Ok(url) => Target::another(&url, CONNECT_WITHIN).await.is_ok(),
        Err(_) => false,
    };
    match error {
        Error::Restore(message) | Error::Definition(message) if !answers => {
            Error::Sandbox(format!("{message}; its server is gone"))
        }
        error => error,
    }
}

/// In a sandbox everything is allowed: what is not is the archive's own doing, or an
/// extension would have allowed it.
fn of_sandbox(error: Error) -> Error {
    match error {
        Error::Denied(message) => Error::Definition(message),
        error => error,
    }
}

/// Where it is not our own server, that one is to blame for what is to blame on a
/// server, and for what it does not allow; and its address is nobody's business.
fn of_target(error: Error, redact: impl Fn(String) -> String) -> Error {
    match error {
        Error::Sandbox(message)
        | Error::Target(message)
        | Error::Full(message)
        | Error::Denied(message) => Error::Target(redact(message)),
        Error::Read(message) => Error::Read(message),
        Error::Restore(message) => Error::Restore(redact(message)),
        Error::Undefined(message) => Error::Undefined(redact(message)),
        Error::Definition(message) => Error::Definition(redact(message)),
        Error::File(message) => Error::File(redact(message)),
        Error::Extension(message) => Error::Extension(redact(message)),
        Error::Locale { name, message } => Error::Locale { name, message: redact(message) },
        Error::Uncounted(message) => Error::Uncounted(redact(message)),
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
            })
            .await?;
            let contents = prepared.contents();
            let statements: Vec<Statement> =
                contents.pre_data.iter().chain(&contents.post_data).cloned().collect();
            let available: Vec<&str> =
                prepared.facts().extensions.iter().map(|e| e.name.as_str()).collect();
            note_missing(&statements, &available, record);
            let there = schemas(prepared.facts());
            stand_in(&statements, &manifest.source.extensions, &there, &target, record).await?;
            let sequences = restore::sequence_values(&prepared).await;
            let tables =
                manifest.tables.iter().map(|t| (t.schema.clone(), t.name.clone())).collect();
            note(record, DrillStage::Prepare.as_str(), clock.elapsed());
            progress.enter(DrillStage::Restore);
            let running = Box::pin(restore::run(prepared, &progress.restore, &never));
            let report = running.await?;
            (report, Restored { statements, sequences, tables })
        }
        Subject::Legacy(legacy) => {
            let asked = legacy_request(environment, legacy, target.clone(), source, client_dirs);
            let prepared = restore::prepare_legacy(asked).await?;
            let checked = prepared.check(&progress.restore).await?;
            if !checked.refusals.is_empty() {
                prepared.close().await;
                return Err(Error::Restore(checked.refusals.join("; ")));
            }
            let available: Vec<&str> =
                prepared.facts().extensions.iter().map(|e| e.name.as_str()).collect();
            note_missing(&checked.created, &available, record);
            let there = schemas(prepared.facts());
            stand_in(&checked.created, &[], &there, &target, record).await?;
            let roles = place.create_roles(&checked.roles).await;
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
    }
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
            defines: true,
            wants_word: false,
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
            assert!(matches!(error, Error::Definition(_)), "{error:?}");
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
