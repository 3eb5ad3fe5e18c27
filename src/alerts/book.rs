//! What was told of a database, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    advice::advice,
    pending::Pending,
    seen::{ANOMALY, BACKUPS, Finding, Seen},
};
use crate::{
    notify::Notice,
    rfc3339,
    words::{ChannelKind, Event, Severity, Stage},
};

/// So many names of news are remembered; none comes back after that many others.
const NEWS_KEPT: usize = 50;

/// When something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// So long must a problem have been there before it is told.
    pub after: TimeDelta,
    /// So long must it have been away before the all-clear.
    pub calm: TimeDelta,
    /// The time between two reminders.
    pub remind: TimeDelta,
}

/// What was told of one database. It is stored, so that a new process goes on
/// where the last one ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Problems that are there or have just been, by name.
    #[serde(default)]
    problems: BTreeMap<String, Entry>,
    /// The newest failed run of which it was told that it was repaired, or that
    /// was part of a problem.
    #[serde(default, with = "rfc3339::option")]
    repaired: Option<DateTime<Utc>>,
    /// When that was last told, and how many were not told since.
    #[serde(default, with = "rfc3339::option")]
    repaired_told: Option<DateTime<Utc>>,
    #[serde(default)]
    repaired_untold: u32,
    /// Names of the news that were told last.
    #[serde(default)]
    news: BTreeSet<String>,
    /// What is not known to have arrived.
    #[serde(default)]
    pending: Pending,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(with = "rfc3339")]
    since: DateTime<Utc>,
    /// When it was last seen.
    #[serde(with = "rfc3339")]
    seen: DateTime<Utc>,
    /// When it was last to be told; `None` before the first time. Whether that
    /// arrived everywhere says [`Pending`].
    #[serde(default, with = "rfc3339::option")]
    told: Option<DateTime<Utc>>,
    severity: Severity,
    #[serde(default)]
    lines: Vec<String>,
    #[serde(default)]
    stage: Option<Stage>,
}

/// A problem that was told and is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its name.
    pub problem: String,
    /// When it began.
    pub since: DateTime<Utc>,
}

impl Book {
    /// Takes note of what is seen now and says what is to be told. `database`
    /// and `place` are as in [`Notice`].
    pub fn observe(
        &mut self,
        seen: &Seen,
        policy: Policy,
        database: &str,
        place: &str,
        now: DateTime<Utc>,
    ) -> Vec<Notice> {
        let about = About { database, place, now };
        self.trust_the_clock(now);
        for finding in &seen.problems {
            self.note(finding, now);
        }
        let mut notices = Vec::new();
        let names: Vec<String> = self.problems.keys().cloned().collect();
        for name in names {
            let Some(entry) = self.problems.get_mut(&name) else { continue };
            let here = seen.problems.iter().any(|finding| finding.problem == name);
            if !here && !seen.sight.is_away(&name, entry.since) {
                entry.seen = now;
                continue;
            }
            if !here && now - entry.seen >= policy.calm {
                if entry.told.is_some() {
                    notices.push(about.problem(Event::Resolved, &name, entry));
                }
                self.problems.remove(&name);
                continue;
            }
            // Nothing is told of what is away just now: it may be over.
            let event = match entry.told {
                None if here && now - entry.since >= policy.after => Event::Opened,
                Some(told) if here && now - told >= policy.remind => Event::Reminder,
                _ => continue,
            };
            entry.told = Some(now);
            notices.push(about.problem(event, &name, entry));
        }
        notices.extend(self.repair(seen, policy, &about));
        notices.extend(self.news(seen, &about));
        notices
    }

    /// What a channel has not been told although it was to be, and is to be told
    /// now: of a problem that is there, as it is now. To be asked after
    /// [`Book::observe`], which may tell of the same problem anew.
    #[must_use]
    pub fn again(
        &self,
        seen: &Seen,
        database: &str,
        place: &str,
        now: DateTime<Utc>,
    ) -> Vec<(ChannelKind, Notice)> {
        let about = About { database, place, now };
        let due = self.pending.due(now).into_iter();
        due.filter_map(|(channel, notice)| {
            if !matches!(notice.event, Event::Opened | Event::Reminder) {
                return Some((channel, notice));
            }
            // What is away just now may be over, and then that is told.
            let is_here = seen.problems.iter().any(|finding| finding.problem == notice.problem);
            let entry = self.problems.get(&notice.problem).filter(|_| is_here)?;
            Some((channel, about.problem(notice.event, &notice.problem, entry)))
        })
        .collect()
    }

