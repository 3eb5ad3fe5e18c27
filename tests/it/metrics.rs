//! The metrics as a scraper sees them.

use std::{
    io::{ErrorKind, Write as _},
    process::{ExitStatus, Stdio},
};

use reliquary::{
    clock::Clock,
    http::App,
    metrics::Metrics,
    state::{DatabaseState, State},
};

use crate::live_state::{HOUR, at, busy, young};

fn rendered(app: &App) -> String {
    let text = app.metrics.render(&app.state).unwrap();
    let ours = text.lines().filter(|line| !line.contains("process_"));
    ours.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn a_busy_daemon_looks_like_this() {
    insta::assert_snapshot!(rendered(&busy().1));
}

/// So that an alert on growth sees the first failure.
#[test]
fn every_series_exists_from_the_first_scrape() {
    let names = |text: &str| -> Vec<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let state = State::new(Clock::manual(at(0)), at(0), "0.1.0");
    for name in ["billing", "main"] {
        state.add(DatabaseState::new(name, "database/", "0 0 * * * *", HOUR));
    }
    let metrics = Metrics::new("0.1.0", &state.names()).unwrap();
    let fresh = App { state, metrics: metrics.into(), ..busy().1 };
    assert_eq!(names(&rendered(&fresh)), names(&rendered(&busy().1)));

    let mut values: Vec<_> = rendered(&fresh)
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("stale_after"))
        .filter(|line| !line.contains("build_info"))
        .map(|line| line.rsplit_once(' ').unwrap().1.to_owned())
        .collect();
    values.dedup();
    assert_eq!(values, ["0"]);
}

#[test]
fn the_gauge_says_what_healthz_says() {
    let (clock, app) = young();
    let healthy = |app: &App| {
        let text = app.metrics.render(&app.state).unwrap();
        text.contains("reliquary_healthy{database=\"main\"} 1\n")
    };
    assert!(!healthy(&app));
    app.state.update("main", |database| database.last_success = Some(at(0)));
    assert!(healthy(&app));
    clock.set(at(121));
    assert!(!healthy(&app));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_reports_its_memory() {
    let (_, app) = young();
    let text = app.metrics.render(&app.state).unwrap();
    let line = text.lines().find(|line| line.starts_with("process_resident_memory_bytes "));
    let bytes: f64 = line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
    assert!(bytes > 1_000_000.0, "{bytes}");
}

/// `promtool` comes with Debian's package `prometheus`; `$PROMTOOL` says where
/// it is when it is not in the path. Where that is set, the test is never skipped.
#[test]
fn promtool_has_nothing_to_say() {
    let text = {
        let (_, app) = busy();
        app.metrics.render(&app.state).unwrap()
    };
    match promtool(&text) {
        Some((status, said)) => assert!(status.success() && said.trim().is_empty(), "{said}"),
        None => eprintln!(
            "SKIPPED promtool_has_nothing_to_say: there is no promtool; put Debian's (package \
             prometheus) into the path, or set PROMTOOL"
        ),
    }
}

#[test]
fn promtool_would_notice_a_bad_metric() {
    let bad = "# TYPE reliquary_runs counter\nreliquary_runs 1\n";
    if let Some((status, said)) = promtool(bad) {
        assert!(!status.success(), "{said}");
    } else {
        eprintln!("SKIPPED promtool_would_notice_a_bad_metric: there is no promtool");
    }
}

/// Runs `promtool check metrics`; `None` where there is none.
fn promtool(text: &str) -> Option<(ExitStatus, String)> {
    let named = std::env::var_os("PROMTOOL");
    let program = named.clone().unwrap_or_else(|| "promtool".into());
    #[expect(clippy::disallowed_methods, reason = "a test's tool, not a child of the product")]
    let mut command = std::process::Command::new(program);
    let spawned = command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return None,
        Err(error) => panic!("promtool does not start: {error}"),
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status, String::from_utf8_lossy(&said).into_owned()))
}
