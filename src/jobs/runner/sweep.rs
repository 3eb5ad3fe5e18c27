//! Removing what retention no longer keeps, while no backup is due.

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    Runner,
    turn::{End, InTurn},
};
use crate::{
    jobs::{
        Environment, Source,
        sweep::{self, Done, Removal, Stopped, SweepError},
    },
    retention::{
        Refusal,
        lifecycle::{Finding, Level},
    },
    settings::{DatabaseSettings, Schedule},
    state::{Progress, RunReport, SweepReport},
    words::{JobKind, Outcome, Stage, SweepRefusal},
};

/// The job.
pub(super) struct Sweep;

impl InTurn for Sweep {
    const JOB: JobKind = JobKind::Sweep;
    type Task = ();
    type Results = Option<Result<Done, SweepError>>;

    fn schedule(settings: &DatabaseSettings) -> Option<&Schedule> {
        Some(&settings.sweep.schedule).filter(|_| settings.sweep.enabled)
    }

    fn prepare(_: &Runner, _: DateTime<Utc>) -> Option<()> {
        Some(())
    }

    async fn run(
        environment: Environment,
        source: Source,
        (): (),
        progress: Progress,
        cancel: CancellationToken,
    ) -> Self::Results {
        let Source { settings, layout, .. } = &source;
        Some(sweep::run(&environment, settings, layout, &progress, &cancel).await)
    }

    fn report(
        runner: &Runner,
        results: Option<&Self::Results>,
        started: DateTime<Utc>,
        seconds: f64,
    ) -> RunReport {
        let (outcome, stage, error) = match results.and_then(Option::as_ref) {
            None => {
                let error = "the run broke down, which is a fault in Reliquary";
                (Outcome::Failed, Some(Stage::Panic), Some(error.to_owned()))
            }
            Some(Err(SweepError::Cancelled)) => (Outcome::Cancelled, None, None),
            Some(Err(error)) => (Outcome::Failed, Some(error.stage()), Some(error.to_string())),
            Some(Ok(Done::Swept(removal))) => of_removal(removal),
            Some(Ok(Done::Checked(findings))) => of_findings(findings),
        };
        let error = error.map(|error| runner.source.url.redact(&error));
        let job = JobKind::Sweep;
        RunReport { job, outcome, started, seconds, stage, error, backup: None }
    }

    fn end(report: &RunReport, results: &Self::Results) -> End {
        match (report.outcome, results) {
            (Outcome::Cancelled, _) => End::GaveWay,
            (Outcome::Failed, Some(Err(SweepError::Refused(refusal)))) if !may_pass(refusal) => {
                End::Done
            }
            // Nothing in the rules changes by itself.
            (_, Some(Ok(Done::Checked(_)))) => End::Done,
            (Outcome::Failed, _) => End::Failed,
            _ => End::Done,
        }
    }

    async fn tell(runner: &mut Runner, run: RunReport, results: Self::Results) {
        let name = runner.source.settings.name.clone();
        let mut report = SweepReport { run, ..SweepReport::default() };
        match &results {
            Some(Err(SweepError::Refused(refusal))) => report.refused = Some(refusal.reason()),
            Some(Ok(Done::Swept(removal))) => {
                report.removed = removal.gone.len() as u64;
                report.removed_bytes = removal.bytes;
                report.debris = removal.debris;
                report.left = removal.left_count;
                report.hidden = removal.hidden;
            }
            Some(Ok(Done::Checked(findings))) => {
                for finding in findings {
                    let Finding { detail, fix, .. } = finding;
                    tracing::warn!(database = name, detail, fix, "a lifecycle rule");
                }
            }
            _ => {}
        }
        log(&name, &report);
        runner.metrics.run_ended(&name, &report.run);
        runner.metrics.swept(&name, &report);
        let changed = report.removed + report.debris + report.left > 0
            || matches!(&results, Some(Ok(Done::Swept(removal))) if removal.stopped.is_some());
        runner.state.update(&name, |database| database.sweep_ended(report));
        if changed {
            runner.look().await;
        }
        runner.say_what_is_next();
    }
}

/// Whether what a sweep was refused for may be over in a moment.
fn may_pass(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Listing(_)
            | Refusal::ClockUnknown(_)
            | Refusal::DrillsUnreadable(_)
            | Refusal::NewestUnreadable { .. }
    )
}

fn of_removal(removal: &Removal) -> (Outcome, Option<Stage>, Option<String>) {
    match (&removal.stopped, removal.complaint()) {
        (_, Some(complaint)) => (Outcome::Failed, Some(Stage::Remove), Some(complaint)),
        (Some(Stopped::Cancelled), None) => (Outcome::Cancelled, None, None),
        _ => (Outcome::Ok, None, None),
    }
}

fn of_findings(findings: &[Finding]) -> (Outcome, Option<Stage>, Option<String>) {
    match findings.iter().find(|finding| finding.level == Level::Fail) {
        None => (Outcome::Ok, None, None),
        Some(Finding { detail, fix, .. }) => {
            (Outcome::Failed, Some(Stage::Lifecycle), Some(format!("{detail}; {fix}")))
        }
    }
}

/// One line for each run, with its numbers in units.
fn log(database: &str, report: &SweepReport) {
    let SweepReport { run, removed, removed_bytes, debris, left, hidden, .. } = report;
    let outcome = run.outcome.as_str();
    let seconds = (run.seconds * 1000.0).round() / 1000.0;
    let refused = report.refused.map(SweepRefusal::as_str);
    if run.outcome == Outcome::Failed {
        let error = run.error.as_deref();
        tracing::error!(
            database,
            outcome,
            seconds,
            refused,
            removed,
            removed_bytes,
            debris,
            left,
            error,
            "sweep"
        );
    } else {
        tracing::info!(database, outcome, seconds, removed, removed_bytes, debris, hidden, "sweep");
    }
}
