//! Restoring backups for the sake of knowing that they restore, while no backup
//! is due.
//!
//! A drill that is stopped has proven nothing, and begins anew: so where backups
//! fall due before it is done, it gives way twice, then holds on (see [`way`]),
//! and where that was in vain, too, its slot is left as it is: health says that
//! it is overdue. On a machine that is large enough it goes on beside a backup.
//!
//! Which slots have had their drills is read from the bucket, so that a process
//! that is started again and again does not drill again and again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    Runner,
    turn::{End, InTurn, Limits, Manner, Turn},
};
use crate::{
    catalog::{Catalog, Entry},
    drill::is_large,
    jobs::{
        Environment, Source,
        drill::{
            self, Drilled, Request,
            history::Drills,
            rota::{self, Measure},
        },
        way::{self, Way},
    },
    restore::Live,
    settings::{BesideBackups, DatabaseSettings, DrillSettings, Schedule},
    state::{Progress, RunReport, longest_drills},
    words::{DrillChoice, DrillReason, DrillVerdict, JobKind, Outcome, Stage},
};

/// Who it is in a drill's record.
const OPERATOR: &str = "the schedule";

/// After records could not be read, the next try waits this long.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// So long it may take to stop, for the sake of what it has to remove and write down.
const STOP_WITHIN: Duration = Duration::from_mins(5);

/// What earlier runs have left for later ones.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The drills in the bucket; `None` before they were read.
    drills: Option<Drills>,
    /// When reading them last failed.
    failed: Option<DateTime<Utc>>,
    way: Way,
}

/// What is drilled in one run.
pub(super) struct Task {
    targets: Vec<(Entry, DrillChoice)>,
    /// Whether that is all that has its turn.
    is_all: bool,
    manner: Manner,
    catalog: Catalog,
}

/// What a run came to.
#[derive(Default)]
pub(super) struct Results {
    each: Vec<Drilled>,
    is_all: bool,
    held: bool,
}

impl Results {
    fn any(&self, is: impl Fn(&Drilled) -> bool) -> bool {
        self.each.iter().any(is)
    }
}

/// The job.
pub(super) struct Drill;

impl InTurn for Drill {
    const JOB: JobKind = JobKind::Drill;
    type Task = Task;
    type Results = Results;

    fn schedule(settings: &DatabaseSettings) -> Option<&Schedule> {
        Some(&settings.drill.schedule).filter(|_| settings.drill.enabled)
    }

    fn prepare(runner: &Runner, slot: DateTime<Utc>) -> Option<Task> {
        let DatabaseSettings { drill, attempts, .. } = &runner.source.settings;
        let catalog = runner.catalog.as_ref()?;
        let Memory { drills, way, .. } = &runner.drill;
        let attempts = usize::try_from(*attempts).unwrap_or(usize::MAX);
        let measure = Measure { sample: drill.sample, attempts };
        let now = runner.environment.clock.now();
        let mut targets = rota::targets(catalog, drills.as_ref()?, slot, measure, now);
        let (first, wanted) = (targets.first()?.0.id, targets.len());
        let manner = manner(drill, way.holds(slot));
        if manner == Manner::HoldsOn {
            // A backup waits for one drill, and for no second.
            targets.truncate(1);
            tracing::info!(
                database = runner.name(),
                backup = %first,
                "backups fall due before a drill is done: this one may keep the next waiting"
            );
        }
        let is_all = targets.len() == wanted;
        Some(Task { targets, is_all, manner, catalog: catalog.clone() })
    }

    fn manner(task: &Task) -> Manner {
        task.manner
    }

    fn limits(settings: &DatabaseSettings) -> Limits {
        let DrillSettings { sample, timeout, .. } = settings.drill;
        let longest = longest_drills(1 + sample, timeout);
        Limits { longest: Some(longest), patience: Some(STOP_WITHIN) }
    }

