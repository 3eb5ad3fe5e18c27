//! How numbers and spans look in a document for people.

use chrono::TimeDelta;

use crate::figures::noun_of;
pub(super) use crate::figures::{count, size};

/// `1 row`, `2,345 rows`
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", count(number), noun_of(number, noun))
}

/// A span in its two largest units: `1 h 12 min`, `4.2 s`.
pub(super) fn span(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    let whole = std::time::Duration::try_from_secs_f64(seconds.round()).unwrap_or_default();
    let whole = TimeDelta::from_std(whole).unwrap_or(TimeDelta::MAX);
    let (days, hours) = (whole.num_days(), whole.num_hours() % 24);
    let (minutes, seconds) = (whole.num_minutes() % 60, whole.num_seconds() % 60);
    let units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")];
    let first = units.iter().position(|(amount, _)| *amount > 0).unwrap_or(3);
    let shown = units[first..].iter().take(2).filter(|(amount, _)| *amount > 0);
    shown.map(|(amount, unit)| format!("{amount} {unit}")).collect::<Vec<_>>().join(" ")
}

/// A setting's span in whole units: `30 days`, `90 minutes`.
pub(super) fn whole(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let fits =
        units.iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    let (length, unit) = fits.copied().unwrap_or((1, "second"));
    counted(seconds / length, unit)
}

/// Minutes, begun ones whole: nobody may be promised less than was lost.
pub(super) fn minutes(seconds: u64) -> String {
    counted(seconds.div_ceil(60), "minute")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_their_two_largest_units_and_minutes_are_never_too_few() {
        for (seconds, text) in [
            (0.0, "0.0 s"),
            (4.24, "4.2 s"),
            (60.0, "1 min"),
            (754.0, "12 min 34 s"),
            (3600.0, "1 h"),
            (4_350.0, "1 h 12 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
        for (seconds, text) in
            [(0, "0 minutes"), (1, "1 minute"), (60, "1 minute"), (61, "2 minutes")]
        {
            assert_eq!(minutes(seconds), text);
        }
    }
}
