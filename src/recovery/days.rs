//! When drills and the runbook are reviewed: the first business day of a month,
//! and the first Monday of a quarter. Public holidays are nobody's same ones, and
//! are not known here.

use chrono::{Datelike, Days, NaiveDate, Weekday};

use crate::words::Review;

/// The day in a date's period on which something is reviewed.
fn day_of_period(review: Review, date: NaiveDate) -> Option<NaiveDate> {
    match review {
        Review::Drill => {
            let first = date.with_day(1)?;
            match first.weekday() {
                Weekday::Sat => first.checked_add_days(Days::new(2)),
                Weekday::Sun => first.checked_add_days(Days::new(1)),
                _ => Some(first),
            }
        }
        Review::Runbook => {
            let first = date.with_day(1)?.with_month(date.month0() / 3 * 3 + 1)?;
            let to_monday = (7 - first.weekday().num_days_from_monday()) % 7;
            first.checked_add_days(Days::new(to_monday.into()))
        }
    }
}

/// The first day at or after `from` on which something is reviewed.
#[must_use]
pub fn next(review: Review, from: NaiveDate) -> NaiveDate {
    let mut date = from;
    loop {
        match day_of_period(review, date) {
            Some(day) if day >= from => return day,
            // The first day of the next month, where the next period may begin.
            Some(_) => {
                let next = date.with_day(1).and_then(|first| first.checked_add_days(Days::new(32)));
                match next.and_then(|next| next.with_day(1)) {
                    Some(next) => date = next,
                    None => return from,
                }
            }
            // Beyond the end of the calendar.
            None => return from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn drills_are_reviewed_on_the_first_weekday_of_each_month() {
        for (from, expected) in [
            ("2026-11-01", "2026-11-02"),
            ("2026-11-02", "2026-11-02"),
            ("2026-11-03", "2026-12-01"),
            ("2026-12-31", "2027-01-01"),
            ("2026-07-31", "2026-08-03"),
            ("2024-01-31", "2024-02-01"),
        ] {
            assert_eq!(next(Review::Drill, day(from)), day(expected), "{from}");
        }
    }

    #[test]
    fn the_runbook_is_reviewed_on_the_first_monday_of_each_quarter() {
        for (from, expected) in [
            ("2026-11-30", "2027-01-04"),
            ("2027-01-04", "2027-01-04"),
            ("2027-01-05", "2027-04-05"),
            ("2026-06-01", "2026-07-06"),
            ("2026-10-01", "2026-10-05"),
        ] {
            assert_eq!(next(Review::Runbook, day(from)), day(expected), "{from}");
        }
    }
}
