//! How numbers, sizes and times look to a person, on a terminal and on a page.

use std::time::Duration;

use bytesize::ByteSize;
use chrono::{DateTime, TimeDelta, Utc};

/// `12.3 MiB`
#[must_use]
pub fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// `1,234,567`
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{number} {}", noun_of(number, noun))
}

/// The noun alone: `row` of one, `rows` of any other number.
#[must_use]
pub fn noun_of(number: u64, noun: &str) -> String {
    if number == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// What lies less than this in the future is now.
const A_MOMENT: TimeDelta = TimeDelta::seconds(5);

/// How long ago, in the two largest units: `3d 4h`, `12m 5s`.
#[must_use]
pub fn age(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    let passed = now.signed_duration_since(then);
    // A backup whose second was taken has the next one as its id.
    if passed > -A_MOMENT {
        span(passed.max(TimeDelta::zero()))
    } else {
        "in the future".to_owned()
    }
}

/// A time in its two largest units: `3d 4h`, `12m 5s`.
#[must_use]
pub fn span(passed: TimeDelta) -> String {
    let seconds = passed.num_seconds();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let first = units.iter().position(|(length, _)| seconds >= *length).unwrap_or(3);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, unit) in &units[first..] {
        let amount = rest / length;
        rest %= length;
        if parts.len() < 2 && (amount > 0 || parts.is_empty()) {
            parts.push(format!("{amount}{unit}"));
        }
    }
    parts.join(" ")
}

/// A length of time to its last second, as settings give it: `30 days`, `1 day 2h 5m`.
#[must_use]
pub fn exactly(duration: Duration) -> String {
    let said = humantime::format_duration(duration).to_string();
    let parts = said.split(' ').map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = part.split_at(digits);
        // What is a word, and not the sign of a unit.
        if unit.len() > 2 { format!("{number} {unit}") } else { part.to_owned() }
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn an_age_has_its_two_largest_units() {
        let then = DateTime::UNIX_EPOCH;
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (65, "1m 5s"),
            (3600, "1h"),
            (7384, "2h 3m"),
            (90_061, "1d 1h"),
            (86_405, "1d 5s"),
            (-1, "0s"),
            (-5, "in the future"),
        ] {
            assert_eq!(age(then + TimeDelta::seconds(seconds), then), text);
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(12, "table"), "12 tables");
    }

    #[test]
    fn words_of_a_span_stand_apart_and_signs_do_not() {
        for (seconds, said) in
            [(30 * 86_400, "30 days"), (86_400 + 7200, "1 day 2h"), (300, "5m"), (0, "0s")]
        {
            assert_eq!(exactly(Duration::from_secs(seconds)), said);
        }
        assert_eq!(exactly(Duration::from_millis(1500)), "1s 500ms");
    }
}
