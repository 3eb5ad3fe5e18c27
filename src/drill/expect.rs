//! What a question of the settings expects for an answer, and whether it got it.
//!
//! ```text
//! no rows              the query returns none
//! rows >= 1            how many rows it returns; also = != > <= <
//! = 42                 the first value, as a number where both are, else as text
//! >= last              the first value against that of the backup before, by its drill
//! = last within 5%     the same, give or take
//! ```

use std::{cmp::Ordering, fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::archive::hex;

/// How much of a value is kept, in characters.
const KEPT: usize = 200;

/// What is expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// So many rows.
    Rows(Relation, u64),
    /// The first value.
    Value(Relation, String),
    /// The first value against that of the newest older backup whose drill passed.
    Last(Relation, Tolerance),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `<`
    Less,
}

/// How far a number may be from the last one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Not at all.
    None,
    /// By so many.
    By(f64),
    /// By such a part of the last one, in percent.
    Percent(f64),
}

/// It is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not understood: write `no rows`, `rows >= 1`, `= 42`, `>= last` or `= last within 5%`")]
pub struct ExpectationError;

/// What a query returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many rows.
    pub rows: u64,
    /// The first column of the first row as text; `None` for NULL and for no row.
    pub value: Option<String>,
}

/// Whether the answer is the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is.
    Yes,
    /// There is nothing yet to hold it against: the next drill has this one.
    First,
    /// It is not.
    No(String),
}

const RELATIONS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("!=", Relation::Unequal),
    ("=", Relation::Equal),
    (">", Relation::More),
    ("<", Relation::Less),
];

impl Relation {
    fn split(text: &str) -> Option<(Self, &str)> {
        let text = text.trim_start();
        RELATIONS.iter().find_map(|(sign, relation)| {
            text.strip_prefix(sign).map(|rest| (*relation, rest.trim()))
        })
    }

    fn holds<T: PartialOrd + ?Sized>(self, found: &T, expected: &T) -> bool {
        match self {
            Self::Equal => found == expected,
            Self::Unequal => found != expected,
            Self::AtLeast => found >= expected,
            Self::AtMost => found <= expected,
            Self::More => found > expected,
            Self::Less => found < expected,
        }
    }

    fn sign(self) -> &'static str {
        RELATIONS.iter().find(|(_, relation)| *relation == self).map_or("=", |(sign, _)| sign)
    }
}

impl FromStr for Expectation {
    type Err = ExpectationError;

    fn from_str(text: &str) -> Result<Self, ExpectationError> {
        let text = text.trim();
        if text == "no rows" {
            return Ok(Self::Rows(Relation::Equal, 0));
        }
        if let Some(rest) = text.strip_prefix("rows ") {
            let (relation, number) = Relation::split(rest).ok_or(ExpectationError)?;
            return Ok(Self::Rows(relation, number.parse().map_err(|_| ExpectationError)?));
        }
        let (relation, value) = Relation::split(text).ok_or(ExpectationError)?;
        if value == "last" {
            return Ok(Self::Last(relation, Tolerance::None));
        }
        if let Some(tolerance) = value.strip_prefix("last within ") {
            let number = |text: &str| {
                let number = text.trim().parse::<f64>().map_err(|_| ExpectationError)?;
                if number.is_finite() && number >= 0.0 { Ok(number) } else { Err(ExpectationError) }
            };
            let tolerance = match tolerance.strip_suffix('%') {
                Some(percent) => Tolerance::Percent(number(percent)?),
                None => Tolerance::By(number(tolerance)?),
            };
            if relation != Relation::Equal {
                return Err(ExpectationError);
            }
            return Ok(Self::Last(relation, tolerance));
        }
        // A value that begins like a sign is a slip: `== 1`, `=> 1`.
        if value.is_empty() || value.starts_with(['=', '<', '>', '!']) {
            return Err(ExpectationError);
        }
        Ok(Self::Value(relation, value.to_owned()))
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(relation, number) => write!(f, "rows {} {number}", relation.sign()),
            Self::Value(relation, value) => write!(f, "{} {value}", relation.sign()),
            Self::Last(relation, Tolerance::None) => write!(f, "{} last", relation.sign()),
            Self::Last(_, Tolerance::By(by)) => write!(f, "= last within {by}"),
            Self::Last(_, Tolerance::Percent(percent)) => write!(f, "= last within {percent}%"),
        }
    }
}

