//! Cron lines: six fields, UTC.

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use croner::{errors::CronError, parser::CronParser, parser::Seconds};

use super::Schedule;

/// Looks into the calendar for the longest pause: six weeks of hourly runs, or a
/// year of working days.
const LOOKS: usize = 1000;

/// Why a cron line cannot be a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The five fields of a crontab.
    #[error(
        "must have six fields, the first is for the seconds: \
         put a `0` for the seconds in front of these five"
    )]
    FiveFields,
    /// Any other number of fields, nicknames such as `@hourly` included.
    #[error(
        "must have six fields (second, minute, hour, day of month, month, day of week), \
         such as `0 0 * * * *` for every full hour, UTC"
    )]
    NotSixFields,
    /// A character that has no meaning in a cron line.
    #[error("holds a character that has no place in that field of a cron line")]
    IllegalCharacter,
    /// A number outside its field's range, or a range or step that makes no sense.
    #[error(
        "has a number, range or step that its field cannot have \
         (seconds and minutes 0-59, hours 0-23, days 1-31, months 1-12, weekdays 0-7)"
    )]
    OutOfRange,
    /// A line such as the 30th of February.
    #[error("can never fire: no day of any year fits it")]
    NeverFires,
}

impl Schedule {
    /// Understands a cron line exactly as `tokio-cron-scheduler` will: seconds
    /// required, and day of month *and* day of week must fit where both are given.
    ///
    /// # Errors
    ///
    /// A line that has not six fields, cannot be read, or can never fire.
    pub fn parse(line: &str) -> Result<Self, ScheduleError> {
        match line.split_whitespace().count() {
            6 => {}
            5 => return Err(ScheduleError::FiveFields),
            _ => return Err(ScheduleError::NotSixFields),
        }
        let cron = CronParser::builder()
            .seconds(Seconds::Required)
            .dom_and_dow(true)
            .build()
            .parse(line)
            .map_err(|error| match error {
                CronError::IllegalCharacters(_) => ScheduleError::IllegalCharacter,
                CronError::EmptyPattern | CronError::InvalidPattern(_) => {
                    ScheduleError::NotSixFields
                }
                _ => ScheduleError::OutOfRange,
            })?;
        cron.find_next_occurrence(&sample_start(), false).map_err(|_| ScheduleError::NeverFires)?;
        Ok(Self { line: line.trim().to_owned(), cron })
    }

    /// The slot that came `count` slots before the newest one that has come by
    /// `now`; `None` where the calendar does not reach as far.
    #[must_use]
    pub fn slot_before(&self, now: DateTime<Utc>, count: usize) -> Option<DateTime<Utc>> {
        let mut slot = self.cron.find_previous_occurrence(&now.trunc_subsecs(0), true).ok()?;
        for _ in 0..count {
            slot = self.cron.find_previous_occurrence(&slot, false).ok()?;
        }
        Some(slot)
    }

    /// The longest pause between two runs, as far as a look at a year's calendar
    /// shows it: nights, weekends and months are seen. Pauses under a minute
    /// are not told apart.
    #[must_use]
    pub fn longest_pause(&self) -> std::time::Duration {
        self.find_longest_pause().and_then(|pause| pause.to_std().ok()).unwrap_or_default()
    }

    /// Leaps from run to run, each time as far as the longest pause so far
    /// reaches: only a longer one stops a leap. That sees the weekend of a line
    /// that fires every minute without visiting each of the minutes.
    fn find_longest_pause(&self) -> Option<Duration> {
        let end = sample_start() + Duration::days(400);
        let mut run = self.cron.find_next_occurrence(&sample_start(), false).ok()?;
        let mut next = self.cron.find_next_occurrence(&run, false).ok()?;
        let mut longest = next - run;
        for _ in 0..LOOKS {
            run = next;
            if run > end {
                break;
            }
            let reach = run + longest.max(Duration::minutes(1));
            next = self.cron.find_previous_occurrence(&reach, true).ok()?;
            if next <= run {
                let Ok(after) = self.cron.find_next_occurrence(&run, false) else { break };
                next = after;
                longest = longest.max(next - run);
            }
        }
        Some(longest)
    }
}

