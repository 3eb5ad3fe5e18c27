//! Removes what retention no longer keeps, and debris.
//!
//! First everything is decided, from one complete listing, the store's clock
//! and ours, what drills have found, and the newest good backup that was read back;
//! only then is
//! anything removed. Whatever makes a decision doubtful refuses the whole sweep.
//!
//! The order of the removals is what makes a crash harmless: the manifest goes
//! first, so that a backup that is half removed is none any more; the archive
//! is next, and its checksum file last, since it is what tells our archive
//! without a manifest from a legacy one. Whatever is left, the next sweep finds
//! as debris. Two sweeps at once remove the same things, and what is gone
//! already is no error.
//!
//! A backup that is being restored, fetched or verified elsewhere is not
//! spared: nobody tells the bucket that they are reading.

mod decide;
mod outcome;
mod remove;

use tokio_util::sync::CancellationToken;

pub use self::{
    decide::decide,
    outcome::{Decided, Done, Left, Removal, Stopped, SweepError},
    remove::remove,
};
use super::Environment;
use crate::{
    catalog::Layout,
    retention::{
        Policy,
        lifecycle::{self, Finding, Remover},
    },
    settings::{DatabaseSettings, SweepMode},
    state::Progress,
    words::Stage,
};

/// Sweeps one database's prefix, exactly as the schedule does; or, where the
/// bucket's own rules remove, holds them against retention.
///
/// # Errors
/// When the sweep is refused, or the bucket's rules cannot be read. What could
/// not be removed is in the outcome.
pub async fn run(
    environment: &Environment,
    settings: &DatabaseSettings,
    layout: &Layout,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Done, SweepError> {
    if settings.sweep.mode == SweepMode::Lifecycle {
        return Ok(Done::Checked(rules(environment, settings, layout, progress).await?));
    }
    let decided = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(SweepError::Cancelled),
        decided = decide(environment, settings, layout, false, progress) => decided?,
    };
    if let Some(refusal) = decided.refusal {
        return Err(SweepError::Refused(refusal));
    }
    let removal = remove(environment.store.as_ref(), layout, &decided, progress, cancel).await;
    Ok(Done::Swept(removal))
}

/// Holds the bucket's lifecycle rules against retention; removes nothing.
///
/// # Errors
/// When they cannot be read.
pub async fn rules(
    environment: &Environment,
    settings: &DatabaseSettings,
    layout: &Layout,
    progress: &Progress,
) -> Result<Vec<Finding>, SweepError> {
    progress.enter(Stage::Lifecycle);
    let rules = environment.store.lifecycle_rules().await.map_err(SweepError::Rules)?;
    let policy = Policy::of(settings);
    Ok(lifecycle::compare(&rules.unwrap_or_default(), &policy, layout, Remover::Bucket))
}
