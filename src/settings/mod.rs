//! The effective settings: checked, with defaults filled in and secrets resolved.
//!
//! What a person may write is in `config/reliquary.toml`; [`load`] turns file,
//! environment and defaults into [`Settings`], or into every mistake at once.

mod audit;
mod database;
mod document;
mod drill;
mod load;
mod notify;
mod problem;
mod raw;
mod retention;
mod runbook;
mod schedule;
mod secret;
mod show;
mod show_notify;
mod show_runbook;
mod store;
mod sweep;
mod units;
mod verify;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use croner::Cron;
use secrecy::SecretString;

pub use load::{ExpectCheck, SameDatabase, Sources, UrlCheck, load};
pub use notify::{
    AnomalySettings, EmailSettings, GithubSettings, MailTls, NotifySettings, PagerdutySettings,
    RouteSettings, UrlSettings, WebhookSettings,
};
pub use problem::{Problem, Problems};
pub use runbook::{Contact, RunbookSettings};
pub use schedule::ScheduleError;
pub use units::duration_text;

/// Everything the process was told, once it has been found to make sense.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where backups go.
    pub store: StoreSettings,
    /// What is backed up, by name; never empty.
    pub databases: BTreeMap<String, DatabaseSettings>,
    /// How stored backups are read again, where a database does not say otherwise.
    pub verify: VerifySettings,
    /// What is kept, where a database does not say otherwise.
    pub retention: RetentionSettings,
    /// How what is not kept goes, where a database does not say otherwise.
    pub sweep: SweepSettings,
    /// When everything is held against the checklist, where a database does not say otherwise.
    pub audit: AuditSettings,
    /// How backups are drilled, where a database does not say otherwise.
    pub drill: DrillSettings,
    /// How an archive is made.
    pub archive: ArchiveSettings,
    /// Where PostgreSQL's client programs may be, searched first, in order.
    pub client_dirs: Vec<PathBuf>,
    /// Who is told of problems.
    pub notify: NotifySettings,
    /// What is odd about a backup.
    pub anomalies: AnomalySettings,
    /// What only people know about a recovery.
    pub runbook: RunbookSettings,
    /// The HTTP server.
    pub http: HttpSettings,
    /// How long a stop waits for a running job before it is aborted.
    pub grace: Duration,
    /// What is logged and how.
    pub log: LogSettings,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Files that hold secrets, the settings file among them where one stands in it.
    pub secret_files: Vec<SecretFile>,
}

/// A file that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The key that names it, or that stands in it.
    pub key: String,
    /// Where it is.
    pub path: PathBuf,
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Bucket or directory.
    pub location: StoreLocation,
    /// AWS region; `None` leaves it to the usual AWS variables and files.
    pub region: Option<String>,
    /// Another S3 API than AWS's.
    pub endpoint: Option<String>,
    /// `https://host/bucket/key` instead of `https://bucket.host/key`.
    pub path_style: bool,
    /// Static credentials; `None` leaves them to the usual AWS chain.
    pub credentials: Option<StaticCredentials>,
    /// Encryption at rest that is asked for with every object.
    pub encryption: Encryption,
    /// Which checksum guards a transfer.
    pub checksum: ChecksumMode,
    /// Size of an upload's parts, in bytes (at least 5 MiB); raised for
    /// databases that would need more than 10,000 parts.
    pub part_size: u64,
    /// Parts in flight at once.
    pub concurrency: usize,
    /// Deadline of one attempt of one request.
    pub attempt_timeout: Duration,
    /// Attempts of one request, the first included.
    pub attempts: u32,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// `s3://bucket`
    S3 {
        /// The bucket's name.
        bucket: String,
    },
    /// `file:///dir`
    Directory(PathBuf),
}

/// An access key given in the settings.
#[derive(Clone, Debug)]
pub struct StaticCredentials {
    /// `access_key_id`
    pub access_key_id: String,
    /// `secret_access_key`
    pub secret_access_key: SecretString,
    /// `session_token`
    pub session_token: Option<SecretString>,
}

/// `store.encryption`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// `bucket`: ask for nothing, the bucket's default holds.
    BucketDefault,
    /// `sse-s3`
    SseS3,
    /// `sse-kms`, with `store.kms_key_id` where it is given.
    SseKms(Option<String>),
}

/// `store.checksum`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumMode {
    /// `crc64nvme`
    Crc64Nvme,
    /// `crc32c`
    Crc32c,
    /// `sha256`
    Sha256,
    /// `none`: for stores that reject S3's newer checksum headers; a
    /// `Content-MD5` header guards the transfer instead.
    Md5,
}

