//! The composition root: the only place where adapters are built from settings.

mod alerts;

use std::{collections::BTreeMap, env, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use tokio::net::TcpListener;

pub use alerts::probe;
use alerts::{alerts, reach};

use crate::{
    catalog::Layout,
    clock::Clock,
    drill::Expectation,
    http::{self, Limits, Token},
    jobs::{
        Environment, Handle, Handles, Source, history,
        runner::{Runner, runner},
        watch::Watch,
    },
    lifecycle::{Lifecycle, Signals, Stop},
    metrics::{Metrics, Observer},
    notify::{Channel, Delivery},
    postgres::ConnectionUrl,
    process,
    restore::Live,
    schedule::{self, Line},
    settings::{
        ChecksumMode, DatabaseSettings, Encryption, HttpSettings, SecretFile, Settings,
        StoreLocation, StoreSettings,
    },
    state::{DatabaseState, State},
    status::StatusInfo,
    store::{self, AccessKey, Impatient, LocalStore, Metered, S3Options, S3Store, Store},
};

/// Builds the store that the settings name.
///
/// # Errors
/// When the directory cannot be used or the S3 client cannot be built.
pub async fn store(settings: &StoreSettings) -> Result<Arc<dyn Store>> {
    let store: Arc<dyn Store> = match &settings.location {
        StoreLocation::Directory(path) => Arc::new(LocalStore::open(path).await?),
        StoreLocation::S3 { bucket } => {
            Arc::new(S3Store::connect(s3_options(settings, bucket)).await?)
        }
    };
    Ok(store)
}

/// The same, for a command that reads what is stored: a folder that is not there
/// is no empty store, but most likely a disk that is not mounted.
///
/// # Errors
/// As [`fn@store`], and when the folder does not exist.
pub async fn store_to_read(settings: &StoreSettings) -> Result<Arc<dyn Store>> {
    if let StoreLocation::Directory(path) = &settings.location
        && !tokio::fs::try_exists(path).await.unwrap_or(true)
    {
        bail!(
            "open file://{}: there is no such folder, so nothing is known of its backups; mount \
             the disk, or correct store.url (the first `reliquary backup` creates the folder)",
            path.display()
        );
    }
    store(settings).await
}

/// The same for commands that people wait for in an incident. That it is away is
/// told, and stops none of them.
///
/// # Errors
/// As [`store_to_read`], in words.
pub async fn store_of_an_incident(settings: &StoreSettings) -> Result<Arc<dyn Store>, String> {
    let store = store_to_read(settings).await.map_err(|error| format!("{error:#}"))?;
    Ok(Arc::new(Impatient::new(store)))
}

/// Every file that holds a secret of this installation: those of the settings,
/// and those that AWS's own chain and a restore read.
#[must_use]
pub fn secret_files(settings: &Settings) -> Vec<SecretFile> {
    let mut files = settings.secret_files.clone();
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let is_bucket = matches!(settings.store.location, StoreLocation::S3 { .. });
    if is_bucket && settings.store.credentials.is_none() && variable("AWS_ACCESS_KEY_ID").is_none()
    {
        let usual = || Some(PathBuf::from(variable("HOME")?).join(".aws/credentials"));
        let named = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        if let Some(path) = named.or_else(usual).filter(|path| path.exists()) {
            files.push(SecretFile { key: "AWS credentials".to_owned(), path });
        }
    }
    if let Some(path) = variable("PGPASSFILE").map(PathBuf::from).filter(|path| path.exists()) {
        files.push(SecretFile { key: "PGPASSFILE".to_owned(), path });
    }
    files
}

/// Judges a database's URL for the settings.
///
/// # Errors
/// What is wrong with it, without any part of it.
pub fn check_url(url: &SecretString) -> Result<(), String> {
    ConnectionUrl::parse(url).map(drop).map_err(|error| {
        let message = error.to_string();
        // The settings say which key it is.
        message.strip_prefix("read the database URL: ").unwrap_or(&message).to_owned()
    })
}

/// Whether two databases' URLs lead to one database, for the settings.
#[must_use]
pub fn same_database(one: &SecretString, other: &SecretString) -> bool {
    let urls = ConnectionUrl::parse(one).ok().zip(ConnectionUrl::parse(other).ok());
    urls.is_some_and(|(one, other)| one.is_same_place(&other))
}

/// Judges what a drill's check expects, for the settings.
///
/// # Errors
/// What is wrong with it.
pub fn check_expectation(text: &str) -> Result<(), String> {
    text.parse::<Expectation>().map(drop).map_err(|error| error.to_string())
}

/// What the jobs share.
#[must_use]
pub fn environment(settings: &Settings, store: Arc<dyn Store>, clock: Clock) -> Environment {
    Environment {
        store,
        clock,
        client_dirs: settings.client_dirs.clone(),
        archive: settings.archive.clone(),
        part_size: settings.store.part_size,
        secret_files: secret_files(settings),
        sources: sources(settings),
    }
}

/// Where each database is, as far as this machine knows.
fn sources(settings: &Settings) -> BTreeMap<String, Option<ConnectionUrl>> {
    let url = |database: &DatabaseSettings| ConnectionUrl::parse(database.url.as_ref()?).ok();
    let databases = settings.databases.iter();
    databases.map(|(name, database)| (name.clone(), url(database))).collect()
}

/// A database as its jobs see it.
///
/// # Errors
/// When it has no URL, or none that can be used. The message never holds a part of it.
pub fn source(settings: &DatabaseSettings) -> Result<Source> {
    let url = settings.url.as_ref();
    let url = url.with_context(|| format!("databases.{}.url is missing", settings.name))?;
    let url = ConnectionUrl::parse(url)
        .with_context(|| format!("use databases.{}.url", settings.name))?;
    let layout = Layout::new(settings.prefix.clone());
    Ok(Source { settings: settings.clone(), url, layout })
}

/// The source as far as this machine knows it, for whoever must take nothing else
/// for it.
#[must_use]
pub fn live(database: &DatabaseSettings) -> Live {
    match (source(database), &database.unread) {
        (Ok(source), _) => Live::At(Box::new(source.url)),
        (Err(_), Some(key)) => Live::Unread(format!("{key} cannot be read on this machine")),
        (Err(error), None) if database.url.is_some() => Live::Unread(format!("{error:#}")),
        (Err(_), None) => Live::Unnamed,
    }
}

/// The other databases of the settings, by name, as far as this machine knows where
/// they are.
#[must_use]
pub fn others(settings: &Settings, than: &DatabaseSettings) -> Vec<(String, ConnectionUrl)> {
    let known = sources(settings).into_iter().filter(|(name, _)| *name != than.name);
    known.filter_map(|(name, url)| Some((name, url?))).collect()
}

/// What is known of each database before the store was looked at.
#[must_use]
pub fn state(settings: &Settings, clock: Clock) -> State {
    let started = clock.now();
    let state = State::new(clock, started, env!("CARGO_PKG_VERSION"));
    let endpoint = settings.store.endpoint.as_deref().and_then(|url| url::Url::parse(url).ok());
    if let Some(host) = endpoint.as_ref().and_then(url::Url::host_str) {
        state.hide(host);
    }
    for database in settings.databases.values() {
        let verify = Some(&database.verify.schedule).filter(|_| database.verify.enabled);
        let drill = Some(&database.drill.schedule).filter(|_| database.drill.enabled);
        state.add(DatabaseState {
            verify_schedule: verify.cloned(),
            backup_schedule: Some(database.schedule.clone()),
            drill_schedule: drill.cloned(),
            drill_timeout: database.drill.timeout,
            drills_in_a_row: 1 + database.drill.sample,
            ..DatabaseState::new(
                database.name.clone(),
                database.prefix.clone(),
                database.schedule.line.clone(),
                database.stale_after,
            )
        });
    }
    state
}

/// What the status document says of a store.
#[must_use]
pub fn status_info(store: &dyn Store) -> StatusInfo {
    StatusInfo { store: store.uri("").trim_end_matches('/').to_owned() }
}

/// The daemon, put together and not running yet.
#[derive(Debug)]
pub struct Daemon {
    /// What it knows about itself.
    pub state: State,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// How it ends.
    pub lifecycle: Lifecycle,
    /// Its databases' runners, not running yet.
    pub runners: Vec<Runner>,
    /// Talks to them, in the same order.
    pub handles: Vec<Handle>,
    info: StatusInfo,
    http: HttpSettings,
    crons: BTreeMap<String, Vec<Handle>>,
    watch: Option<Watch>,
    deliveries: Vec<Delivery>,
    channels: Vec<Channel>,
    store: Arc<dyn Store>,
    layouts: Vec<(String, Layout)>,
}

impl Daemon {
    /// Puts a daemon together from its settings, a store and a clock.
    ///
    /// # Errors
    /// When a database's URL cannot be used.
    pub fn new(settings: &Settings, store: Arc<dyn Store>, clock: Clock) -> Result<Self> {
        let version = env!("CARGO_PKG_VERSION");
        let names: Vec<String> = settings.databases.keys().cloned().collect();
        let metrics = Arc::new(Metrics::new(version, &names)?);
        let lifecycle = Lifecycle::new(settings.grace);
        let state = state(settings, clock.clone());
        let info = status_info(store.as_ref());
        let observer: Arc<dyn Observer> = metrics.clone();
        let store: Arc<dyn Store> = Arc::new(Metered::new(store, observer));
        let layouts: Vec<_> = settings
            .databases
            .values()
            .map(|database| (database.name.clone(), Layout::new(database.prefix.clone())))
            .collect();
        let (channels, watch, deliveries) = alerts(settings, &store, &state, &metrics, &layouts)?;
        let environment = environment(settings, Arc::clone(&store), clock);
        let (mut runners, mut handles) = (Vec::new(), Vec::new());
        let mut crons: BTreeMap<String, Vec<Handle>> = BTreeMap::new();
        for database in settings.databases.values() {
            let source = source(database)?;
            let verify = Some(&database.verify.schedule).filter(|_| database.verify.enabled);
            let (runner, handle) = runner(
                environment.clone(),
                source,
                state.clone(),
                Arc::clone(&metrics),
                lifecycle.clone(),
            );
            let sweep = Some(&database.sweep.schedule).filter(|_| database.sweep.enabled);
            let audit = Some(&database.audit.schedule).filter(|_| database.audit.enabled);
            let drill = Some(&database.drill.schedule).filter(|_| database.drill.enabled);
            let others = verify.into_iter().chain(sweep).chain(audit).chain(drill);
            for schedule in [&database.schedule].into_iter().chain(others) {
                crons.entry(schedule.line.clone()).or_default().push(handle.clone());
            }
            runners.push(runner);
            handles.push(handle);
        }
        let http = settings.http.clone();
        Ok(Self {
            state,
            metrics,
            lifecycle,
            runners,
            handles,
            info,
            http,
            crons,
            watch,
            deliveries,
            channels,
            store,
            layouts,
        })
    }

    /// What the status document says of the settings.
    #[must_use]
    pub fn info(&self) -> &StatusInfo {
        &self.info
    }

    /// Listens where the settings say.
    ///
    /// # Errors
    /// When the address is taken or may not be used.
    pub async fn listen(&self) -> Result<TcpListener> {
        let address = self.http.listen;
        TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address} (http.listen; does another daemon run?)"))
    }

    /// Runs until a signal comes and everything has ended.
    ///
    /// # Errors
    /// When the scheduler does not start.
    pub async fn run(mut self, listener: TcpListener, signals: Signals) -> Result<Stop> {
        // Not one of the lifecycle's own tasks: it is what ends them.
        tokio::spawn(self.lifecycle.clone().watch(signals));
        tokio::spawn(process::take_ends());
        let router = http::router(http::App {
            state: self.state.clone(),
            metrics: Arc::clone(&self.metrics),
            trigger: Some(Arc::new(Handles(self.handles.clone()))),
            token: self.http.token.as_ref().map(Token::new),
            password: self.http.password.as_ref().map(Token::new),
            info: self.info.clone(),
        });
        // The server outlives the jobs, so that it can be asked while they end.
        let enough = tokio_util::sync::CancellationToken::new();
        let server = tokio::spawn(http::serve(listener, router, Limits::default(), enough.clone()));
        for delivery in self.deliveries.drain(..) {
            self.lifecycle.spawn(delivery.run(self.lifecycle.hard.clone()));
        }
        if let Some(watch) = self.watch.take() {
            self.lifecycle.spawn(watch.run(self.lifecycle.clone()));
        }
        // Nobody waits for it: a channel that is down is no reason to back up later.
        tokio::spawn(reach(std::mem::take(&mut self.channels), self.state.clone()));
        for runner in self.runners.drain(..) {
            self.lifecycle.spawn(runner.run());
        }
        for (name, layout) in self.layouts.drain(..) {
            let (store, state) = (Arc::clone(&self.store), self.state.clone());
            let stop = self.lifecycle.soft.clone();
            self.lifecycle.spawn(history::recall(store, layout, state, name, stop));
        }
        let lines = std::mem::take(&mut self.crons)
            .into_iter()
            .map(|(cron, runners)| Line { cron, runners })
            .collect();
        let schedule = schedule::start(lines, &self.state, schedule::HEARTBEAT).await?;
        let state = self.state.clone();
        let soft = self.lifecycle.soft.clone();
        tokio::spawn(async move {
            soft.cancelled().await;
            state.set_stopping();
        });
        let stop = self.lifecycle.drain().await;
        if let Err(error) = schedule.shutdown().await {
            tracing::warn!(%error, "the scheduler did not stop");
        }
        enough.cancel();
        // It ends within its own limits; a panic in it has been told already.
        let _ = server.await;
        Ok(stop)
    }
}

fn s3_options(settings: &StoreSettings, bucket: &str) -> S3Options {
    S3Options {
        region: settings.region.clone(),
        endpoint: settings.endpoint.clone(),
        path_style: settings.path_style,
        credentials: settings.credentials.as_ref().map(|credentials| AccessKey {
            id: credentials.access_key_id.clone(),
            secret: credentials.secret_access_key.clone(),
            session_token: credentials.session_token.clone(),
        }),
        encryption: match &settings.encryption {
            Encryption::BucketDefault => store::Encryption::BucketDefault,
            Encryption::SseS3 => store::Encryption::SseS3,
            Encryption::SseKms(key) => store::Encryption::SseKms(key.clone()),
        },
        checksum: match settings.checksum {
            ChecksumMode::Crc64Nvme => store::ChecksumMode::Crc64Nvme,
            ChecksumMode::Crc32c => store::ChecksumMode::Crc32c,
            ChecksumMode::Sha256 => store::ChecksumMode::Sha256,
            ChecksumMode::Md5 => store::ChecksumMode::Md5,
        },
        parts_in_flight: settings.concurrency,
        attempt_timeout: settings.attempt_timeout,
        attempts: settings.attempts,
        ..S3Options::new(bucket)
    }
}
