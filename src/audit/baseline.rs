//! Whether an audit came out worse than the ones before it. Pure.
//!
//! What is held against is the best that each check ever came to, so that what
//! is worse stays so until it is mended, however many audits find it, and one
//! that could not be told in between changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Report;
use crate::words::{Check, CheckResult};

/// What earlier audits came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The best that each check came to; never `unknown`.
    best: BTreeMap<Check, CheckResult>,
    /// What was worse at the last audit.
    worse: BTreeSet<Check>,
}

/// A check that came to less than it did before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worse {
    /// Which.
    pub check: Check,
    /// The best that it came to before.
    pub was: CheckResult,
    /// What it came to now.
    pub is: CheckResult,
}

impl Baseline {
    /// Takes an audit in; says which checks are worse than they were. What was
    /// worse and cannot be told now still is.
    pub fn hold(&mut self, report: &Report) -> Vec<Worse> {
        let mut worse = Vec::new();
        for finding in &report.findings {
            let (check, is) = (finding.check, finding.result);
            let was = self.best.get(&check).copied();
            match (was.and_then(rank), rank(is)) {
                (Some(before), Some(now)) if now > before => {}
                (Some(_), None) if self.worse.contains(&check) => {}
                (_, None) => continue,
                (_, Some(_)) => {
                    self.best.insert(check, is);
                    continue;
                }
            }
            worse.extend(was.map(|was| Worse { check, was, is }));
        }
        self.worse = worse.iter().map(|worse| worse.check).collect();
        worse
    }
}

/// How bad it is; `None` where it could not be told.
fn rank(result: CheckResult) -> Option<u8> {
    match result {
        CheckResult::Pass => Some(0),
        CheckResult::Warn => Some(1),
        CheckResult::Fail => Some(2),
        CheckResult::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone as _, Utc};

    use super::*;
    use crate::audit::Finding;

    /// What one check came to, audit after audit, and which audits found it worse.
    fn told(results: &[CheckResult]) -> Vec<bool> {
        let mut baseline = Baseline::default();
        let time = Utc.with_ymd_and_hms(2026, 11, 30, 0, 0, 0).unwrap();
        let mut told = Vec::new();
        for &result in results {
            let finding = Finding { result, ..Finding::pass(Check::Versioning, "it is as it is") };
            let worse = baseline.hold(&Report::new(time, vec![finding], Vec::new()));
            // What is kept in the bucket is all there is to it.
            baseline = serde_json::from_slice(&serde_json::to_vec(&baseline).unwrap()).unwrap();
            assert!(worse.iter().all(|worse| worse.is == result && worse.was != result));
            told.push(!worse.is_empty());
        }
        told
    }

    #[test]
    fn what_was_never_better_is_not_worse() {
        use CheckResult::{Fail, Pass, Unknown, Warn};
        assert_eq!(told(&[Fail, Fail, Warn, Pass]), [false; 4]);
        assert_eq!(told(&[Unknown, Fail, Unknown, Fail]), [false; 4]);
    }

    #[test]
    fn what_is_worse_stays_so_until_it_is_mended() {
        use CheckResult::{Fail, Pass, Unknown, Warn};
        assert_eq!(told(&[Pass, Fail, Fail, Pass]), [false, true, true, false]);
        assert_eq!(told(&[Warn, Fail, Warn]), [false, true, false]);
        assert_eq!(told(&[Pass, Warn, Fail, Warn]), [false, true, true, true]);
        // One that cannot be told was not mended, and is no loss by itself.
        assert_eq!(told(&[Pass, Fail, Unknown, Fail]), [false, true, true, true]);
        assert_eq!(told(&[Pass, Unknown, Fail]), [false, false, true]);
    }
}
