//! `reliquary restore`

mod confirm;
mod incident;
mod legacy;
mod outcome;
mod sql;
mod target;
mod text;
mod wanted;

use std::{io::IsTerminal as _, time::Duration};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use self::{
    outcome::Interrupted,
    wanted::{Wanted, Way},
};
use super::{
    DONE, FAILED, Global, Misused, print, progress,
    which::{Opened, Which},
};
use crate::{
    app,
    lifecycle::{Ended, Signals, interruptible},
    postgres::{ConnectionUrl, Section},
    recovery::Restored,
    restore::{self, Options, Prepared, PreparedLegacy, Progress, Report, Request, RestoreError},
    settings::Settings,
    words::RestoreStage,
};

/// How long an interrupted restore may take to end its sessions.
const GRACE: Duration = Duration::from_secs(20);

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    reliquary restore --to env:TARGET_URL --dry-run\n  \
    reliquary restore 2026-11-23T14 --to postgresql://me@db.example.com/app\n  \
    reliquary restore --to env:TARGET_URL --table public.donations\n  \
    reliquary restore --to - --schema public | less\n  \
    reliquary restore --to env:TARGET_URL --incident latest")]
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Where it goes: a URL, `env:NAME` or `file:PATH` that holds one, or `-` for SQL on stdout.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// The environment variable that holds the target's URL.
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    to_env: Option<String>,
    /// Only this table and what it needs; may be repeated. `public."Church"` where it needs quotes.
    #[arg(long, value_name = "SCHEMA.NAME")]
    table: Vec<String>,
    /// Only this schema and what it needs; may be repeated.
    #[arg(long, value_name = "NAME")]
    schema: Vec<String>,
    /// Only this section; may be repeated.
    #[arg(long, value_name = "SECTION")]
    section: Vec<SectionArgument>,
    /// How many sessions load at once [default: the number of processors, at most 8].
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Drop first what the archive will create; with --table and --schema, empty the tables.
    #[arg(long)]
    clean: bool,
    /// Create the roles that policies name and the target lacks, without login.
    #[arg(long)]
    create_roles: bool,
    /// Restore although the target may be the source, by its system identifier or, with --clean,
    /// its name, and the source cannot be asked or is not the one that the settings name: only
    /// where you know that it is not. Also where the target is another database of the settings.
    #[arg(long)]
    not_the_source: bool,
    /// Use a backup that verify found damaged: each member is checked by itself, and what cannot
    /// be read is named.
    #[arg(long)]
    damaged: bool,
    /// Write command, times, result and proof into the log of an incident: its id, the beginning of
    /// it, or `latest`. Without an ID, the backup is the one that it names.
    #[arg(long, value_name = "INCIDENT")]
    incident: Option<String>,
    /// Print what would be done, and leave everything as it is; ends with the exit code of the
    /// restore itself, 1 where it is refused or something would be lost. With --clean it drops,
    /// looks what went along, and takes that back: for at most 10 s, others wait.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before --clean.
    #[arg(long, short)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SectionArgument {
    /// Definitions that rows need.
    PreData,
    /// Rows, sequence values, large objects.
    Data,
    /// Indexes, constraints, triggers and the like.
    PostData,
}

impl From<SectionArgument> for Section {
    fn from(section: SectionArgument) -> Self {
        match section {
            SectionArgument::PreData => Self::PreData,
            SectionArgument::Data => Self::Data,
            SectionArgument::PostData => Self::PostData,
        }
    }
}

impl Arguments {
    fn writes_sql(&self) -> bool {
        self.to.as_deref() == Some(target::STDOUT)
    }

    fn options(&self) -> Result<Options> {
        let misused = |error: restore::NameError| Misused(error.to_string());
        let usual = Options::default();
        Ok(Options {
            tables: self
                .table
                .iter()
                .map(|text| restore::table(text))
                .collect::<Result<_, _>>()
                .map_err(misused)?,
            schemas: self
                .schema
                .iter()
                .map(|text| restore::schema(text))
                .collect::<Result<_, _>>()
                .map_err(misused)?,
            sections: self.section.iter().map(|&section| section.into()).collect(),
            jobs: self.jobs.map_or(usual.jobs, usize::from),
            clean: self.clean,
            create_roles: self.create_roles,
            not_the_source: self.not_the_source,
            priority: usual.priority,
        })
    }
}

/// Runs it. With `--json` every ending, but for that of SQL on stdout, is one
/// document.
pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let said = text::Said::default();
    let mut command = Command { global, arguments, backup: None, log: None, restored: None, said };
    let result = command.run().await;
    command.tell_the_log(&result).await;
    if let Err(error) = &result
        && global.json
        && !arguments.writes_sql()
    {
        print::json(&outcome::failed(command.backup.as_deref(), error))?;
    }
    match result {
        // The signal decides the exit code, as it does for every command.
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{error}");
            Ok(error.downcast_ref::<Interrupted>().map_or(FAILED, Interrupted::exit_code))
        }
        result => result,
    }
}

