//! What is odd about the newest backup, from manifests alone: it is compared
//! with the scheduled backups of the day before it, or, where there are few of
//! them (after an outage, or with a daily schedule), with the last ones there
//! are. Pure.
//!
//! Their own median is what is normal, so that a slow change is none, and a
//! change that was meant stops being told after half a day.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::seen::Finding;
use crate::{archive::Manifest, figures::counted, visible::visible, words::Severity};

/// Backups no older than this, before the newest one, tell what is normal.
const DAY: TimeDelta = TimeDelta::hours(24);
/// With fewer of them nothing is normal yet.
const ENOUGH: usize = 3;
/// So many older ones tell it where the day has too few.
const OLDER: usize = 24;
/// So many tables are named; the others are counted.
const NAMED: usize = 10;

/// What counts as odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Whether anything does.
    pub enabled: bool,
    /// An archive or a table that lost this share of its size or rows, in percent.
    pub shrank: u8,
    /// A table with fewer rows than this cannot shrink; it can be emptied.
    pub table_rows: u64,
    /// A backup that took so many times as long.
    pub slower: u32,
    /// And longer by at least this.
    pub slower_by: TimeDelta,
    /// Tables that may do as they like; `schema.table` with `*` and `?`.
    pub ignore: Vec<String>,
}

/// What is kept of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The backup's id.
    pub id: String,
    /// When it began.
    pub time: DateTime<Utc>,
    /// How long it took, in whole seconds.
    pub seconds: u64,
    /// Size of its archive, in bytes.
    pub bytes: u64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The same as long as the schema is: tables, their columns, extensions and
    /// the length of all definitions.
    pub schema: String,
    columns: BTreeMap<String, Vec<String>>,
    definitions: u64,
}

impl Sample {
    /// What is kept of it.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let named =
            |table: &crate::archive::manifest::Table| format!("{}.{}", table.schema, table.name);
        let columns: BTreeMap<_, _> =
            manifest.tables.iter().map(|table| (named(table), table.columns.clone())).collect();
        let sections = [&manifest.sections.pre_data, &manifest.sections.post_data];
        let definitions = sections.into_iter().flatten().map(|member| member.uncompressed).sum();
        let mut extensions: Vec<_> = manifest
            .source
            .extensions
            .iter()
            .map(|extension| (&extension.name, &extension.version, &extension.schema))
            .collect();
        extensions.sort();
        // Debug quotes names, so that no two schemas are written alike.
        let schema = format!("{columns:?}{extensions:?}{definitions}");
        let schema = Sha256::digest(schema).iter().map(|byte| format!("{byte:02x}")).collect();
        let took = manifest.finished - manifest.started;
        Self {
            id: manifest.id.clone(),
            time: manifest.started,
            seconds: u64::try_from(took.num_seconds()).unwrap_or(0),
            bytes: manifest.archive.bytes,
            rows: manifest.tables.iter().map(|table| (named(table), table.rows)).collect(),
            schema,
            columns,
            definitions,
        }
    }
}

#[cfg(test)]
impl Sample {
    /// A backup of an hour, for tests.
    pub(super) fn test(time: DateTime<Utc>, bytes: u64, rows: &[(&str, u64)]) -> Self {
        let rows: BTreeMap<_, _> =
            rows.iter().map(|&(table, rows)| (table.to_owned(), rows)).collect();
        let columns: BTreeMap<_, _> =
            rows.keys().map(|table| (table.clone(), vec!["id".to_owned()])).collect();
        let schema = format!("{columns:?}");
        let id = crate::catalog::BackupId::at(time).to_string();
        Self { id, time, seconds: 60, bytes, rows, schema, columns, definitions: 1000 }
    }
}

/// What is odd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anomalies {
    /// Whether there were enough backups to tell: where there were not, what was
    /// odd before is not over.
    pub compared: bool,
    /// What somebody should look at.
    pub problems: Vec<Finding>,
    /// What is good to know: name, title, lines.
    pub news: Vec<(String, String, Vec<String>)>,
}

