//! Restores one backup into a sandbox, compares, asks, and writes down what was
//! found. A drill never fails to say something: whatever stands in its way is
//! in its record, as *unproven* with the reason.

mod baseline;
mod diagnosis;
mod error;
mod fault;
pub mod history;
mod limit;
mod missing;
mod place;
mod reads;
mod restored;
pub mod rota;
mod subject;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use self::{
    diagnosis::diagnose,
    fault::{Fault, judge, not_emptied},
    limit::Limit,
    place::Place,
    restored::restore,
    subject::Subject,
};
use super::Environment;
use crate::{
    catalog::{BackupId, Catalog, Entry, Layout, State},
    drill::{self, BackupFacts, ClaimError, Failure, Held, Question, Record, SandboxError},
    postgres::Target,
    restore::{self, Live},
    settings::DrillSettings,
    state::{self, StageSeconds},
    words::{DrillChoice, DrillPlace, DrillReason, DrillStage, DrillVerdict},
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
    /// The source, where the settings name it: nothing is ever restored there.
    pub source: Live,
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
    /// Whether it is written down in the store.
    pub is_recorded: bool,
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
    /// The id of its record, once that says that it has begun.
    claimed: Arc<OnceLock<BackupId>>,
}

impl Progress {
    /// That of a drill within a run.
    #[must_use]
    pub fn within(run: state::Progress) -> Self {
        Self { run, ..Self::default() }
    }

    /// The id of its record, where that says that it has begun.
    #[must_use]
    pub fn claimed(&self) -> Option<BackupId> {
        self.claimed.get().copied()
    }

    fn enter(&self, stage: DrillStage) {
        self.run.enter_drill(stage);
    }

