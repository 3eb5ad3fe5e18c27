//! Reading stored backups again, while no backup is due. Where backups fall due
//! so often that it would never get done, it holds on (see [`way`]).

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    Runner,
    turn::{End, InTurn, Manner, Turn},
};
use crate::{
    catalog::{Entry, State},
    jobs::{
        Environment, Source,
        verify::{self, Options, Recorded, Unread, Verified, VerifyError, rota},
        way::{self, Way},
    },
    settings::{DatabaseSettings, Schedule},
    state::{Progress, RunReport},
    store::Patience,
    words::{JobKind, Outcome, Stage},
};

/// What earlier runs have left for later ones.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What could not be read at its last turn.
    unread: Unread,
    way: Way,
}

/// What is read in one run.
pub(super) struct Task {
    entries: Vec<Entry>,
    /// Whether that is all that has its turn.
    is_all: bool,
    holds: bool,
}

/// What a run came to.
#[derive(Default)]
pub(super) struct Results {
    each: Vec<(Entry, Result<Verified, VerifyError>)>,
    /// Whether that was all that had its turn.
    of_all: bool,
    held: bool,
}

impl Results {
    fn any(&self, is: impl Fn(&Result<Verified, VerifyError>) -> bool) -> bool {
        self.each.iter().any(|(_, result)| is(result))
    }
}

/// The job.
pub(super) struct Verify;

impl InTurn for Verify {
    const JOB: JobKind = JobKind::Verify;
    type Task = Task;
    type Results = Results;

    fn schedule(settings: &DatabaseSettings) -> Option<&Schedule> {
        Some(&settings.verify.schedule).filter(|_| settings.verify.enabled)
    }

    fn prepare(runner: &Runner, slot: DateTime<Utc>) -> Option<Task> {
        let sample = runner.source.settings.verify.sample;
        let Memory { unread, way } = &runner.verify;
        let mut entries = rota::targets(runner.catalog.as_ref()?, slot, sample, unread);
        let (first, wanted) = (entries.first()?.id, entries.len());
        let holds = way.holds(slot);
        if holds {
            // A backup waits for one archive, and for no second.
            entries.truncate(1);
            tracing::info!(
                database = runner.name(),
                backup = %first,
                "backups fall due before a verify is done with one: this one may keep the next waiting"
            );
        }
        Some(Task { is_all: entries.len() == wanted, entries, holds })
    }

    fn manner(task: &Task) -> Manner {
        if task.holds { Manner::HoldsOn } else { Manner::GivesWay }
    }

    async fn run(
        environment: Environment,
        source: Source,
        task: Task,
        progress: Progress,
        cancel: CancellationToken,
    ) -> Results {
        let Task { entries, is_all, holds } = task;
        let options = Options {
            threads: environment.archive.threads,
            at_once: 1,
            record: true,
            patience: Patience::default(),
        };
        let mut each = Vec::new();
        let done = |entry: &Entry, result: Result<Verified, VerifyError>| {
            tell(entry, &result);
            each.push((entry.clone(), result));
        };
        let layout = &source.layout;
        verify::all(&environment, layout, entries, options, &progress, &cancel, done).await;
        Results { each, of_all: is_all, held: holds }
    }

    fn report(
        runner: &Runner,
        results: Option<&Results>,
        started: DateTime<Utc>,
        seconds: f64,
    ) -> RunReport {
        runner.verify_report(results, started, seconds)
    }

    fn end(report: &RunReport, results: &Results) -> End {
        let gave_way = results.any(is_cancelled) || !results.of_all;
        // Damage that was found is an end, too, where it is written down; it
        // must not hide that another backup could not be read.
        let found = report.outcome == Outcome::Ok || report.stage == Some(Stage::Verify);
        match report.outcome {
            _ if found && !gave_way && !results.any(is_unsettled) => End::Done,
            Outcome::Failed if !results.any(is_cancelled) => End::Failed,
            _ => End::GaveWay,
        }
    }

    fn note(runner: &mut Runner, slot: DateTime<Utc>, results: &Results, turn: Turn) {
        let Memory { unread, way } = &mut runner.verify;
        for (entry, result) in &results.each {
            match result {
                Ok(_) => unread.forget(entry),
                Err(error) if is_failure(error) => unread.note(entry, slot),
                Err(_) => {}
            }
        }
        let gave_way = turn == Turn::Over && results.any(is_cancelled);
        let got_through = results.any(|result| !is_cancelled(result));
        way.note(slot, way::Ended { held: results.held, gave_way, got_through });
    }

    async fn tell(runner: &mut Runner, report: RunReport, results: Results) {
        runner.tell_verified(report, results).await;
    }
}

