//! Numbers with their nouns, as a person says them.

use std::time::Duration;

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

/// A length of time in words: `30 days`, `1 day 2h 5m`.
#[must_use]
pub fn span(duration: Duration) -> String {
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
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
        assert_eq!(span(Duration::from_millis(1500)), "1s 500ms");
    }
}
