//! An audit as a whole.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Finding;
use crate::words::{Check, CheckResult};

/// Something that is not looked at here, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exempt {
    /// What.
    pub check: Check,
    /// Why it makes no sense here.
    pub why: String,
}

/// How many checks came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// As it should be.
    pub pass: usize,
    /// Could be safer.
    pub warn: usize,
    /// Not as it must be.
    pub fail: usize,
    /// Could not be told.
    pub unknown: usize,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was made.
    pub time: DateTime<Utc>,
    /// The findings, in the order of [`Check`].
    pub findings: Vec<Finding>,
    /// What makes no sense here; it is counted nowhere.
    pub not_applicable: Vec<Exempt>,
}

impl Report {
    /// Puts findings in their order.
    #[must_use]
    pub fn new(
        time: DateTime<Utc>,
        mut findings: Vec<Finding>,
        mut not_applicable: Vec<Exempt>,
    ) -> Self {
        findings.sort_by_key(|finding| finding.check);
        not_applicable.sort_by_key(|exempt| exempt.check);
        Self { time, findings, not_applicable }
    }

    /// How many checks came to what.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for finding in &self.findings {
            *match finding.result {
                CheckResult::Pass => &mut tally.pass,
                CheckResult::Warn => &mut tally.warn,
                CheckResult::Fail => &mut tally.fail,
                CheckResult::Unknown => &mut tally.unknown,
            } += 1;
        }
        tally
    }

    /// What must be mended.
    pub fn failed(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.result == CheckResult::Fail)
    }

    /// The finding of a check, where it was made.
    #[must_use]
    pub fn of(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

impl Tally {
    /// How many came to a result.
    #[must_use]
    pub fn of(&self, result: CheckResult) -> usize {
        match result {
            CheckResult::Pass => self.pass,
            CheckResult::Warn => self.warn,
            CheckResult::Fail => self.fail,
            CheckResult::Unknown => self.unknown,
        }
    }
}
