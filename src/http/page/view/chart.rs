//! Size, rows and duration over time.

use chrono::{DateTime, TimeDelta, Utc};

use super::{moment, seconds};
use crate::{
    figures::{count, size},
    state::DatabaseState,
    words::Worth,
};

/// How far back.
const SPAN: TimeDelta = TimeDelta::days(30);

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::page) struct Chart {
    pub(in crate::http::page) title: &'static str,
    /// Where each point is, from 0 to 1: along the time, and up from zero to
    /// the largest value. Oldest first.
    pub(in crate::http::page) points: Vec<(f64, f64)>,
    /// The largest value, in words.
    pub(in crate::http::page) most: String,
    /// The newest value, in words.
    pub(in crate::http::page) newest: String,
    /// Everything that the picture says, in words.
    pub(in crate::http::page) words: String,
}

/// The three pictures; empty ones where nothing is known.
pub(super) fn charts(now: DateTime<Utc>, known: &DatabaseState) -> Vec<Chart> {
    let sizes = known.stored.iter().filter(|(_, stored)| stored.worth == Worth::Good);
    let sizes = sizes.map(|(_, stored)| (stored.time, stored.bytes as f64)).collect();
    let measures = |value: fn(&crate::state::BackupSize) -> f64| {
        known.measures.iter().map(|(_, one)| (one.time, value(&one.size))).collect()
    };
    vec![
        chart(now, "Size of the archive", sizes, |bytes| size(whole(bytes))),
        chart(now, "Rows", measures(|size| size.rows as f64), |rows| count(whole(rows))),
        chart(now, "Duration of the backup", measures(|size| size.seconds), seconds),
    ]
}

/// A value that was a whole number before it was drawn.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, never negative, and a cast saturates"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn chart(
    now: DateTime<Utc>,
    title: &'static str,
    mut values: Vec<(DateTime<Utc>, f64)>,
    words: impl Fn(f64) -> String,
) -> Chart {
    let from = now - SPAN;
    values.retain(|(time, value)| *time >= from && *time <= now && value.is_finite());
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let least = values.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let along =
        |time: DateTime<Utc>| (time - from).num_seconds() as f64 / SPAN.num_seconds() as f64;
    let up = |value: f64| if most > 0.0 { value / most } else { 0.0 };
    let newest = values.last().map(|(_, value)| words(*value)).unwrap_or_default();
    let since = values.first().map(|(time, _)| moment(*time)).unwrap_or_default();
    let told = match values.len() {
        0 => "nothing is known yet".to_owned(),
        1 => format!("one backup is known: {newest}"),
        points => format!(
            "{points} backups since {since}: from {} to {}, the newest {newest}",
            words(least),
            words(most)
        ),
    };
    Chart {
        title,
        points: values.iter().map(|(time, value)| (along(*time), up(*value))).collect(),
        most: words(most),
        newest,
        words: told,
    }
}
