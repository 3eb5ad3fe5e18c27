//! Checks of the bucket's own rules for objects that age.

use super::{Finding, without_value};
use crate::{
    catalog::Layout,
    retention::{
        Policy,
        lifecycle::{self, Level, Remover},
    },
    store::{LifecycleRule, Narrowed, Observed},
    words::{Check, CheckResult},
};

/// Parts of an upload are of no use for longer than this, in days.
const LONGEST: u32 = 7;

fn get(bucket: &str) -> String {
    format!("aws s3api get-bucket-lifecycle-configuration --bucket {bucket}")
}

/// Parts of uploads that nobody finished go away by themselves.
#[must_use]
pub fn unfinished_uploads(
    bucket: &str,
    layout: &Layout,
    rules: &Observed<Vec<LifecycleRule>>,
) -> Finding {
    let check = Check::UnfinishedUploads;
    if let Some(finding) = without_value(check, rules, &get(bucket)) {
        return finding;
    }
    let days = rules
        .value()
        .into_iter()
        .flatten()
        .filter(|rule| rule.enabled && rule.narrowed != Some(Narrowed::ByTag))
        .filter(|rule| layout.prefix().starts_with(&rule.prefix))
        .filter_map(|rule| rule.abort_uploads_after_days)
        .min();
    let put = format!(
        "add to what `{}` shows, and put it back: {{\"ID\":\"reliquary-abort\",\
         \"Status\":\"Enabled\",\"Filter\":{{\"Prefix\":\"{}\"}},\
         \"AbortIncompleteMultipartUpload\":{{\"DaysAfterInitiation\":2}}}}",
        get(bucket),
        layout.prefix()
    );
    match days {
        None => Finding::fail(
            check,
            "no lifecycle rule throws the parts of unfinished uploads away: they are seen in no \
             listing, and paid for",
            put,
        ),
        Some(days) if days > LONGEST => Finding::warn(
            check,
            format!("the parts of unfinished uploads are kept and paid for for {days} days"),
            put,
        ),
        Some(days) => {
            Finding::pass(check, format!("the parts of unfinished uploads go after {days} day(s)"))
        }
    }
}

/// No lifecycle rule contradicts retention; where the rules are to do its work,
/// they do.
#[must_use]
pub fn against_retention(
    bucket: &str,
    layout: &Layout,
    policy: &Policy,
    remover: Remover,
    rules: &Observed<Vec<LifecycleRule>>,
) -> Finding {
    let check = Check::Lifecycle;
    if let Some(finding) = without_value(check, rules, &get(bucket)) {
        return finding;
    }
    let mut rules = rules.value().cloned().unwrap_or_default();
    let own = rules.len();
    // Unfinished uploads have a check of their own; with this they are no matter here.
    rules.push(LifecycleRule {
        id: "unfinished uploads".to_owned(),
        enabled: true,
        abort_uploads_after_days: Some(LONGEST),
        ..LifecycleRule::default()
    });
    let found: Vec<_> = lifecycle::compare(&rules, policy, layout, remover);
    let Some(worst) = found.iter().map(|finding| finding.level).max() else {
        return Finding::pass(
            check,
            match own {
                0 => "the bucket has no lifecycle rule; the sweep alone removes".to_owned(),
                own => format!("{own} lifecycle rule(s) agree with retention"),
            },
        );
    };
    let join = |text: fn(&lifecycle::Finding) -> &str| {
        found.iter().map(text).collect::<Vec<_>>().join("; ")
    };
    Finding {
        result: match worst {
            Level::Warn => CheckResult::Warn,
            Level::Fail => CheckResult::Fail,
        },
        ..Finding::warn(check, join(|f| &f.detail), join(|f| &f.fix))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn policy() -> Policy {
        Policy {
            keep_for: TimeDelta::days(30),
            keep_last: 24,
            tiers: [0; 5],
            grace: TimeDelta::hours(24),
        }
    }

    fn layout() -> Layout {
        Layout::new("database/")
    }

    fn rule(prefix: &str) -> LifecycleRule {
        LifecycleRule {
            id: "r".to_owned(),
            enabled: true,
            prefix: prefix.to_owned(),
            ..LifecycleRule::default()
        }
    }

    #[test]
    fn uploads_that_nobody_finished_must_go_by_themselves() {
        let of = |rule| unfinished_uploads("b", &layout(), &Observed::Value(vec![rule])).result;
        let abort =
            |prefix, days| LifecycleRule { abort_uploads_after_days: Some(days), ..rule(prefix) };
        assert_eq!(of(abort("", 2)), CheckResult::Pass);
        assert_eq!(of(abort("database/", 2)), CheckResult::Pass);
        assert_eq!(of(abort("", 30)), CheckResult::Warn);
        assert_eq!(of(abort("other/", 2)), CheckResult::Fail);
        assert_eq!(of(LifecycleRule { enabled: false, ..abort("", 2) }), CheckResult::Fail);
        let denied = Observed::Denied("s3:GetLifecycleConfiguration".to_owned());
        assert_eq!(unfinished_uploads("b", &layout(), &denied).result, CheckResult::Unknown);
    }

    #[test]
    fn a_rule_that_is_sharper_than_retention_is_a_failure() {
        let of = |rules: Vec<LifecycleRule>, remover| {
            against_retention("b", &layout(), &policy(), remover, &Observed::Value(rules))
        };
        let none = of(Vec::new(), Remover::Reliquary);
        assert_eq!(none.result, CheckResult::Pass, "{}", none.found);
        let sharp = LifecycleRule { expire_after_days: Some(7), ..rule("database/20") };
        let finding = of(vec![sharp], Remover::Reliquary);
        assert_eq!(finding.result, CheckResult::Fail);
        assert!(finding.found.contains("after 7 days"), "{}", finding.found);
        assert_eq!(of(Vec::new(), Remover::Bucket).result, CheckResult::Fail);
    }
}
