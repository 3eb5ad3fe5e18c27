//! `reliquary config check` and `reliquary config show`

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::{DONE, Global, print};
use crate::{
    app,
    settings::{self, Sources},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say everything that is wrong with the settings, at once.
    #[command(after_help = "Example: reliquary --config new.toml config check")]
    Check,
    /// Print the effective settings, secrets masked.
    #[command(after_help = "Example: reliquary --json config show | jq .retention")]
    Show,
}

pub(super) fn run(global: &Global, command: &Command) -> Result<u8> {
    let sources = Sources::from_process(
        global.config.clone(),
        app::check_url,
        app::check_expectation,
        app::same_database,
    )?;
    let (settings, warnings) = settings::load(&sources)?;
    match command {
        Command::Show if global.json => print::json(&settings.render_json())?,
        Command::Show => print!("{}", settings.render_toml()),
        Command::Check if global.json => {
            let warnings: Vec<_> = warnings
                .iter()
                .map(|warning| json!({ "path": warning.path, "message": warning.message }))
                .collect();
            print::json(&json!({ "ok": true, "warnings": warnings }))?;
        }
        Command::Check => {
            for warning in &warnings {
                println!("warning: {warning}");
            }
            let file = settings.file.as_ref();
            let file = file.map_or("the environment".to_owned(), |file| file.display().to_string());
            let names: Vec<&str> = settings.databases.keys().map(String::as_str).collect();
            println!("{file} makes sense; databases: {}", names.join(", "));
        }
    }
    Ok(DONE)
}
