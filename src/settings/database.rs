//! `[databases.<name>]`

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    AuditSettings, DatabaseSettings, DrillSettings, Exclusions, RetentionSettings, Schedule,
    SweepMode, SweepSettings, VerifySettings, audit, drill, raw::Section, retention, sweep,
    units::duration_text, verify,
};

/// The first user's prefix, and everybody's who has one database.
pub(super) const DEFAULT_PREFIX: &str = "database/";
const DEFAULT_NAME: &str = "main";
const DEFAULT_SCHEDULE: &str = "0 0 * * * *";
/// The variable that is enough where there is one database.
const FALLBACK_VARIABLE: &str = "DIRECT_URL";
/// S3 keys end at 1024 bytes, and a backup's own part needs some of them.
const LONGEST_PREFIX: usize = 512;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What holds where a database says nothing; `None` where there is a problem in
/// it, which has been reported.
pub(super) struct General<'s> {
    pub(super) verify: Option<VerifySettings>,
    pub(super) retention: &'s RetentionSettings,
    pub(super) sweep: Option<SweepSettings>,
    pub(super) audit: Option<AuditSettings>,
    pub(super) drill: Option<DrillSettings>,
}

/// All databases, by name; `None` when a problem was reported.
pub(super) fn databases(
    section: Section<'_>,
    general: &General<'_>,
) -> Option<BTreeMap<String, DatabaseSettings>> {
    let context = section.context();
    let fallback = context.sources.env.get(FALLBACK_VARIABLE).map(String::as_str);
    let fallback = fallback.filter(|url| !url.trim().is_empty());
    let mut sections = section.sections();
    if sections.is_empty() {
        if fallback.is_none() && !context.sources.store_only {
            let message = if context.sources.not_unicode.contains(FALLBACK_VARIABLE) {
                "none is configured, and the variable DIRECT_URL is not valid UTF-8"
            } else {
                "none is configured: add `[databases.main]` with its `url`, `url_file` or \
                 `url_env`, or set the variable DIRECT_URL"
            };
            context.report.problem("databases", message);
            return None;
        }
        let mut none = Section::root([], context);
        sections.push((DEFAULT_NAME.to_owned(), none.section("databases").section(DEFAULT_NAME)));
    }
    let alone = sections.len() == 1;
    let fallback = fallback.filter(|_| alone);
    let drafts: Vec<_> = sections
        .into_iter()
        .map(|(name, section)| Draft::read(name, section, alone, fallback, general))
        .collect();
    refuse_shared_prefixes(&drafts, &context.report);
    drafts.into_iter().map(|draft| draft.settings.map(|settings| (draft.name, settings))).collect()
}

/// A database as far as it could be understood: prefixes are compared even
/// where something else is wrong.
struct Draft {
    name: String,
    prefix: Option<String>,
    settings: Option<DatabaseSettings>,
}

impl Draft {
    fn read(
        name: String,
        mut section: Section<'_>,
        alone: bool,
        fallback: Option<&str>,
        general: &General<'_>,
    ) -> Self {
        if !is_name(&name) {
            section.context().report.problem(
                section.path(),
                "a database's name is of lower-case letters, digits, `_` and `-`, \
                 beginning with a letter or digit",
            );
        }
        let url = url(&mut section, alone, fallback);
        let prefix = prefix(&mut section, &name, alone);
        let schedule = schedule(&mut section);
        let stale_given = section.has("stale_after");
        let stale_after = section.duration("stale_after", 2 * HOUR, SECOND..=365 * DAY);
        warn_of_false_alarms(&section, schedule.as_ref(), stale_after, stale_given);
        let timeout = section.duration("timeout", 50 * MINUTE, SECOND..=7 * DAY);
        let shortest = Duration::from_millis(100);
        let lock_timeout = section.duration("lock_timeout", 30 * SECOND, shortest..=HOUR);
        let streams = section.count("streams", 2, 1..=8);
        let attempts = section.count("attempts", 6, 1..=20);
        let retry_delay = section.duration("retry_delay", MINUTE, shortest..=HOUR);
        let exclude = exclude(section.section("exclude"));
        // Where a general section has a problem, that has been reported.
        let verify = general.verify.clone().or_else(VerifySettings::usual);
        let verify = verify.and_then(|verify| verify::over(section.section("verify"), &verify));
        let retention = retention::over(section.section("retention"), general.retention);
        let sweep = general.sweep.clone().or_else(SweepSettings::usual);
        let sweep = sweep.and_then(|sweep| sweep::over(section.section("sweep"), &sweep));
        let audit = general.audit.clone().or_else(AuditSettings::usual);
        let audit = audit.and_then(|audit| audit::over(section.section("audit"), &audit));
        let drill = general.drill.clone().or_else(DrillSettings::usual);
        let drill = drill.and_then(|drill| drill::over(section.section("drill"), &drill));
        warn_of_refused_sweeps(&section, schedule.as_ref(), &retention, sweep.as_ref());
        section.finish();
        let settings = || {
            let (url, unread) = match url.ok()? {
                Url::Given(url) => (Some(url), None),
                Url::Unread(key) => (None, Some(key)),
                Url::Unnamed => (None, None),
            };
            Some(DatabaseSettings {
                name: name.clone(),
                url,
                unread,
                prefix: prefix.clone()?,
                schedule: schedule?,
                stale_after,
                timeout,
                lock_timeout,
                streams,
                attempts,
                retry_delay,
                exclude,
                verify: verify.clone()?,
                retention: retention.clone(),
                sweep: sweep.clone()?,
                audit: audit.clone()?,
                drill: drill.clone()?,
            })
        };
        Self { settings: settings(), name, prefix }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || c == '_' || c == '-')
}

