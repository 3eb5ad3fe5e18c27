//! `reliquary demo`: everything, on a throwaway PostgreSQL and a throwaway directory.

mod proof;

use std::{collections::BTreeMap, io, net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use clap::Args;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{DONE, Global};
use crate::{
    app::{self, Daemon},
    clock::Clock,
    lifecycle::{Ended, Signal, Signals, interruptible},
    postgres::{
        cluster::{Cluster, ClusterOptions},
        server_bins::find_server_bins,
    },
    settings::{self, Settings, Sources},
    telemetry,
};

/// What a church-donation database of the style of Prisma might hold; made up.
const SAMPLE: &str = include_str!("sample.sql");

/// The name of the sample database.
const DATABASE: &str = "altarflow_demo";

/// Where the demo's daemon listens when nothing else does.
const LISTEN: &str = "127.0.0.1:8080";

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  reliquary demo --once   one backup, restored and compared\n  \
    reliquary demo          a backup a minute, until Ctrl-C"
)]
pub(super) struct Arguments {
    /// Take one backup, prove with gunzip and psql that it restores, and exit.
    #[arg(long)]
    once: bool,
    /// Where the daemon listens; without this, any free port where 127.0.0.1:8080 is taken.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let mut signals = Signals::install()?;
    let prepared = tokio::select! {
        prepared = Demo::prepare(global, arguments) => prepared?,
        signal = signals.next() => return Ok(signal.exit_code()),
    };
    let Demo { cluster, folder, settings } = prepared;
    let result = if arguments.once {
        let work = proof::once(&cluster, &settings, folder.path(), global);
        // Nothing to clean up but what is thrown away anyway: no grace.
        let cancel = CancellationToken::new();
        match interruptible(signals, cancel, std::time::Duration::ZERO, Box::pin(work)).await {
            Ended::Finished(result) => result,
            Ended::Interrupted { signal, .. } => Ok(signal.exit_code()),
        }
    } else {
        serve(&settings, arguments.listen.is_some(), folder.path(), signals).await
    };
    let stopped = cluster.stop().await.context("clean up");
    folder.close().context("clean up")?;
    stopped.and(result)
}

/// A sample database, a folder for its backups, and settings for both.
struct Demo {
    cluster: Cluster,
    folder: TempDir,
    settings: Settings,
}

impl Demo {
    async fn prepare(global: &Global, arguments: &Arguments) -> Result<Self> {
        let bins = find_server_bins(&[], None).await?;
        say(global, &format!("starting a throwaway PostgreSQL {}", bins.version));
        let folder = tempfile::Builder::new().prefix("reliquary-demo-").tempdir()?;
        let cluster = Cluster::start(ClusterOptions::new(&bins.dir)).await?;
        let settings = settings(&cluster, &bins.dir, folder.path(), arguments)?;
        telemetry::init(&settings.log, global.verbosity(), !arguments.once);
        say(global, "loading a made-up church-donation database");
        create(&cluster, DATABASE).await?;
        let mut connection = cluster.connect_options(DATABASE).connect().await?;
        sqlx::raw_sql(SAMPLE).execute(&mut connection).await.context("load the sample")?;
        connection.close().await?;
        Ok(Self { cluster, folder, settings })
    }
}

/// The settings that a person would write for this, through the same door.
fn settings(
    cluster: &Cluster,
    programs: &Path,
    folder: &Path,
    arguments: &Arguments,
) -> Result<Settings> {
    let store = url::Url::from_directory_path(folder)
        .map_err(|()| io::Error::other("the temporary directory has no absolute path"))?;
    let listen = arguments.listen.map_or(LISTEN.to_owned(), |address| address.to_string());
    let env = [
        ("DIRECT_URL", cluster.url(DATABASE)),
        ("RELIQUARY__STORE__URL", store.to_string()),
        ("RELIQUARY__DATABASES__DEMO__SCHEDULE", "0 * * * * *".to_owned()),
        ("RELIQUARY__DATABASES__DEMO__STALE_AFTER", "3m".to_owned()),
        ("RELIQUARY__POSTGRES__CLIENT_DIRS", programs.display().to_string()),
        ("RELIQUARY__HTTP__LISTEN", listen),
    ];
    let env: BTreeMap<String, String> =
        env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let sources = Sources {
        env,
        dir: folder.to_owned(),
        url_check: Some(app::check_url),
        expect_check: Some(app::check_expectation),
        ..Sources::default()
    };
    Ok(settings::load(&sources)?.0)
}

/// Creates a database of the throwaway cluster.
async fn create(cluster: &Cluster, name: &'static str) -> Result<()> {
    let mut connection = cluster.connect_options("postgres").connect().await?;
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Runs the daemon on the sample until a signal comes.
async fn serve(settings: &Settings, insist: bool, folder: &Path, signals: Signals) -> Result<u8> {
    let store = app::store(&settings.store).await?;
    let daemon = Daemon::new(settings, store, Clock::system())?;
    let listener = match daemon.listen().await {
        // Something else has the usual port: any other will do.
        Err(_) if !insist => tokio::net::TcpListener::bind("127.0.0.1:0").await?,
        listener => listener?,
    };
    let address = listener.local_addr()?;
    println!("{}", greeting(address, folder));
    let stop = daemon.run(listener, signals).await?;
    let unclean = stop.signal.map_or(super::FAILED, Signal::exit_code);
    Ok(if stop.clean { DONE } else { unclean })
}

/// Where to look.
fn greeting(address: SocketAddr, folder: &Path) -> String {
    format!(
        "a backup a minute, into {}\n\n  \
         http://{address}/               the status page, for a browser\n  \
         http://{address}/healthz        is there a fresh, good backup?\n  \
         http://{address}/status         everything there is to know\n  \
         http://{address}/metrics        for Prometheus\n  \
         http://{address}/last-success   when the last one was made\n\n\
         Ctrl-C ends it and takes everything away.\n",
        folder.display()
    )
}

fn say(global: &Global, what: &str) {
    if !global.quiet && !global.json {
        println!("{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_page_is_the_first_address() {
        let said = greeting("127.0.0.1:8080".parse().unwrap(), Path::new("/tmp/x"));
        let first = said.lines().find(|line| line.contains("http://")).unwrap();
        assert!(first.starts_with("  http://127.0.0.1:8080/  "), "{said}");
    }
}
