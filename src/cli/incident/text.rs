//! An incident as a person reads it on a terminal.

use crate::{
    recovery::{Expected, Kept, Looked},
    rfc3339,
    visible::visible,
};

/// What is known when it begins, and what to run.
pub(super) fn opened(kept: &Kept, named: &str) -> String {
    let incident = &kept.incident;
    let id = incident.id();
    let mut text = format!("incident   {id}\n");
    if let Some(opened) = incident.opened() {
        text += &format!("failed at  {}\n", rfc3339::format(opened.failed_at));
    }
    match incident.looked() {
        Some(looked) => text += &facts(looked),
        None => text += "backup     not known: the catalog could not be read\n",
    }
    text += &places(kept);
    if let Some(found) = incident.looked().and_then(|looked| looked.backup.as_ref()) {
        let backup = found.id;
        text += &format!(
            "\nnext:\n  reliquary restore {backup}{named} --to env:TARGET_URL --dry-run\n  \
             reliquary restore {backup}{named} --to env:TARGET_URL --incident {id}\n"
        );
    }
    text
}

fn facts(looked: &Looked) -> String {
    let mut text = match &looked.backup {
        Some(found) => {
            let verified = if found.verified.is_some() { "verified" } else { "not verified yet" };
            let drilled = found.drilled.map_or_else(
                || "never drilled".to_owned(),
                |(verdict, _)| format!("drill {verdict}"),
            );
            format!("backup     {} ({verified}, {drilled})\n", found.id)
        }
        None => format!(
            "backup     NONE: {}\n",
            visible(looked.why_none.as_deref().unwrap_or("none is known"))
        ),
    };
    if let Some(legacy) = looked.legacy {
        text += &format!("legacy     {legacy}, of which nothing proves that it is whole\n");
    }
    for id in &looked.unusable {
        text += &format!("unusable   {id}\n");
    }
    if let Some(seconds) = looked.loss_seconds {
        text += &format!("data loss  {} minutes before the failure\n", seconds.div_ceil(60));
    }
    text += &match looked.expected {
        Some(Expected { seconds, drill, .. }) => {
            let minutes = (seconds / 60.0).ceil();
            format!("restore    about {minutes:.0} minutes, by the drill {drill}\n")
        }
        None => "restore    takes unknown time, no drill yet\n".to_owned(),
    };
    text
}

/// Where the document is.
fn places(kept: &Kept) -> String {
    let mut text = String::new();
    if let Ok(path) = &kept.here {
        text += &format!("log        {}\n", path.display());
    }
    if let Ok(uri) = &kept.there {
        text += &format!("           {uri}\n");
    }
    text
}

/// How it ended, and the message to send.
pub(super) fn closed(kept: &Kept, message: Option<&str>) -> String {
    let mut text = format!("incident {} is closed\n{}", kept.incident.id(), places(kept));
    if let Some(message) = message {
        text += &format!("\n{message}");
    }
    text
}