/// A problem that [`url`] has reported.
struct Reported;

/// What is known of the URL.
enum Url {
    Given(SecretString),
    /// This key says where it is, and it could not be read there.
    Unread(String),
    Unnamed,
}

/// The URL, which may be missing where only the store will be read. One that is
/// there is judged even then: a restore asks the source who it is.
fn url(section: &mut Section<'_>, alone: bool, fallback: Option<&str>) -> Result<Url, Reported> {
    let store_only = section.context().sources.store_only;
    let given = section.has_secret("url");
    let elsewhere = ["url_file", "url_env"].into_iter().find(|key| section.has(key));
    let secret = section.secret("url");
    if given {
        let Some(secret) = secret else {
            // A new machine has the old one's settings, and not its secrets.
            return match elsewhere.map(|key| section.path_of(key)) {
                Some(path) if store_only && section.context().report.forgive(&path) => {
                    Ok(Url::Unread(path))
                }
                _ => Err(Reported),
            };
        };
        return match check(section, &secret) {
            Ok(()) => Ok(Url::Given(secret)),
            Err(message) => {
                section.problem("url", message);
                Err(Reported)
            }
        };
    }
    let Some(url) = fallback else {
        if store_only {
            return Ok(Url::Unnamed);
        }
        let or = if alone { ", or set the variable DIRECT_URL" } else { "" };
        section.problem("url", format!("is missing: give `url`, `url_file` or `url_env`{or}"));
        return Err(Reported);
    };
    let url = SecretString::from(url);
    if let Err(message) = check(section, &url) {
        section.context().report.problem(FALLBACK_VARIABLE, message);
        return Err(Reported);
    }
    Ok(Url::Given(url))
}

fn check(section: &Section<'_>, url: &SecretString) -> Result<(), String> {
    if url.expose_secret().contains("[YOUR-PASSWORD]") {
        let placeholder =
            "still holds the placeholder [YOUR-PASSWORD]: put the password in its place";
        return Err(placeholder.to_owned());
    }
    section.context().sources.url_check.map_or(Ok(()), |check| check(url))
}

fn prefix(section: &mut Section<'_>, name: &str, alone: bool) -> Option<String> {
    if !section.has("prefix") && !alone {
        let example = if is_name(name) { name } else { "name" };
        section.problem(
            "prefix",
            format!(
                "is missing: with several databases each needs its own, such as \"{example}/\""
            ),
        );
    }
    let given = section.has("prefix");
    let Some(text) = section.text("prefix") else {
        return (!given && alone).then(|| DEFAULT_PREFIX.to_owned());
    };
    normal_prefix(&text).map_err(|message| section.problem("prefix", message)).ok()
}

fn normal_prefix(text: &str) -> Result<String, &'static str> {
    let prefix = text.strip_suffix('/').unwrap_or(text);
    if prefix.starts_with('/') || prefix.is_empty() {
        return Err("may not begin with `/`: folders in a store have no root");
    }
    if prefix.split('/').any(|folder| matches!(folder, "" | "." | "..")) {
        return Err("may not hold `//` nor the folders `.` and `..`");
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_.=+@,/".contains(c);
    if !prefix.chars().all(safe) {
        return Err("may hold letters, digits and `- _ . = + @ ,` only: it stands in shell \
                    commands, URLs and access policies");
    }
    if prefix.len() > LONGEST_PREFIX {
        return Err("may be 512 characters long at most");
    }
    Ok(format!("{prefix}/"))
}

