//! The page as HTML. Whatever a name or an error holds is text here: maud
//! escapes all of it.

mod charts;
mod glance;
mod grid;
mod sections;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::view::{Database, Now, Page, Slot};
use crate::{health::Status, rfc3339};

/// The one stylesheet, which stands in the page: a phone at night waits for
/// nothing else. The policy allows it by its hash.
pub(super) const STYLE: &str = include_str!("page.css");

/// Without scripts the page comes again by itself, sooner while something runs.
const REFRESH: (&str, &str) = ("10", "60");

/// The whole document.
pub(super) fn document(page: &Page) -> Markup {
    let runs = page.databases.iter().any(|database| !database.now.is_empty());
    let refresh = if runs { REFRESH.0 } else { REFRESH.1 };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title(page)) }
                link rel="icon" href=(icon(page.status));
                style { (PreEscaped(STYLE)) }
                noscript { meta http-equiv="refresh" content=(refresh); }
                script src="page.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the status" }
                p #old.alarm role="alert" hidden {
                    "Reliquary does not answer. What stands below may be old."
                }
                (main(page))
            }
        }
    }
}

fn title(page: &Page) -> String {
    let status = page.status.as_str();
    match page.databases.as_slice() {
        [one] => format!("{status}: {} · Reliquary", one.name),
        _ => format!("{status} · Reliquary"),
    }
}

/// A dot of the verdict's colour, so that a tab says it too.
fn icon(status: Status) -> String {
    let colour = match status {
        Status::Ok => "0f8a43",
        Status::Starting => "c98a00",
        Status::Stale | Status::Failing => "d1202b",
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
         %3Ccircle cx='8' cy='8' r='7' fill='%23{colour}'/%3E%3C/svg%3E"
    )
}

/// Everything that changes.
fn main(page: &Page) -> Markup {
    let several = page.databases.len() > 1;
    html! {
        main #main {
            header {
                h1 { "Reliquary" }
                (badge(page.status))
                span.quiet {
                    "as of " time datetime=(rfc3339::format(page.now)) {
                        (page.now.format("%-d %b %Y %H:%M:%S")) " UTC"
                    }
                    @if page.stopping { "; the daemon is stopping" }
                }
            }
            @if page.databases.is_empty() { p { "No database is configured." } }
            @if several { (overview(page)) }
            @for (at, one) in page.databases.iter().enumerate() { (database(at, one, several)) }
            (sections::channels(&page.channels))
            footer.quiet {
                span { "Reliquary " (page.version) ", up for " (page.up) }
                a href="status" { "status as JSON" }
                a href="healthz" { "health" }
                a href="metrics" { "metrics" }
                span { "All times are UTC." }
            }
        }
    }
}

fn tone(status: Status) -> &'static str {
    match status {
        Status::Ok => "good",
        Status::Starting => "doubtful",
        Status::Stale | Status::Failing => "bad",
    }
}

fn badge(status: Status) -> Markup {
    html! { span class={ "badge " (tone(status)) } { (status.as_str()) } }
}

/// One line a database, to find the one that is in trouble.
fn overview(page: &Page) -> Markup {
    html! {
        nav aria-label="Databases" {
            table.list {
                @for (at, one) in page.databases.iter().enumerate() {
                    tr {
                        th scope="row" { a href=(format!("#database-{at}")) { (one.name) } }
                        td { (badge(one.status)) }
                        td { (one.headline) }
                    }
                }
            }
        }
    }
}

fn database(at: usize, one: &Database, several: bool) -> Markup {
    let heading = format!("database-{at}");
    html! {
        section aria-labelledby=(heading) {
            h2 id=(heading) { (one.name) @if several { " " (badge(one.status)) } }
            p class={ "verdict " (tone(one.status)) } { (one.headline) }
            (glance::answers(&one.answers))
            (progress(at, &one.now))
            @if let Some(failure) = &one.failure {
                p class=(if one.status == Status::Ok { "panel" } else { "alarm" }) { (failure) }
            }
            div.panel {
                h3 { "Get it back" }
                p.quiet { "Where the settings are at hand; the first line only shows the plan:" }
                pre { @for line in &one.restore { (line) "\n" } }
            }
            div.columns.wide {
                div.panel { (grid::grid(at, &one.grid)) }
                div.panel { (sections::checks(&one.checks)) (sections::due(&one.due)) }
            }
            h3 .quiet { "The last thirty days" }
            div.columns.three { @for chart in &one.charts { (charts::chart(chart)) } }
            div.columns {
                div {
                    div.panel { (sections::drills(&one.drills)) }
                    div.panel { (sections::audit(one.audit.as_ref())) }
                }
                div.panel { (sections::retention(one.retention.as_ref())) }
            }
        }
    }
}

/// What runs, in an element of its own that is replaced while it does.
pub(super) fn progress(at: usize, now: &[Now]) -> Markup {
    let id = format!("progress-{at}");
    html! {
        div id=(id) data-progress {
            @for now in now {
                div.panel {
                    h3 { "A " (now.job) " runs" }
                    p { "For " (now.since) ", at stage " strong { (now.stage) } ": " (now.done) "." }
                    @if let Some(share) = now.share {
                        progress max="1" value=(format!("{share:.3}"))
                            aria-label="measured by the last backup" {}
                    }
                }
            }
        }
    }
}

/// Text in which backquotes hold what a person types.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The same words with a capital at their beginning.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The class of a cell, one letter: there are hundreds of them.
pub(super) fn class(slot: Slot) -> &'static str {
    match slot {
        Slot::Proven => "p",
        Slot::Verified => "v",
        Slot::Good => "g",
        Slot::Legacy => "l",
        Slot::Running => "r",
        Slot::Late => "t",
        Slot::Missed => "m",
        Slot::Failed => "f",
        Slot::Damaged => "d",
        Slot::Swept => "s",
        Slot::Future => "u",
        Slot::Unknown => "k",
        Slot::Unplanned => "n",
    }
}
