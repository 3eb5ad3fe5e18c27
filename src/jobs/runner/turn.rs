//! Jobs that have their turn while no backup is due: one file a job, one line
//! in [`Runner::turn`].
//!
//! None of them ever makes a backup late. The runner goes on listening while one
//! runs, and stops it as soon as a backup falls due or is asked for; what is
//! left of it has its turn afterwards. One that would never get done that way may
//! hold on for a while, and one that is in no backup's way goes on beside it (see
//! [`Manner`]). A slot that was missed while the process was down has its turn at
//! the next look. One that does not stop when it is told to, or never ends, is left
//! behind (see [`Limits`]).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::oneshot,
    task::{AbortHandle, JoinHandle},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Order, Runner, audit::Audit, drill::Drill, sweep::Sweep, verify::Verify};
use crate::{
    jobs::{
        Environment, Source,
        due::{self, Tried},
        way,
    },
    settings::{DatabaseSettings, Schedule},
    state::{DatabaseState, Progress, RunReport},
    words::JobKind,
};

/// A job that has its turn.
pub(super) trait InTurn {
    /// Which one it is.
    const JOB: JobKind;
    /// What there is to do.
    type Task: Send + 'static;
    /// What it came to; the default is what it came to when it broke down.
    type Results: Default + Send + 'static;

    /// When it has its turn; `None` where the settings say never.
    fn schedule(settings: &DatabaseSettings) -> Option<&Schedule>;

    /// What there is to do for a slot; `None` where there is nothing.
    fn prepare(runner: &Runner, slot: DateTime<Utc>) -> Option<Self::Task>;

    /// What it does when a backup is due or asked for.
    fn manner(_: &Self::Task) -> Manner {
        Manner::GivesWay
    }

    /// How long it may take, and take to stop; the default is as long as it likes.
    fn limits(_: &DatabaseSettings) -> Limits {
        Limits::default()
    }

    /// Does it, and stops when `cancel` is cancelled.
    fn run(
        environment: Environment,
        source: Source,
        task: Self::Task,
        progress: Progress,
        cancel: CancellationToken,
    ) -> impl Future<Output = Self::Results> + Send + 'static;

    /// How it ended; `None` stands for a run that broke down.
    fn report(
        runner: &Runner,
        results: Option<&Self::Results>,
        started: DateTime<Utc>,
        seconds: f64,
    ) -> RunReport;

    /// What that makes of its slot.
    fn end(report: &RunReport, results: &Self::Results) -> End;

    /// Remembers what later runs heed.
    fn note(_: &mut Runner, _: DateTime<Utc>, _: &Self::Results, _: Turn) {}

    /// Tells log, metrics and state.
    fn tell(
        runner: &mut Runner,
        report: RunReport,
        results: Self::Results,
    ) -> impl Future<Output = ()> + Send;
}

/// What a job does when a backup is due or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It stops.
    GivesWay,
    /// It keeps a backup that is due waiting, as long as that one can still be
    /// made before the last good one is stale.
    HoldsOn,
    /// It goes on while the backup is made.
    GoesOn,
}

/// How long backups can be kept waiting by what hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// After so long it is told to stop.
    pub(super) longest: Option<Duration>,
    /// So long after that nobody waits for it any more.
    pub(super) patience: Option<Duration>,
}

/// What comes first of a run that is waited for.
#[derive(Debug)]
enum Came<T> {
    /// It has ended; `None` where it broke down.
    Ended(Option<T>),
    /// It has had its time, and is to be told so.
    TimeIsUp,
    /// It was told to stop, has not, and nobody waits any more.
    LeftBehind,
}

impl Limits {
    /// Waits for a run that began at `began`, and for no longer than this says.
    async fn wait<T>(
        self,
        began: tokio::time::Instant,
        running: &mut JoinHandle<T>,
        told: &CancellationToken,
    ) -> Came<T> {
        let after = async |limit: Option<Duration>, since: tokio::time::Instant| match limit {
            // A limit of which the clock knows no end is none.
            Some(limit) if since.checked_add(limit).is_some() => {
                tokio::time::sleep_until(since + limit).await;
            }
            _ => std::future::pending().await,
        };
        tokio::select! {
            biased;
            results = running => Came::Ended(results.ok()),
            () = after(self.longest, began), if !told.is_cancelled() => Came::TimeIsUp,
            () = async {
                told.cancelled().await;
                after(self.patience, tokio::time::Instant::now()).await;
            } => Came::LeftBehind,
        }
    }
}

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It has had its run.
    Done,
    /// It is tried again, after a pause.
    Failed,
    /// It is tried again, after a pause, however often: another one is at it.
    Waits,
    /// It goes on where it stopped.
    GaveWay,
}

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