    /// An alert is on its way to a channel.
    pub fn sent(&mut self, channel: ChannelKind, notice: &Notice, now: DateTime<Utc>) {
        self.pending.sent(channel, notice, now);
    }

    /// An alert arrived in a channel, or the channel is none for it any more.
    pub fn settled(&mut self, channel: ChannelKind, notice: &Notice) {
        self.pending.settled(channel, notice);
    }

    /// An alert did not arrive in a channel: it is to be told there again.
    pub fn failed(&mut self, channel: ChannelKind, notice: &Notice, now: DateTime<Utc>) {
        self.pending.failed(channel, notice, now);
    }

    /// What is not known to have arrived.
    #[cfg(test)]
    pub(super) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Takes in what an earlier process wrote down. What this one has seen by
    /// itself meanwhile stays, with the earlier beginning where both know it.
    pub fn recall(&mut self, earlier: Self) {
        for (name, old) in earlier.problems {
            match self.problems.get_mut(&name) {
                Some(entry) => {
                    entry.since = entry.since.min(old.since);
                    entry.told = entry.told.max(old.told);
                }
                None => {
                    self.problems.insert(name, old);
                }
            }
        }
        self.repaired = self.repaired.max(earlier.repaired);
        self.repaired_told = self.repaired_told.max(earlier.repaired_told);
        self.repaired_untold = self.repaired_untold.saturating_add(earlier.repaired_untold);
        self.news.extend(earlier.news);
        self.pending.recall(earlier.pending);
    }

    /// The problems that were told and are not over.
    pub fn open(&self) -> impl Iterator<Item = Open> {
        let told = self.problems.iter().filter(|(_, entry)| entry.told.is_some());
        told.map(|(name, entry)| Open { problem: name.clone(), since: entry.since })
    }

    /// What is worth storing: without when something was last seen, which
    /// changes all the time, unless something was told or is about to be.
    #[must_use]
    pub fn worth_storing(&self) -> Self {
        let mut stored = self.clone();
        stored.problems.retain(|_, entry| entry.told.is_some());
        for entry in stored.problems.values_mut() {
            // A new process waits for the whole of `calm` by itself.
            entry.seen = entry.told.unwrap_or(entry.since);
            entry.lines.clear();
        }
        stored.pending.worth_storing();
        stored
    }

    /// What was recalled counts as seen now: it may be away only from now on.
    pub fn awake(&mut self, now: DateTime<Utc>) {
        for entry in self.problems.values_mut() {
            entry.seen = entry.seen.max(now);
        }
    }

    /// A clock that went back must not silence anything until it is where it was.
    fn trust_the_clock(&mut self, now: DateTime<Utc>) {
        for entry in self.problems.values_mut() {
            entry.since = entry.since.min(now);
            entry.seen = entry.seen.min(now);
            entry.told = entry.told.map(|told| told.min(now));
        }
        self.repaired_told = self.repaired_told.map(|told| told.min(now));
        self.pending.trust_the_clock(now);
    }

    fn note(&mut self, finding: &Finding, now: DateTime<Utc>) {
        let entry = self.problems.entry(finding.problem.clone()).or_insert_with(|| Entry {
            since: now,
            seen: now,
            told: None,
            severity: finding.severity,
            lines: Vec::new(),
            stage: None,
        });
        entry.seen = now;
        entry.severity = finding.severity;
        entry.lines.clone_from(&finding.lines);
        entry.stage = finding.stage;
    }

    /// A failed run that a later one repaired is told once, unless it was part
    /// of a problem, whose all-clear says it. Where that happens all the time,
    /// it is told as seldom as a reminder.
    fn repair(&mut self, seen: &Seen, policy: Policy, about: &About<'_>) -> Option<Notice> {
        let (failed, lines) = seen.repaired.as_ref()?;
        if self.repaired.is_some_and(|last| last >= *failed) {
            return None;
        }
        self.repaired = Some(*failed);
        if self.problems.get(BACKUPS).is_some_and(|entry| entry.told.is_some()) {
            return None;
        }
        if self.repaired_told.is_some_and(|told| about.now - told < policy.remind) {
            self.repaired_untold += 1;
            return None;
        }
        self.repaired_told = Some(about.now);
        let mut lines = lines.clone();
        match std::mem::take(&mut self.repaired_untold) {
            0 => {}
            untold => {
                lines.push(format!("the same happened {untold} times since it was last told"));
            }
        }
        let title = format!("{}: a failed backup was repaired by a later attempt", about.database);
        Some(about.info("repaired", title, lines, *failed))
    }