/// With how many of the backups that were made at `times`, oldest first, one made
/// at `newest` is compared: the last ones.
#[must_use]
pub fn usual(times: &[DateTime<Utc>], newest: DateTime<Utc>) -> usize {
    let of_the_day = times.iter().filter(|time| newest - **time <= DAY).count();
    if of_the_day >= ENOUGH { of_the_day } else { times.len().min(OLDER) }
}

/// Compares the newest backup with those before it, which are given oldest
/// first, the newest last.
#[must_use]
pub fn anomalies(samples: &[Sample], thresholds: &Thresholds) -> Anomalies {
    if !thresholds.enabled {
        // Nothing is odd where nobody wants to know.
        return Anomalies { compared: true, ..Anomalies::default() };
    }
    let Some((newest, before)) = samples.split_last() else { return Anomalies::default() };
    let times: Vec<_> = before.iter().map(|sample| sample.time).collect();
    let usual = &before[before.len() - usual(&times, newest.time)..];
    let news = usual.last().map(|last| schema(last, newest)).unwrap_or_default();
    let mut found = Anomalies { news, ..Anomalies::default() };
    if usual.len() >= ENOUGH {
        found.compared = true;
        let compared = Compared { newest, usual, thresholds };
        let all = [
            ("anomaly_shrank", compared.shrank()),
            ("anomaly_emptied", compared.emptied()),
            ("anomaly_gone", compared.gone()),
            ("anomaly_slow", compared.slow()),
        ];
        found.problems = all
            .into_iter()
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(problem, lines)| Finding {
                problem: problem.to_owned(),
                severity: Severity::Warning,
                lines: newest_first(&newest.id, lines),
                stage: None,
            })
            .collect();
    }
    found
}

struct Compared<'a> {
    newest: &'a Sample,
    usual: &'a [Sample],
    thresholds: &'a Thresholds,
}

impl Compared<'_> {
    fn shrank(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let usual = median(self.usual.iter().map(|sample| sample.bytes));
        if self.is_less(self.newest.bytes, usual) {
            lines.push(format!(
                "the archive has {} bytes, and those before it had {usual} ({})",
                self.newest.bytes,
                percent(self.newest.bytes, usual),
            ));
        }
        for (table, &rows) in &self.newest.rows {
            let usual = self.rows(table);
            // A table that has none is told of as such.
            if rows > 0 && usual >= self.thresholds.table_rows && self.is_less(rows, usual) {
                let less = percent(rows, usual);
                let (table, rows) = (visible(table), counted(rows, "row"));
                lines.push(format!("{table} has {rows}, and had {usual} ({less})"));
            }
        }
        self.named(lines)
    }

    /// Tables that had rows in every backup until some time, and in
    /// none since. A queue, which is empty at times, had none before that too.
    fn emptied(&self) -> Vec<String> {
        let emptied = self.newest.rows.iter().filter(|&(table, &rows)| {
            let filled: Vec<bool> = self
                .usual
                .iter()
                .filter_map(|sample| sample.rows.get(table))
                .map(|&rows| rows > 0)
                .collect();
            let with_rows = filled.iter().take_while(|&&filled| filled).count();
            let at_once = filled[with_rows..].iter().all(|&filled| !filled);
            rows == 0 && at_once && with_rows * 2 > self.usual.len() && self.tell(table)
        });
        let line = |table| format!("{} has no rows, and had {}", visible(table), self.rows(table));
        self.named(emptied.map(|(table, _)| line(table)).collect())
    }

    /// Tables that were in more than half of the backups before.
    fn gone(&self) -> Vec<String> {
        let mut seen: BTreeMap<&String, usize> = BTreeMap::new();
        for table in self.usual.iter().flat_map(|sample| sample.rows.keys()) {
            *seen.entry(table).or_default() += 1;
        }
        let gone = seen.into_iter().filter(|(table, times)| {
            times * 2 > self.usual.len()
                && self.tell(table)
                && !self.newest.rows.contains_key(*table)
        });
        let line = |table| {
            let usual = counted(self.rows(table), "row");
            format!("{} is not in it, and had {usual}", visible(table))
        };
        self.named(gone.map(|(table, _)| line(table)).collect())
    }

    fn slow(&self) -> Vec<String> {
        let usual = median(self.usual.iter().map(|sample| sample.seconds));
        let took = self.newest.seconds;
        let by = u64::try_from(self.thresholds.slower_by.num_seconds()).unwrap_or(0);
        let limit = usual.saturating_mul(u64::from(self.thresholds.slower));
        if took <= limit || took < usual.saturating_add(by) {
            return Vec::new();
        }
        vec![format!("it took {took} s, and those before it took {usual} s")]
    }

    /// The rows that a table usually has, in the backups that hold it.
    fn rows(&self, table: &str) -> u64 {
        if !self.tell(table) {
            return 0;
        }
        median(self.usual.iter().filter_map(|sample| sample.rows.get(table).copied()))
    }

    fn is_less(&self, now: u64, usual: u64) -> bool {
        let kept = 100 - u128::from(self.thresholds.shrank.min(100));
        u128::from(now) * 100 < u128::from(usual) * kept
    }

    fn tell(&self, table: &str) -> bool {
        !self.thresholds.ignore.iter().any(|pattern| matches(pattern, table))
    }

    fn named(&self, mut lines: Vec<String>) -> Vec<String> {
        let more = lines.len().saturating_sub(NAMED);
        lines.truncate(NAMED);
        if more > 0 {
            lines
                .push(format!("and {more} more; compare with `reliquary show {}`", self.newest.id));
        }
        lines
    }
}

