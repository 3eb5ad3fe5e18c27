//! What an audit came to.

use serde::{Deserialize, Serialize};

use super::RunReport;
use crate::{
    audit::Worse,
    words::{Check, CheckResult},
};

/// What the last audit came to. Its findings name hosts and files, and so they
/// stand in the log and not here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// How the run ended; `failed` where a check failed.
    #[serde(flatten)]
    pub run: RunReport,
    /// Checks that passed.
    pub pass: u64,
    /// Checks of what could be safer.
    pub warn: u64,
    /// Checks that failed.
    pub fail: u64,
    /// Checks that came to nothing.
    pub unknown: u64,
    /// Which failed.
    pub failed: Vec<Check>,
    /// Which came to less than in an earlier audit; `None` where that could not
    /// be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse: Option<Vec<Worse>>,
}

impl AuditReport {
    /// How many checks came to a result.
    #[must_use]
    pub fn count(&self, result: CheckResult) -> u64 {
        match result {
            CheckResult::Pass => self.pass,
            CheckResult::Warn => self.warn,
            CheckResult::Fail => self.fail,
            CheckResult::Unknown => self.unknown,
        }
    }
}