    /// Where it is.
    #[must_use]
    pub fn stage(&self) -> DrillStage {
        self.run.drill_stage().unwrap_or(DrillStage::Sandbox)
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
    let limit = Limit { began: tokio::time::Instant::now(), timeout: request.settings.timeout };
    let mut record = begin(environment, request);
    let held = limit.within(cancel, place::hold(request)).await;
    let held = match held {
        // It has not begun: it may be tried again and again, and leaves nothing.
        Err(fault) if fault.reason == DrillReason::Busy => {
            conclude(&mut record, Some(fault), environment, began);
            return Drilled { record, is_recorded: false, not_recorded: None };
        }
        held => held,
    };
    let claimed = request.record && claim(environment, request, &mut record, cancel).await;
    if claimed {
        // There is but one claim of a drill.
        let _ = progress.claimed.set(record.id);
    }
    let mut place = None;
    let work = Work { environment, request, progress }.all(held, &mut record, &mut place);
    let fault = limit.within(cancel, Box::pin(work)).await.err();
    let left = match place {
        Some(place) => give_back(place, fault.is_none(), cancel, progress, &mut record).await,
        None => None,
    };
    let fault = fault.or_else(|| judge(&record));
    let fault = match left {
        Some(why) => Some(not_emptied(fault, &why)),
        None => fault,
    };
    conclude(&mut record, fault, environment, began);
    let mut not_recorded = None;
    if request.record {
        let (store, layout) = (environment.store.as_ref(), &request.layout);
        let writing = async {
            if !claimed {
                drill::claim(store, layout, &mut record).await?;
            }
            Ok::<(), ClaimError>(drill::write(store, layout, &record).await?)
        };
        not_recorded = writing.await.err().map(|error| error.to_string());
    }
    let is_recorded = request.record && not_recorded.is_none();
    Drilled { record, is_recorded, not_recorded }
}

/// What it came to, in place of what a claim says.
fn conclude(record: &mut Record, fault: Option<Fault>, environment: &Environment, began: Instant) {
    record.finished = environment.clock.now();
    record.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    record.verdict = fault.as_ref().map_or(DrillVerdict::Passed, |fault| fault.verdict);
    record.failure = fault.map(|Fault { reason, message, .. }| Failure { reason, message });
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

/// Removes what a drill has put anywhere, in every ending; returns why it is still
/// in the settings' database, where it is. What is left of a sandbox is on this
/// machine, and cleared away by the next drill.
async fn give_back(
    place: Place,
    is_done: bool,
    cancel: &CancellationToken,
    progress: &Progress,
    record: &mut Record,
) -> Option<String> {
    progress.enter(DrillStage::Teardown);
    let (clock, is_target) = (Instant::now(), matches!(place, Place::Target(_)));
    let given_back = place.give_back(is_done, cancel).await;
    note(record, DrillStage::Teardown.as_str(), clock.elapsed());
    record.emptied = is_target.then_some(given_back.is_ok());
    match given_back {
        Err(why) if is_target => return Some(why),
        Err(why) => record.warnings.push(why),
        Ok(warnings) => record.warnings.extend(warnings),
    }
    None
}

fn begin(environment: &Environment, request: &Request) -> Record {
    let now = environment.clock.now();
    let Request { entry, database, operator, choice, .. } = request;
    Record {
        format: drill::FORMAT.to_owned(),
        id: BackupId::at(now),
        token: format!("{:016x}", rand::random::<u64>()),
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
        place: if request.settings.target.is_some() {
            DrillPlace::Target
        } else {
            DrillPlace::Sandbox
        },
        emptied: None,
        sandbox: None,
        stages: Vec::new(),
        tables_compared: 0,
        rows_compared: 0,
        different: Vec::new(),
        comparisons: Vec::new(),
        checks: Vec::new(),
        stand_ins: Vec::new(),
        missing_extensions: Vec::new(),
        older_extensions: Vec::new(),
        skipped: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Everything between the first moment and the verdict.
struct Work<'a> {
    environment: &'a Environment,
    request: &'a Request,
    progress: &'a Progress,
}

impl Work<'_> {
    async fn all(
        self,
        held: Result<Option<Held>, Fault>,
        record: &mut Record,
        place: &mut Option<Place>,
    ) -> Result<(), Fault> {
        let Self { environment, request, progress } = self;
        let subject = Subject::read(environment, request).await?;
        subject.tell(record);

        progress.enter(DrillStage::Sandbox);
        let clock = Instant::now();
        let place = place.insert(Place::take(environment, request, &subject, held?).await?);
        record.sandbox = Some(place.facts().clone());
        place.create_roles(&subject.roles()).await?;
        note(record, DrillStage::Sandbox.as_str(), clock.elapsed());
        tokio::select! {
            biased;
            full = place.full(request.settings.keep_free) => Err(full),
            result = self.inside(&subject, place, record) => result,
        }
    }

    /// What happens there.
    async fn inside(
        &self,
        subject: &Subject,
        place: &Place,
        record: &mut Record,
    ) -> Result<(), Fault> {
        let Self { environment, request, progress } = self;
        let settings = &request.settings;
        let restoring = restore(environment, request, subject, place, progress, record);
        let restored = match Box::pin(restoring).await {
            Ok(restored) => restored,
            Err(error) => {
                return Err(diagnose(environment, request, subject, error, record).await);
            }
        };

        progress.enter(DrillStage::Compare);
        let clock = Instant::now();
        let url = place.url()?;
        let mut session =
            Target::another(&url, CONNECT_WITHIN).await.map_err(SandboxError::from)?;
        let statements: Vec<&restore::Statement> = restored.statements.iter().collect();
        record.comparisons = drill::compare(&mut session, &restored.sequences, &statements).await;
        note(record, DrillStage::Compare.as_str(), clock.elapsed());

        progress.enter(DrillStage::Checks);
        let clock = Instant::now();
        let tables = restored.tables.iter().map(|(s, n)| (s.as_str(), n.as_str()));
        let asked = settings.checks.iter().filter_map(|check| {
            let expect = check.expect.parse().ok()?;
            let (name, sql) = (check.name.clone(), check.sql.clone());
            Some(Question { name, sql, expect, otherwise: "" })
        });
        let questions = drill::questions(tables, asked);
        if !questions.is_empty() {
            let last = self.passed_before(&questions).await;
            let last = |name: &str| {
                let last = last.as_ref().map_err(Clone::clone)?;
                Ok(last.as_ref().and_then(|last| last.value_of(name)).map(str::to_owned))
            };
            let time = request.entry.time();
            record.checks = drill::ask(&questions, &mut session, time, ANSWER_WITHIN, last).await;
        }
        session.close().await;
        if settings.amcheck {
            let jobs = restore::Options::default().jobs;
            record.comparisons.push(place.amcheck(jobs, settings.timeout).await);
        }
        note(record, DrillStage::Checks.as_str(), clock.elapsed());
        Ok(())
    }

    /// The drill to compare with, where a question looks back to one, or why it is not
    /// known which one that is.
    async fn passed_before(&self, questions: &[Question]) -> Result<Option<Record>, String> {
        if !questions.iter().any(|question| question.expect.looks_back()) {
            return Ok(None);
        }
        let Request { layout, catalog, entry, .. } = self.request;
        let store = self.environment.store.as_ref();
        baseline::find(store, layout, &catalog.drills, entry.id).await
    }
}

fn note(record: &mut Record, stage: &str, took: Duration) {
    let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
    record.stages.push(StageSeconds { stage: stage.to_owned(), seconds });
}
