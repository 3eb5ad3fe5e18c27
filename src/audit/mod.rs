//! The hardening checklist: what was observed of the bucket, the credentials,
//! the source and this machine, and what to make of it.
//!
//! Every check is a pure function from observed facts to a [`Finding`]; the
//! facts are fetched by `jobs::audit`. What could not be learnt is *unknown*
//! and says which permission would tell; it is never taken for good.

pub mod access;
mod baseline;
pub mod bucket;
pub mod clocks;
pub mod document;
pub mod eol;
pub mod files;
pub mod lifecycle;
pub mod policies;
mod report;
pub mod source;

pub use baseline::{Baseline, Worse};
pub use report::{Exempt, Report, Tally};

use serde::{Deserialize, Serialize};

use crate::{
    store::Observed,
    words::{Check, CheckResult},
};

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// What it came to.
    pub result: CheckResult,
    /// What was found.
    pub found: String,
    /// The command or the setting that mends it; of what passes there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The permission that would tell, where it is unknown for want of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn pass(check: Check, found: impl Into<String>) -> Self {
        Self { check, result: CheckResult::Pass, found: found.into(), fix: None, permission: None }
    }

    /// It could be safer.
    #[must_use]
    pub fn warn(check: Check, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { result: CheckResult::Warn, fix: Some(fix.into()), ..Self::pass(check, found) }
    }

    /// It is not as it must be.
    #[must_use]
    pub fn fail(check: Check, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { result: CheckResult::Fail, fix: Some(fix.into()), ..Self::pass(check, found) }
    }

    /// It could not be told; `fix` says how a person finds out.
    #[must_use]
    pub fn unknown(check: Check, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { result: CheckResult::Unknown, fix: Some(fix.into()), ..Self::pass(check, found) }
    }

    /// Unknown, since we may not ask.
    #[must_use]
    pub fn denied(check: Check, permission: &str, by_hand: impl Into<String>) -> Self {
        Self {
            permission: Some(permission.to_owned()),
            ..Self::unknown(check, "these credentials may not ask", by_hand)
        }
    }
}

/// The finding about something that gave no value; `by_hand` is the command
/// with which a person finds out. `None` where there is a value, or where
/// nothing is configured, which is for the check itself to judge.
fn without_value<T>(check: Check, observed: &Observed<T>, by_hand: &str) -> Option<Finding> {
    match observed {
        Observed::Value(_) | Observed::NotConfigured => None,
        Observed::Denied(permission) => Some(Finding::denied(check, permission, by_hand)),
        Observed::Unsupported(said) => Some(Finding::unknown(
            check,
            format!("the store does not tell through its S3 API ({said})"),
            "look in the store's own console or documentation",
        )),
        Observed::Failed(why) => {
            Some(Finding::unknown(check, format!("there was no answer: {why}"), by_hand))
        }
    }
}
