//! `reliquary notify test`

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::json;

use super::{DONE, FAILED, Global, Misused, print};
use crate::{
    app, channels,
    clock::Clock,
    notify::{Channel, Message},
    settings::Settings,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send one test alert through every channel; exits 1 when one did not arrive.
    #[command(after_help = "Example: reliquary notify test && echo \"somebody will be told\"")]
    Test,
}

pub(super) async fn run(global: &Global, command: &Command) -> Result<u8> {
    let Command::Test = command;
    let settings = global.settings_with_source()?;
    let channels = channels::channels(&settings.notify)?;
    if channels.is_empty() {
        bail!(Misused(
            "no channel is configured; add a section such as [notify.github] or [notify.slack] \
             to the settings"
                .to_owned()
        ));
    }
    let store = app::store(&settings.store).await?;
    let mut arrived = true;
    let mut told = Vec::new();
    for channel in &channels {
        let (what, result) = test(channel, &settings, |key| store.uri(key)).await;
        arrived &= result.is_ok();
        if global.json {
            let error = result.err();
            let ok = error.is_none();
            told.push(json!({ "channel": channel.kind, "ok": ok, "done": what, "error": error }));
        } else {
            let result = result.map_or_else(|error| format!("failed to {error}"), |()| what.into());
            println!("{}: {result}", channel.kind);
        }
    }
    if global.json {
        print::json(&json!({ "channels": told }))?;
    }
    Ok(if arrived { DONE } else { FAILED })
}

/// What was done, and how it ended.
async fn test(
    channel: &Channel,
    settings: &Settings,
    uri: impl Fn(&str) -> String,
) -> (&'static str, Result<(), String>) {
    let mut databases = settings.databases.values();
    let only = &channel.route.databases;
    let Some(database) = databases.find(|d| only.is_empty() || only.contains(&d.name)) else {
        return ("nothing", Err("find a database that it is told of".to_owned()));
    };
    let now = Clock::system().now();
    let notice = channels::test_notice(&database.name, &uri(&database.prefix), now);
    let notice = Message::Notice(notice);
    let (what, result) = if channel.deliver.takes(&notice) {
        ("sent", channel.deliver.deliver(&notice).await)
    } else {
        // A sign of life that nobody gave would be a lie.
        (
            "reached, and nothing sent: only a real backup is a sign of life",
            channel.deliver.probe().await,
        )
    };
    (what, result.map_err(|error| error.to_string()))
}
