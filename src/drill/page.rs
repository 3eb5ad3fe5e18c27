//! A drill as a page of Markdown that a person can paste into a drill log.

use super::record::{PlaceFacts, Record};
use crate::{
    markdown, rfc3339,
    visible::visible,
    words::{DrillVerdict, Looked},
};

/// Writes the page.
#[must_use]
pub fn page(record: &Record) -> String {
    let mut text = format!("# Restore drill {}: {}\n\n", record.id, verdict(record.verdict));
    if let Some(failure) = &record.failure {
        text += &format!("**{}**: {}\n\n", failure.reason, line(&failure.message));
    }
    let not_run: Vec<&str> = record.not_run().collect();
    if !not_run.is_empty() {
        text += &format!("Not looked at: {}.\n\n", line(&not_run.join("; ")));
    }
    let backup = &record.backup;
    let kind = if backup.legacy { "a legacy archive" } else { backup.kind.name() };
    let mut facts = vec![
        ("database", record.database.clone()),
        ("backup", format!("{} ({kind}, {} bytes)", backup.id, backup.archive_bytes)),
        ("SHA-256", backup.sha256.clone().unwrap_or_else(|| "not known".to_owned())),
        ("began", rfc3339::format(record.started)),
        ("ended", rfc3339::format(record.finished)),
        ("operator", record.operator.clone()),
        ("chosen as", record.choice.to_string()),
        ("Reliquary", record.version.clone()),
        ("source", server(backup.source_version.as_deref())),
        ("restored into", server(record.sandbox.as_ref().map(|s| s.server_version.as_str()))),
    ];
    if let Some(seconds) = record.restore_seconds {
        facts.push(("restore took", format!("{seconds:.1} s (the measured recovery time)")));
    }
    if let Some(PlaceFacts { place, network, .. }) = &record.sandbox {
        facts.push(("which is", format!("a {place}")));
        facts.push(("its network", network.clone()));
    }
    text += "| | |\n| --- | --- |\n";
    for (name, value) in facts {
        text += &format!("| {name} | {} |\n", cell(&value));
    }
    text += "\n## Compared\n\n";
    text += &format!(
        "- {} rows of {} tables were counted; {} tables differ\n",
        record.rows_compared,
        record.tables_compared,
        record.different.len()
    );
    for difference in &record.different {
        text += &format!(
            "  - {}: the backup says {}, {} were found\n",
            line(&difference.table),
            difference.expected,
            difference.found
        );
    }
    for comparison in &record.comparisons {
        let mark = mark(comparison.outcome);
        text += &format!("- {mark} {}: {}\n", line(&comparison.name), line(&comparison.detail));
    }
    if !record.checks.is_empty() {
        text += "\n## Checks\n\n| | check | expected | found |\n| --- | --- | --- | --- |\n";
        for answer in &record.checks {
            let found = answer.value.as_deref().unwrap_or("nothing");
            let found = if answer.detail.is_empty() { found } else { answer.detail.as_str() };
            text += &format!(
                "| {} | {} | {} | {} |\n",
                mark(answer.outcome),
                cell(&answer.name),
                cell(&answer.expect),
                cell(found)
            );
        }
    }
    let skipped: Vec<String> = record
        .skipped
        .iter()
        .map(|skipped| format!("{} ({}): {}", skipped.what, skipped.class.name(), skipped.reason))
        .collect();
    for (title, lines) in [
        ("Stood in for, and not counted as data", &record.stand_ins),
        ("Extensions that this machine does not have", &record.missing_extensions),
        ("Extensions that are older here than at the source", &record.older_extensions),
        ("Not restored", &skipped),
        ("Warnings", &record.warnings),
    ] {
        if !lines.is_empty() {
            text += &format!("\n## {title}\n\n");
            for what in lines {
                text += &format!("- {}\n", line(what));
            }
        }
    }
    text += "\n## Stages\n\n| stage | seconds |\n| --- | --- |\n";
    for stage in &record.stages {
        text += &format!("| {} | {:.1} |\n", stage.stage, stage.seconds);
    }
    text
}

fn verdict(verdict: DrillVerdict) -> &'static str {
    match verdict {
        DrillVerdict::Passed => "passed",
        DrillVerdict::Failed => "FAILED",
        DrillVerdict::Unproven => "UNPROVEN",
    }
}

fn mark(outcome: Looked) -> &'static str {
    match outcome {
        Looked::Ok => "ok",
        Looked::Failed => "**FAILED**",
        Looked::NotRun => "*not run*",
        Looked::CouldNotRun => "**could not run**",
    }
}

fn server(version: Option<&str>) -> String {
    version.map_or_else(|| "-".to_owned(), |version| format!("PostgreSQL {version}"))
}

/// Names of tables, and what a server said, in one line.
fn line(text: &str) -> String {
    markdown::plain(&visible(&text.replace('\n', " ")))
}

/// What would end a cell of a table is written out.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::{super::record::tests::record, *};
    use crate::{
        drill::{Answer, Failure},
        words::DrillReason,
    };

    #[test]
    fn a_page_says_first_what_it_came_to_and_why() {
        let mut failed = record("2026-12-01T06-00-00Z", DrillVerdict::Failed);
        failed.failure = Some(Failure {
            reason: DrillReason::CheckFailed,
            message: "there is a Church".to_owned(),
        });
        failed.checks.push(Answer {
            name: "a | pipe".to_owned(),
            sql: "select 1".to_owned(),
            expect: "rows >= 1".to_owned(),
            outcome: Looked::Failed,
            value: Some("0".to_owned()),
            detail: "found 0 rows, expected rows >= 1".to_owned(),
        });
        failed.warnings.push("public.\"[x](http://evil)\" is odd".to_owned());
        let text = page(&failed);
        assert!(text.contains("- public.\"\\[x\\](http://evil)\" is odd\n"), "{text}");
        assert!(
            text.starts_with("# Restore drill 2026-12-01T06-00-00Z: FAILED\n\n**check_failed**")
        );
        assert!(text.contains("| **FAILED** | a \\| pipe | rows >= 1 |"), "{text}");
    }
}
