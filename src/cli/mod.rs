//! The command line: one file a command.

mod account;
mod audit;
mod backup;
mod calendar;
mod config;
mod demo;
mod drill;
mod fetch;
mod incident;
mod list;
mod notify;
mod policy;
mod print;
mod progress;
mod reader;
mod restore;
mod run;
mod runbook;
mod shell;
mod show;
mod status;
mod sweep;
mod verify;
mod which;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

pub use self::reader::while_somebody_reads;
use crate::{
    app,
    settings::{self, DatabaseSettings, Problems, Settings, Sources},
    telemetry,
    visible::visible_lines,
};

/// Done.
pub const DONE: u8 = 0;
/// It failed.
pub const FAILED: u8 = 1;
/// Bad usage or configuration.
pub const USAGE: u8 = 2;
/// A check says no.
pub const UNHEALTHY: u8 = 3;

/// Keeps a PostgreSQL database recoverable when its provider is gone.
#[derive(Debug, Parser)]
#[command(name = "reliquary", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done; 1 it failed; 2 bad usage or configuration; \
    3 a check says no; 130/143 interrupted.\n\nExamples:\n  reliquary demo --once\n  \
    reliquary config check\n  reliquary backup\n  reliquary restore --to env:TARGET_URL")]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Debug)]
struct Global {
    /// The settings [default: `RELIQUARY_CONFIG`, ./config/reliquary.toml, /etc/reliquary/reliquary.toml].
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Report as one JSON document on stdout.
    #[arg(long, global = true)]
    json: bool,
    /// Say less.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; twice for a lot more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: schedule, HTTP, jobs.
    #[command(after_help = "Example: reliquary --config /etc/reliquary/reliquary.toml run")]
    Run,
    /// Take one backup now, exactly as the daemon does.
    Backup(backup::Arguments),
    /// List what the store holds, newest first.
    List(list::Arguments),
    /// Show one backup whole: source, tables, rows, members.
    Show(show::Arguments),
    /// Say whether there is a good backup and how old it is; exits 3 when not healthy.
    Status(status::Arguments),
    /// Read stored backups again and check every byte; exits 3 when one is damaged.
    Verify(verify::Arguments),
    /// Download an archive, with its checksum file; goes on where it was interrupted.
    Fetch(fetch::Arguments),
    /// Get a backup back: into a database, or as SQL.
    Restore(restore::Arguments),
    /// Keep the log of a recovery: what failed, which backup, what was done, how it ended.
    #[command(subcommand, after_help = "Example: reliquary incident open")]
    Incident(incident::Command),
    /// Print this installation's disaster-recovery runbook.
    Runbook(runbook::Arguments),
    /// Print the recurring reviews of drills and runbook as a calendar (.ics).
    Calendar(calendar::Arguments),
    /// See whether alerts arrive.
    #[command(subcommand, after_help = "Example: reliquary notify test")]
    Notify(notify::Command),
    /// Hold bucket, credentials, source and clock against the hardening checklist; exits 3 on a failed check.
    Audit(audit::Arguments),
    /// Print the least-privilege policies for this configuration.
    Policy(policy::Arguments),
    /// Remove what retention no longer keeps, and debris; --dry-run prints what and why.
    Sweep(sweep::Arguments),
    /// Restore a backup into a throwaway cluster and compare; exits 3 when something does not agree.
    Drill(drill::Arguments),
    /// Check or show the settings.
    #[command(subcommand, after_help = "Example: reliquary config check")]
    Config(config::Command),
    /// Show everything on a throwaway PostgreSQL and a throwaway directory.
    Demo(demo::Arguments),
    /// Print completions for a shell.
    #[command(after_help = "Examples:\n  reliquary completions bash \
        > /usr/share/bash-completion/completions/reliquary\n  reliquary completions zsh \
        > /usr/share/zsh/vendor-completions/_reliquary\n  reliquary completions fish \
        > ~/.config/fish/completions/reliquary.fish")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into a folder.
    #[command(after_help = "Examples:\n  reliquary man | man -l -\n  \
        reliquary man --dir /usr/local/share/man/man1")]
    Man {
        /// The folder.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Which database, where there are several.
#[derive(Args, Debug)]
struct Chosen {
    /// The database, where there are several.
    #[arg(long, short, value_name = "NAME")]
    database: Option<String>,
}

/// Runs a command; returns its exit code.
///
/// # Errors
/// When it fails; see [`exit_code`].
pub async fn run(arguments: Arguments) -> Result<u8> {
    let Arguments { global, command } = arguments;
    match command {
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { dir } => shell::man(dir.as_deref()),
        Command::Demo(arguments) => Box::pin(demo::run(&global, &arguments)).await,
        Command::Config(command) => config::run(&global, &command),
        Command::Notify(command) => notify::run(&global, &command).await,
        Command::Run => run::run(&global).await,
        Command::Backup(arguments) => Box::pin(backup::run(&global, &arguments)).await,
        Command::List(arguments) => list::run(&global, &arguments).await,
        Command::Show(arguments) => show::run(&global, &arguments).await,
        Command::Restore(arguments) => Box::pin(restore::run(&global, &arguments)).await,
        Command::Incident(command) => Box::pin(incident::run(&global, &command)).await,
        Command::Runbook(arguments) => Box::pin(runbook::run(&global, &arguments)).await,
        Command::Calendar(arguments) => calendar::run(&global, &arguments),
        Command::Audit(arguments) => Box::pin(audit::run(&global, &arguments)).await,
        Command::Policy(arguments) => policy::run(&global, &arguments).await,
        Command::Status(arguments) => Box::pin(status::run(&global, &arguments)).await,
        Command::Fetch(arguments) => Box::pin(fetch::run(&global, &arguments)).await,
        Command::Sweep(arguments) => Box::pin(sweep::run(&global, &arguments)).await,
        Command::Drill(arguments) => Box::pin(drill::run(&global, &arguments)).await,
        Command::Verify(arguments) => Box::pin(verify::run(&global, &arguments)).await,
    }
}

/// What a person is told of an error: one sentence, from the outside in.
#[must_use]
pub fn explain(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Problems>() {
        Some(problems) => {
            visible_lines(&format!("error: the settings do not make sense:\n{problems}"))
        }
        None => visible_lines(&format!("error: {}", told(error))),
    }
}

/// An error and its causes, from the outside in, without those that it has
/// quoted already.
fn told(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// The exit code of an error.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Problems>() || error.is::<Misused>() { USAGE } else { FAILED }
}

/// The command was used in a way that makes no sense with these settings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misused(String);

impl Global {
    /// Loads the settings, begins to log, and prints what is doubtful. But for
    /// the daemon only the store is needed: who gets a backup back, on a new
    /// machine, may never have seen the source.
    fn settings(&self, for_daemon: bool) -> Result<Settings> {
        self.load(for_daemon, !for_daemon)
    }

    /// The same for a command that needs the source too, or that must not go by
    /// defaults where an installation's own settings are missing.
    fn settings_with_source(&self) -> Result<Settings> {
        self.load(false, false)
    }

    fn load(&self, for_daemon: bool, store_only: bool) -> Result<Settings> {
        let sources = Sources::from_process(
            self.config.clone(),
            app::check_url,
            app::check_expectation,
            app::same_database,
        )?;
        let sources = Sources { store_only, ..sources };
        let (settings, warnings) = settings::load(&sources)?;
        telemetry::init(&settings.log, self.verbosity(), for_daemon);
        for warning in warnings {
            tracing::warn!(setting = warning.path, "{}", warning.message);
        }
        Ok(settings)
    }

    fn verbosity(&self) -> i8 {
        if self.quiet { -1 } else { i8::try_from(self.verbose).unwrap_or(i8::MAX) }
    }
}

impl Chosen {
    /// The database that is meant, or all where none is named.
    fn all<'a>(&self, settings: &'a Settings) -> Result<Vec<&'a DatabaseSettings>> {
        match &self.database {
            Some(_) => Ok(vec![self.of(settings)?]),
            None => Ok(settings.databases.values().collect()),
        }
    }

