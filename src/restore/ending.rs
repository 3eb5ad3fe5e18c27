//! The end of a restore that stopped: no session of it stays on the server.

use std::time::Duration;

use super::{
    error::{Failure, Loaded, RestoreError, Stopped},
    progress::Progress,
};
use crate::postgres::{ConnectionUrl, Target};

/// How long ending our sessions may take.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Why a restore stopped.
pub(super) enum Cause {
    /// A stage failed.
    Failed(Failure),
    /// It was told to stop.
    Cancelled,
}

/// Ends what the server still does for us, and says what had been done by then.
pub(super) async fn stopped(
    cause: Cause,
    url: &ConnectionUrl,
    progress: &Progress,
    touched: bool,
) -> RestoreError {
    let (failure, cancelled) = match cause {
        Cause::Failed(failure) => (failure, false),
        Cause::Cancelled => (Failure { at: None, message: "it was told to stop".to_owned() }, true),
    };
    let left_behind = end_sessions(url).await;
    let seen = progress.report();
    RestoreError::Stopped(Box::new(Stopped {
        stage: seen.stage,
        at: failure.at,
        message: url.mask(&failure.message),
        cancelled,
        loaded: Loaded { tables: seen.tables, rows: seen.rows },
        left_behind,
        touched,
    }))
}

/// Ends what the server still does for us; returns how many sessions are left,
/// where it can be asked.
async fn end_sessions(url: &ConnectionUrl) -> Option<i64> {
    let ending = async {
        let mut session =
            Target::another(&url.with_application("reliquary"), END_WITHIN).await.ok()?;
        let left = session.end_others(url.application()).await.ok()?;
        session.close().await;
        Some(left)
    };
    tokio::time::timeout(END_WITHIN, ending).await.ok().flatten()
}
