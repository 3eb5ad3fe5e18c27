//! What may go wrong, and what helps.

use super::{block, chosen, heading};
use crate::{
    recovery::words::whole,
    settings::{Settings, StoreLocation},
};

/// What may go wrong.
pub(super) fn scenarios(settings: &Settings) -> String {
    let mut text = heading("Failure scenarios").trim_end().to_owned() + "\n";
    let mut add = |title: &str, what: &str, verbs: &[&str]| {
        text += &format!("\n**{title}.** {what}\n");
        if verbs.is_empty() {
            return;
        }
        let lines: Vec<String> = settings
            .databases
            .keys()
            .flat_map(|name| {
                let d = chosen(settings, name);
                verbs.iter().map(move |verb| format!("reliquary {verb}{d}"))
            })
            .collect();
        text += &format!("\n{}", block(&lines));
    };
    add(
        "The provider is gone, or its account is compromised",
        "The backups are out of its reach. Rotate every credential that was stored there, create a \
         server elsewhere, and follow the checklist.",
        &[],
    );
    add(
        "Rows were deleted or changed by mistake",
        "Stop what does it. Take a backup by hand first, so that what is there now is kept. Then \
         bring the rows of that table back from the backup of before, as SQL to look at.",
        &["backup --manual", "list"],
    );
    add(
        "A backup is damaged",
        "It is named, with the table that is hit, and counts as none. Use the one before it: that \
         costs one interval more. A new one is made at once where the newest was hit.",
        &["verify", "list"],
    );
    let stale = settings.databases.values().map(|d| d.stale_after).min().unwrap_or_default();
    add(
        "No fresh backup",
        &format!(
            "`/healthz` turns to 503 and the channels tell when the newest is older than {}. Read \
             which stage fails, mend it, and take one.",
            whole(stale)
        ),
        &["backup"],
    );
    if matches!(settings.store.location, StoreLocation::S3 { .. }) {
        add(
            "The bucket's credentials leaked",
            "Deactivate the key, give the daemon a new one, look through the access log for reads, \
             and count what leaked as read by strangers: the backups hold every row. Then see \
             that nothing was deleted.",
            &["list", "verify"],
        );
    }
    add(
        "The machine with the daemon is gone",
        "It kept nothing that is not in the bucket. Start it anywhere else with the same settings; \
         until then take backups by hand. A dead man's switch (`[notify.heartbeat]`) tells that it \
         is gone.",
        &[],
    );
    add(
        "The bucket is gone or refuses",
        "The database still lives: change the store in the settings to another bucket and take a \
         backup at once. Where the bucket keeps versions, what was deleted can be had back.",
        &[],
    );
    text
}