/// A fixed Monday, so that the same line gets the same verdict on every day.
fn sample_start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::days(20_458)
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, TimeZone, Weekday};
    use rstest::rstest;
    use tokio_cron_scheduler::Job;

    use super::*;

    #[rstest]
    #[case("0 0 * * * *")]
    #[case(" 0 */15 8-18 * * MON-FRI ")]
    #[case("0 0 6 1W * *")]
    #[case("0 0 6 * * 1#1")]
    #[case("0 0 0 29 2 *")]
    #[case("30 30 3 L * ?")]
    fn what_is_accepted_here_the_scheduler_accepts_too(#[case] line: &str) {
        let schedule = Schedule::parse(line).unwrap();
        assert_eq!(schedule.line, line.trim());
        assert!(Job::new_async(schedule.line.as_str(), |_, _| Box::pin(async {})).is_ok());
    }

    #[rstest]
    #[case("0 * * * *", ScheduleError::FiveFields)]
    #[case("@hourly", ScheduleError::NotSixFields)]
    #[case("every 5 minutes", ScheduleError::NotSixFields)]
    #[case("", ScheduleError::NotSixFields)]
    #[case("0 0 * * * * 2024", ScheduleError::NotSixFields)]
    #[case("0 0 x * * *", ScheduleError::IllegalCharacter)]
    #[case("0 61 * * * *", ScheduleError::OutOfRange)]
    #[case("0 0 0 * 13 *", ScheduleError::OutOfRange)]
    #[case("0 */0 * * * *", ScheduleError::OutOfRange)]
    #[case("0 0 0 30 2 *", ScheduleError::NeverFires)]
    #[case("0 0 0 31 4,6,9,11 *", ScheduleError::NeverFires)]
    fn a_line_that_cannot_be_a_schedule_is_refused(
        #[case] line: &str,
        #[case] expected: ScheduleError,
    ) {
        assert_eq!(Schedule::parse(line).unwrap_err(), expected);
    }

    #[rstest]
    #[case("0 0 * * * *", 1)]
    #[case("0 0 6 * * *", 24)]
    #[case("0 0 6 * * MON", 7 * 24)]
    #[case("0 0 9-17 * * MON-FRI", 64)]
    #[case("0 * 9-17 * * MON-FRI", 64)]
    #[case("* * 9-17 * * MON-FRI", 64)]
    #[case("0 0 6 1 * *", 31 * 24)]
    fn the_longest_pause_holds_nights_weekends_and_months(#[case] line: &str, #[case] hours: u64) {
        let pause = Schedule::parse(line).unwrap().longest_pause();
        assert_eq!(pause.as_secs().div_ceil(3600), hours, "{pause:?}");
    }

    #[test]
    fn the_first_weekday_of_the_month_is_no_saturday_and_no_sunday() {
        let schedule = Schedule::parse("0 0 6 1W * *").unwrap();
        let mut slot = "2023-12-31T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        for month in 0..12 * 13 {
            slot = schedule.cron.find_next_occurrence(&slot, false).unwrap();
            let (year, month) = (2024 + month / 12, u32::try_from(month % 12).unwrap() + 1);
            // The first day of each month that is neither, by counting.
            let first = (1..=3)
                .map(|day| Utc.with_ymd_and_hms(year, month, day, 6, 0, 0).unwrap())
                .find(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun));
            assert_eq!(Some(slot), first, "{year}-{month}");
            assert_eq!(schedule.slot_before(slot + Duration::hours(1), 0), Some(slot));
        }
    }

    #[test]
    fn the_sample_starts_on_a_monday() {
        assert_eq!(sample_start().weekday(), Weekday::Mon);
    }
}
