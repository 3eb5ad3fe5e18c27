//! Holds a bucket's lifecycle rules against retention: pure.
//!
//! A rule knows prefixes and ages and nothing else: not which backups are
//! good, not how many there are. So it must never be sharper than retention,
//! must not reach what a person made by hand, and cannot do what tiers do.

use chrono::TimeDelta;
use serde::Serialize;

use super::Policy;
use crate::{
    archive::manifest::Kind,
    catalog::Layout,
    settings::duration_text,
    store::{LifecycleRule, Narrowed},
};

/// Who removes what retention no longer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remover {
    /// Reliquary; the bucket's rules must not be sharper than it.
    Reliquary,
    /// The bucket's rules, which must do what retention says.
    Bucket,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It works, and a person should know its price.
    Warn,
    /// Backups that retention keeps are lost by it, or what it does not keep stays.
    Fail,
}

/// Something in which the rules and retention differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The rule's name; `None` where a rule is missing.
    pub rule: Option<String>,
    /// What was found, in words.
    pub detail: String,
    /// What mends it.
    pub fix: String,
}

/// Storage classes from which nothing can be read before it was asked for, for hours.
const ASLEEP: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Holds every rule against what retention keeps under one database's prefix.
/// Nothing found says that the two agree.
#[must_use]
pub fn compare(
    rules: &[LifecycleRule],
    policy: &Policy,
    layout: &Layout,
    remover: Remover,
) -> Vec<Finding> {
    let places = Places::of(layout);
    let followed = || rules.iter().filter(|rule| rule.enabled && !is_by_tag(rule));
    let mut findings: Vec<Finding> =
        followed().flat_map(|rule| judge(rule, policy, &places)).collect();
    if remover == Remover::Bucket {
        findings.extend(expires(followed(), policy, &places));
    }
    let aborts = |rule: &LifecycleRule| {
        rule.abort_uploads_after_days.is_some() && layout.prefix().starts_with(&rule.prefix)
    };
    if !followed().any(aborts) {
        findings.push(Finding {
            level: Level::Warn,
            rule: None,
            detail: "no rule throws the parts of unfinished uploads away; what a crashed backup \
                     sent is paid for until a sweep finds it"
                .to_owned(),
            fix: format!("add {}", abort_rule(policy, layout)),
        });
    }
    findings
}

/// Where keys stand, as prefixes.
struct Places {
    /// What every scheduled backup's key begins with, this century.
    scheduled: String,
    manual: String,
    /// The shortest prefixes of other things that are kept for ever.
    others: [String; 4],
}

impl Places {
    fn of(layout: &Layout) -> Self {
        let prefix = layout.prefix();
        Self {
            scheduled: format!("{prefix}20"),
            manual: layout.folder(Kind::Manual),
            others: ["LATEST.", "drills/", "incidents/", "reviews/"]
                .map(|name| format!("{prefix}{name}")),
        }
    }
}

