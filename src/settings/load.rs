//! From what was written to what holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

use secrecy::SecretString;

use super::{
    ArchiveSettings, HttpSettings, LogFormat, LogSettings, Problem, Problems, RetentionSettings,
    SecretFile, Settings, StoreLocation, audit,
    database::{self, General},
    document, drill, notify,
    problem::Report,
    raw::{Context, Section},
    retention, runbook, store, sweep,
    units::{GIB, KIB, MIB, size_text},
    verify,
};
use crate::telemetry;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_GRACE: Duration = Duration::from_secs(20);

/// Everything that settings are read from. [`load`] looks at nothing else, but
/// for the files that are named in it.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--config`; it must exist.
    pub config: Option<PathBuf>,
    /// The process's environment.
    pub env: BTreeMap<String, String>,
    /// Names of variables whose values are not valid UTF-8.
    pub not_unicode: BTreeSet<String>,
    /// The working directory: relative paths start there.
    pub dir: PathBuf,
    /// The file that is read when there is no other, if it exists.
    pub system_file: Option<PathBuf>,
    /// Judges a database's URL; without it any text is one.
    pub url_check: Option<UrlCheck>,
    /// Judges what a drill's check expects; without it any text will do.
    pub expect_check: Option<ExpectCheck>,
    /// Tells whether two URLs lead to one database; without it equal texts do.
    pub same_database: Option<SameDatabase>,
    /// Only the store will be read, on a machine that may never have seen the
    /// source: a database's URL may be missing, and its file or variable too.
    pub store_only: bool,
}

/// Says what is wrong with what a drill's check expects.
pub type ExpectCheck = fn(&str) -> Result<(), String>;

/// Says what is wrong with a database's URL, never repeating a part of it. The
/// floor that connects knows; this one only passes the answer on.
pub type UrlCheck = fn(&SecretString) -> Result<(), String>;

/// Says whether two databases' URLs lead to one database.
pub type SameDatabase = fn(&SecretString, &SecretString) -> bool;

impl Sources {
    /// What this process was given.
    ///
    /// # Errors
    ///
    /// The working directory cannot be told.
    pub fn from_process(
        config: Option<PathBuf>,
        url_check: UrlCheck,
        expect_check: ExpectCheck,
        same_database: SameDatabase,
    ) -> io::Result<Self> {
        let mut sources = Self {
            config,
            dir: env::current_dir()?,
            system_file: Some(PathBuf::from("/etc/reliquary/reliquary.toml")),
            url_check: Some(url_check),
            expect_check: Some(expect_check),
            same_database: Some(same_database),
            ..Self::default()
        };
        for (name, value) in env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    sources.env.insert(name, value);
                }
                Err(_) => {
                    sources.not_unicode.insert(name);
                }
            }
        }
        Ok(sources)
    }
}

impl fmt::Debug for Sources {
    /// Variables are counted, not shown: some of them are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("config", &self.config)
            .field("variables", &self.env.len())
            .field("dir", &self.dir)
            .field("system_file", &self.system_file)
            .finish_non_exhaustive()
    }
}

/// Reads, checks and completes the settings; gives them with warnings about
/// what is doubtful in them.
///
/// # Errors
///
/// Every mistake there is, at once, none of them with a value in it.
pub fn load(sources: &Sources) -> Result<(Settings, Vec<Problem>), Problems> {
    let (settings, report) = examine(sources);
    let warnings = report.verdict()?;
    // Nothing is left out without a problem; if it ever is, say so.
    let settings = settings.ok_or_else(|| Problem {
        path: "settings".to_owned(),
        message: "are incomplete, and no check says why: this is a bug".to_owned(),
    })?;
    Ok((settings, warnings))
}

/// The settings, complete only where the report holds no problem.
fn examine(sources: &Sources) -> (Option<Settings>, Report) {
    let context = Context {
        sources,
        report: Report::default(),
        file_is_open_to_all: std::cell::Cell::new(false),
        secret_files: std::cell::RefCell::default(),
    };
    let settings = document::read(&context).and_then(|document| {
        let mut root = Section::root(document.values, &context);
        let store = store::store(root.section("store"));
        let verify = verify::verify(root.section("verify"));
        let retention = retention::over(root.section("retention"), &RetentionSettings::default());
        let sweep = sweep::sweep(root.section("sweep"));
        let audit = audit::audit(root.section("audit"));
        let drill = drill::drill(root.section("drill"));
        let general = General {
            verify: verify.clone(),
            retention: &retention,
            sweep: sweep.clone(),
            audit: audit.clone(),
            drill: drill.clone(),
        };
        let databases = database::databases(root.section("databases"), &general);
        let archive = archive(root.section("archive"));
        let client_dirs = client_dirs(root.section("postgres"));
        let names: Vec<String> =
            databases.iter().flat_map(|databases| databases.keys().cloned()).collect();
        let notify = notify::notify(root.section("notify"), &names);
        let anomalies = notify::anomalies(root.section("anomalies"));
        let runbook = runbook::runbook(root.section("runbook"));
        let http = http(root.section("http"));
        if sources.store_only {
            // Whoever only reads alerts and serves nobody, and a new machine
            // has none of the old one's secrets.
            for section in ["notify", "http"] {
                context.report.forgive_below(section);
            }
        }
        let grace = grace(root.section("daemon"));
        let log = log(root.section("log"));
        root.finish();
        if let Some(databases) = &databases {
            drill::refuse_sources(databases, drill.as_ref(), &context);
        }
        if let (Some(store), Some(databases)) = (&store, &databases) {
            let in_bucket = matches!(store.location, StoreLocation::S3 { .. });
            for database in databases.values() {
                let path = format!("databases.{}.sweep", database.name);
                if let Some((path, what)) = sweep::check_mode(&path, database.sweep.mode, in_bucket)
                {
                    context.report.problem(path, what);
                }
            }
        }
        Some(Settings {
            store: store?,
            databases: databases?,
            verify: verify?,
            retention,
            sweep: sweep?,
            audit: audit?,
            drill: drill?,
            archive,
            client_dirs,
            notify,
            anomalies,
            runbook,
            http,
            grace,
            log,
            secret_files: secret_files(&context, document.file.as_deref()),
            file: document.file,
        })
    });
    (settings, context.report)
}