    /// The database that is meant; one that is alone need not be named.
    fn of<'a>(&self, settings: &'a Settings) -> Result<&'a DatabaseSettings> {
        let names = || settings.databases.keys().cloned().collect::<Vec<_>>().join(", ");
        let chosen = match (&self.database, settings.databases.len()) {
            (Some(name), _) => settings.databases.get(name),
            (None, 1) => settings.databases.values().next(),
            (None, _) => {
                bail!(Misused(format!(
                    "there are several databases; add -d with one of: {}",
                    names()
                )))
            }
        };
        match (chosen, &self.database) {
            (Some(chosen), _) => Ok(chosen),
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                bail!(Misused(format!("there is no database {name:?}; there are: {}", names())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn an_error_that_quotes_its_cause_is_told_once() {
        let refused = std::io::Error::other("nobody listens");
        let address = "db:5432".to_owned();
        let session = crate::postgres::SessionError::Unreachable { address, source: refused };
        let error = anyhow::Error::from(crate::restore::RestoreError::Target(session));
        let said = explain(&error.context("restore"));
        assert!(said.starts_with("error: restore: the target: connect to db:5432: nobody listens"));
        assert_eq!(said.matches("connect to").count(), 1, "{said}");
        assert_eq!(said.matches("nobody listens").count(), 1, "{said}");
    }

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }
}