    fn news(&mut self, seen: &Seen, about: &About<'_>) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (name, title, lines) in &seen.news {
            if self.news.insert(name.clone()) {
                let problem = name.split(':').next().unwrap_or(name);
                let title = format!("{}: {title}", about.database);
                notices.push(about.info(problem, title, lines.clone(), about.now));
            }
        }
        while self.news.len() > NEWS_KEPT {
            self.news.pop_first();
        }
        notices
    }
}

/// What every alert of one look has in common.
struct About<'a> {
    database: &'a str,
    place: &'a str,
    now: DateTime<Utc>,
}

impl About<'_> {
    fn problem(&self, event: Event, problem: &str, entry: &Entry) -> Notice {
        let (database, what) = (self.database, named(problem));
        let lasted = lasted(entry.since, self.now);
        let title = match event {
            Event::Resolved if problem.starts_with(ANOMALY) => {
                format!("{database}: no longer odd, after {lasted}: {what}")
            }
            Event::Resolved => format!("{database}: over after {lasted}: {what}"),
            Event::Reminder => format!("{database}: still, for {lasted}: {what}"),
            _ => format!("{database}: {what}"),
        };
        let over = event == Event::Resolved;
        let advice = (!over).then(|| advice(problem, entry.stage, database));
        let (next, commands) = advice.map(|a| (a.next, a.commands)).unwrap_or_default();
        let findings = if over {
            let began = rfc3339::format(entry.since);
            let over = if problem.starts_with(ANOMALY) {
                "it is as it was before, or has lasted for so long that it is what is usual now: \
                 `reliquary show latest` has the numbers"
            } else {
                "it is no longer seen"
            };
            vec![format!("{over}; it began {began}")]
        } else {
            entry.lines.clone()
        };
        Notice {
            event,
            severity: entry.severity,
            findings,
            next,
            commands,
            since: entry.since,
            ..self.plain(problem, title)
        }
    }

    fn info(
        &self,
        problem: &str,
        title: String,
        findings: Vec<String>,
        since: DateTime<Utc>,
    ) -> Notice {
        Notice { findings, since, ..self.plain(problem, title) }
    }

    fn plain(&self, problem: &str, title: String) -> Notice {
        Notice {
            event: Event::Info,
            severity: Severity::Info,
            database: self.database.to_owned(),
            place: self.place.to_owned(),
            problem: problem.to_owned(),
            title,
            findings: Vec::new(),
            next: Vec::new(),
            commands: Vec::new(),
            since: self.now,
            at: self.now,
        }
    }
}

/// A problem in words.
fn named(problem: &str) -> String {
    match problem {
        BACKUPS => "there is no fresh backup, or none can be made".to_owned(),
        "verify" => "stored backups are damaged, unread, or not looked at".to_owned(),
        "two_sources" => "another database's backups stand under this prefix".to_owned(),
        "drill_failed" => {
            "a drill failed: a backup did not come back whole, or what it needs was missing"
                .to_owned()
        }
        "drill_overdue" => "no drill has proven a backup since one was due".to_owned(),
        "drill_left" => "restored data may still lie in the database that drills use".to_owned(),
        "pointer" => "LATEST.txt does not name the newest backup".to_owned(),
        "audit" => "a protection that was there is gone, or is weaker".to_owned(),
        "anomaly_shrank" => "the newest backup holds far less than those before it".to_owned(),
        "anomaly_emptied" => "a table that had rows has none".to_owned(),
        "anomaly_gone" => "a table is no longer in the backups".to_owned(),
        "anomaly_slow" => "backups take far longer than they did".to_owned(),
        other => format!("the check `{other}` is not passed"),
    }
}

fn lasted(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let minutes = (now - since).num_minutes().max(0);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
