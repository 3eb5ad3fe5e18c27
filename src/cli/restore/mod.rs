//! `reliquary restore`

mod target;
mod text;

use std::{
    io::{IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::target::Destination;
use super::{Chosen, DONE, FAILED, Global, Misused, print, progress};
use crate::{
    app,
    archive::{Checksum, manifest::Source},
    catalog::{self, Catalog, Entry, Key, Layout, Query, State},
    lifecycle::{Ended, Signals, interruptible},
    postgres::{ConnectionUrl, Section},
    restore::{self, LegacyRequest, Options, Progress, Report, Request, RestoreError},
    settings::Settings,
    store::{ErrorKind, Store},
};

/// How long an interrupted restore may take to end its sessions.
const GRACE: Duration = Duration::from_secs(20);

/// The largest checksum file that is read, in bytes.
const CHECKSUM_LIMIT: u64 = 4096;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    reliquary restore --to env:TARGET_URL --dry-run\n  \
    reliquary restore 2026-11-23T14 --to postgresql://me@db.example.com/app\n  \
    reliquary restore --to env:TARGET_URL --table public.donations\n  \
    reliquary restore --to - --schema public | less")]
#[expect(clippy::struct_excessive_bools, reason = "each is one option")]
pub(super) struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// An id, the beginning of one, or `latest`.
    #[arg(value_name = "ID", default_value = "latest", conflicts_with = "at")]
    id: String,
    /// The newest backup at or before a time in UTC.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
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
    /// How many sessions load at once [default: the number of processors].
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Drop first what the archive will create; with --table and --schema, empty the tables.
    #[arg(long)]
    clean: bool,
    /// Create the roles that policies name and the target lacks, without login.
    #[arg(long)]
    create_roles: bool,
    /// Restore although the target has the source's system identifier and database name and the
    /// source cannot be asked: only where you know it is a clone of the source's server.
    #[arg(long)]
    not_the_source: bool,
    /// Print what would be done, and do nothing.
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
        })
    }
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let query = match &arguments.at {
        Some(time) => Query::parse_time(time).map_err(|error| Misused(error.to_string()))?,
        None => Query::parse(&arguments.id),
    };
    let options = arguments.options()?;
    let settings = global.settings(false)?;
    let database = arguments.chosen.of(&settings)?;
    let destination = target::destination(arguments.to.as_deref(), arguments.to_env.as_deref())?;
    if arguments.clean && matches!(destination, Destination::Stdout) {
        // Without a target nobody can say what else a drop would take along.
        bail!(Misused(
            "--clean needs a target to look at, and --to - has none; restore with --to URL, or \
             add the drops to the SQL by hand"
                .to_owned()
        ));
    }
    let asks = arguments.clean && !arguments.yes && !arguments.dry_run;
    if asks && matches!(destination, Destination::Database(_)) && !std::io::stdin().is_terminal() {
        bail!(Misused(
            "--clean drops what is there; add --yes where nobody can be asked".to_owned()
        ));
    }
    let store = app::store(&settings.store).await?;
    let layout = Layout::new(database.prefix.clone());
    let catalog = catalog::read(store.as_ref(), &layout).await?;
    let entry = query.find(&catalog)?.clone();
    let url = match destination {
        Destination::Stdout => return sql(&store, &layout, &catalog, &entry, &options).await,
        Destination::Database(url) => *url,
    };
    // A source that cannot be read is none that could be the target.
    let source = app::source(database).ok().map(|source| source.url);
    let what = Restore { global, arguments, settings: &settings, store, layout, source, asks };
    if entry.state == State::Good {
        let manifest = catalog::read_manifest(
            what.store.as_ref(),
            &what.layout,
            &catalog,
            entry.kind,
            entry.id,
        )
        .await?;
        let prepared = restore::prepare(Request {
            store: Arc::clone(&what.store),
            manifest,
            target: url,
            source: what.source.clone(),
            client_dirs: settings.client_dirs.clone(),
            options,
        })
        .await?;
        return what.backup(prepared).await;
    }
    let newest = newest(what.store.as_ref(), &what.layout, &catalog).await?;
    what.legacy(&entry, url, &options, newest).await
}

/// SQL on stdout.
async fn sql(
    store: &Arc<dyn Store>,
    layout: &Layout,
    catalog: &Catalog,
    entry: &Entry,
    options: &Options,
) -> Result<u8> {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned()?;
    let file = tokio::fs::File::from_std(stdout.into());
    let mut out = tokio::io::BufWriter::with_capacity(1 << 18, file);
    let progress = Progress::default();
    let written = if entry.state == State::Good {
        let manifest =
            catalog::read_manifest(store.as_ref(), layout, catalog, entry.kind, entry.id).await?;
        restore::write(store, &manifest, options, &mut out, &progress).await
    } else {
        only_whole(options)?;
        let key = layout.key(Key::Archive(entry.kind, entry.id));
        let known = known_checksum(store.as_ref(), layout, entry).await?;
        let (bytes, known) = (entry.archive_bytes, known.as_deref());
        restore::write_legacy(store, &key, bytes, known, &mut out, &progress).await
    };
    written?;
    Ok(DONE)
}

