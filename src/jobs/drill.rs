//! Restores one backup into a sandbox, compares, asks, and writes down what was
//! found. A drill never fails to say something: whatever stands in its way is
//! in its record, as *unproven* with the reason.

pub mod history;
mod restored;
pub mod rota;
mod subject;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use self::{restored::restore, subject::Subject};
use super::{
    Environment,
    verify::{self, Options},
};
use crate::{
    catalog::{Catalog, Entry, Layout, State},
    drill::{
        self, Answer, BackupFacts, Failure, Question, Record, Sandbox, SandboxError, SandboxOptions,
    },
    postgres::Target,
    restore,
    settings::DrillSettings,
    state::{self, StageSeconds},
    store::Patience,
    words::{DrillChoice, DrillReason, DrillStage, DrillVerdict, Looked},
};

/// How long one question may take.
const ANSWER_WITHIN: Duration = Duration::from_mins(10);

/// How long connecting to the sandbox may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// What is drilled, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The database's name in the settings.
    pub database: String,
    /// Its keys in the store.
    pub layout: Layout,
    /// How.
    pub settings: DrillSettings,
    /// What the store holds.
    pub catalog: Catalog,
    /// The backup.
    pub entry: Entry,
    /// Who asks for it.
    pub operator: String,
    /// Why it is this backup.
    pub choice: DrillChoice,
    /// Whether what was found is written down in the store.
    pub record: bool,
}

/// A drill that was done, as far as it went.
#[derive(Debug)]
pub struct Drilled {
    /// What was found.
    pub record: Record,
    /// Why it could not be written down, where it could not.
    pub not_recorded: Option<String>,
}

/// How far a drill is. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The run that it is a part of.
    pub run: state::Progress,
    /// How far the restore is.
    pub restore: restore::Progress,
}

impl Progress {
    fn enter(&self, stage: DrillStage) {
        self.run.enter_drill(stage);
    }

    /// Where it is.
    #[must_use]
    pub fn stage(&self) -> DrillStage {
        self.run.drill_stage().unwrap_or(DrillStage::Sandbox)
    }
}

/// Why a drill came to no good end.
#[derive(Debug)]
struct Fault {
    verdict: DrillVerdict,
    reason: DrillReason,
    message: String,
}

impl Fault {
    fn unproven(reason: DrillReason, message: impl Into<String>) -> Self {
        Self { verdict: DrillVerdict::Unproven, reason, message: message.into() }
    }

    fn failed(reason: DrillReason, message: impl Into<String>) -> Self {
        Self { verdict: DrillVerdict::Failed, reason, message: message.into() }
    }
}

impl From<SandboxError> for Fault {
    fn from(error: SandboxError) -> Self {
        let reason = match &error {
            SandboxError::Disk(_) => DrillReason::NoRoom,
            _ => DrillReason::Sandbox,
        };
        Self::unproven(reason, error.to_string())
    }
}

/// Drills a backup.
pub async fn run(
    environment: &Environment,
    request: &Request,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Drilled {
    let began = Instant::now();
    let mut record = begin(environment, request);
    let claimed = request.record && claim(environment, request, &mut record, cancel).await;
    let timeout = request.settings.timeout;
    let fault = {
        let work = Work { environment, request, progress }.all(&mut record);
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                Some(Fault::unproven(DrillReason::Interrupted, "it was told to stop"))
            }
            () = tokio::time::sleep(timeout) => {
                let message = format!("it did not finish within {} s", timeout.as_secs());
                Some(Fault::unproven(DrillReason::Timeout, message))
            }
            result = work => result.err(),
        }
    };
    let fault = fault.or_else(|| judge(&record));
    // What a claim says until now.
    record.failure = None;
    record.finished = environment.clock.now();
    record.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    if let Some(Fault { verdict, reason, message }) = fault {
        record.verdict = verdict;
        record.failure = Some(Failure { reason, message });
    } else {
        record.verdict = DrillVerdict::Passed;
    }
    let mut not_recorded = None;
    if request.record {
        let (store, layout) = (environment.store.as_ref(), &request.layout);
        let writing = async {
            if !claimed {
                drill::claim(store, layout, &mut record).await?;
            }
            drill::write(store, layout, &record).await
        };
        not_recorded = writing.await.err().map(|error| error.to_string());
    }
    Drilled { record, not_recorded }
}

