//! An incident as a person reads it on a terminal.

use crate::{
    figures::counted,
    recovery::{Expected, Incident, Kept, Looked, STEPS, is_operational},
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
        if opened.assumed {
            text += "           that is now, since no --failed-at says when; a backup of after it \
                     may hold the damage\n";
        }
    }
    match incident.looked() {
        Some(looked) => text += &facts(looked),
        None => text += "backup     not known: the catalog could not be read\n",
    }
    text += &places(kept);
    text + &next(kept, named)
}

/// What to run. An incident that is kept nowhere takes no restore in.
fn next(kept: &Kept, named: &str) -> String {
    let incident = &kept.incident;
    let id = incident.id();
    let log = if kept.somewhere().is_ok() { format!(" --incident {id}") } else { String::new() };
    let commands = match incident.looked() {
        None if log.is_empty() => vec![format!("reliquary list{named}")],
        // It looks again.
        None => vec![
            format!("reliquary incident show{named} {id}"),
            format!("reliquary restore{named} --to env:TARGET_URL{log} --dry-run"),
            format!("reliquary restore{named} --to env:TARGET_URL{log}"),
        ],
        Some(Looked { backup: None, .. }) => return String::new(),
        Some(Looked { backup: Some(found), .. }) => {
            let backup = found.named();
            vec![
                format!("reliquary restore {backup}{named} --to env:TARGET_URL --dry-run"),
                format!("reliquary restore {backup}{named} --to env:TARGET_URL{log}"),
            ]
        }
    };
    format!("\nnext:\n  {}\n", commands.join("\n  "))
}

fn facts(looked: &Looked) -> String {
    let mut text = match &looked.backup {
        Some(found) => {
            let verified = if found.verified.is_some() { "verified" } else { "not verified yet" };
            let drilled = found.drilled.map_or_else(
                || "never drilled".to_owned(),
                |(verdict, _)| format!("drill {verdict}"),
            );
            format!("backup     {} ({verified}, {drilled})\n", found.named())
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
    for condemned in &looked.condemned {
        let (backup, reason) = (condemned.named(), condemned.reason);
        text += &format!("unusable   {backup}, which did not come back in its drill ({reason})\n");
    }
    if let Some(seconds) = looked.loss_seconds {
        let minutes = counted(seconds.div_ceil(60), "minute");
        text += &format!("data loss  {minutes} before the failure\n");
    }
    text += &match looked.expected {
        Some(Expected { seconds, drill, .. }) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it saturates"
            )]
            let minutes = counted((seconds / 60.0).ceil() as u64, "minute");
            format!("restore    about {minutes}, by the drill {drill}\n")
        }
        None => "restore    takes unknown time, no drill yet\n".to_owned(),
    };
    text
}

/// Where the document is.
fn places(kept: &Kept) -> String {
    let mut text = String::new();
    if let Ok(path) = &kept.here {
        text += &format!("log        {}\n", visible(&path.display().to_string()));
    }
    if let Ok(uri) = &kept.there {
        let name = if text.is_empty() { "log" } else { "" };
        text += &format!("{name:10} {}\n", visible(uri));
    }
    text
}

/// What a person should know before sending the message of an incident: which
/// steps nobody ticked.
pub(super) fn unticked(incident: &Incident) -> Option<String> {
    let steps = incident.open_steps();
    let name = |step: u8| Some(format!("{step}. {}", STEPS.get(usize::from(step) - 1)?.name));
    let names: Vec<String> = steps.into_iter().filter_map(name).collect();
    if names.is_empty() {
        return None;
    }
    let claim = if is_operational(incident) {
        ""
    } else {
        "; so the message does not say that all services are operational"
    };
    Some(format!("nobody has ticked {}{claim}", names.join(", ")))
}

/// How it ended, and the message to send.
pub(super) fn closed(kept: &Kept, message: Option<&str>) -> String {
    let id = kept.incident.id();
    let closed = if kept.somewhere().is_ok() { "is closed" } else { "would be closed" };
    let mut text = format!("incident {id} {closed}\n{}", places(kept));
    if let Some(message) = message {
        text += &format!("\n{message}");
    }
    text
}
