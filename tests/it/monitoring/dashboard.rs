//! Grafana's dashboard: each expression uses metrics, labels and values that
//! there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{metrics, named_in, read};
use crate::live_state::busy;

/// Every panel, those of rows too.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut left: Vec<&Value> = dashboard["panels"].as_array().unwrap().iter().collect();
    while let Some(panel) = left.pop() {
        left.extend(panel["panels"].as_array().into_iter().flatten());
        found.push(panel);
    }
    found
}

/// Every expression, with the name of its panel.
pub(super) fn expressions() -> Vec<(String, String)> {
    let dashboard: Value =
        serde_json::from_str(&read("grafana/dashboards/reliquary.json")).unwrap();
    let mut found = Vec::new();
    for panel in panels(&dashboard) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap().to_owned();
            found.push((title, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = &variable["query"];
        if let Some(query) = query["query"].as_str().filter(|query| query.contains("reliquary")) {
            found.push(("a variable".to_owned(), query.to_owned()));
        }
    }
    found
}

/// The labels of every metric, and the values that each has.
fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let (_, app) = busy();
    let text = app.metrics.render(&app.state).unwrap();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        for (label, value) in selectors(line) {
            labels.entry(label).or_default().insert(value);
        }
    }
    labels
}

/// Every `label="value"` of a text, whatever the operator.
fn selectors(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for braces in text.split('{').skip(1) {
        let inside = braces.split('}').next().unwrap();
        for pair in inside.split("\",").filter(|pair| pair.contains('=')) {
            let (label, value) = pair.split_once('=').unwrap();
            let label = label.trim().trim_end_matches('!').to_owned();
            let value = value.trim_start_matches('~').trim_matches('"').to_owned();
            found.push((label, value));
        }
    }
    found
}

#[test]
fn it_asks_only_for_what_there_is() {
    let (there, labels) = (metrics(), labels());
    let expressions = expressions();
    assert!(expressions.len() > 20, "{}", expressions.len());
    for (panel, expression) in &expressions {
        let named = named_in(expression);
        assert!(!named.is_empty(), "{panel}: {expression}");
        let unknown: Vec<_> = named.difference(&there).collect();
        assert!(unknown.is_empty(), "{panel}: {unknown:?}");
        for (label, value) in selectors(expression) {
            let known = labels.get(&label);
            let known = known.unwrap_or_else(|| panic!("{panel}: there is no label {label}"));
            for value in value.split('|').filter(|value| !value.starts_with('$')) {
                assert!(known.contains(value), "{panel}: {label} is never {value:?}");
            }
        }
    }
}

/// What the product knows and the dashboard does not show, nobody sees.
#[test]
fn it_shows_every_metric_of_reliquary() {
    let shown: BTreeSet<String> =
        expressions().iter().flat_map(|(_, expression)| named_in(expression)).collect();
    let base = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = shown.iter().map(|name| base(name)).collect();
    let there = metrics();
    let ours = there.iter().filter(|name| name.starts_with("reliquary_"));
    let hidden: BTreeSet<String> =
        ours.map(|name| base(name)).filter(|name| !shown.contains(name)).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn it_stands_on_its_own() {
    let text = read("grafana/dashboards/reliquary.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(dashboard["id"], Value::Null, "an id is of one Grafana");
    assert_eq!(dashboard["uid"], "reliquary");
    let mut taken = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(taken.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            let description = panel["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{title} does not say what it shows");
        }
    }
}
