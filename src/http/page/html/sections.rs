//! What stands below the answers.

use maud::{Markup, html};

use super::{prose, sentence};
use crate::{
    health::Check,
    http::page::view::{Audit, Channel, Drills, Due, Retention},
    words::{CheckResult, DrillVerdict},
};

pub(super) fn checks(checks: &[Check]) -> Markup {
    html! {
        h3 { "What was looked at" }
        ul.checks {
            @for check in checks {
                li {
                    div {
                        strong { (check.name.replace('_', " ")) }
                        @if check.unknown { span.doubtful { "unknown" } } @else { (mark(check.ok)) }
                    }
                    p { (prose(&check.detail)) }
                }
            }
        }
    }
}

fn mark(ok: bool) -> Markup {
    html! {
        @if ok { span.good { "ok" } } @else { strong.bad { "not ok" } }
    }
}

pub(super) fn due(due: &[Due]) -> Markup {
    html! {
        @if !due.is_empty() {
            h3.next { "What is due" }
            table.list {
                @for one in due { tr { th scope="row" { (one.job) } td { (one.when) } } }
            }
        }
    }
}

pub(super) fn drills(drills: &Drills) -> Markup {
    html! {
        h3 { "Last drills" }
        @if let Some(why) = drills.unknown {
            p { "Not known: " (why) "." }
        } @else if drills.last.is_empty() {
            p { "No backup was restored for a test yet. " code { "reliquary drill" } " does it." }
        }
        ul {
            @for drill in &drills.last {
                li {
                    @match drill.verdict {
                        DrillVerdict::Passed => strong.good { "passed" },
                        DrillVerdict::Failed => strong.bad { "failed" },
                        DrillVerdict::Unproven => strong.doubtful { "unproven" },
                    }
                    ": " (drill.summary)
                    @if !drill.stages.is_empty() {
                        br;
                        small {
                            @for (at, (stage, took)) in drill.stages.iter().enumerate() {
                                @if at > 0 { ", " }
                                (stage) " " (took)
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn retention(retention: Option<&Retention>) -> Markup {
    html! {
        h3 { "Retention" }
        @if let Some(retention) = retention {
            @if let Some(last) = &retention.last {
                p class=(if retention.failed { "bad" } else { "quiet" }) { (last) "." }
            }
            p { "What is kept:" }
            ul { @for rule in &retention.rules { li { (rule) } } }
            p { (retention.kept) "." }
            p { (retention.going) }
            @for (why, going) in &retention.next {
                p.quiet { (sentence(why)) ":" }
                table.list {
                    @for (id, size) in going { tr { th scope="row" { (id) } td { (size) } } }
                }
            }
        } @else {
            p { "The store was not listed yet." }
        }
    }
}

pub(super) fn audit(audit: Option<&Audit>) -> Markup {
    html! {
        h3 { "Audit" }
        @if let Some(audit) = audit {
            p {
                "The last one was " (audit.when) ": "
                @for (at, (result, count)) in audit.counts.iter().enumerate() {
                    @if at > 0 { ", " }
                    @if *result == CheckResult::Fail && *count > 0 {
                        strong.bad { (count) " " (result) }
                    } @else { (count) " " (result) }
                }
                "."
            }
            @if !audit.failed.is_empty() {
                p.bad { "Failed: " (audit.failed.join(", ").replace('_', " ")) "." }
            }
            @if let Some(error) = &audit.error { p.bad { (error) } }
            p.quiet { code { "reliquary audit" } " says what was found and what mends it." }
        } @else {
            p { "None was made since the daemon started. " code { "reliquary audit" } " makes one." }
        }
    }
}

pub(super) fn channels(channels: &[Channel]) -> Markup {
    html! {
        section aria-labelledby="channels" {
            h2 #channels { "Alerts" }
            @if channels.is_empty() {
                p.doubtful { "No channel is configured: nobody is told of problems." }
            } @else {
                table.list {
                    @for channel in channels {
                        tr {
                            th scope="row" { (channel.kind) }
                            td { (mark(channel.ok)) }
                            td { (channel.words) }
                        }
                    }
                }
            }
        }
    }
}
