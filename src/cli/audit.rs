//! `reliquary audit`

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Chosen, DONE, Global, UNHEALTHY, print};
use crate::{
    app,
    audit::{Finding, Report},
    clock::Clock,
    jobs::{self, audit::Audited},
    lifecycle::{Ended, Signals, interruptible},
    recovery::audited::Standing,
    words::{Check, CheckResult},
};

/// How long an interrupted audit may take to let go.
const GRACE: Duration = Duration::from_secs(2);

/// Where a line of text ends, in characters.
const WIDTH: usize = 100;

#[derive(Args, Debug)]
#[command(
    after_help = "It writes two small objects of its own: audit/probe.sql.gz, which it deletes \
    where it may, and audit/latest.json, what it found. Nothing else is changed.\n\nExamples:\n  reliquary audit\n  reliquary --json audit \
    -d main\n  reliquary audit --accept"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Say that what it finds is meant: the daemon alerts of a check that gets
    /// worse, and holds its audits against what is found from now on
    #[arg(long)]
    accept: bool,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings_with_source()?;
    let database = arguments.chosen.of(&settings)?;
    let source = app::source(database)?;
    let store = app::store(&settings.store).await?;
    let environment = app::environment(&settings, store, Clock::system());
    let cancel = CancellationToken::new();
    let standing = if arguments.accept { Standing::Accepted } else { Standing::Aside };
    let work = jobs::audit::run(&environment, &source, standing, &cancel);
    let ended = interruptible(Signals::install()?, cancel.clone(), GRACE, Box::pin(work)).await;
    let Audited { report, worse } = match ended {
        Ended::Finished(Some(audited)) => audited,
        Ended::Finished(None) => bail!("the audit was told to stop"),
        Ended::Interrupted { signal, .. } => return Ok(signal.exit_code()),
    };
    if arguments.accept && worse.is_none() {
        bail!("what the audit found could not be kept in the store, and so it is not accepted");
    }
    if global.json {
        print::json(&json!({
            "database": database.name,
            "store": environment.store.uri(source.layout.prefix()),
            "time": report.time,
            "ok": report.failed().next().is_none(),
            "checks": report.tally(),
            "findings": report.findings,
            "not_applicable": report.not_applicable,
        }))?;
    } else {
        print!("{}", text(&report, global.quiet));
    }
    Ok(if report.failed().next().is_some() { UNHEALTHY } else { DONE })
}

/// What is looked at, in groups.
const GROUPS: [(&str, Check); 5] = [
    ("The store", Check::Region),
    ("The credentials", Check::Identity),
    ("The clocks", Check::ClockStore),
    ("The source", Check::Source),
    ("This machine", Check::SecretFiles),
];

/// The report as a person reads it; quietly, only what does not pass.
fn text(report: &Report, quiet: bool) -> String {
    let mut text = String::new();
    for (at, (title, first)) in GROUPS.iter().enumerate() {
        let next = GROUPS.get(at + 1).map(|(_, first)| *first);
        let of_group = |finding: &&Finding| {
            finding.check >= *first && next.is_none_or(|next| finding.check < next)
        };
        let shown: Vec<&Finding> = report
            .findings
            .iter()
            .filter(of_group)
            .filter(|finding| !quiet || finding.result != CheckResult::Pass)
            .collect();
        if shown.is_empty() {
            continue;
        }
        text += &format!("{title}\n");
        for finding in shown {
            text += &one(finding);
        }
        text.push('\n');
    }
    let tally = report.tally();
    text += &format!(
        "{} passed, {} to think about, {} failed, {} unknown\n",
        tally.pass, tally.warn, tally.fail, tally.unknown
    );
    text
}

fn one(finding: &Finding) -> String {
    let mark = match finding.result {
        CheckResult::Pass => "ok",
        CheckResult::Warn => "warn",
        CheckResult::Fail => "FAIL",
        CheckResult::Unknown => "?",
    };
    let check = finding.check.as_str();
    let mut text = wrapped(&format!("  {mark:<5} {check:<22} "), &finding.found);
    if let Some(permission) = &finding.permission {
        text += &wrapped("        needs: ", permission);
    }
    if let Some(fix) = &finding.fix {
        // A command is to be copied, and so it is not broken into lines.
        text += &format!("        mend: {fix}\n");
    }
    text
}

/// A text with hanging lines.
fn wrapped(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut lines = vec![first.to_owned()];
    let mut empty = true;
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if !empty && line + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent));
            empty = true;
        }
        if let Some(line) = lines.last_mut() {
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_stands_in_one_group() {
        let mut firsts = GROUPS.iter().map(|(_, first)| *first);
        assert_eq!(firsts.next(), Check::ALL.first().copied());
        assert!(GROUPS.windows(2).all(|pair| pair[0].1 < pair[1].1));
    }

    #[test]
    fn long_lines_hang() {
        let text = wrapped("  ok    write ", &"word ".repeat(40));
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().skip(1).all(|line| line.starts_with("              word")));
    }
}
