//! Decisions in words.

use chrono::TimeDelta;

use super::{Decision, Policy};
use crate::{
    catalog::{Entry, State},
    settings::duration_text,
    words::{Keep, Period},
};

/// Why something is kept, in words.
#[must_use]
pub fn explain(reason: Keep, policy: &Policy) -> String {
    let of = |what: &str, period: Period| {
        format!("its {what}'s ({} {})", period.as_str(), policy.tier(period))
    };
    match reason {
        Keep::Young => format!("younger than {}", age(policy)),
        Keep::Last => format!("of the last {} good ones", policy.keep_last),
        Keep::Hour => of("hour", Period::Hour),
        Keep::Day => of("day", Period::Day),
        Keep::Week => of("week", Period::Week),
        Keep::Month => of("month", Period::Month),
        Keep::Year => of("year", Period::Year),
        Keep::Manual => "made by hand".to_owned(),
        Keep::Legacy => format!("there are not yet {} good ones", policy.keep_last),
        Keep::DrillUnknown => "a drill that cannot be read may have been of it".to_owned(),
        Keep::DrillFailed => "its drill failed, and nothing good has come in its place".to_owned(),
        Keep::Damaged => {
            format!("found damaged less than {} ago, to be looked at", span(policy.keep_damaged()))
        }
    }
}

/// Why something is kept or goes, in words.
#[must_use]
pub fn why(decision: &Decision, entry: &Entry, policy: &Policy) -> String {
    if decision.keep.is_empty() {
        let what = match entry.state {
            State::Damaged => "damaged, ",
            State::Legacy => "legacy, ",
            _ => "",
        };
        let drill = decision.condemned.filter(|_| entry.state != State::Damaged);
        let drill =
            drill.map(|reason| format!("its drill failed ({reason}), ")).unwrap_or_default();
        return format!("{what}{drill}not younger than {}, and nothing else keeps it", age(policy));
    }
    let reasons: Vec<String> = decision.keep.iter().map(|reason| explain(reason, policy)).collect();
    reasons.join("; ")
}

fn age(policy: &Policy) -> String {
    span(policy.keep_for)
}

fn span(delta: TimeDelta) -> String {
    duration_text(delta.to_std().unwrap_or_default())
}