impl Expectation {
    /// Whether it looks at another drill.
    #[must_use]
    pub fn looks_back(&self) -> bool {
        matches!(self, Self::Last(..))
    }

    /// Judges an answer. `last` is what was kept of the value in the backup before,
    /// where a drill of it passed.
    #[must_use]
    pub fn judge(&self, found: &Found, last: Option<&str>) -> Judged {
        let kept_value = found.value.as_deref().map(kept);
        let value = || kept_value.clone().unwrap_or_else(|| "nothing".to_owned());
        let (holds, said) = match self {
            Self::Rows(relation, number) => {
                (relation.holds(&found.rows, number), format!("{} rows", found.rows))
            }
            Self::Value(relation, expected) => {
                let holds = found.value.as_deref().is_some_and(|v| compare(*relation, v, expected));
                (holds, value())
            }
            Self::Last(relation, tolerance) => {
                let Some(value) = &kept_value else {
                    return Judged::No("found nothing".to_owned());
                };
                let Some(last) = last else { return Judged::First };
                let holds = tolerance.allows(*relation, value, last);
                (holds, format!("{value}, and the backup before had {last}"))
            }
        };
        if holds { Judged::Yes } else { Judged::No(format!("found {said}, expected {self}")) }
    }
}

/// What is written down of a value: all of it, or the beginning of a long one and its
/// SHA-256, so that a later one can still be held against it.
#[must_use]
pub(super) fn kept(value: &str) -> String {
    match value.char_indices().nth(KEPT) {
        None => value.to_owned(),
        Some((end, _)) => {
            format!("{}… (sha256 {})", &value[..end], hex(&Sha256::digest(value)))
        }
    }
}

impl Tolerance {
    fn allows(self, relation: Relation, found: &str, last: &str) -> bool {
        let within = match self {
            Self::None => return compare(relation, found, last),
            Self::By(by) => by,
            Self::Percent(percent) => match last.parse::<f64>() {
                Ok(last) => last.abs() * percent / 100.0,
                Err(_) => return false,
            },
        };
        match (found.parse::<f64>(), last.parse::<f64>()) {
            (Ok(found), Ok(last)) => (found - last).abs() <= within,
            _ => false,
        }
    }
}

/// As numbers where both are, exactly where they are written without an exponent; truth
/// also by its whole word.
fn compare(relation: Relation, found: &str, expected: &str) -> bool {
    let truth = |word: &str| match word.to_ascii_lowercase().as_str() {
        "true" => Some("t"),
        "false" => Some("f"),
        _ => None,
    };
    let expected = truth(expected).filter(|_| ["t", "f"].contains(&found)).unwrap_or(expected);
    if let (Some(found), Some(expected)) = (Decimal::read(found), Decimal::read(expected)) {
        return relation.holds(&found.cmp(&expected), &Ordering::Equal);
    }
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        // NaN is not even itself.
        (Ok(found), Ok(expected)) if !found.is_nan() && !expected.is_nan() => {
            relation.holds(&found, &expected)
        }
        _ => relation.holds(found, expected),
    }
}

