//! `reliquary runbook`

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{Chosen, DONE, Global, account::account, print};
use crate::{
    app,
    catalog::{BackupId, Layout},
    channels,
    clock::Clock,
    recovery::{
        masked,
        review::{self, Reviewed},
        runbook::{Facts, Known, runbook},
    },
    settings::Settings,
    visible::visible,
    words::Review,
};

#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  reliquary runbook > RUNBOOK.md\n  \
    reliquary runbook --offline      to be kept under version control\n  reliquary runbook reviewed"
)]
pub(super) struct Arguments {
    /// From the settings alone: ask no bucket, and hold no date.
    #[arg(long)]
    offline: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record in the bucket that somebody reviewed the runbook, or a drill.
    Reviewed(ReviewedArguments),
}

#[derive(Args, Debug)]
#[command(after_help = "Example: reliquary runbook reviewed drill --note \"passed in 4 minutes\"")]
struct ReviewedArguments {
    #[command(flatten)]
    chosen: Chosen,
    /// What was reviewed.
    #[arg(value_enum, default_value = "runbook")]
    what: What,
    /// Who did it [default: the account that runs this].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// What there is to say of it.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The runbook.
    Runbook,
    /// The month's drill.
    Drill,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings(false)?;
    if let Some(Command::Reviewed(reviewed)) = &arguments.command {
        return self::reviewed(global, &settings, reviewed).await;
    }
    let facts = if arguments.offline { None } else { Some(facts(&settings).await) };
    let text = runbook(&settings, facts.as_ref());
    if global.json {
        print::json(&json!({ "markdown": text }))?;
    } else {
        print!("{text}");
    }
    Ok(DONE)
}

/// What the bucket says. A runbook that lacks it is still one.
async fn facts(settings: &Settings) -> Facts {
    let store = app::store_of_an_incident(&settings.store).await;
    let mut databases = BTreeMap::new();
    for database in settings.databases.values() {
        let known = match &store {
            Ok(store) => Known::look(store.as_ref(), &Layout::new(database.prefix.clone()))
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = &known {
            eprintln!("warning: {}: {}", database.name, visible(error));
        }
        databases.insert(database.name.clone(), known);
    }
    Facts { now: Clock::system().now(), databases }
}

/// There is one runbook for all databases, so that without `-d` all of them are told.
async fn reviewed(
    global: &Global,
    settings: &Settings,
    arguments: &ReviewedArguments,
) -> Result<u8> {
    let databases: Vec<_> = match &arguments.chosen.database {
        Some(_) => vec![arguments.chosen.of(settings)?],
        None => settings.databases.values().collect(),
    };
    let store = app::store_to_read(&settings.store).await?;
    let scrub = channels::scrub(settings);
    let clean = |text: &str| masked(&scrub.mask(text));
    let what = match arguments.what {
        What::Runbook => Review::Runbook,
        What::Drill => Review::Drill,
    };
    let now = Clock::system().now();
    let mut told = Vec::new();
    for database in databases {
        let mut reviewed = Reviewed {
            format: review::FORMAT.to_owned(),
            id: BackupId::at(now),
            what,
            database: database.name.clone(),
            by: clean(arguments.by.as_deref().unwrap_or(&account())),
            note: arguments.note.as_deref().map(clean),
        };
        let layout = Layout::new(database.prefix.clone());
        let uri = review::record(store.as_ref(), &layout, &mut reviewed).await?;
        if global.json {
            let mut document = json!(reviewed);
            document["uri"] = json!(uri);
            told.push(document);
        } else {
            println!("{what} of {} reviewed by {}: {uri}", database.name, visible(&reviewed.by));
        }
    }
    if global.json {
        print::json(&json!({ "reviews": told }))?;
    }
    Ok(DONE)
}