impl Runner {
    async fn tell_verified(&mut self, report: RunReport, results: Results) {
        let name = self.source.settings.name.clone();
        tracing::info!(
            database = name,
            outcome = report.outcome.as_str(),
            seconds = (report.seconds * 1000.0).round() / 1000.0,
            backups = results.each.iter().filter(|(_, result)| result.is_ok()).count(),
            damaged = results.each.iter().filter(|(_, result)| is_damaged(result)).count(),
            error = report.error,
            "verify"
        );
        self.metrics.run_ended(&name, &report);
        let (mut changed, now) = (false, self.environment.clock.now());
        for (entry, result) in &results.each {
            if is_damaged(result) || matches!(result, Err(error) if is_failure(error)) {
                self.metrics.verify_failed(&name);
            }
            if let (Ok(verified), Some(catalog)) = (result, &mut self.catalog)
                // What is good and not written down has its turn again.
                && (verified.is_damaged() || !is_unsettled(result))
            {
                catalog.judge(entry.kind, entry.id, verified.judgement.verdict, now);
                // What a damaged one was before only the listing knows.
                let counts_anew = verified.is_damaged() || entry.state == State::Damaged;
                changed |= counts_anew && verified.recorded == Recorded::Yes;
            }
        }
        let unread = self.catalog.as_ref().map(|catalog| self.verify.unread.count(catalog));
        self.state.update(&name, |database| {
            database.verify_ended(report);
            database.unread = unread.unwrap_or(database.unread);
        });
        if changed {
            // The pointer may name what is damaged.
            self.look().await;
        } else if let Some(catalog) = &self.catalog {
            self.tell_catalog(catalog, None);
        }
        self.say_what_is_next();
    }

    fn verify_report(
        &self,
        results: Option<&Results>,
        started: DateTime<Utc>,
        seconds: f64,
    ) -> RunReport {
        let report = RunReport {
            job: JobKind::Verify,
            outcome: Outcome::Ok,
            started,
            seconds,
            stage: None,
            error: None,
            backup: None,
        };
        let failed = |stage, error: String| RunReport {
            outcome: Outcome::Failed,
            stage: Some(stage),
            error: Some(self.source.url.redact(&error)),
            ..report.clone()
        };
        let Some(results) = results else {
            let error = "the run broke down, which is a fault in Reliquary".to_owned();
            return failed(Stage::Panic, error);
        };
        let mut outcome = Outcome::Ok;
        let mut refused = None;
        for (entry, result) in &results.each {
            match result {
                Ok(verified) if verified.is_damaged() => {
                    let first = verified.judgement.findings.first();
                    let how = first.map_or(String::new(), |finding| format!(": {finding}"));
                    return failed(Stage::Verify, format!("{} is damaged{how}", entry.id));
                }
                Ok(Verified { recorded: Recorded::Refused(error), .. }) => {
                    refused.get_or_insert((Stage::Record, error.clone()));
                }
                Err(error) if is_failure(error) => {
                    refused.get_or_insert((Stage::Catalog, error.to_string()));
                }
                Err(error) if error.cancelled => outcome = Outcome::Cancelled,
                Ok(_) | Err(_) => {}
            }
        }
        match refused {
            Some((stage, error)) => failed(stage, error),
            None => RunReport { outcome, ..report },
        }
    }
}

fn is_damaged(result: &Result<Verified, VerifyError>) -> bool {
    result.as_ref().is_ok_and(Verified::is_damaged)
}

fn is_cancelled(result: &Result<Verified, VerifyError>) -> bool {
    result.as_ref().is_err_and(|error| error.cancelled)
}

/// Whether there is nothing in the bucket to show for it, so that it has its
/// turn again.
fn is_unsettled(result: &Result<Verified, VerifyError>) -> bool {
    match result {
        Ok(verified) => matches!(verified.recorded, Recorded::Refused(_)),
        Err(error) => is_failure(error),
    }
}

/// Whether a backup that is there could not be read.
fn is_failure(error: &VerifyError) -> bool {
    !error.cancelled && !error.removed
}

/// One line for each backup.
fn tell(entry: &Entry, result: &Result<Verified, VerifyError>) {
    match result {
        Ok(verified) if verified.is_damaged() => {
            let findings: Vec<String> =
                verified.judgement.findings.iter().take(5).map(ToString::to_string).collect();
            tracing::error!(backup = %entry.id, damage = findings.join("; "), "a backup is damaged");
        }
        Ok(verified) => tracing::info!(
            backup = %entry.id,
            seconds = verified.judgement.seconds,
            archive_bytes = verified.judgement.archive_bytes,
            dump_bytes = verified.judgement.dump_bytes,
            "verified"
        ),
        Err(error) if error.cancelled || error.removed => {
            tracing::debug!(backup = %entry.id, %error, "not verified");
        }
        Err(error) => tracing::warn!(backup = %entry.id, %error, "could not be verified"),
    }
    if let Ok(verified) = result
        && !verified.judgement.remarks.is_empty()
    {
        let remarks: Vec<String> =
            verified.judgement.remarks.iter().map(ToString::to_string).collect();
        let (remarks, checksum_written) = (remarks.join("; "), verified.checksum_written);
        tracing::warn!(backup = %entry.id, remarks, checksum_written, "odd, and no damage");
    }
    if let Ok(Verified { recorded: Recorded::Refused(error), .. }) = result {
        tracing::error!(backup = %entry.id, error, "what verify found could not be written down");
    }
}
