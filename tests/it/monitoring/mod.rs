//! What stands in `deploy/` for those who watch from outside: Prometheus' rules,
//! Grafana's dashboard, Alertmanager's example. Each is held against its own tool
//! and against the metrics that there are.

mod dashboard;
mod prometheus;
mod rules;

use std::{collections::BTreeSet, io::ErrorKind, path::PathBuf, process::Output};

use crate::support::tools::{command, tool};

/// A file or folder below `deploy/`.
fn deployed(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deployed(path)).unwrap()
}

/// The path of a program: what its variable names, or what is found. Where the
/// variable is set, a test that needs it is never skipped.
fn program(name: &str) -> (PathBuf, bool) {
    match std::env::var_os(name.to_uppercase()) {
        Some(path) => (path.into(), true),
        None => (tool(name), false),
    }
}

/// Runs a program in a folder below `deploy/`; `None` where there is none, which
/// it says aloud.
fn run(test: &str, name: &str, folder: &str, arguments: &[&str]) -> Option<Output> {
    let (path, named) = program(name);
    match command(path).args(arguments).current_dir(deployed(folder)).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound && !named => {
            eprintln!(
                "SKIPPED {test}: there is no {name}; tests/run.sh fetches it, or set {}",
                name.to_uppercase()
            );
            None
        }
        Err(error) => panic!("{name} does not start: {error}"),
    }
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Every series that Reliquary has, by name, those of histograms in full.
fn metrics() -> BTreeSet<String> {
    let (_, app) = crate::live_state::busy();
    let text = app.metrics.render(&app.state).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

/// Every name of a metric of Reliquary or its process in a text.
fn named_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("reliquary_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_name_that_is_no_metric_would_be_noticed() {
    let found = named_in("sum(rate(reliquary_runs_total{job=\"x\"}[5m])) > process_cpu");
    assert_eq!(found, BTreeSet::from(["process_cpu".into(), "reliquary_runs_total".into()]));
    assert!(metrics().is_disjoint(&found));
    assert!(metrics().contains("reliquary_job_duration_seconds_bucket"));
}
