//! Until when PostgreSQL's majors are mended by their makers.
//!
//! The dates are those of <https://www.postgresql.org/support/versioning/>
//! ("final release"). A major that is not in the table is newer than this
//! program, or so old that nobody mends it any more.

use chrono::NaiveDate;

/// Major, and year, month and day of its last release.
const LAST_RELEASE: [(u32, (i32, u32, u32)); 8] = [
    (11, (2023, 11, 9)),
    (12, (2024, 11, 21)),
    (13, (2025, 11, 13)),
    (14, (2026, 11, 12)),
    (15, (2027, 11, 11)),
    (16, (2028, 11, 9)),
    (17, (2029, 11, 8)),
    (18, (2030, 11, 14)),
];

/// What is known of a major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Its last release is on that day.
    Until(NaiveDate),
    /// It is older than the table.
    Ancient,
    /// It is newer than the table.
    Newer,
}

/// Until when a major is mended.
#[must_use]
pub fn support(major: u32) -> Support {
    let found = LAST_RELEASE.iter().find(|(of, _)| *of == major);
    match found.and_then(|(_, (year, month, day))| NaiveDate::from_ymd_opt(*year, *month, *day)) {
        Some(date) => Support::Until(date),
        None if major < LAST_RELEASE[0].0 => Support::Ancient,
        None => Support::Newer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_date_of_the_table_exists_and_majors_follow_each_other() {
        let mut last = None;
        for (major, _) in LAST_RELEASE {
            let Support::Until(date) = support(major) else { panic!("{major}") };
            if let Some((before, earlier)) = last {
                assert_eq!(major, before + 1);
                assert!(date > earlier);
            }
            last = Some((major, date));
        }
        assert_eq!(support(9), Support::Ancient);
        assert_eq!(support(99), Support::Newer);
    }
}