/// Those that were noted, and the settings file itself where a secret stands in it.
fn secret_files(context: &Context<'_>, file: Option<&std::path::Path>) -> Vec<SecretFile> {
    let mut files = context.secret_files.take();
    for secret in &mut files {
        if let (true, Some(file)) = (secret.path.as_os_str().is_empty(), file) {
            file.clone_into(&mut secret.path);
        }
    }
    files.retain(|secret| !secret.path.as_os_str().is_empty());
    files.sort_by(|a, b| (&a.path, &a.key).cmp(&(&b.path, &b.key)));
    files.dedup_by(|later, first| later.path == first.path);
    files
}

fn archive(mut section: Section<'_>) -> ArchiveSettings {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let member_size = section.size("member_size", 2 * MIB, 64 * KIB..=64 * MIB);
    let threads = section.count("threads", cores.min(4), 1..=64);
    if member_size.saturating_mul(threads as u64) > GIB {
        section.problem(
            "member_size",
            format!(
                "times `threads` may not be more than {}: it is held in memory",
                size_text(GIB)
            ),
        );
    }
    section.finish();
    ArchiveSettings { member_size: usize::try_from(member_size).unwrap_or(usize::MAX), threads }
}

fn client_dirs(mut section: Section<'_>) -> Vec<PathBuf> {
    let dirs: Vec<_> = section.list("client_dirs").into_iter().map(PathBuf::from).collect();
    if dirs.iter().any(|dir| !dir.is_absolute()) {
        section.problem("client_dirs", "must hold absolute paths, which begin with `/`");
    }
    section.finish();
    dirs
}

fn http(mut section: Section<'_>) -> HttpSettings {
    let listen = section.address("listen", DEFAULT_LISTEN);
    let token = shown_in_a_header(&mut section, "token");
    let password = shown_in_a_header(&mut section, "password");
    section.finish();
    HttpSettings { listen, token, password }
}

/// A secret that a client shows in an HTTP header.
fn shown_in_a_header(section: &mut Section<'_>, key: &str) -> Option<SecretString> {
    let secret = section.secret(key)?;
    let text = secrecy::ExposeSecret::expose_secret(&secret);
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        section.problem(
            key,
            "must be of visible ASCII characters without spaces: it travels in an HTTP header",
        );
    } else if text.len() < 16 {
        section.warning(key, "is shorter than 16 characters: make one with `openssl rand -hex 32`");
    }
    Some(secret)
}

fn grace(mut section: Section<'_>) -> Duration {
    let range = Duration::from_secs(1)..=Duration::from_hours(1);
    let grace = section.duration("grace", DEFAULT_GRACE, range);
    section.finish();
    grace
}

fn log(mut section: Section<'_>) -> LogSettings {
    let formats = [("auto", LogFormat::Auto), ("json", LogFormat::Json), ("text", LogFormat::Text)];
    let given = section.text("filter");
    let variable = section.context().sources.env.get("RUST_LOG");
    let variable = variable.filter(|filter| !filter.trim().is_empty());
    let filter = given.as_ref().or(variable).map(|filter| filter.trim().to_owned());
    let filter = filter.unwrap_or_else(|| telemetry::DEFAULT_FILTER.to_owned());
    if !telemetry::is_filter(&filter) {
        let message = "is no log filter: write a level (error, warn, info, debug, trace) or \
                       levels of targets, such as \"info,reliquary::store=debug\"";
        if given.is_some() {
            section.problem("filter", message);
        } else {
            section.context().report.problem("RUST_LOG", message);
        }
    }
    let format = section.choice("format", LogFormat::Auto, &formats);
    section.finish();
    LogSettings { filter, format }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference with its commented-out keys switched on: prose begins
    /// with `# `, a key that is off with `#` alone.
    fn reference_with_every_key() -> String {
        include_str!("../../config/reliquary.toml")
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n")
    }

    fn leaves(table: &toml::Table, path: &str, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                toml::Value::Table(table) => leaves(table, &path, found),
                _ => assert!(found.insert(path)),
            }
        }
    }

    #[test]
    fn the_reference_holds_every_key_that_is_read_and_no_other() {
        let mut written = BTreeSet::new();
        leaves(&reference_with_every_key().parse().unwrap(), "", &mut written);
        let mut sources = Sources::default();
        sources.env.insert("DIRECT_URL".to_owned(), "postgres://h/db".to_owned());
        let (_, report) = examine(&sources);
        assert_eq!(written, report.known_keys());
    }
}
