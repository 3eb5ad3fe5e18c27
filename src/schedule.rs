//! When the runners are nudged: one table of what and when.
//!
//! tokio-cron-scheduler only nudges. It has no guard against overlap, no
//! catch-up, and does not wait for jobs at shutdown, so it runs nothing itself:
//! a nudge makes a runner look whether anything is due.

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::{jobs::Handle, state::State};

/// A look at the clock for everyone, whatever the schedules say. It makes the
/// retries, catches up a slot over which the machine slept, and, since it comes
/// through the scheduler, is the sign of life that `/livez` wants to see.
const HEARTBEAT: &str = "*/10 * * * * *";

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// A cron line of six fields, in UTC.
    pub cron: String,
    /// Who is nudged.
    pub runners: Vec<Handle>,
}

/// Starts nudging. It stops when [`JobScheduler::shutdown`] is called.
///
/// # Errors
/// When the scheduler does not start; the settings have checked the lines.
pub async fn start(lines: Vec<Line>, state: &State) -> Result<JobScheduler, JobSchedulerError> {
    let everyone = lines.iter().flat_map(|line| line.runners.clone()).collect();
    let heartbeat = Line { cron: HEARTBEAT.to_owned(), runners: everyone };
    let scheduler = JobScheduler::new().await?;
    for line in lines.into_iter().chain([heartbeat]) {
        let (state, runners) = (state.clone(), line.runners);
        let job = Job::new_async(line.cron, move |_, _| {
            state.beat();
            runners.iter().for_each(Handle::nudge);
            Box::pin(std::future::ready(()))
        })?;
        scheduler.add(job).await?;
    }
    scheduler.start().await?;
    Ok(scheduler)
}