/// Which slots have had their run.
#[derive(Debug, Default)]
pub(super) struct Turns {
    slots: BTreeMap<JobKind, Slots>,
    /// Runs that were left behind: none of their kind begins before they have ended.
    left_behind: BTreeMap<JobKind, AbortHandle>,
    /// Who was told to wait while one ran; dropped when all is done.
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slots {
    /// The slot whose run came to its end.
    done: Option<DateTime<Utc>>,
    tried: Option<Tried>,
}

impl Turns {
    /// All that was due is done.
    pub(super) fn settle(&mut self) {
        self.waiting.clear();
    }
}

impl Runner {
    /// Lets a job have its turn, until it is done or something comes in
    /// between; that is for the caller to look at.
    pub(super) async fn turn(&mut self, job: JobKind) -> Turn {
        match job {
            // It waits for nobody's turn.
            JobKind::Backup => Turn::Nobodys,
            JobKind::Verify => self.in_turn::<Verify>().await,
            JobKind::Sweep => self.in_turn::<Sweep>().await,
            JobKind::Audit => self.in_turn::<Audit>().await,
            JobKind::Drill => self.in_turn::<Drill>().await,
        }
    }

    /// When a job's next slot is.
    pub(super) fn next_slot(&self, job: JobKind) -> Option<DateTime<Utc>> {
        let settings = &self.source.settings;
        let schedule = match job {
            JobKind::Backup => Some(&settings.schedule),
            JobKind::Verify => Verify::schedule(settings),
            JobKind::Sweep => Sweep::schedule(settings),
            JobKind::Audit => Audit::schedule(settings),
            JobKind::Drill => Drill::schedule(settings),
        };
        due::next_slot(&schedule?.cron, self.environment.clock.now())
    }

    async fn in_turn<J: InTurn>(&mut self) -> Turn {
        let began = self.environment.clock.now();
        let schedule = J::schedule(&self.source.settings);
        let Some(slot) = schedule.and_then(|schedule| due::newest_slot(&schedule.cron, began))
        else {
            return Turn::Nobodys;
        };
        if self.turns.left_behind.get(&J::JOB).is_some_and(|run| !run.is_finished()) {
            return Turn::Nobodys;
        }
        let slots = self.turns.slots.get(&J::JOB).copied().unwrap_or_default();
        let may = due::may_try(slots.tried, slot, self.retries(), began);
        if slots.done == Some(slot) || !may {
            return Turn::Nobodys;
        }
        let Some(task) = J::prepare(self, slot) else { return Turn::Nobodys };
        let name = self.source.settings.name.clone();
        let progress = self.state.update(&name, |database| database.began(J::JOB, began));
        let (clock, cancel) = (Instant::now(), CancellationToken::new());
        let (environment, source) = (self.environment.clone(), self.source.clone());
        let manner = J::manner(&task);
        let run = J::run(environment, source, task, progress.unwrap_or_default(), cancel.clone());
        let span = tracing::info_span!("job", job = J::JOB.as_str(), database = name);
        let running = tokio::spawn(run.instrument(span));
        let limits = J::limits(&self.source.settings);
        let (results, turn) = self.listen(J::JOB, running, manner, limits, &cancel).await;
        let report = J::report(self, results.as_ref(), began, clock.elapsed().as_secs_f64());
        let results = results.unwrap_or_default();
        self.note_turn(J::JOB, slot, J::end(&report, &results));
        J::note(self, slot, &results, turn);
        J::tell(self, report, results).await;
        turn
    }