/// Writes down that it begins. Where that fails, what it finds may still be
/// written down.
async fn claim(
    environment: &Environment,
    request: &Request,
    record: &mut Record,
    cancel: &CancellationToken,
) -> bool {
    let message = "it has begun; where it is not under way any more, it was killed".to_owned();
    record.failure = Some(Failure { reason: DrillReason::Interrupted, message });
    let store = environment.store.as_ref();
    tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        claimed = drill::claim(store, &request.layout, record) => match claimed {
            Ok(()) => true,
            Err(error) => {
                record.warnings.push(format!("that it began could not be written down: {error}"));
                false
            }
        },
    }
}

fn begin(environment: &Environment, request: &Request) -> Record {
    let now = environment.clock.now();
    let Request { entry, database, operator, choice, .. } = request;
    Record {
        format: drill::FORMAT.to_owned(),
        id: crate::catalog::BackupId::at(now),
        database: database.clone(),
        operator: operator.clone(),
        choice: *choice,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: now,
        finished: now,
        seconds: 0.0,
        restore_seconds: None,
        // Until it has been looked at.
        verdict: DrillVerdict::Unproven,
        failure: None,
        backup: BackupFacts {
            id: entry.id,
            kind: entry.kind,
            legacy: entry.state != State::Good,
            archive_bytes: entry.archive_bytes,
            sha256: None,
            rows: None,
            source_version: None,
        },
        sandbox: None,
        stages: Vec::new(),
        tables_compared: 0,
        rows_compared: 0,
        different: Vec::new(),
        comparisons: Vec::new(),
        checks: Vec::new(),
        stand_ins: Vec::new(),
        missing_extensions: Vec::new(),
        skipped: Vec::new(),
        warnings: Vec::new(),
    }
}

/// What is wrong with a drill that came to its end.
fn judge(record: &Record) -> Option<Fault> {
    if !record.different.is_empty() {
        let tables: Vec<String> = record
            .different
            .iter()
            .map(|d| format!("{} has {} rows and not {}", d.table, d.found, d.expected))
            .collect();
        return Some(Fault::failed(DrillReason::RowsDiffer, tables.join("; ")));
    }
    let lost: Vec<String> = record
        .skipped
        .iter()
        .filter(|skipped| skipped.class == restore::Class::DataLoss)
        .map(|skipped| format!("{} was not restored: {}", skipped.what, skipped.reason))
        .collect();
    if !lost.is_empty() {
        return Some(Fault::failed(DrillReason::RestoreError, lost.join("; ")));
    }
    let wrong = record.comparisons.iter().map(|c| (&c.name, c.outcome, &c.detail)).chain(
        record.checks.iter().map(|Answer { name, outcome, detail, .. }| (name, *outcome, detail)),
    );
    let of = |wanted: Looked| {
        let found: Vec<String> = wrong
            .clone()
            .filter(|(_, outcome, _)| *outcome == wanted)
            .map(|(name, _, detail)| format!("{name}: {detail}"))
            .collect();
        (!found.is_empty()).then(|| found.join("; "))
    };
    of(Looked::Failed).map(|message| Fault::failed(DrillReason::CheckFailed, message))
}

/// Everything between the first moment and the verdict.
struct Work<'a> {
    environment: &'a Environment,
    request: &'a Request,
    progress: &'a Progress,
}

