//! The effective settings, to look at: every default filled in, every secret masked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use super::{
    AuditSettings, ChecksumMode, DatabaseSettings, DrillSettings, Encryption, LogFormat,
    RetentionSettings, Settings, StoreLocation, StoreSettings, SweepSettings, VerifySettings,
    drill::BESIDE,
    show_notify::{ShownAnomalies, ShownNotify},
    show_runbook::ShownRunbook,
    store::CHECKSUMS,
    sweep::MODES,
    units::{duration_text, size_text},
};
use crate::words::Period;

/// What stands in place of a secret: nothing of it, not even its length.
const MASK: &str = "********";

impl Settings {
    /// As TOML that could be loaded again once the masks are replaced.
    #[must_use]
    pub fn render_toml(&self) -> String {
        let origin = match &self.file {
            Some(file) => format!("# Read from {:?} and the environment.\n", file.display()),
            None => "# Read from the environment; there is no settings file.\n".to_owned(),
        };
        // Texts, numbers and lists under texts as keys: all of it is TOML.
        let body = toml::to_string(&Shown::of(self)).unwrap_or_default();
        format!("{origin}{body}")
    }

    /// As JSON, under the same keys, with the settings file as `file`.
    #[must_use]
    pub fn render_json(&self) -> serde_json::Value {
        let mut shown = json!(Shown::of(self));
        shown["file"] = json!(self.file.as_deref().map(Path::to_string_lossy));
        shown
    }
}

#[derive(Serialize)]
struct Shown<'s> {
    store: ShownStore<'s>,
    databases: BTreeMap<&'s str, ShownDatabase<'s>>,
    verify: ShownVerify<'s>,
    retention: ShownRetention,
    sweep: ShownSweep<'s>,
    audit: ShownAudit<'s>,
    drill: ShownDrill<'s>,
    archive: ShownArchive,
    postgres: ShownPostgres<'s>,
    notify: ShownNotify<'s>,
    anomalies: ShownAnomalies<'s>,
    runbook: ShownRunbook<'s>,
    http: ShownHttp,
    daemon: ShownDaemon,
    log: ShownLog<'s>,
}

#[derive(Serialize)]
struct ShownStore<'s> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_style: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<&'static str>,
    part_size: String,
    concurrency: usize,
    attempt_timeout: String,
    attempts: u32,
}

#[derive(Serialize)]
struct ShownDatabase<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'static str>,
    prefix: &'s str,
    schedule: &'s str,
    stale_after: String,
    timeout: String,
    lock_timeout: String,
    streams: usize,
    attempts: u32,
    retry_delay: String,
    exclude: ShownExclusions<'s>,
    verify: ShownVerify<'s>,
    retention: ShownRetention,
    sweep: ShownSweep<'s>,
    audit: ShownAudit<'s>,
    drill: ShownDrill<'s>,
}

#[derive(Serialize)]
struct ShownRetention {
    keep_for: String,
    keep_last: u32,
    #[serde(flatten)]
    tiers: BTreeMap<&'static str, u32>,
}

#[derive(Serialize)]
struct ShownAudit<'s> {
    enabled: bool,
    schedule: &'s str,
}

#[derive(Serialize)]
struct ShownSweep<'s> {
    enabled: bool,
    mode: &'static str,
    schedule: &'s str,
}

#[derive(Serialize)]
struct ShownVerify<'s> {
    enabled: bool,
    schedule: &'s str,
    sample: usize,
}

#[derive(Serialize)]
struct ShownDrill<'s> {
    enabled: bool,
    schedule: &'s str,
    sample: usize,
    beside_backups: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'static str>,
    target_is_throwaway: bool,
    timeout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<std::borrow::Cow<'s, str>>,
    keep_free: String,
    server_dirs: Vec<std::borrow::Cow<'s, str>>,
    amcheck: bool,
    checks: Vec<ShownCheck<'s>>,
}

#[derive(Serialize)]
struct ShownCheck<'s> {
    name: &'s str,
    sql: &'s str,
    expect: &'s str,
}

#[derive(Serialize)]
struct ShownExclusions<'s> {
    schemas: &'s [String],
    tables: &'s [String],
    table_data: &'s [String],
}

#[derive(Serialize)]
struct ShownArchive {
    member_size: String,
    threads: usize,
}

#[derive(Serialize)]
struct ShownPostgres<'s> {
    client_dirs: Vec<std::borrow::Cow<'s, str>>,
}

#[derive(Serialize)]
struct ShownHttp {
    listen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'static str>,
}

#[derive(Serialize)]
struct ShownDaemon {
    grace: String,
}

#[derive(Serialize)]
struct ShownLog<'s> {
    filter: &'s str,
    format: &'static str,
}

impl<'s> Shown<'s> {
    fn of(settings: &'s Settings) -> Self {
        let client_dirs = settings.client_dirs.iter().map(|dir| dir.to_string_lossy()).collect();
        let databases = settings
            .databases
            .iter()
            .map(|(name, database)| (name.as_str(), ShownDatabase::of(database)))
            .collect();
        Self {
            store: ShownStore::of(&settings.store),
            databases,
            verify: ShownVerify::of(&settings.verify),
            retention: ShownRetention::of(&settings.retention),
            sweep: ShownSweep::of(&settings.sweep),
            audit: ShownAudit::of(&settings.audit),
            drill: ShownDrill::of(&settings.drill),
            archive: ShownArchive {
                member_size: size_text(settings.archive.member_size as u64),
                threads: settings.archive.threads,
            },
            postgres: ShownPostgres { client_dirs },
            notify: ShownNotify::of(&settings.notify),
            anomalies: ShownAnomalies::of(&settings.anomalies),
            runbook: ShownRunbook::of(&settings.runbook),
            http: ShownHttp {
                listen: settings.http.listen.to_string(),
                token: settings.http.token.as_ref().map(mask),
                password: settings.http.password.as_ref().map(mask),
            },
            daemon: ShownDaemon { grace: duration_text(settings.grace) },
            log: ShownLog {
                filter: &settings.log.filter,
                format: match settings.log.format {
                    LogFormat::Auto => "auto",
                    LogFormat::Json => "json",
                    LogFormat::Text => "text",
                },
            },
        }
    }
}