    async fn run(
        environment: Environment,
        source: Source,
        task: Task,
        progress: Progress,
        cancel: CancellationToken,
    ) -> Results {
        let Task { targets, is_all, manner, catalog } = task;
        progress.enter(Stage::Drill);
        let mut each = Vec::new();
        for (entry, choice) in targets {
            let request = Request {
                database: source.settings.name.clone(),
                layout: source.layout.clone(),
                source: Live::At(Box::new(source.url.clone())),
                settings: source.settings.drill.clone(),
                catalog: catalog.clone(),
                entry,
                operator: OPERATOR.to_owned(),
                choice,
                record: true,
            };
            let within = drill::Progress::within(progress.clone());
            let drilled = Box::pin(drill::run(&environment, &request, &within, &cancel)).await;
            tell(&source.settings.name, &drilled);
            let is_over = cancel.is_cancelled() || is_busy(&drilled);
            each.push(drilled);
            if is_over {
                break;
            }
        }
        Results { each, is_all, held: manner == Manner::HoldsOn }
    }

    fn report(
        runner: &Runner,
        results: Option<&Results>,
        started: DateTime<Utc>,
        seconds: f64,
    ) -> RunReport {
        let (outcome, stage, error) = match results {
            None => {
                let error = "the run broke down, which is a fault in Reliquary";
                (Outcome::Failed, Some(Stage::Panic), Some(error.to_owned()))
            }
            Some(results) => summary(&results.each),
        };
        let error = error.map(|error| runner.source.url.redact(&error));
        RunReport { job: JobKind::Drill, outcome, started, seconds, stage, error, backup: None }
    }

    fn end(report: &RunReport, results: &Results) -> End {
        let stopped = results.any(is_stopped);
        match report.outcome {
            // It would come to nothing again, and again keep a backup waiting.
            _ if stopped && results.held => End::Done,
            _ if stopped || (results.each.is_empty() && report.outcome != Outcome::Failed) => {
                End::GaveWay
            }
            Outcome::Failed if results.each.is_empty() || results.any(is_to_be_tried_again) => {
                End::Failed
            }
            _ if results.any(is_busy) => End::Waits,
            _ if results.is_all => End::Done,
            _ => End::GaveWay,
        }
    }

    fn note(runner: &mut Runner, slot: DateTime<Utc>, results: &Results, turn: Turn) {
        let gave_way = turn == Turn::Over && results.any(is_stopped);
        let got_through = results.any(|drilled| !is_stopped(drilled) && !is_busy(drilled));
        runner.drill.way.note(slot, way::Ended { held: results.held, gave_way, got_through });
    }

    async fn tell(runner: &mut Runner, report: RunReport, results: Results) {
        let name = runner.source.settings.name.clone();
        tracing::info!(
            database = name,
            outcome = report.outcome.as_str(),
            seconds = (report.seconds * 1000.0).round() / 1000.0,
            drills = results.each.len(),
            error = report.error,
            "drill"
        );
        runner.metrics.run_ended(&name, &report);
        runner.state.update(&name, |database| database.running = None);
        let drills = runner.drill.drills.get_or_insert_default();
        for drilled in results.each.iter().filter(|drilled| !is_busy(drilled)) {
            drills.add(&drilled.record);
            if let Some(catalog) = &mut runner.catalog {
                catalog.add_drill(drilled.record.id);
            }
        }
        let nothing = Catalog::default();
        drills.tell(&runner.state, &name, runner.catalog.as_ref().unwrap_or(&nothing));
        if results.any(|drilled| reason(drilled) == Some(DrillReason::ArchiveDamaged)) {
            // It counts as none now, and the pointer may name it.
            runner.look().await;
        }
        runner.say_what_is_next();
    }
}

impl Runner {
    /// Reads what the bucket says of drills, as far as it is new.
    pub(super) async fn look_at_drills(&mut self) {
        let (now, memory) = (self.environment.clock.now(), &mut self.drill);
        let Some(catalog) = &self.catalog else { return };
        if memory.failed.is_some_and(|last| now >= last && now - last < PAUSE) {
            return;
        }
        let mut drills = memory.drills.take().unwrap_or_default();
        let store = self.environment.store.as_ref();
        let read = tokio::select! {
            biased;
            () = self.lifecycle.soft.cancelled() => return,
            read = drills.refresh(store, &self.source.layout, &catalog.drills) => read,
        };
        memory.failed = read.as_ref().err().map(|_| now);
        if let Err(error) = read {
            let database = &self.source.settings.name;
            tracing::warn!(database, %error, "what drills have found could not be read");
            // Without knowing what was drilled nothing is drilled.
            return;
        }
        drills.tell(&self.state, &self.source.settings.name, catalog);
        memory.drills = Some(drills);
    }
}

