//! An alert as text, for channels that show text.

use sha2::{Digest, Sha256};

use super::Notice;
use crate::rfc3339;

/// Everything, in plain text.
pub(super) fn plain(notice: &Notice) -> String {
    let mut text = format!("{}\n\n", facts(notice));
    let mut part = |title: &str, lines: &[String], before: &str| {
        if !lines.is_empty() {
            text.push_str(&format!("{title}:\n"));
            text.extend(lines.iter().map(|line| format!("{before}{line}\n")));
            text.push('\n');
        }
    };
    part("Found", &notice.findings, "- ");
    part("What to do", &notice.next, "- ");
    part("Commands", &notice.commands, "  ");
    text.truncate(text.trim_end().len());
    text
}

/// Everything, in Markdown. What was found and the commands stand in fences:
/// there no name is a mention, and nothing is a link or an image.
pub(super) fn markdown(notice: &Notice) -> String {
    let mut text = format!("{}\n\n", facts(notice).replace('\n', "  \n"));
    if !notice.findings.is_empty() {
        text.push_str(&format!("**Found**\n{}\n", fenced(&notice.findings)));
    }
    if !notice.next.is_empty() {
        text.push_str("**What to do**\n");
        text.extend(notice.next.iter().map(|line| format!("- {line}\n")));
        text.push('\n');
    }
    if !notice.commands.is_empty() {
        text.push_str(&format!("**Commands**\n{}\n", fenced(&notice.commands)));
    }
    text.truncate(text.trim_end().len());
    text
}

/// The first lines: what, where, since when.
pub(super) fn facts(notice: &Notice) -> String {
    format!(
        "{} ({}), database {} at {}\nsince {}, told at {}",
        notice.event,
        notice.severity,
        notice.database,
        notice.place,
        rfc3339::format(notice.since),
        rfc3339::format(notice.at),
    )
}

/// Lines between fences that none of them can end.
pub(super) fn fenced(lines: &[String]) -> String {
    format!("```\n{}\n```\n", lines.join("\n").replace("```", "'''"))
}

/// At most so many characters, with an ellipsis where some were left out.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A name for a problem of fixed length: SHA-256 of its key, in hexadecimal digits.
pub(super) fn digest(notice: &Notice) -> String {
    Sha256::digest(notice.key()).iter().map(|byte| format!("{byte:02x}")).collect()
}