/// What one rule does that retention would not.
fn judge(rule: &LifecycleRule, policy: &Policy, places: &Places) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |level, detail: String, fix: String| {
        findings.push(Finding { level, rule: Some(name(rule)), detail, fix });
    };
    let touches = |place: &str| rule.prefix.starts_with(place) || place.starts_with(&rule.prefix);
    let scheduled = touches(&places.scheduled);
    let named = name(rule);
    if rule.expire_at.is_some() && (scheduled || touches(&places.manual)) {
        find(
            Level::Fail,
            format!("{named} removes backups of every age at one date"),
            format!("remove it; {}", expire_rule(policy, places)),
        );
    }
    if let Some(days) = rule.expire_after_days {
        let keep_for = in_words(policy.keep_for);
        if touches(&places.manual) {
            find(
                Level::Fail,
                format!("{named} removes manual backups after {days} days; retention never does"),
                format!("narrow its prefix to {:?}", places.scheduled),
            );
        } else if places.others.iter().any(|place| touches(place)) {
            find(
                Level::Warn,
                format!("{named} removes the pointer, or what drills and incidents left"),
                format!("narrow its prefix to {:?}", places.scheduled),
            );
        }
        if scheduled && TimeDelta::days(days.into()) < policy.keep_for {
            find(
                Level::Fail,
                format!("{named} removes backups after {days} days; retention keeps {keep_for}"),
                format!(
                    "set its days to {}, or retention.keep_for to \"{days}d\"",
                    days_of(policy)
                ),
            );
        }
        let tiers = policy.tiers_in_words();
        if scheduled && !tiers.is_empty() {
            find(
                Level::Fail,
                format!(
                    "{named} removes what retention keeps longer ({tiers}): a rule knows ages only"
                ),
                "take the tiers out of [retention], or remove the rule and set sweep.mode = \
                 \"delete\""
                    .to_owned(),
            );
        }
        if scheduled {
            find(
                Level::Warn,
                format!(
                    "{named} knows ages only: when no backup succeeds for {days} days it removes \
                     the last ones too, which retention would keep ({})",
                    policy.keep_last
                ),
                "set sweep.mode = \"delete\" and remove the rule; or keep versions, so that \
                 what went can be brought back"
                    .to_owned(),
            );
        }
    }
    if scheduled || touches(&places.manual) {
        for (days, class) in rule.moves.iter().filter(|(_, to)| ASLEEP.contains(&to.as_str())) {
            find(
                Level::Warn,
                format!(
                    "{named} moves archives to {class} after {days} days: they can be neither \
                     verified nor restored before they were called back, which takes hours"
                ),
                "move to GLACIER_IR or STANDARD_IA instead".to_owned(),
            );
        }
    }
    if let Some(days) = rule.abort_uploads_after_days
        && scheduled
        && TimeDelta::days(days.into()) < policy.grace
    {
        find(
            Level::Fail,
            format!("{named} throws uploads away after {days} days, while one may still run"),
            format!("set its days to {}", days_up(policy.grace)),
        );
    }
    findings
}

/// Whether some rule removes what retention no longer keeps.
fn expires<'r>(
    rules: impl Iterator<Item = &'r LifecycleRule>,
    policy: &Policy,
    places: &Places,
) -> Option<Finding> {
    let covers = |rule: &&LifecycleRule| {
        rule.narrowed.is_none() && places.scheduled.starts_with(&rule.prefix)
    };
    let first = rules
        .filter(covers)
        .filter_map(|rule| rule.expire_after_days.map(|days| (days, rule)))
        .min_by_key(|(days, _)| *days);
    match first {
        None => Some(Finding {
            level: Level::Fail,
            rule: None,
            detail: format!(
                "no rule removes backups that are older than {}",
                in_words(policy.keep_for)
            ),
            fix: format!("add {}", expire_rule(policy, places)),
        }),
        // S3 itself rounds up to the next midnight.
        Some((days, rule)) if days > days_of(policy) => Some(Finding {
            level: Level::Warn,
            rule: Some(name(rule)),
            detail: format!(
                "{} removes backups after {days} days; retention keeps {}",
                name(rule),
                in_words(policy.keep_for)
            ),
            fix: format!("set its days to {}", days_of(policy)),
        }),
        Some(_) => None,
    }
}

fn is_by_tag(rule: &LifecycleRule) -> bool {
    rule.narrowed == Some(Narrowed::ByTag)
}

fn name(rule: &LifecycleRule) -> String {
    if rule.id.is_empty() {
        format!("the rule for {:?}", rule.prefix)
    } else {
        format!("the rule {:?}", rule.id)
    }
}

fn expire_rule(policy: &Policy, places: &Places) -> String {
    format!(
        "{{\"ID\": \"reliquary-expire\", \"Status\": \"Enabled\", \"Filter\": {{\"Prefix\": \
         {:?}}}, \"Expiration\": {{\"Days\": {}}}}}",
        places.scheduled,
        days_of(policy)
    )
}

fn abort_rule(policy: &Policy, layout: &Layout) -> String {
    format!(
        "{{\"ID\": \"reliquary-abort\", \"Status\": \"Enabled\", \"Filter\": {{\"Prefix\": \
         {:?}}}, \"AbortIncompleteMultipartUpload\": {{\"DaysAfterInitiation\": {}}}}}",
        layout.prefix(),
        days_up(policy.grace)
    )
}

fn days_of(policy: &Policy) -> u32 {
    days_up(policy.keep_for)
}

/// Whole days that are not shorter.
fn days_up(time: TimeDelta) -> u32 {
    let whole = time.num_days();
    let days = if time > TimeDelta::days(whole) { whole + 1 } else { whole };
    u32::try_from(days.max(1)).unwrap_or(u32::MAX)
}

fn in_words(time: TimeDelta) -> String {
    duration_text(time.to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests;
