//! The end of a restore that stopped: no session of it stays on the server.

use std::time::Duration;

use super::{
    blame::Blame,
    error::RestoreError,
    failure::Failure,
    post::LeftOut,
    progress::Progress,
    stopped::{Loaded, Stopped},
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

/// What is known of a restore that stopped, beside its progress.
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact")]
pub(super) struct Known {
    /// Whether anything of the target was changed.
    pub(super) touched: bool,
    /// Tables that a part was to make, named as SQL writes them.
    pub(super) making: Option<Vec<String>>,
    /// See [`Stopped::marked`].
    pub(super) marked: bool,
    /// See [`Stopped::defines`].
    pub(super) defines: bool,
    /// Whether the server may have taken more than was counted.
    pub(super) uncounted: bool,
    /// See [`Stopped::wants_word`].
    pub(super) wants_word: bool,
    /// See [`Stopped::lacking`].
    pub(super) lacking: Vec<String>,
    /// See [`Stopped::denied`].
    pub(super) denied: Vec<LeftOut>,
}

/// Ends what the server still does for us, and says what had been done by then.
pub(super) async fn stopped(
    cause: Cause,
    url: &ConnectionUrl,
    progress: &Progress,
    known: Known,
) -> RestoreError {
    let Known { touched, making, marked, defines, uncounted, wants_word, lacking, denied } = known;
    let (failure, cancelled) = match cause {
        Cause::Failed(failure) => (failure, false),
        Cause::Cancelled => {
            let message = "it was told to stop".to_owned();
            (Failure { at: None, message, blame: Blame::Unknown }, true)
        }
    };
    let (left_behind, absent) = end_sessions(url, making.as_deref().unwrap_or_default()).await;
    let not_whole = making.map(|tables| {
        let made = tables.into_iter().filter(|table| !absent.contains(table));
        if touched { made.collect() } else { Vec::new() }
    });
    let seen = progress.report();
    RestoreError::Stopped(Box::new(Stopped {
        stage: seen.stage,
        at: failure.at,
        message: url.mask(&failure.message),
        blame: failure.blame,
        cancelled,
        loaded: (!uncounted).then_some(Loaded { tables: seen.tables, rows: seen.rows }),
        left_behind,
        touched,
        not_whole,
        marked,
        defines,
        wants_word,
        lacking,
        denied,
    }))
}

/// Ends what the server still does for us; returns how many sessions are left,
/// where it can be asked, and which of these tables are surely not there.
async fn end_sessions(url: &ConnectionUrl, tables: &[String]) -> (Option<i64>, Vec<String>) {
    let ending = async {
        let mut session =
            Target::another(&url.with_application("reliquary"), END_WITHIN).await.ok()?;
        let left = session.end_others(url.application()).await.ok()?;
        let absent = session.absent(tables).await.unwrap_or_default();
        session.close().await;
        Some((left, absent))
    };
    let ended = tokio::time::timeout(END_WITHIN, ending).await.ok().flatten();
    ended.map_or((None, Vec::new()), |(left, absent)| (Some(left), absent))
}