/// Two databases in one folder would overwrite each other's pointer and be
/// listed as one.
fn refuse_shared_prefixes(drafts: &[Draft], report: &super::problem::Report) {
    for (index, one) in drafts.iter().enumerate() {
        for other in &drafts[index + 1..] {
            let (Some(a), Some(b)) = (&one.prefix, &other.prefix) else { continue };
            let relation = if a == b {
                "is the same as"
            } else if a.starts_with(b.as_str()) {
                "lies within"
            } else if b.starts_with(a.as_str()) {
                "holds"
            } else {
                continue;
            };
            report.problem(
                format!("databases.{}.prefix", one.name),
                format!(
                    "{relation} `databases.{}.prefix`: each database needs a folder of its own",
                    other.name
                ),
            );
        }
    }
}

fn schedule(section: &mut Section<'_>) -> Option<Schedule> {
    let given = section.has("schedule");
    let line = section.text("schedule").or((!given).then(|| DEFAULT_SCHEDULE.to_owned()))?;
    Schedule::parse(&line).map_err(|error| section.problem("schedule", error.to_string())).ok()
}

fn warn_of_false_alarms(
    section: &Section<'_>,
    schedule: Option<&Schedule>,
    stale_after: Duration,
    stale_given: bool,
) {
    let Some(pause) = schedule.map(Schedule::longest_pause) else { return };
    if stale_after > pause {
        return;
    }
    let default = if stale_given { "" } else { " by default" };
    section.warning(
        "stale_after",
        format!(
            "is {}{default}, but the schedule pauses for {}: health will turn stale between two \
             good backups",
            duration_text(stale_after),
            duration_text(pause),
        ),
    );
}

/// A sweep that would remove more than half of what is there is refused; where
/// that comes with the settings it is refused every time.
fn warn_of_refused_sweeps(
    section: &Section<'_>,
    schedule: Option<&Schedule>,
    retention: &RetentionSettings,
    sweep: Option<&SweepSettings>,
) {
    let (Some(schedule), Some(sweep)) = (schedule, sweep) else { return };
    let pause = schedule.longest_pause().as_secs().max(1);
    let made = sweep.schedule.longest_pause().as_secs() / pause;
    let young = retention.keep_for.as_secs() / pause;
    let tiers: u32 = retention.tiers.iter().copied().fold(0, u32::saturating_add);
    let kept = young.max(retention.keep_last.into()) + u64::from(tiers);
    if made > kept && sweep.enabled && sweep.mode == SweepMode::Delete {
        section.warning(
            "retention",
            format!(
                "keeps about {kept} backups, and about {made} are made between two sweeps: a \
                 sweep that would remove more than half at once is refused; keep more, or sweep \
                 more often"
            ),
        );
    }
}

fn exclude(mut section: Section<'_>) -> Exclusions {
    let [schemas, tables, table_data] =
        ["schemas", "tables", "table_data"].map(|key| (key, section.list(key)));
    for (key, patterns) in [&tables, &table_data] {
        let named = |pattern: &String| {
            pattern
                .split_once('.')
                .is_some_and(|(schema, table)| !schema.is_empty() && !table.is_empty())
        };
        if !patterns.iter().all(named) {
            section
                .problem(key, "must hold patterns with schema and table, such as \"public.log_*\"");
        }
    }
    for (key, patterns) in [&schemas, &tables, &table_data] {
        if patterns.iter().any(|pattern| pattern.contains(['"', '\0'])) {
            section.problem(key, "must hold names as they are stored, without quotes (where a name itself holds one, \
                 write `?`)");
        }
    }
    section.finish();
    Exclusions { schemas: schemas.1, tables: tables.1, table_data: table_data.1 }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("database", "database/")]
    #[case("database/", "database/")]
    #[case("a/b=c/d.e", "a/b=c/d.e/")]
    fn a_prefix_ends_with_one_slash(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normal_prefix(text).unwrap(), expected);
    }

    #[rstest]
    #[case("/database")]
    #[case("/")]
    #[case("a//b")]
    #[case("a//")]
    #[case("../a")]
    #[case("a/./b")]
    #[case("a\nb")]
    #[case("a*")]
    #[case("a b")]
    #[case("a\\b")]
    fn a_prefix_that_could_escape_or_surprise_is_refused(#[case] text: &str) {
        assert!(normal_prefix(text).is_err());
    }
}
