//! The runner's other job: reading stored backups again, while no backup is due.
//!
//! A verify never makes a backup late. The runner goes on listening while one
//! runs, and stops it, in the middle of an archive if need be, as soon as a
//! backup falls due or is asked for; what is left has its turn afterwards. Only
//! where it would never get done that way it holds on (see [`verify::way`]).

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Order, Runner};
use crate::{
    catalog::{Entry, State},
    jobs::{
        due::{self, Tried},
        verify::{
            self, Options, Recorded, Unread, Verified, VerifyError, rota,
            way::{self, Way},
        },
    },
    state::RunReport,
    store::Patience,
    words::{JobKind, Outcome, Stage},
};

/// Which slots of the verify schedule have had their run.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The slot whose run came to its end.
    done: Option<DateTime<Utc>>,
    tried: Option<Tried>,
    /// What could not be read at its last turn.
    unread: Unread,
    way: Way,
    /// Who was told to wait while one ran; dropped when all is done.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Turns {
    /// All that was due is done.
    pub(super) fn settle(&mut self) {
        self.waiting.clear();
    }
}

/// What a run came to.
type Results = Vec<(Entry, Result<Verified, VerifyError>)>;

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing had its turn.
    Nobodys,
    /// A run has ended, by itself or because a backup is due.
    Over,
    /// A run gave way to a backup that a person ordered.
    Ordered,
}

impl Runner {
    /// Verifies what has its turn, until it is done or something comes in
    /// between; that is for the caller to look at.
    pub(super) async fn verify_in_turn(&mut self) -> Turn {
        let now = self.environment.clock.now();
        let settings = &self.source.settings.verify;
        let slot = due::newest_slot(&settings.schedule.cron, now).filter(|_| settings.enabled);
        let (Some(slot), Some(catalog)) = (slot, &self.catalog) else { return Turn::Nobodys };
        let may = due::may_try(self.turns.tried, slot, self.retries(), now);
        if self.turns.done == Some(slot) || !may {
            return Turn::Nobodys;
        }
        let mut entries = rota::targets(catalog, slot, settings.sample, &self.turns.unread);
        if entries.is_empty() {
            return Turn::Nobodys;
        }
        let holds = self.turns.way.holds(slot);
        let wanted = entries.len();
        if holds {
            // A backup waits for one archive, and for no second.
            entries.truncate(1);
            tracing::info!(
                database = self.name(),
                backup = %entries[0].id,
                "backups fall due before a verify is done with one: this one may keep the next waiting"
            );
        }
        let (began, clock) = (self.environment.clock.now(), Instant::now());
        let (results, turn) = self.verify(entries, holds).await;
        let report = self.verify_report(results.as_ref(), began, clock.elapsed().as_secs_f64());
        let results = results.unwrap_or_default();
        self.note_turn(slot, &report, &results, results.len() == wanted);
        let gave_way = turn == Turn::Over && results.iter().any(|(_, result)| is_cancelled(result));
        let got_through = results.iter().any(|(_, result)| !is_cancelled(result));
        self.turns.way.note(slot, way::Ended { held: holds, gave_way, got_through });
        self.tell_verified(report, results).await;
        turn
    }

    /// Runs it as a task of its own, and listens meanwhile.
    async fn verify(&mut self, entries: Vec<Entry>, holds: bool) -> (Option<Results>, Turn) {
        let name = self.source.settings.name.clone();
        let began = self.environment.clock.now();
        let progress = self.state.update(&name, |database| database.began(JobKind::Verify, began));
        let progress = progress.unwrap_or_default();
        let cancel = CancellationToken::new();
        let options = Options {
            threads: self.environment.archive.threads,
            at_once: 1,
            record: true,
            patience: Patience::default(),
        };
        let (environment, layout) = (self.environment.clone(), self.source.layout.clone());
        let (token, span) = (cancel.clone(), tracing::info_span!("verify", database = name));
        let run = async move {
            let mut results = Results::new();
            let done = |entry: &Entry, result: Result<Verified, VerifyError>| {
                tell(entry, &result);
                results.push((entry.clone(), result));
            };
            verify::all(&environment, &layout, entries, options, &progress, &token, done).await;
            results
        };
        let mut running = tokio::spawn(run.instrument(span));
        let mut turn = Turn::Over;
        let results = loop {
            let order = tokio::select! {
                biased;
                results = &mut running => break results,
                () = self.lifecycle.soft.cancelled(), if !cancel.is_cancelled() => None,
                order = self.orders.next(), if !cancel.is_cancelled() => order,
            };
            match order {
                Some(Order::Nudge(settled)) => {
                    // Whoever waits, waits for the verify too, or for the backup.
                    self.turns.waiting.extend(settled);
                    if self.due_slot().is_none() || (holds && self.may_hold_on()) {
                        continue;
                    }
                }
                Some(Order::Start) => turn = Turn::Ordered,
                None => {}
            }
            cancel.cancel();
        };
        (results.ok(), turn)
    }

    /// Whether the backup that waits can still be made before the last good one
    /// is stale.
    fn may_hold_on(&self) -> bool {
        let Some(known) = self.state.database(self.name()) else { return false };
        let took = known.last_backup.map_or(0.0, |backup| backup.seconds);
        let took = Duration::try_from_secs_f64(took).unwrap_or_default();
        known.last_success.is_some_and(|last| {
            self.environment.clock.now() < way::holds_until(last, known.stale_after, took)
        })
    }

    /// Notes what became of a run; `of_all` says that it was of all that had its turn.
    fn note_turn(
        &mut self,
        slot: DateTime<Utc>,
        report: &RunReport,
        results: &Results,
        of_all: bool,
    ) {
        let gave_way = results.iter().any(|(_, result)| is_cancelled(result));
        for (entry, result) in results {
            match result {
                Ok(_) => self.turns.unread.forget(entry),
                Err(error) if is_failure(error) => self.turns.unread.note(entry, slot),
                Err(_) => {}
            }
        }
        // Damage that was found is an end, too, where it is written down; it
        // must not hide that another backup could not be read.
        let found = report.outcome == Outcome::Ok || report.stage == Some(Stage::Verify);
        let through = found && of_all && !gave_way;
        if through && !results.iter().any(|(_, result)| is_unsettled(result)) {
            self.turns.done = Some(slot);
        }
        if report.outcome == Outcome::Failed && !gave_way {
            let before = self.turns.tried.filter(|tried| tried.slot == slot);
            let failures = before.map_or(0, |tried| tried.failures) + 1;
            self.turns.tried = Some(Tried { slot, failures, last: self.environment.clock.now() });
        }
    }

    async fn tell_verified(&mut self, report: RunReport, results: Results) {
        let name = self.source.settings.name.clone();
        tracing::info!(
            database = name,
            outcome = report.outcome.as_str(),
            seconds = (report.seconds * 1000.0).round() / 1000.0,
            backups = results.iter().filter(|(_, result)| result.is_ok()).count(),
            damaged = results.iter().filter(|(_, result)| is_damaged(result)).count(),
            error = report.error,
            "verify"
        );
        self.metrics.run_ended(&name, &report);
        let (mut changed, now) = (false, self.environment.clock.now());
        for (entry, result) in &results {
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
        let unread = self.catalog.as_ref().map(|catalog| self.turns.unread.count(catalog));
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
        for (entry, result) in results {
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