    /// Waits for a run, and listens meanwhile.
    async fn listen<T>(
        &mut self,
        job: JobKind,
        mut running: JoinHandle<T>,
        manner: Manner,
        limits: Limits,
        cancel: &CancellationToken,
    ) -> (Option<T>, Turn) {
        let (mut turn, began) = (Turn::Over, tokio::time::Instant::now());
        let results = loop {
            let order = tokio::select! {
                biased;
                came = limits.wait(began, &mut running, cancel) => match came {
                    Came::Ended(results) => break results,
                    Came::TimeIsUp => None,
                    Came::LeftBehind => {
                        self.leave_behind(job, &running);
                        break None;
                    }
                },
                () = self.lifecycle.soft.cancelled(), if !cancel.is_cancelled() => None,
                order = self.orders.next(), if !cancel.is_cancelled() => order,
            };
            match order {
                Some(Order::Nudge(settled)) => {
                    // Whoever waits, waits for this run too, or for the backup.
                    self.turns.waiting.extend(settled);
                    match (self.due_slot(), manner) {
                        (None, _) => continue,
                        (Some(_), Manner::HoldsOn) if self.may_hold_on() => continue,
                        (slot, Manner::GoesOn) => {
                            self.attempt_beside(slot).await;
                            continue;
                        }
                        _ => {}
                    }
                }
                Some(Order::Start) if manner == Manner::GoesOn => {
                    self.attempt_beside(None).await;
                    continue;
                }
                Some(Order::Start) => turn = Turn::Ordered,
                None => {}
            }
            cancel.cancel();
        };
        (results, turn)
    }

    /// Goes on without a run that hangs.
    fn leave_behind<T>(&mut self, job: JobKind, running: &JoinHandle<T>) {
        tracing::error!(
            database = self.name(),
            job = job.as_str(),
            "a run that was told to stop has not, and is left behind; until it ends, none of its \
             kind begins. A restart ends it"
        );
        running.abort();
        self.turns.left_behind.insert(job, running.abort_handle());
    }

    /// Makes an attempt at a backup while a job goes on.
    async fn attempt_beside(&mut self, slot: Option<DateTime<Utc>>) {
        let name = self.source.settings.name.clone();
        self.state.update(&name, DatabaseState::step_aside);
        self.attempt(slot).await;
        self.state.update(&name, DatabaseState::step_back);
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

    fn note_turn(&mut self, job: JobKind, slot: DateTime<Utc>, end: End) {
        let last = self.environment.clock.now();
        let slots = self.turns.slots.entry(job).or_default();
        let before = slots.tried.filter(|tried| tried.slot == slot);
        let failures = before.map_or(0, |tried| tried.failures);
        match end {
            End::Done => slots.done = Some(slot),
            End::Failed => slots.tried = Some(Tried { slot, failures: failures + 1, last }),
            End::Waits => slots.tried = Some(Tried { slot, failures, last }),
            End::GaveWay => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(20);

    /// A run that heeds nothing.
    fn hangs() -> JoinHandle<()> {
        tokio::spawn(std::future::pending())
    }

    #[tokio::test]
    async fn a_run_that_hangs_is_told_to_stop_when_its_time_is_up_and_then_left_behind() {
        let (mut running, told) = (hangs(), CancellationToken::new());
        let began = tokio::time::Instant::now();
        let limits = Limits { longest: Some(SHORT), patience: Some(SHORT) };
        assert!(matches!(limits.wait(began, &mut running, &told).await, Came::TimeIsUp));
        told.cancel();
        assert!(matches!(limits.wait(began, &mut running, &told).await, Came::LeftBehind));
        // A backup that is due tells it so at any time, while it is waited for too.
        let (told, limits) = (CancellationToken::new(), Limits { longest: Some(LONG), ..limits });
        let due = async { told.cancel() };
        let (came, ()) = tokio::join!(limits.wait(began, &mut running, &told), due);
        assert!(matches!(came, Came::LeftBehind));
    }

    #[tokio::test]
    async fn a_run_that_ends_in_its_time_is_heard_out() {
        let (began, told) = (tokio::time::Instant::now(), CancellationToken::new());
        let limits = Limits { longest: Some(LONG), patience: Some(LONG) };
        let wait = async |limits: Limits, running: &mut JoinHandle<i32>| {
            limits.wait(began, running, &told).await
        };
        let came = wait(limits, &mut tokio::spawn(async { 7 })).await;
        assert!(matches!(came, Came::Ended(Some(7))));
        let stopped = told.clone();
        told.cancel();
        let heeds = async move {
            stopped.cancelled().await;
            tokio::time::sleep(SHORT).await;
            7
        };
        let came = wait(limits, &mut tokio::spawn(heeds)).await;
        assert!(matches!(came, Came::Ended(Some(7))));
        let never = Limits { longest: Some(Duration::MAX), patience: Some(Duration::MAX) };
        let came = wait(never, &mut tokio::spawn(async { 7 })).await;
        assert!(matches!(came, Came::Ended(Some(7))));
    }
}