impl Work<'_> {
    async fn all(self, record: &mut Record) -> Result<(), Fault> {
        let Self { environment, request, progress } = self;
        let settings = &request.settings;
        let subject = Subject::read(environment, request).await?;
        subject.tell(record);

        progress.enter(DrillStage::Sandbox);
        let clock = Instant::now();
        let options = SandboxOptions {
            major: subject.major(),
            encoding: subject.encoding(),
            dump_bytes: subject.dump_bytes(),
            server_dirs: [settings.server_dirs.as_slice(), &environment.client_dirs].concat(),
            dir: settings.dir.clone(),
            keep_free: settings.keep_free,
        };
        let sandbox = Sandbox::start(&options).await?;
        record.sandbox = Some(sandbox.facts().clone());
        note(record, DrillStage::Sandbox.as_str(), clock.elapsed());

        let full = drill::watch(sandbox.dir(), settings.keep_free);
        tokio::select! {
            biased;
            full = full => return Err(Fault::unproven(DrillReason::NoRoom, full.to_string())),
            result = self.inside(&subject, &sandbox, record) => result?,
        }

        progress.enter(DrillStage::Teardown);
        let clock = Instant::now();
        if let Err(error) = sandbox.stop().await {
            record.warnings.push(error.to_string());
        }
        note(record, DrillStage::Teardown.as_str(), clock.elapsed());
        Ok(())
    }

    /// What happens in a sandbox.
    async fn inside(
        &self,
        subject: &Subject,
        sandbox: &Sandbox,
        record: &mut Record,
    ) -> Result<(), Fault> {
        let Self { environment, request, progress } = self;
        let settings = &request.settings;
        sandbox.create_roles(&subject.roles()).await?;
        let restored =
            match Box::pin(restore(environment, subject, sandbox, progress, record)).await {
                Ok(restored) => restored,
                Err(error) => return Err(self.diagnose(error, record).await),
            };

        progress.enter(DrillStage::Compare);
        let clock = Instant::now();
        let url = sandbox.url().map_err(SandboxError::from)?;
        let mut session =
            Target::another(&url, CONNECT_WITHIN).await.map_err(SandboxError::from)?;
        let statements: Vec<&restore::Statement> = restored.statements.iter().collect();
        record.comparisons = drill::compare(&mut session, &restored.sequences, &statements).await;
        note(record, DrillStage::Compare.as_str(), clock.elapsed());

        progress.enter(DrillStage::Checks);
        let clock = Instant::now();
        let mut questions =
            drill::own_questions(restored.tables.iter().map(|(s, n)| (s.as_str(), n.as_str())));
        questions.extend(settings.checks.iter().filter_map(|check| {
            let expect = check.expect.parse().ok()?;
            Some(Question { name: check.name.clone(), sql: check.sql.clone(), expect })
        }));
        if !questions.is_empty() {
            let last = self.last_passed(&questions, record).await;
            let last = |name: &str| Some(last.as_ref()?.value_of(name)?.to_owned());
            let time = request.entry.time();
            record.checks = drill::ask(&questions, &mut session, time, ANSWER_WITHIN, last).await;
        }
        session.close().await;
        if settings.amcheck {
            let jobs = restore::Options::default().jobs;
            record.comparisons.push(sandbox.amcheck(jobs, settings.timeout).await);
        }
        note(record, DrillStage::Checks.as_str(), clock.elapsed());
        Ok(())
    }

    /// The last drill that passed, where a question looks back to it.
    async fn last_passed(&self, questions: &[Question], record: &mut Record) -> Option<Record> {
        if !questions.iter().any(|question| question.expect.looks_back()) {
            return None;
        }
        let drills = &self.request.catalog.drills;
        let newest = history::newest(drills);
        let store = self.environment.store.as_ref();
        match drill::read(store, &self.request.layout, newest).await {
            Ok(records) => drill::newest_passed(&records).cloned(),
            Err(error) => {
                let warning = format!("earlier drills could not be read: {error}");
                record.warnings.push(warning);
                None
            }
        }
    }

    /// Whether a restore failed because of the archive, or for another reason.
    /// The archive is read again for that, every byte.
    async fn diagnose(&self, error: restored::Error, record: &Record) -> Fault {
        let Self { environment, request, .. } = self;
        let options = Options {
            threads: environment.archive.threads,
            at_once: 1,
            record: request.record,
            patience: Patience::default(),
        };
        let (progress, never) = (state::Progress::default(), CancellationToken::new());
        let (layout, entry) = (&request.layout, &request.entry);
        let verified = verify::run(environment, layout, entry, options, &progress, &never).await;
        let missing = match record.missing_extensions.as_slice() {
            [] => String::new(),
            missing => format!(
                "; this machine does not have the extensions {}: where the error is about one of \
                 them, install it",
                missing.join(", ")
            ),
        };
        match (verified, error) {
            (Ok(verified), _) if verified.is_damaged() => {
                let findings: Vec<String> =
                    verified.judgement.findings.iter().take(3).map(ToString::to_string).collect();
                Fault::failed(DrillReason::ArchiveDamaged, findings.join("; "))
            }
            (_, restored::Error::Sandbox(message)) => {
                Fault::unproven(DrillReason::Sandbox, message)
            }
            (_, restored::Error::Read(message)) => Fault::unproven(DrillReason::Store, message),
            (_, restored::Error::Restore(message)) => {
                Fault::failed(DrillReason::RestoreError, format!("{message}{missing}"))
            }
        }
    }
}

fn note(record: &mut Record, stage: &str, took: Duration) {
    let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
    record.stages.push(StageSeconds { stage: stage.to_owned(), seconds });
}