/// A legacy archive has no parts.
fn only_whole(options: &Options) -> Result<()> {
    if options.is_partial() || !options.sections.is_empty() {
        bail!(Misused(
            "a legacy archive has no manifest that says where its parts are; it can only be \
             restored whole"
                .to_owned()
        ));
    }
    Ok(())
}

struct Restore<'a> {
    global: &'a Global,
    arguments: &'a Arguments,
    settings: &'a Settings,
    store: Arc<dyn Store>,
    layout: Layout,
    source: Option<ConnectionUrl>,
    asks: bool,
}

impl Restore<'_> {
    async fn backup(&self, prepared: restore::Prepared) -> Result<u8> {
        let refused = !prepared.plan().refusals.is_empty();
        if self.arguments.dry_run {
            if self.global.json {
                print::json(&text::plan_json(&prepared))?;
            } else {
                print!("{}", text::plan(&prepared));
            }
            prepared.close().await;
            return Ok(if refused { FAILED } else { DONE });
        }
        if !refused && !self.global.quiet && !self.global.json {
            eprint!("{}", text::plan(&prepared));
        }
        if !refused && self.asks && !confirmed(&prepared.facts().database)? {
            prepared.close().await;
            eprintln!("nothing was touched");
            return Ok(FAILED);
        }
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let work = Box::pin(restore::run(prepared, &progress, &cancel));
        self.watched(&progress, &cancel, work).await
    }

    async fn legacy(
        &self,
        entry: &Entry,
        target: ConnectionUrl,
        options: &Options,
        newest: Option<Source>,
    ) -> Result<u8> {
        only_whole(options)?;
        let key = self.layout.key(Key::Archive(entry.kind, entry.id));
        if self.arguments.dry_run {
            let what = format!(
                "{} is a legacy archive of {}: it is read once and checked, then sent through psql",
                entry.id,
                print::size(entry.archive_bytes)
            );
            if self.global.json {
                print::json(&json!({ "outcome": "planned", "backup": entry.id, "legacy": true }))?;
            } else {
                println!("{what}");
            }
            return Ok(DONE);
        }
        if self.asks && !confirmed(target.database())? {
            eprintln!("nothing was touched");
            return Ok(FAILED);
        }
        let request = LegacyRequest {
            store: Arc::clone(&self.store),
            sha256: known_checksum(self.store.as_ref(), &self.layout, entry).await?,
            key,
            id: entry.id.to_string(),
            bytes: entry.archive_bytes,
            target,
            source: self.source.clone(),
            client_dirs: self.settings.client_dirs.clone(),
            clean: options.clean,
            newest,
            not_the_source: options.not_the_source,
        };
        let (progress, cancel) = (Progress::default(), CancellationToken::new());
        let work = Box::pin(restore::run_legacy(request, &progress, &cancel));
        self.watched(&progress, &cancel, work).await
    }

    /// Runs a restore with its progress shown, and tells what became of it.
    async fn watched(
        &self,
        progress: &Progress,
        cancel: &CancellationToken,
        work: impl Future<Output = Result<Report, RestoreError>>,
    ) -> Result<u8> {
        let shown = {
            let progress = progress.clone();
            progress::show_line(move || line(&progress), self.global.quiet || self.global.json)
        };
        let ended = interruptible(Signals::install()?, cancel.clone(), GRACE, work).await;
        shown.end();
        let report = match ended {
            Ended::Finished(result) => result?,
            Ended::Interrupted { signal, value } => {
                match value {
                    Some(Err(error)) => eprintln!("interrupted: {error}"),
                    _ => eprintln!("interrupted; run it again with --clean"),
                }
                return Ok(signal.exit_code());
            }
        };
        let whole = report.is_whole();
        if !report.proven {
            eprintln!("warning: whether the archive was complete cannot be told");
        }
        if self.global.json {
            let mut document = serde_json::to_value(&report)?;
            document["outcome"] = json!(if whole { "ok" } else { "failed" });
            print::json(&document)?;
        } else if !self.global.quiet || !whole {
            print!("{}", text::report(&report));
        }
        Ok(if whole { DONE } else { FAILED })
    }
}

fn line(progress: &Progress) -> String {
    let report = progress.report();
    let share = (100 * report.done).checked_div(report.total).unwrap_or_default().min(100);
    format!("{}: {share} %, {} rows loaded", report.stage, print::count(report.rows))
}

fn confirmed(database: &str) -> Result<bool> {
    eprint!("drop what the archive creates from database {database}, and restore? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What the newest backup says of its source.
async fn newest(store: &dyn Store, layout: &Layout, catalog: &Catalog) -> Result<Option<Source>> {
    let Some(entry) = catalog.good().max_by_key(|entry| (entry.time(), entry.id)) else {
        return Ok(None);
    };
    let manifest = catalog::read_manifest(store, layout, catalog, entry.kind, entry.id).await?;
    Ok(Some(manifest.source))
}

/// What the archive's checksum file says, where it has one.
async fn known_checksum(
    store: &dyn Store,
    layout: &Layout,
    entry: &Entry,
) -> Result<Option<String>> {
    let key = layout.key(Key::Checksum(entry.kind, entry.id));
    match store.get(&key, CHECKSUM_LIMIT).await {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Checksum::parse(&text).ok().map(|checksum| checksum.sha256))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