/// What a drill does when a backup is due.
fn manner(settings: &DrillSettings, holds: bool) -> Manner {
    let beside = match settings.beside_backups {
        BesideBackups::Always => true,
        BesideBackups::Never => false,
        BesideBackups::Auto => is_large(),
    };
    match (beside, holds) {
        (true, _) => Manner::GoesOn,
        (false, true) => Manner::HoldsOn,
        (false, false) => Manner::GivesWay,
    }
}

fn reason(drilled: &Drilled) -> Option<DrillReason> {
    drilled.record.failure.as_ref().map(|failure| failure.reason)
}

fn is_stopped(drilled: &Drilled) -> bool {
    reason(drilled) == Some(DrillReason::Interrupted)
}

/// Whether it has not begun, since another drill is in the settings' database.
fn is_busy(drilled: &Drilled) -> bool {
    reason(drilled) == Some(DrillReason::Busy)
}

/// Whether there is nothing in the bucket to show for it, or what was in its way may
/// be gone after a pause. One that gave way goes on without a pause.
fn is_to_be_tried_again(drilled: &Drilled) -> bool {
    let may_pass = reason(drilled).is_some_and(DrillReason::may_pass_by_itself);
    drilled.not_recorded.is_some() || (may_pass && !is_stopped(drilled))
}

/// How a run ended: what failed tells more than what proved nothing.
fn summary(each: &[Drilled]) -> (Outcome, Option<Stage>, Option<String>) {
    let first_of = |verdict| {
        each.iter().find(|d| d.record.verdict == verdict && !is_stopped(d) && !is_busy(d))
    };
    let bad = first_of(DrillVerdict::Failed).or_else(|| first_of(DrillVerdict::Unproven));
    if let Some(drilled) = bad {
        let report = drilled.record.report();
        let why = report.error.unwrap_or_default();
        let reason = report.reason.map_or("unproven", DrillReason::as_str);
        let error = format!("the drill of {} came to {reason}: {why}", report.backup);
        return (Outcome::Failed, Some(stage(report.reason)), Some(error));
    }
    if let Some(error) = each.iter().find_map(|drilled| drilled.not_recorded.clone()) {
        return (Outcome::Failed, Some(Stage::Record), Some(error));
    }
    if let Some(busy) = each.iter().find(|drilled| is_busy(drilled)) {
        return (Outcome::Skipped, None, busy.record.report().error);
    }
    let stopped = each.is_empty() || each.iter().any(is_stopped);
    (if stopped { Outcome::Cancelled } else { Outcome::Ok }, None, None)
}

/// Where a drill of this reason failed.
fn stage(reason: Option<DrillReason>) -> Stage {
    match reason {
        Some(DrillReason::ArchiveDamaged) => Stage::Verify,
        Some(
            DrillReason::Sandbox
            | DrillReason::Target
            | DrillReason::NoRoom
            | DrillReason::MissingExtension
            | DrillReason::MissingLocale,
        ) => Stage::Sandbox,
        Some(DrillReason::Store) => Stage::Catalog,
        Some(DrillReason::Timeout) => Stage::Timeout,
        _ => Stage::Drill,
    }
}

/// One line for each drill.
fn tell(database: &str, drilled: &Drilled) {
    let report = drilled.record.report();
    let (drill, backup, verdict) = (&report.id, &report.backup, report.verdict.as_str());
    let (seconds, restore_seconds) = (report.seconds, report.restore_seconds);
    let (reason, error) = (report.reason.map(DrillReason::as_str), report.error);
    match report.verdict {
        DrillVerdict::Passed => tracing::info!(
            database,
            drill,
            backup,
            verdict,
            seconds,
            restore_seconds,
            rows = drilled.record.rows_compared,
            tables = drilled.record.tables_compared,
            "drilled"
        ),
        DrillVerdict::Failed => {
            tracing::error!(database, drill, backup, verdict, reason, error, seconds, "drilled");
        }
        DrillVerdict::Unproven if is_busy(drilled) => {
            tracing::info!(database, backup, reason, error, "tries again later");
        }
        DrillVerdict::Unproven => {
            tracing::warn!(database, drill, backup, verdict, reason, error, seconds, "drilled");
        }
    }
    if let Some(error) = &drilled.not_recorded {
        tracing::error!(database, drill, error, "what a drill found could not be written down");
    }
}
