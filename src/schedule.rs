//! When the runners are nudged: by one table of what and when, and by a heartbeat.
//!
//! tokio-cron-scheduler only nudges. It has no guard against overlap, no
//! catch-up, and does not wait for jobs at shutdown, so it runs nothing itself:
//! a nudge makes a runner look whether anything is due.
//!
//! It hits the second of a slot, and it is not trusted beyond that: it keeps the
//! time of its next nudge, so that a clock that is set back silences it until the
//! old time has come again. What makes backups go on is the heartbeat, which
//! counts seconds and knows nothing of the clock.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::task::AbortOnDropHandle;

use crate::{jobs::Handle, state::State};

/// Between two looks at the clock for everyone, whatever the schedules say. They
/// make the retries, catch up a slot over which the machine slept or which the
/// clock was set over, and are the sign of life that `/livez` wants to see.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// A cron line of six fields, in UTC.
    pub cron: String,
    /// Who is nudged.
    pub runners: Vec<Handle>,
}

/// What nudges; it stops when it is dropped or shut down.
#[must_use = "nobody is nudged any more as soon as this is dropped"]
pub struct Schedule {
    crons: JobScheduler,
    heartbeat: AbortOnDropHandle<()>,
}

/// Starts nudging, with a heartbeat every `period`.
///
/// # Errors
/// When the scheduler does not start; the settings have checked the lines.
pub async fn start(
    lines: Vec<Line>,
    state: &State,
    period: Duration,
) -> Result<Schedule, JobSchedulerError> {
    let everyone = lines.iter().flat_map(|line| line.runners.clone()).collect();
    let crons = JobScheduler::new().await?;
    for Line { cron, runners } in lines {
        let job = Job::new_async(cron, move |_, _| {
            runners.iter().for_each(Handle::nudge);
            Box::pin(std::future::ready(()))
        })?;
        crons.add(job).await?;
    }
    crons.start().await?;
    let heartbeat = tokio::spawn(beat(everyone, state.clone(), period));
    Ok(Schedule { crons, heartbeat: AbortOnDropHandle::new(heartbeat) })
}

impl Schedule {
    /// Stops nudging.
    ///
    /// # Errors
    /// When the scheduler does not stop; the heartbeat has by then.
    pub async fn shutdown(mut self) -> Result<(), JobSchedulerError> {
        self.heartbeat.abort();
        // It was told to stop, and answers that it did.
        let _ = self.heartbeat.await;
        self.crons.shutdown().await
    }
}

/// Nudges everyone for ever. Beats that were missed are not made up for: one
/// look finds whatever is due.
async fn beat(everyone: Vec<Handle>, state: State, period: Duration) {
    let mut beats = interval_at(Instant::now() + period, period);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        beats.tick().await;
        state.beat();
        everyone.iter().for_each(Handle::nudge);
    }
}