struct Command<'a> {
    global: &'a Global,
    arguments: &'a Arguments,
    /// The backup's id, as soon as it is known.
    backup: Option<String>,
    /// The incident's log, where there is one.
    log: Option<incident::Log>,
    /// What is to be told there of a restore that came to its end.
    restored: Option<Restored>,
    /// What was said already where the report is read.
    said: text::Said,
}

/// A restore whose target was asked.
enum Ready {
    Backup(Box<Prepared>),
    Legacy(Box<PreparedLegacy>),
}

impl Command<'_> {
    async fn run(&mut self) -> Result<u8> {
        let arguments = self.arguments;
        let settings = self.global.settings(false)?;
        if arguments.writes_sql() {
            if arguments.incident.is_some() {
                bail!(Misused(
                    "--incident tells how a target was restored, and --to - has none".to_owned()
                ));
            }
            if arguments.clean {
                // Without a target nobody can say what else a drop would take along.
                bail!(Misused(
                    "--clean needs a target to look at, and --to - has none; restore with --to \
                     URL, or add the drops to the SQL by hand"
                        .to_owned()
                ));
            }
            return sql::run(&self.wanted(&settings).await?, self.global.quiet).await;
        }
        let target = target::url(arguments.to.as_deref(), arguments.to_env.as_deref())?;
        let asks = arguments.clean && !arguments.yes && !arguments.dry_run;
        if asks && !std::io::stdin().is_terminal() {
            bail!(Misused(
                "--clean drops what is there; add --yes where nobody can be asked".to_owned()
            ));
        }
        if let Some(wanted) = &arguments.incident {
            // What is bad usage stands in no log.
            arguments.which.query()?;
            let options = arguments.options()?;
            let secrets = target.password().cloned().into_iter().collect();
            let log =
                incident::Log::open(&settings, &arguments.which, wanted, &options, secrets).await?;
            self.log = Some(log);
        }
        // Nothing is touched yet, so that whoever interrupts it waits for nothing.
        let preparing = Box::pin(self.prepare(&settings, target));
        let cancel = CancellationToken::new();
        let ready =
            match interruptible(Signals::install()?, cancel, Duration::ZERO, preparing).await {
                Ended::Finished(prepared) => prepared?,
                Ended::Interrupted { signal, .. } => bail!(Interrupted::untouched(signal)),
            };
        match ready {
            Ready::Backup(prepared) => self.backup(*prepared, asks).await,
            Ready::Legacy(prepared) => self.legacy(*prepared, asks).await,
        }
    }

    async fn wanted(&mut self, settings: &Settings) -> Result<Wanted> {
        let arguments = self.arguments;
        // What is bad usage is said before anything is asked.
        arguments.which.query()?;
        let options = arguments.options()?;
        let Opened { database, store, layout, catalog } = arguments.which.open(settings).await?;
        let damaged = arguments.damaged;
        let entry = match &self.log {
            Some(log) if !arguments.which.is_named() => {
                log.backup(store.as_ref(), &layout, &catalog).await?.clone()
            }
            _ => {
                let (which, usage) = (&arguments.which, "restore ID --to URL");
                which
                    .find_to_restore(store.as_ref(), &layout, &catalog, usage, damaged)
                    .await?
                    .clone()
            }
        };
        self.backup = Some(entry.id.to_string());
        let source = app::live(database);
        let others = app::others(settings, database);
        let client_dirs = settings.client_dirs.clone();
        Ok(Wanted { store, layout, catalog, entry, options, damaged, source, others, client_dirs })
    }

    /// Everything that touches nothing and takes little.
    async fn prepare(&mut self, settings: &Settings, target: ConnectionUrl) -> Result<Ready> {
        let wanted = self.wanted(settings).await?;
        if let Some(log) = self.log.as_mut().filter(|_| !self.arguments.dry_run) {
            log.began().await;
        }
        let alone = !self.arguments.dry_run;
        let stored = match wanted.way().await? {
            Way::Members(stored) => *stored,
            Way::Stream(archive) => {
                let request = legacy::request(wanted, archive, target, alone).await?;
                let prepared = restore::prepare_legacy(request).await?;
                return Ok(Ready::Legacy(Box::new(prepared)));
            }
        };
        let damage = wanted.damage(&stored, self.global.quiet || self.global.json).await?;
        let newest = wanted.newest().await;
        let mut prepared = restore::prepare(Request {
            stored,
            damage,
            target,
            source: wanted.source,
            others: wanted.others,
            newest,
            client_dirs: wanted.client_dirs,
            options: wanted.options,
            alone,
        })
        .await?;
        if self.arguments.dry_run {
            prepared.rehearse().await;
        }
        Ok(Ready::Backup(Box::new(prepared)))
    }

    /// Writes into the incident's log how it ended.
    async fn tell_the_log(&mut self, result: &Result<u8>) {
        let Some(log) = self.log.take().filter(|_| !self.arguments.dry_run) else { return };
        let restored = self.restored.take().unwrap_or_else(|| {
            let backup = self.backup.as_deref();
            let document = match result {
                Err(error) => outcome::failed(backup, error),
                Ok(_) => outcome::declined(backup),
            };
            incident::of_document(&document)
        });
        log.ended(restored).await;
    }

    async fn backup(&mut self, prepared: Prepared, asks: bool) -> Result<u8> {
        let refused = !prepared.plan().refusals.is_empty();
        let loses = prepared.plan().lost().next().is_some();
        if self.arguments.dry_run {
            if self.global.json {
                print::json(&text::plan_json(&prepared))?;
            } else {
                print!("{}", text::plan(&prepared));
            }
            prepared.close().await;
            return Ok(if refused || loses { FAILED } else { DONE });
        }
        if !refused && !self.global.quiet && !self.global.json {
            eprint!("{}", text::plan(&prepared));
            if print::is_one_place() {
                self.said = text::Said::with(prepared.plan());
            }
        }
        if !refused && asks && !confirm::ask(&prepared.facts().database).await? {
            prepared.close().await;
            return self.declined();
        }
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let wants_word = prepared.wants_word();
        let work = Box::pin(restore::run(prepared, &progress, &cancel));
        let report = self.watched(&progress, &cancel, wants_word, work).await?;
        self.report(&report)
    }

    async fn legacy(&mut self, mut prepared: PreparedLegacy, asks: bool) -> Result<u8> {
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let wants_word = prepared.wants_word();
        if self.arguments.dry_run {
            let checking = Box::pin(prepared.check(&progress));
            let checked = self.watched(&progress, &cancel, wants_word, checking).await?;
            if self.global.json {
                let id = self.backup.as_deref();
                print::json(&legacy::plan_json(id, &prepared, &checked))?;
            } else {
                print!("{}", legacy::plan(self.backup.as_deref(), &prepared, &checked));
            }
            prepared.close().await;
            return Ok(if checked.refusals.is_empty() { DONE } else { FAILED });
        }
        // Before anything is dropped.
        for warning in prepared.warnings() {
            eprintln!("warning: {warning}");
        }
        if print::is_one_place() {
            self.said = text::Said::warnings(prepared.warnings());
        }
        if asks && !confirm::ask(&prepared.facts().database).await? {
            prepared.close().await;
            return self.declined();
        }
        let work = Box::pin(restore::run_legacy(prepared, &progress, &cancel));
        let report = self.watched(&progress, &cancel, wants_word, work).await?;
        self.report(&report)
    }

    fn declined(&self) -> Result<u8> {
        if self.global.json {
            print::json(&outcome::declined(self.backup.as_deref()))?;
        }
        eprintln!("nothing was touched");
        Ok(FAILED)
    }

    /// Runs a restore, or a part of one, with its progress shown; `wants_word` as in
    /// [`Stopped::wants_word`](restore::Stopped::wants_word).
    async fn watched<T>(
        &self,
        progress: &Progress,
        cancel: &CancellationToken,
        wants_word: bool,
        work: impl Future<Output = Result<T, RestoreError>>,
    ) -> Result<T> {
        let shown = {
            let progress = progress.clone();
            progress::show_line(move || line(&progress), self.global.quiet || self.global.json)
        };
        // What only reads need not be waited for.
        let grace = if self.arguments.dry_run { Duration::ZERO } else { GRACE };
        let ended = interruptible(Signals::install()?, cancel.clone(), grace, work).await;
        shown.end();
        match ended {
            Ended::Finished(result) => Ok(result?),
            // It was at its end already.
            Ended::Interrupted { value: Some(Ok(value)), .. } => Ok(value),
            Ended::Interrupted { signal, value } => {
                let error = value.and_then(Result::err);
                let partial = !self.arguments.table.is_empty() || !self.arguments.schema.is_empty();
                bail!(Interrupted::of(signal, error, &progress.report(), partial, wants_word))
            }
        }
    }

    fn report(&mut self, report: &Report) -> Result<u8> {
        let whole = report.is_whole();
        self.restored = Some(incident::of_report(report));
        let tells = !self.global.json && (!self.global.quiet || !whole);
        let is_told = tells && print::is_one_place();
        if !report.proven && !is_told {
            let why = if report.uncounted.is_empty() {
                "whether the archive was complete cannot be told"
            } else {
                "not every table could be counted"
            };
            eprintln!("warning: {why}");
        }
        if self.global.json {
            print::json(&outcome::report(report)?)?;
        } else if tells {
            print!("{}", text::report(report, &self.said));
        }
        Ok(if whole { DONE } else { FAILED })
    }
}

fn line(progress: &Progress) -> String {
    let report = progress.report();
    let share = (100 * report.done).checked_div(report.total).unwrap_or_default().min(100);
    if report.stage == RestoreStage::Legacy {
        // How many rows of it are there, psql says in the end.
        return format!("{}: {share} % sent", report.stage);
    }
    format!("{}: {share} %, {} rows loaded", report.stage, print::count(report.rows))
}
