//! What is tested when, by whom, and when it was last done.

use chrono::{DateTime, Utc};

use super::{
    super::{days, review::days_since, words::counted},
    Facts, Known, block, chosen, heading,
    places::lower_first,
    row,
};
use crate::{
    settings::{Schedule, Settings},
    words::Review,
};

/// The schedule.
pub(super) fn testing(settings: &Settings, facts: Option<&Facts>) -> String {
    let mut text = heading("Testing schedule");
    let several = settings.databases.len() > 1;
    let columns = if facts.is_some() { 5 } else { 3 };
    text += &row(&["Test", "When", "Who", "Last", "Next"][..columns]);
    text += &row(&["---"; 5][..columns]);
    for (name, database) in &settings.databases {
        let of = if several { format!(" of {name}") } else { String::new() };
        let known = facts.and_then(|facts| facts.databases.get(name)?.as_ref().ok());
        let mut add = |test: &str, when: &str, who: &str, last: Option<String>, next: String| {
            let last = last.unwrap_or_else(|| "never".to_owned());
            text += &row(&[&format!("{test}{of}"), when, who, &last, &next][..columns]);
        };
        let runbook = &settings.runbook;
        let reviews = [
            (
                Review::Drill,
                "Review of the restore drill: passed? how long? what was skipped?",
                "Monthly, first business day",
                &runbook.drill_owner,
            ),
            (
                Review::Runbook,
                "Review of this runbook, and a backup by hand",
                "Quarterly, first business Monday",
                &runbook.review_owner,
            ),
        ];
        let scheduled = |schedule: &Schedule, enabled: bool| {
            let when = if enabled {
                lower_first(&schedule.cron.describe())
            } else {
                "off, by the settings".to_owned()
            };
            let next = facts.filter(|_| enabled).and_then(|facts| next(schedule, facts.now));
            (when, next.unwrap_or_default())
        };
        let (when, next) = scheduled(&database.drill.schedule, database.drill.enabled);
        let drill = "Restore into a throwaway server, compared row by row";
        add(drill, &when, "Reliquary", known.and_then(last_drill), next);
        for (what, test, when, who) in reviews {
            let now = facts.map(|facts| facts.now);
            let last = known.and_then(|known| known.reviews.get(&what).copied()).zip(now);
            let last = last.map(|(last, now)| {
                let days = u64::try_from(days_since(last, now)).unwrap_or(0);
                format!("{} ({} ago)", last.format("%Y-%m-%d"), counted(days, "day"))
            });
            let next = now.map(|now| days::next(what, now.date_naive()).to_string());
            add(test, when, who, last, next.unwrap_or_default());
        }
        let jobs = [
            (
                "Stored backups read back, byte by byte",
                &database.verify.schedule,
                database.verify.enabled,
            ),
            (
                "Retention: what is old goes, the last good ones stay",
                &database.sweep.schedule,
                database.sweep.enabled,
            ),
            ("Hardening checklist", &database.audit.schedule, database.audit.enabled),
        ];
        for (at, (test, schedule, enabled)) in jobs.into_iter().enumerate() {
            let last = known.and_then(|known| match at {
                0 => known.verified.map(day),
                2 => known.audit.as_ref().map(|report| day(report.time)),
                _ => None,
            });
            let last = if at == 1 { Some(String::new()) } else { last };
            let (when, next) = scheduled(schedule, enabled);
            add(test, &when, "Reliquary", last, next);
        }
    }
    text += "\nBy hand, and how a review is recorded; `/metrics` has the time of the last of \
             each:\n\n";
    for name in settings.databases.keys() {
        let d = chosen(settings, name);
        text += &block(&[
            format!("reliquary drill{d}"),
            format!("reliquary verify{d}"),
            format!("reliquary sweep{d} --dry-run"),
            format!("reliquary runbook reviewed drill{d} --note \"passed, nothing skipped\""),
            format!("reliquary runbook reviewed{d}"),
        ]);
    }
    text += "\nFor the calendar, with both reviews:\n\n";
    text += &block(&["reliquary calendar > reviews.ics".to_owned()]);
    if let Some(log) = &settings.runbook.test_log {
        text += &format!("\nLog every test in {}.\n", log.trim_end_matches('.'));
    }
    text
}

fn last_drill(known: &Known) -> Option<String> {
    let drill = known.drill.as_ref()?;
    Some(format!("{}: {}", drill.started.format("%Y-%m-%d"), drill.verdict))
}

fn day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

fn next(schedule: &Schedule, now: DateTime<Utc>) -> Option<String> {
    schedule.cron.find_next_occurrence(&now, false).ok().map(day)
}
