//! The calendar, held against a parser that others use.

use crate::support::{
    postgres::Run as _,
    product::Product,
    tools::{command, tool},
};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/altarflow.toml");

fn calendar(arguments: &[&str]) -> String {
    let product = Product::bare().set("RELIQUARY_CONFIG", CONFIG);
    product.succeed(&[&["calendar"], arguments].concat())
}

/// What the library `icalendar` makes of it: UID and the first days of each event.
const READ: &str = r#"
import sys, datetime, icalendar, dateutil.rrule
calendar = icalendar.Calendar.from_ical(sys.stdin.buffer.read())
assert not calendar.errors, calendar.errors
for event in calendar.walk("VEVENT"):
    assert not event.errors, event.errors
    start = event["DTSTART"].dt
    rule = dateutil.rrule.rrulestr(event["RRULE"].to_ical().decode(), dtstart=datetime.datetime.combine(start, datetime.time()))
    days = [day.date().isoformat() for day in rule[:14]]
    print(event["UID"], event["SUMMARY"], "|", *days)
"#;

fn read(calendar: &str) -> String {
    let python = tool("python");
    assert!(python.is_file(), "`tests/tools.sh venv` installs what reads calendars");
    command(python).args(["-c", READ]).output_of(calendar.as_bytes())
}

#[test]
fn the_calendar_looks_like_this() {
    let text = calendar(&["--from", "2026-11-30"]);
    assert!(text.lines().all(|line| line.len() <= 76), "{text}");
    assert_eq!(text.matches("\r\n").count(), text.matches('\n').count());
    insta::assert_snapshot!("calendar", text.replace('\r', ""));
}

#[test]
fn a_parser_reads_it_and_finds_first_business_days_and_first_mondays() {
    let text = read(&calendar(&["--from", "2026-11-30"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("drill-review-"), "{text}");
    assert!(
        lines[0].contains("Review the restore drill of AltarFlow | 2026-12-01 2027-01-01 2027-02-01 2027-03-01 2027-04-01 2027-05-03"),
        "{text}"
    );
    assert!(lines[0].contains(" 2027-08-02 ") && lines[0].contains(" 2028-01-03"), "{text}");
    assert!(lines[1].starts_with("runbook-review-"), "{text}");
    assert!(
        lines[1].contains("| 2027-01-04 2027-04-05 2027-07-05 2027-10-04 2028-01-03"),
        "{text}"
    );
}

#[test]
fn the_same_events_keep_their_uids_whenever_they_are_printed() {
    let uids = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("UID:")).map(str::to_owned).collect()
    };
    let (now, later) = (calendar(&[]), calendar(&["--from", "2031-02-03"]));
    assert_eq!(uids(&now), uids(&later));
    assert_eq!(uids(&now).len(), 2);
    assert_ne!(uids(&now)[0], uids(&now)[1]);
    let elsewhere = Product::bare()
        .set("RELIQUARY_CONFIG", CONFIG)
        .set("RELIQUARY__STORE__URL", "s3://another-bucket")
        .succeed(&["calendar"]);
    assert_ne!(uids(&now), uids(&elsewhere));
}