/// A number as it is written: no digit of it is lost.
#[derive(Debug, PartialEq, Eq)]
struct Decimal<'a> {
    negative: bool,
    /// Without zeros before it.
    whole: &'a str,
    /// Without zeros after it.
    part: &'a str,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !(is_number(whole) && is_number(part)) {
            return None;
        }
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        Some(Self { negative: negative && !(whole.is_empty() && part.is_empty()), whole, part })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let size = |number: &Self| number.whole.len();
        let greater = size(self)
            .cmp(&size(other))
            .then_with(|| self.whole.cmp(other.whole))
            .then_with(|| self.part.cmp(other.part));
        match (self.negative, other.negative) {
            (false, false) => greater,
            (true, true) => greater.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(expected: &str, rows: u64, value: Option<&str>, last: Option<&str>) -> Judged {
        let expected: Expectation = expected.parse().unwrap();
        assert_eq!(expected.to_string().parse::<Expectation>().as_ref(), Ok(&expected));
        expected.judge(&Found { rows, value: value.map(str::to_owned) }, last)
    }

    #[test]
    fn answers_are_judged_as_they_were_expected() {
        for (expected, rows, value, last) in [
            ("no rows", 0, None, None),
            ("rows >= 1", 3, Some("x"), None),
            ("rows = 0", 0, None, None),
            ("= 42", 1, Some("42"), None),
            ("= 42", 1, Some("42.0"), None),
            ("= t", 1, Some("t"), None),
            ("= true", 1, Some("t"), None),
            ("!= TRUE", 1, Some("f"), None),
            ("= true", 1, Some("true"), None),
            ("= NaN", 1, Some("NaN"), None),
            ("= -0.0", 1, Some("0"), None),
            ("= 007", 1, Some("7.00"), None),
            ("> -10", 1, Some("-9.5"), None),
            ("< 1.05", 1, Some("1.0499"), None),
            ("= 1e3", 1, Some("1000"), None),
            (
                "> 99999999999999999999999999999999999999999.1",
                1,
                Some("99999999999999999999999999999999999999999.2"),
                None,
            ),
            (">= 9", 1, Some("10"), None),
            ("!= open", 1, Some("closed"), None),
            (">= last", 1, Some("12"), Some("12")),
            ("= last within 5%", 1, Some("95"), Some("100")),
            ("= last within 10", 1, Some("110"), Some("100")),
        ] {
            assert_eq!(judge(expected, rows, value, last), Judged::Yes, "{expected}");
        }
        for (expected, rows, value, last) in [
            ("no rows", 1, Some("x"), None),
            ("rows >= 1", 0, None, None),
            ("= 42", 1, Some("43"), None),
            ("= true", 1, Some("f"), None),
            ("= 0.12345678901234567890", 1, Some("0.12345678901234567891"), None),
            (">= 1", 1, Some("-2"), None),
            ("= 42", 1, None, None),
            ("= 42", 0, None, None),
            // As text the nine would be more.
            (">= 10", 1, Some("9"), None),
            (">= last", 1, Some("11"), Some("12")),
            ("= last within 5%", 1, Some("94"), Some("100")),
            ("= last within 5%", 1, Some("many"), Some("100")),
            ("= last", 0, None, Some("100")),
        ] {
            assert!(matches!(judge(expected, rows, value, last), Judged::No(_)), "{expected}");
        }
    }

    #[test]
    fn a_long_value_is_told_in_short_and_held_against_the_last_one_whole() {
        let long = "ä".repeat(100_000);
        let other = format!("{long}.");
        let last = kept(&long);
        assert!(last.chars().count() < 300, "{last}");
        assert_eq!(judge("= last", 1, Some(&long), Some(&last)), Judged::Yes);
        let Judged::No(said) = judge("= last", 1, Some(&other), Some(&last)) else {
            panic!("another value passes for the last one")
        };
        assert!(said.chars().count() < 1_000, "{said}");
        let Judged::No(said) = judge("= 1", 1, Some(&long), None) else { panic!("it passes") };
        assert!(said.chars().count() < 500, "{said}");
        assert_eq!(kept(&"x".repeat(KEPT)), "x".repeat(KEPT));
    }

    #[test]
    fn the_first_drill_has_nothing_to_look_back_to() {
        assert_eq!(judge("= last within 5%", 1, Some("9"), None), Judged::First);
        assert!(matches!(judge(">= last", 0, None, None), Judged::No(_)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "rows",
            "rows >=",
            "rows 1",
            "42",
            "== 1",
            "=> 1",
            ">= last within 5%",
            "= last within many",
            "= last within -5%",
            "rows >= -1",
            "=",
        ] {
            assert_eq!(text.parse::<Expectation>(), Err(ExpectationError), "{text:?}");
        }
    }
}
