//! This installation's own disaster-recovery runbook, in Markdown.
//!
//! It is made from the settings, and where the bucket can be asked, from what it
//! says of backups, drills, audits and reviews. Commands stand in blocks of `sh`
//! and nowhere else; a test runs all of them.

mod checks;
mod commands;
mod facts;
mod people;
mod places;
mod scenarios;
mod schedule;

pub use facts::{Facts, Known};
pub(super) use places::place;

use crate::settings::Settings;

/// The runbook. Without facts no date stands in it, and the same settings always
/// make the same one.
#[must_use]
pub fn runbook(settings: &Settings, facts: Option<&Facts>) -> String {
    let title = settings.runbook.product.as_deref().map_or_else(
        || settings.databases.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        str::to_owned,
    );
    let mut text = format!("# Disaster recovery runbook: {title}\n\n");
    text += "How to get production data back from its backups. `reliquary runbook` prints this \
             page from the settings of the installation; change those, and not the page. \
             Every command on it is run by a test.\n";
    text += &people::contacts(settings);
    text += &places::now(settings, facts);
    text += &commands::variables(settings);
    text += &people::checklist(settings);
    text += &commands::with_reliquary(settings);
    text += &commands::with_stock_tools(settings);
    text += &commands::by_hand(settings);
    text += &places::places(settings);
    text += &scenarios::scenarios(settings);
    text += &checks::hardening(settings, facts);
    text += &schedule::testing(settings, facts);
    text += &people::message(settings);
    text
}

/// A heading.
fn heading(text: &str) -> String {
    format!("\n## {text}\n\n")
}

/// Commands, in a block.
fn block(lines: &[String]) -> String {
    format!("```sh\n{}\n```\n", lines.join("\n"))
}

/// A row of a table.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> =
        cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// What names a database where there are several.
fn chosen(settings: &Settings, name: &str) -> String {
    if settings.databases.len() == 1 { String::new() } else { format!(" -d {name}") }
}