/// What changed in the schema, where its hash did.
fn schema(before: &Sample, newest: &Sample) -> Vec<(String, String, Vec<String>)> {
    if before.schema == newest.schema {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (table, columns) in &newest.columns {
        let shown = visible(table);
        match before.columns.get(table) {
            None => lines.push(format!("table {shown} is new")),
            Some(old) if old != columns => {
                let new: Vec<_> = columns.iter().filter(|c| !old.contains(c)).cloned().collect();
                let gone: Vec<_> = old.iter().filter(|c| !columns.contains(c)).cloned().collect();
                let part = |what, names: &[String]| match names {
                    [] => String::new(),
                    names => format!("; {what}: {}", visible(&names.join(", "))),
                };
                let parts = part("new columns", &new) + &part("dropped columns", &gone);
                lines.push(format!("table {shown} has changed{parts}"));
            }
            Some(_) => {}
        }
    }
    let dropped = before.columns.keys().filter(|table| !newest.columns.contains_key(*table));
    lines.extend(dropped.map(|table| format!("table {} was dropped", visible(table))));
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    if more > 0 {
        lines.push(format!("and {more} more tables"));
    }
    if before.definitions != newest.definitions {
        lines.push(format!(
            "all definitions together have {} bytes, and had {}",
            newest.definitions, before.definitions
        ));
    }
    if lines.is_empty() {
        lines.push("an extension was added, dropped, moved or updated".to_owned());
    }
    let title = "the schema has changed".to_owned();
    vec![(format!("schema:{}", newest.id), title, newest_first(&newest.id, lines))]
}

fn newest_first(id: &str, lines: Vec<String>) -> Vec<String> {
    [format!("in backup {id}, compared with those before it:")].into_iter().chain(lines).collect()
}

/// The middle one, the lower of two.
fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

fn percent(now: u64, usual: u64) -> String {
    let less = u128::from(usual.saturating_sub(now)) * 100 / u128::from(usual.max(1));
    format!("{less}% less")
}

/// Whether a name fits a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
#[path = "anomaly_tests.rs"]
mod tests;
