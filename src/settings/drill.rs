//! `[drill]`, and `[databases.<name>.drill]`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    BesideBackups, DatabaseSettings, DrillCheck, DrillSettings, Schedule,
    raw::{Context, Section},
    units::{GIB, MIB},
};

/// Six in the morning of the first weekday of each month, UTC: people are at
/// work soon after, should it fail.
const DEFAULT_SCHEDULE: &str = "0 0 6 1W * *";
const DEFAULT_SAMPLE: usize = 1;

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);
/// More room than any disk has: no drill where nothing may be used.
const MOST: u64 = 1024 * 1024 * GIB;

/// `drill.beside_backups`
pub(super) const BESIDE: [(&str, BesideBackups); 3] = [
    ("auto", BesideBackups::Auto),
    ("always", BesideBackups::Always),
    ("never", BesideBackups::Never),
];

/// What holds for every database; `None` when a problem was reported.
pub(super) fn drill(section: Section<'_>) -> Option<DrillSettings> {
    over(section, &DrillSettings::usual()?)
}

impl DrillSettings {
    /// What holds where nothing is said.
    pub(super) fn usual() -> Option<Self> {
        Some(Self {
            enabled: true,
            schedule: Schedule::parse(DEFAULT_SCHEDULE).ok()?,
            sample: DEFAULT_SAMPLE,
            beside_backups: BesideBackups::Auto,
            target: None,
            target_is_throwaway: false,
            timeout: 6 * HOUR,
            dir: None,
            keep_free: GIB,
            server_dirs: Vec::new(),
            amcheck: true,
            checks: Vec::new(),
        })
    }
}

/// What holds for one database: what it says itself, over what holds for all.
pub(super) fn over(mut section: Section<'_>, general: &DrillSettings) -> Option<DrillSettings> {
    let enabled = section.flag("enabled", general.enabled);
    let given = section.has("schedule");
    let schedule = match section.text("schedule") {
        Some(line) => Schedule::parse(&line)
            .map_err(|error| section.problem("schedule", error.to_string()))
            .ok(),
        None => (!given).then(|| general.schedule.clone()),
    };
    let sample = section.count("sample", general.sample, 0..=100);
    let beside_backups = section.choice("beside_backups", general.beside_backups, &BESIDE);
    let given = section.has_secret("target");
    let target = section.secret("target").or_else(|| general.target.clone());
    if let (true, Some(target), Some(check)) = (given, &target, section.context().sources.url_check)
        && let Err(message) = check(target)
    {
        section.problem("target", message);
    }
    let target_is_throwaway = section.flag("target_is_throwaway", general.target_is_throwaway);
    let timeout = section.duration("timeout", general.timeout, SECOND..=7 * 24 * HOUR);
    let dir = section.text("dir").map(PathBuf::from).or_else(|| general.dir.clone());
    if dir.as_ref().is_some_and(|dir| !dir.is_absolute()) {
        section.problem("dir", "must be an absolute path, which begins with `/`");
    }
    let keep_free = section.size("keep_free", general.keep_free, 16 * MIB..=MOST);
    let server_dirs = if section.has("server_dirs") {
        section.list("server_dirs").into_iter().map(PathBuf::from).collect()
    } else {
        // Asked for, so that it is known as a key.
        let _ = section.list("server_dirs");
        general.server_dirs.clone()
    };
    if server_dirs.iter().any(|dir| !dir.is_absolute()) {
        section.problem("server_dirs", "must hold absolute paths, which begin with `/`");
    }
    let amcheck = section.flag("amcheck", general.amcheck);
    let checks = match section.list_of_sections("checks") {
        Some(checks) => checks.into_iter().filter_map(check).collect(),
        None => general.checks.clone(),
    };
    for (at, check) in checks.iter().enumerate() {
        if checks[..at].iter().any(|other: &DrillCheck| other.name == check.name) {
            section.problem("checks", format!("holds two of the name {:?}", check.name));
        }
    }
    section.finish();
    Some(DrillSettings {
        enabled,
        schedule: schedule?,
        sample,
        beside_backups,
        target,
        target_is_throwaway,
        timeout,
        dir,
        keep_free,
        server_dirs,
        amcheck,
        checks,
    })
}

/// A drill empties its target, so none may be a database that is backed up.
pub(super) fn refuse_sources(
    databases: &BTreeMap<String, DatabaseSettings>,
    general: Option<&DrillSettings>,
    context: &Context<'_>,
) {
    let equal = |one: &SecretString, other: &SecretString| {
        let is_same = context.sources.same_database;
        one.expose_secret() == other.expose_secret() || is_same.is_some_and(|is| is(one, other))
    };
    let general = general.and_then(|drill| drill.target.as_ref());
    let mut told = BTreeSet::new();
    for database in databases.values() {
        let Some(target) = &database.drill.target else { continue };
        let is_own = general.is_none_or(|text| text.expose_secret() != target.expose_secret());
        let of = if is_own { format!("databases.{}.", database.name) } else { String::new() };
        for source in databases.values() {
            let is_source = source.url.as_ref().is_some_and(|url| equal(url, target));
            if is_source && told.insert((of.clone(), &source.name)) {
                let message = format!(
                    "is the database of `databases.{}.url`: a drill empties its target, before \
                     and after",
                    source.name
                );
                context.report.problem(format!("{of}drill.target"), message);
            }
        }
    }
}

fn check(mut section: Section<'_>) -> Option<DrillCheck> {
    let mut text = |key: &str| {
        let given = section.has(key);
        let text = section.text(key);
        if !given {
            section.problem(key, "is missing: each check has `name`, `sql` and `expect`");
        }
        text
    };
    let (name, sql, expect) = (text("name"), text("sql"), text("expect"));
    let judge = section.context().sources.expect_check;
    if let (Some(expect), Some(judge)) = (&expect, judge)
        && let Err(message) = judge(expect)
    {
        section.problem("expect", message);
    }
    section.finish();
    Some(DrillCheck { name: name?, sql: sql?, expect: expect? })
}
