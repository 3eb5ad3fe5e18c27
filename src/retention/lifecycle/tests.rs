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

/// The two rules that do what the policy says, as far as rules can.
fn good() -> Vec<LifecycleRule> {
    vec![
        LifecycleRule {
            id: "expire".to_owned(),
            enabled: true,
            prefix: "database/20".to_owned(),
            expire_after_days: Some(30),
            ..LifecycleRule::default()
        },
        LifecycleRule {
            id: "abort".to_owned(),
            enabled: true,
            abort_uploads_after_days: Some(1),
            ..LifecycleRule::default()
        },
    ]
}

/// The findings beyond the one that no rule for ages is free of.
fn found(rules: &[LifecycleRule], policy: &Policy) -> Vec<(Level, String)> {
    let all = compare(rules, policy, &layout(), Remover::Bucket);
    let inherent = |finding: &&Finding| !finding.detail.contains("the last ones too");
    all.iter().filter(inherent).map(|f| (f.level, f.detail.clone())).collect()
}

/// One finding of this level that says this.
fn finds(rules: &[LifecycleRule], policy: &Policy, level: Level, what: &str) {
    let found = found(rules, policy);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].0, level, "{found:#?}");
    assert!(found[0].1.contains(what), "{found:#?}");
}

#[test]
fn rules_that_do_what_retention_says_pass_but_for_the_last_backups() {
    let all = compare(&good(), &policy(), &layout(), Remover::Bucket);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!((all[0].level, all[0].rule.as_deref()), (Level::Warn, Some("the rule \"expire\"")));
    // Where Reliquary removes, no rule need do so.
    let aborts = &good()[1..];
    assert_eq!(compare(aborts, &policy(), &layout(), Remover::Reliquary), []);
}

#[test]
fn no_rule_at_all_leaves_everything_for_ever() {
    let found = found(&[], &policy());
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].1.contains("older than 30d"), "{found:#?}");
    assert!(found[1].1.contains("unfinished uploads"), "{found:#?}");
    // Rules that are off, or for tagged objects, or elsewhere, are none.
    for change in [
        |rule: &mut LifecycleRule| rule.enabled = false,
        |rule: &mut LifecycleRule| rule.narrowed = Some(Narrowed::ByTag),
        |rule: &mut LifecycleRule| rule.prefix = "other/".to_owned(),
    ] {
        let mut rules = good();
        rules.iter_mut().for_each(change);
        let found = self::found(&rules, &policy());
        assert_eq!(found.len(), 2, "{found:#?}");
    }
}

#[test]
fn a_rule_that_is_sharper_than_retention_fails_whoever_removes() {
    let mut rules = good();
    rules[0].expire_after_days = Some(29);
    finds(&rules, &policy(), Level::Fail, "after 29 days; retention keeps 30d");
    let all = compare(&rules, &policy(), &layout(), Remover::Reliquary);
    assert!(all.iter().any(|finding| finding.level == Level::Fail), "{all:#?}");
    // One month's folder is enough to lose backups, and so is one of some sizes.
    rules[0] = LifecycleRule { prefix: "database/2026/11/".to_owned(), ..rules[0].clone() };
    rules.push(good().remove(0));
    finds(&rules, &policy(), Level::Fail, "after 29 days");
    rules[0].narrowed = Some(Narrowed::BySize);
    finds(&rules, &policy(), Level::Fail, "after 29 days");
}

#[test]
fn a_rule_that_is_blunter_than_retention_is_told() {
    let mut rules = good();
    rules[0].expire_after_days = Some(31);
    finds(&rules, &policy(), Level::Warn, "after 31 days");
    // Half a day cannot be said in a rule.
    let odd = Policy { keep_for: TimeDelta::hours(30 * 24 + 12), ..policy() };
    assert_eq!(found(&rules, &odd), []);
    rules[0].narrowed = Some(Narrowed::BySize);
    finds(&rules, &policy(), Level::Fail, "no rule removes backups");
}

#[test]
fn a_rule_that_reaches_manual_backups_fails() {
    for prefix in ["", "data", "database/", "database/manual/"] {
        let mut rules = good();
        rules.push(LifecycleRule { prefix: prefix.to_owned(), ..good().remove(0) });
        finds(&rules, &policy(), Level::Fail, "removes manual backups after 30 days");
    }
    let mut rules = good();
    rules.push(LifecycleRule { prefix: "database/LATEST".to_owned(), ..good().remove(0) });
    finds(&rules, &policy(), Level::Warn, "removes the pointer");
}

#[test]
fn tiers_and_dates_are_beyond_any_rule() {
    let tiered = Policy { tiers: [0, 7, 4, 0, 0], ..policy() };
    finds(&good(), &tiered, Level::Fail, "(daily 7, weekly 4)");
    let mut rules = good();
    let expire_at = Some(chrono::DateTime::UNIX_EPOCH);
    rules.push(LifecycleRule { expire_at, expire_after_days: None, ..good().remove(0) });
    finds(&rules, &policy(), Level::Fail, "at one date");
}

#[test]
fn uploads_that_may_still_run_are_not_thrown_away() {
    let slow = Policy { grace: TimeDelta::hours(49), ..policy() };
    let mut rules = good();
    finds(&rules, &slow, Level::Fail, "while one may still run");
    rules[1].abort_uploads_after_days = Some(3);
    assert_eq!(found(&rules, &slow), []);
}

#[test]
fn archives_that_cannot_be_read_at_once_are_told() {
    let mut rules = good();
    rules[0].moves = vec![(7, "GLACIER".to_owned()), (3, "STANDARD_IA".to_owned())];
    finds(&rules, &policy(), Level::Warn, "to GLACIER after 7 days");
}