impl<'s> ShownStore<'s> {
    fn of(store: &'s StoreSettings) -> Self {
        // A directory takes none of S3's keys, so it shows none.
        let is_s3 = matches!(store.location, StoreLocation::S3 { .. });
        let (encryption, kms_key_id) = match &store.encryption {
            Encryption::BucketDefault => ("bucket", None),
            Encryption::SseS3 => ("sse-s3", None),
            Encryption::SseKms(key) => ("sse-kms", key.as_deref()),
        };
        let credentials = store.credentials.as_ref();
        Self {
            url: location_text(&store.location),
            region: store.region.as_deref(),
            endpoint: store.endpoint.as_deref(),
            path_style: is_s3.then_some(store.path_style),
            access_key_id: credentials.map(|given| given.access_key_id.as_str()),
            secret_access_key: credentials.map(|given| mask(&given.secret_access_key)),
            session_token: credentials.and_then(|given| given.session_token.as_ref()).map(mask),
            encryption: is_s3.then_some(encryption),
            kms_key_id,
            checksum: is_s3.then(|| checksum_text(store.checksum)),
            part_size: size_text(store.part_size),
            concurrency: store.concurrency,
            attempt_timeout: duration_text(store.attempt_timeout),
            attempts: store.attempts,
        }
    }
}

impl<'s> ShownDatabase<'s> {
    fn of(database: &'s DatabaseSettings) -> Self {
        Self {
            url: database.url.as_ref().map(mask),
            prefix: &database.prefix,
            schedule: &database.schedule.line,
            stale_after: duration_text(database.stale_after),
            timeout: duration_text(database.timeout),
            lock_timeout: duration_text(database.lock_timeout),
            streams: database.streams,
            attempts: database.attempts,
            retry_delay: duration_text(database.retry_delay),
            exclude: ShownExclusions {
                schemas: &database.exclude.schemas,
                tables: &database.exclude.tables,
                table_data: &database.exclude.table_data,
            },
            verify: ShownVerify::of(&database.verify),
            retention: ShownRetention::of(&database.retention),
            sweep: ShownSweep::of(&database.sweep),
            audit: ShownAudit::of(&database.audit),
            drill: ShownDrill::of(&database.drill),
        }
    }
}

impl<'s> ShownVerify<'s> {
    fn of(verify: &'s VerifySettings) -> Self {
        let VerifySettings { enabled, schedule, sample } = verify;
        Self { enabled: *enabled, schedule: &schedule.line, sample: *sample }
    }
}

impl ShownRetention {
    fn of(retention: &RetentionSettings) -> Self {
        let tiers = Period::ALL.iter().map(|period| (period.as_str(), retention.tier(*period)));
        Self {
            keep_for: duration_text(retention.keep_for),
            keep_last: retention.keep_last,
            tiers: tiers.collect(),
        }
    }
}

impl<'s> ShownAudit<'s> {
    fn of(audit: &'s AuditSettings) -> Self {
        Self { enabled: audit.enabled, schedule: &audit.schedule.line }
    }
}

impl<'s> ShownSweep<'s> {
    fn of(sweep: &'s SweepSettings) -> Self {
        let SweepSettings { enabled, mode, schedule } = sweep;
        let mode = MODES.iter().find(|(_, known)| known == mode).map_or("delete", |(word, _)| word);
        Self { enabled: *enabled, mode, schedule: &schedule.line }
    }
}

impl<'s> ShownDrill<'s> {
    fn of(drill: &'s DrillSettings) -> Self {
        let text = |path: &'s PathBuf| path.to_string_lossy();
        let checks = drill.checks.iter().map(|check| ShownCheck {
            name: &check.name,
            sql: &check.sql,
            expect: &check.expect,
        });
        let beside = BESIDE.iter().find(|(_, known)| *known == drill.beside_backups);
        Self {
            enabled: drill.enabled,
            schedule: &drill.schedule.line,
            sample: drill.sample,
            beside_backups: beside.map_or("auto", |(word, _)| word),
            target: drill.target.as_ref().map(mask),
            target_is_throwaway: drill.target_is_throwaway,
            timeout: duration_text(drill.timeout),
            dir: drill.dir.as_ref().map(text),
            keep_free: size_text(drill.keep_free),
            server_dirs: drill.server_dirs.iter().map(text).collect(),
            amcheck: drill.amcheck,
            checks: checks.collect(),
        }
    }
}

pub(super) fn mask(_: &SecretString) -> &'static str {
    MASK
}

fn location_text(location: &StoreLocation) -> String {
    match location {
        StoreLocation::S3 { bucket } => format!("s3://{bucket}"),
        StoreLocation::Directory(path) => url::Url::from_file_path(path)
            .map_or_else(|()| path.display().to_string(), |url| url.to_string()),
    }
}

fn checksum_text(checksum: ChecksumMode) -> &'static str {
    let found = CHECKSUMS.iter().find(|(_, mode)| *mode == checksum);
    found.map_or("crc64nvme", |(word, _)| word)
}
