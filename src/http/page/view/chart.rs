//! Size, rows and duration over time.
//!
//! The last thirty days, an hour a point, since no more is known of them. Where
//! this process has made more backups than there are hours, as one that makes
//! some every hour does at first, the points are those backups.

use chrono::{DateTime, TimeDelta, Utc};

use super::{distance, moment, seconds};
use crate::{
    figures::{count, size},
    state::{BackupSize, DatabaseState},
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
    /// Where the time begins, in words.
    pub(in crate::http::page) from: String,
    /// The largest value, in words.
    pub(in crate::http::page) most: String,
    /// The newest value, in words.
    pub(in crate::http::page) newest: String,
    /// Everything that the picture says, in words.
    pub(in crate::http::page) words: String,
}

/// What a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Points {
    /// The best backup of an hour.
    Hours,
    /// A backup whose manifest was read: not all are.
    Sample,
    /// A backup of this process, each of which is there.
    Made,
}

impl Points {
    /// How many there are, in words.
    fn words(self, number: usize) -> String {
        match self {
            Self::Hours => format!("{number} hours shown, each by its best backup,"),
            Self::Sample => format!("a sample of {number} backups"),
            Self::Made => format!("{number} backups that this process made"),
        }
    }
}

/// The values of one picture.
type Values = Vec<(DateTime<Utc>, f64)>;

/// The three pictures; empty ones where nothing is known.
pub(super) fn charts(now: DateTime<Utc>, known: &DatabaseState) -> Vec<Chart> {
    let bytes = |bytes: f64| size(whole(bytes));
    let rows = |rows: f64| count(whole(rows));
    let good = known.stored.iter().filter(|(_, stored)| stored.worth == Worth::Good);
    let hours: Values = good.map(|(_, stored)| (stored.time, stored.bytes as f64)).collect();
    let made = |value: fn(&BackupSize) -> f64| {
        known.made.iter().map(|one| (one.time, value(&one.size))).collect()
    };
    let sample = |value: fn(&BackupSize) -> f64| {
        known.measures.iter().map(|(_, one)| (one.time, value(&one.size))).collect()
    };
    let is_young = known.made.iter().len() > hours.len().max(1);
    let measured = |value| {
        if is_young { (Points::Made, made(value)) } else { (Points::Sample, sample(value)) }
    };
    let sizes =
        if is_young { measured(|size| size.archive_bytes as f64) } else { (Points::Hours, hours) };
    vec![
        chart(now, "Size of the archive", sizes, bytes),
        chart(now, "Rows", measured(|size| size.rows as f64), rows),
        chart(now, "Duration of the backup", measured(|size| size.seconds), seconds),
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
    (kind, mut values): (Points, Values),
    words: impl Fn(f64) -> String,
) -> Chart {
    values.retain(|(time, value)| *time >= now - SPAN && *time <= now && value.is_finite());
    let first = values.first().map(|(time, _)| *time);
    let from = first.filter(|_| kind == Points::Made).unwrap_or(now - SPAN);
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let least = values.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let length = (now - from).num_seconds().max(1) as f64;
    let along = |time: DateTime<Utc>| (time - from).num_seconds() as f64 / length;
    let up = |value: f64| if most > 0.0 { value / most } else { 0.0 };
    let newest = values.last().map(|(_, value)| words(*value)).unwrap_or_default();
    let since = first.map(moment).unwrap_or_default();
    let told = match values.len() {
        0 => "nothing is known yet".to_owned(),
        1 => format!("one backup is known: {newest}"),
        number => format!(
            "{} since {since}: from {} to {}, the newest {newest}",
            kind.words(number),
            words(least),
            words(most)
        ),
    };
    Chart {
        title,
        points: values.iter().map(|(time, value)| (along(*time), up(*value))).collect(),
        from: if kind == Points::Made { distance(now, from) } else { "30 days ago".to_owned() },
        most: words(most),
        newest,
        words: told,
    }
}
