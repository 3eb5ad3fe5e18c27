//! The alert rules, by `promtool`, and the example for Alertmanager, by `amtool`.

use super::{metrics, named_in, read, run, said};

#[test]
fn promtool_finds_nothing_wrong_with_configuration_and_rules_and_their_tests_pass() {
    let name = "promtool_finds_nothing_wrong_with_configuration_and_rules_and_their_tests_pass";
    for arguments in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "rules.yml"],
        &["test", "rules", "rules_test.yml", "rules_days_test.yml"],
    ] {
        let Some(output) = run(name, "promtool", "prometheus", arguments) else { return };
        let said = said(&output);
        assert!(output.status.success() && said.contains("SUCCESS"), "{arguments:?}: {said}");
        assert!(!said.contains("duplicate"), "{said}");
    }
}

#[test]
fn every_rule_goes_by_metrics_that_there_are_and_is_tested() {
    let rules = read("prometheus/rules.yml");
    let tests = read("prometheus/rules_test.yml") + &read("prometheus/rules_days_test.yml");
    let (there, named) = (metrics(), named_in(&rules));
    assert!(named.len() > 10, "{named:?}");
    let unknown: Vec<_> = named.difference(&there).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let unknown: Vec<_> = named_in(&tests).difference(&there).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts {
        // Once where it must not fire, or once where it must, at least.
        let fires = tests
            .split("- alertname: ")
            .skip(1)
            .any(|case| case.starts_with(&format!("{alert}\n")) && case.contains("exp_alerts:"));
        assert!(fires, "no test lets {alert} fire");
    }
}

#[test]
fn alertmanager_s_example_is_one() {
    let name = "alertmanager_s_example_is_one";
    let arguments = ["check-config", "alertmanager.yml"];
    let Some(output) = run(name, "amtool", "alertmanager", &arguments) else { return };
    assert!(output.status.success(), "{}", said(&output));
}
