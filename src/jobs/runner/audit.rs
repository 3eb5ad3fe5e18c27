//! Holding everything against the hardening checklist, while no backup is due.

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    Runner,
    turn::{End, InTurn},
};
use crate::{
    jobs::{
        Environment, Source,
        audit::{self, Audited},
    },
    recovery::audited::Standing,
    settings::{DatabaseSettings, Schedule},
    state::{AuditReport, Progress, RunReport},
    words::{CheckResult, JobKind, Outcome, Stage},
};

/// The job.
pub(super) struct Audit;

/// What a run came to: a report, or none where it was told to stop.
#[derive(Default)]
pub(super) enum Results {
    #[default]
    BrokeDown,
    Stopped,
    Made(Audited),
}

impl InTurn for Audit {
    const JOB: JobKind = JobKind::Audit;
    type Task = ();
    type Results = Results;

    fn schedule(settings: &DatabaseSettings) -> Option<&Schedule> {
        Some(&settings.audit.schedule).filter(|_| settings.audit.enabled)
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
    ) -> Results {
        progress.enter(Stage::Audit);
        match audit::run(&environment, &source, Standing::Compared, &cancel).await {
            Some(audited) => Results::Made(audited),
            None => Results::Stopped,
        }
    }

    fn report(
        _: &Runner,
        results: Option<&Results>,
        started: DateTime<Utc>,
        seconds: f64,
    ) -> RunReport {
        let (outcome, stage, error) = match results {
            None | Some(Results::BrokeDown) => {
                let error = "the run broke down, which is a fault in Reliquary";
                (Outcome::Failed, Some(Stage::Panic), Some(error.to_owned()))
            }
            Some(Results::Stopped) => (Outcome::Cancelled, None, None),
            Some(Results::Made(Audited { report, .. })) => {
                let failed: Vec<&str> = report.failed().map(|f| f.check.as_str()).collect();
                if failed.is_empty() {
                    (Outcome::Ok, None, None)
                } else {
                    let error = format!(
                        "failed: {}; `reliquary audit` says what mends it",
                        failed.join(", ")
                    );
                    (Outcome::Failed, Some(Stage::Audit), Some(error))
                }
            }
        };
        RunReport { job: JobKind::Audit, outcome, started, seconds, stage, error, backup: None }
    }

    fn end(report: &RunReport, results: &Results) -> End {
        match (report.outcome, results) {
            (Outcome::Cancelled, _) => End::GaveWay,
            // Nothing that failed mends itself within the hour.
            (_, Results::Made(_)) => End::Done,
            _ => End::Failed,
        }
    }

    async fn tell(runner: &mut Runner, run: RunReport, results: Results) {
        let name = runner.source.settings.name.clone();
        runner.metrics.run_ended(&name, &run);
        let Results::Made(Audited { report, worse }) = results else {
            tracing::info!(database = name, outcome = run.outcome.as_str(), "audit");
            runner.state.update(&name, |database| database.running = None);
            return runner.say_what_is_next();
        };
        for finding in &report.findings {
            let (check, found, fix) = (finding.check.as_str(), &finding.found, &finding.fix);
            let (database, permission) = (&name, &finding.permission);
            match finding.result {
                CheckResult::Fail => {
                    tracing::error!(database, check, found, fix, permission, "a check failed");
                }
                CheckResult::Warn => {
                    tracing::warn!(database, check, found, fix, "a check could be better");
                }
                CheckResult::Unknown => {
                    tracing::info!(database, check, found, permission, "a check came to nothing");
                }
                CheckResult::Pass => tracing::debug!(database, check, found, "a check passed"),
            }
        }
        let tally = report.tally();
        let count = |result| tally.of(result) as u64;
        let audit = AuditReport {
            pass: count(CheckResult::Pass),
            warn: count(CheckResult::Warn),
            fail: count(CheckResult::Fail),
            unknown: count(CheckResult::Unknown),
            failed: report.failed().map(|finding| finding.check).collect(),
            worse,
            run,
        };
        tracing::info!(
            database = name,
            outcome = audit.run.outcome.as_str(),
            seconds = (audit.run.seconds * 1000.0).round() / 1000.0,
            pass = audit.pass,
            warn = audit.warn,
            fail = audit.fail,
            unknown = audit.unknown,
            "audit"
        );
        runner.state.update(&name, |database| database.audit_ended(audit));
        runner.say_what_is_next();
    }
}
