//! The recurring reviews as a calendar to be imported (RFC 5545).
//!
//! An event is known by its UID, which comes from what it is about and not from
//! when it was printed: importing it again changes it and adds none.

use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};

use super::{days, runbook::place};
use crate::{
    settings::{RunbookSettings, Settings},
    words::Review,
};

/// Where a line is folded, in bytes.
const WIDTH: usize = 75;

/// The calendar, from a day on; the same day and settings always give the same one.
#[must_use]
pub fn calendar(settings: &Settings, from: NaiveDate) -> String {
    let product = settings.runbook.product.as_deref();
    let name = product.map_or_else(|| names(settings), str::to_owned);
    let mut lines: Vec<String> = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Reliquary//calendar//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
    ]
    .map(str::to_owned)
    .into();
    lines.push(format!("X-WR-CALNAME:{}", escaped(&format!("{name}: backups"))));
    for review in Review::ALL {
        lines.extend(event(settings, *review, &name, from));
    }
    lines.push("END:VCALENDAR".to_owned());
    lines.iter().map(|line| folded(line)).collect()
}

fn names(settings: &Settings) -> String {
    settings.databases.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn event(settings: &Settings, review: Review, name: &str, from: NaiveDate) -> Vec<String> {
    let RunbookSettings { drill_owner, review_owner, .. } = &settings.runbook;
    let day = days::next(review, from);
    let (summary, description, rule) = match review {
        Review::Drill => (
            format!("Review the restore drill of {name}"),
            format!(
                "{drill_owner}: read the month's drill (passed? how long did the restore take? \
                 what was skipped?), or run one now: reliquary drill\nThen record it: reliquary \
                 runbook reviewed drill"
            ),
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1",
        ),
        Review::Runbook => (
            format!("Review the disaster-recovery runbook of {name}"),
            format!(
                "{review_owner}: print it (reliquary runbook), read it as if it were needed, mend \
                 contacts and steps, take a backup by hand (reliquary backup --manual)\nThen \
                 record it: reliquary runbook reviewed"
            ),
            "FREQ=MONTHLY;INTERVAL=3;BYDAY=1MO",
        ),
    };
    // Midnight of the day that was asked for: what is printed twice is the same.
    let stamp = from.format("%Y%m%d");
    vec![
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}", uid(settings, review)),
        format!("DTSTAMP:{stamp}T000000Z"),
        format!("DTSTART;VALUE=DATE:{}", day.format("%Y%m%d")),
        format!("RRULE:{rule}"),
        format!("SUMMARY:{}", escaped(&summary)),
        format!("DESCRIPTION:{}", escaped(&description)),
        "TRANSP:TRANSPARENT".to_owned(),
        "BEGIN:VALARM".to_owned(),
        "ACTION:DISPLAY".to_owned(),
        "TRIGGER:PT9H".to_owned(),
        format!("DESCRIPTION:{}", escaped(&summary)),
        "END:VALARM".to_owned(),
        "END:VEVENT".to_owned(),
    ]
}

/// The same for the same store, whenever and wherever it is printed.
fn uid(settings: &Settings, review: Review) -> String {
    let prefix = settings.databases.values().map(|database| database.prefix.as_str()).min();
    let place = format!("{}{}", place(&settings.store), prefix.unwrap_or_default());
    let digest: String =
        Sha256::digest(place).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{review}-review-{digest}@reliquary")
}

/// A text as a property's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace('\n', "\\n")
}

/// A line of at most 75 bytes, and its continuations, each ending as the format wants.
fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut width = 0;
    for c in line.chars() {
        if width + c.len_utf8() > WIDTH {
            out.push_str("\r\n ");
            width = 1;
        }
        out.push(c);
        width += c.len_utf8();
    }
    out + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_between_letters_and_can_be_unfolded() {
        let line = format!("SUMMARY:{}", "é".repeat(100));
        let folded = folded(&line);
        assert!(folded.ends_with("\r\n"));
        assert!(folded.lines().all(|line| line.len() <= WIDTH), "{folded}");
        assert_eq!(folded.replace("\r\n ", "").trim_end(), line);
    }

    #[test]
    fn what_means_something_in_a_value_is_escaped() {
        assert_eq!(escaped("a,b;c\\d\ne"), "a\\,b\\;c\\\\d\\ne");
    }
}