/// `[databases.<name>]`
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// The name, as in `-d NAME` and the label `database`.
    pub name: String,
    /// Connection string of the source; always a `postgres://` or `postgresql://` URL.
    /// `None` only where the settings were loaded to read the store alone.
    pub url: Option<SecretString>,
    /// The key that names the URL's place, where that could not be read and only the
    /// store will be: there is a source, and nobody here knows where.
    pub unread: Option<String>,
    /// Where its backups stand in the store; ends with a slash.
    pub prefix: String,
    /// When a backup is due, six fields, UTC.
    pub schedule: Schedule,
    /// Health turns to `stale` when the last good backup is older than this.
    pub stale_after: Duration,
    /// Deadline of one backup.
    pub timeout: Duration,
    /// How long the dump may wait for a lock that the application holds.
    pub lock_timeout: Duration,
    /// How many `pg_dump` copy rows at once, where the database is large enough.
    pub streams: usize,
    /// Attempts of one slot, the first included.
    pub attempts: u32,
    /// Pause before the second attempt; doubles from there.
    pub retry_delay: Duration,
    /// What the dump leaves out.
    pub exclude: Exclusions,
    /// How its stored backups are read again.
    pub verify: VerifySettings,
    /// What of it is kept.
    pub retention: RetentionSettings,
    /// How what is not kept goes.
    pub sweep: SweepSettings,
    /// When it is held against the checklist.
    pub audit: AuditSettings,
    /// How it is drilled.
    pub drill: DrillSettings,
}

/// `[verify]`, and `[databases.<name>.verify]`, which overrides it
#[derive(Clone, Debug)]
pub struct VerifySettings {
    /// Whether the daemon does it.
    pub enabled: bool,
    /// When, six fields, UTC.
    pub schedule: Schedule,
    /// How many backups beside the newest one.
    pub sample: usize,
}

/// `[retention]`, and `[databases.<name>.retention]`, which overrides it
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Everything younger than this is kept.
    pub keep_for: Duration,
    /// So many good backups are kept whatever their age; at least one.
    pub keep_last: u32,
    /// Of how many of the newest periods one backup is kept, in the order of
    /// [`Period::ALL`](crate::words::Period::ALL).
    pub tiers: [u32; 5],
}

/// `[sweep]`, and `[databases.<name>.sweep]`, which overrides it
#[derive(Clone, Debug)]
pub struct SweepSettings {
    /// Whether the daemon does it.
    pub enabled: bool,
    /// Who removes.
    pub mode: SweepMode,
    /// When, six fields, UTC.
    pub schedule: Schedule,
}

/// `[audit]`, and `[databases.<name>.audit]`, which overrides it
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Whether the daemon does it.
    pub enabled: bool,
    /// When, six fields, UTC.
    pub schedule: Schedule,
}

/// `sweep.mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepMode {
    /// `delete`: Reliquary removes what retention no longer keeps.
    Delete,
    /// `lifecycle`: the bucket's own rules do; Reliquary removes nothing, and
    /// holds the rules against retention.
    Lifecycle,
}

/// Tables that a backup leaves out, and so names in its manifest. Patterns are
/// `schema.table` with `*` and `?`; they match the names as they are stored,
/// without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions {
    /// Whole schemas.
    pub schemas: Vec<String>,
    /// Tables, definition and rows.
    pub tables: Vec<String>,
    /// Tables whose definition is kept, without the rows.
    pub table_data: Vec<String>,
}

/// A cron line and what it means.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// As it was written: six fields, UTC.
    pub line: String,
    /// As it is understood.
    pub cron: Cron,
}

/// `[drill]`, and `[databases.<name>.drill]`, which overrides it
#[derive(Clone, Debug)]
pub struct DrillSettings {
    /// Whether the daemon does it.
    pub enabled: bool,
    /// When, six fields, UTC.
    pub schedule: Schedule,
    /// How many backups and legacy archives beside the newest backup.
    pub sample: usize,
    /// Whether a backup of the same database may be made meanwhile.
    pub beside_backups: BesideBackups,
    /// A database that is used instead of a sandbox, and emptied before and after.
    pub target: Option<SecretString>,
    /// Whether whatever that database holds may be dropped.
    pub target_is_throwaway: bool,
    /// Deadline of one drill.
    pub timeout: Duration,
    /// Where the sandbox is; `None` takes the system's temporary directory.
    pub dir: Option<PathBuf>,
    /// How much of the disk stays free, in bytes.
    pub keep_free: u64,
    /// Where PostgreSQL's server programs may be, beside the usual places.
    pub server_dirs: Vec<PathBuf>,
    /// Whether `pg_amcheck` is run where it is there.
    pub amcheck: bool,
    /// What the restored database is asked.
    pub checks: Vec<DrillCheck>,
}

/// `drill.beside_backups`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BesideBackups {
    /// `auto`: where the machine is large enough for both.
    Auto,
    /// `always`
    Always,
    /// `never`: a drill gives way to a backup that falls due.
    Never,
}

/// `[[drill.checks]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillCheck {
    /// What it is called.
    pub name: String,
    /// The query.
    pub sql: String,
    /// What it should return.
    pub expect: String,
}

/// `[archive]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSettings {
    /// Text of a table after which its COPY is closed and a new member begun, in bytes.
    pub member_size: usize,
    /// Compressing threads.
    pub threads: usize,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whoever shows it may start a backup; `None` takes the route away.
    pub token: Option<SecretString>,
    /// Whoever shows it may see the page and `/status`; `None` opens them to all.
    pub password: Option<SecretString>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A `tracing` filter such as `info` or `reliquary=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
