//! `[notify]`, `[notify.<channel>]` and `[anomalies]`

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::raw::Section;
use crate::words::Severity;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];

/// `[notify]`
#[derive(Clone, Debug)]
pub struct NotifySettings {
    /// So long must a problem have been there before it is told.
    pub after: Duration,
    /// So long must it have been away before the all-clear.
    pub calm: Duration,
    /// The time between two reminders.
    pub remind: Duration,
    /// `[notify.github]`
    pub github: Option<GithubSettings>,
    /// `[notify.slack]`
    pub slack: Option<UrlSettings>,
    /// `[notify.pagerduty]`
    pub pagerduty: Option<PagerdutySettings>,
    /// `[notify.email]`
    pub email: Option<EmailSettings>,
    /// `[notify.webhook]`
    pub webhook: Option<WebhookSettings>,
    /// `[notify.heartbeat]`
    pub heartbeat: Option<UrlSettings>,
    /// `[notify.discord]`
    pub discord: Option<UrlSettings>,
    /// `[notify.teams]`
    pub teams: Option<UrlSettings>,
}

/// What a channel is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// Nothing that matters less.
    pub severity: Severity,
    /// Nothing about other databases; empty for all.
    pub databases: Vec<String>,
}

/// A channel of which only the URL need be known, which is the secret.
#[derive(Clone, Debug)]
pub struct UrlSettings {
    /// Where messages are posted.
    pub url: SecretString,
    /// What it is told.
    pub route: RouteSettings,
}

/// `[notify.github]`
#[derive(Clone, Debug)]
pub struct GithubSettings {
    /// `owner/name`
    pub repository: String,
    /// May read and write its issues.
    pub token: SecretString,
    /// The issues' label.
    pub label: String,
    /// Where GitHub's API is.
    pub api: String,
    /// What it is told.
    pub route: RouteSettings,
}

/// `[notify.pagerduty]`
#[derive(Clone, Debug)]
pub struct PagerdutySettings {
    /// The integration's key.
    pub routing_key: SecretString,
    /// Where the Events API is.
    pub api: String,
    /// What it is told.
    pub route: RouteSettings,
}

/// `[notify.webhook]`
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where messages are posted.
    pub url: SecretString,
    /// Signs them.
    pub secret: Option<SecretString>,
    /// What it is told.
    pub route: RouteSettings,
}

/// `[notify.email]`
#[derive(Clone, Debug)]
pub struct EmailSettings {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the line is guarded.
    pub tls: MailTls,
    /// Who we are.
    pub username: Option<String>,
    /// How we prove it.
    pub password: Option<SecretString>,
    /// The sender's address.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// What it is told.
    pub route: RouteSettings,
}

/// `notify.email.tls`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// `starttls`
    StartTls,
    /// `implicit`
    Implicit,
    /// `none`
    None,
}

impl MailTls {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("starttls", Self::StartTls), ("implicit", Self::Implicit), ("none", Self::None)];
}

/// `[anomalies]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnomalySettings {
    /// Whether backups are compared.
    pub enabled: bool,
    /// An archive or a table that lost this share is told, in percent.
    pub shrank: u8,
    /// A table with fewer rows cannot shrink.
    pub table_rows: u64,
    /// A backup that took so many times as long is told.
    pub slower: u32,
    /// Tables that may do as they like.
    pub ignore: Vec<String>,
}

/// Reads `[anomalies]`.
pub(super) fn anomalies(mut section: Section<'_>) -> AnomalySettings {
    let settings = AnomalySettings {
        enabled: section.flag("enabled", true),
        shrank: section.count("shrank", 50, 1..=100),
        table_rows: section.count("table_rows", 100, 1..=u64::from(u32::MAX)),
        slower: section.count("slower", 3, 2..=1000),
        ignore: section.list("ignore"),
    };
    section.finish();
    settings
}

/// Reads `[notify]`; a channel with a problem is left out, and the problem
/// reported. `databases` are the names that there are.
pub(super) fn notify(mut section: Section<'_>, databases: &[String]) -> NotifySettings {
    let after = section.duration("after", 5 * MINUTE, Duration::ZERO..=DAY);
    let calm = section.duration("calm", 15 * MINUTE, SECOND..=DAY);
    let remind = section.duration("remind", 4 * HOUR, MINUTE..=30 * DAY);
    let mut channel = |name| Part { section: section.section(name), databases };
    let settings = NotifySettings {
        after,
        calm,
        remind,
        github: channel("github").github(),
        slack: channel("slack").url(Severity::Info),
        pagerduty: channel("pagerduty").pagerduty(),
        email: channel("email").email(),
        webhook: channel("webhook").webhook(),
        heartbeat: channel("heartbeat").heartbeat(),
        discord: channel("discord").url(Severity::Info),
        teams: channel("teams").url(Severity::Info),
    };
    section.finish();
    settings
}

/// One channel's section. Every key is asked for, whether the channel is
/// configured or not.
struct Part<'c, 'n> {
    section: Section<'c>,
    databases: &'n [String],
}

impl Part<'_, '_> {
    fn github(mut self) -> Option<GithubSettings> {
        let written = self.section.is_written();
        let repository = self.required_text(written, "repository");
        let repository = repository.filter(|name| self.is_repository(name));
        let token = self.required_secret(written, "token");
        let token = token.filter(|token| self.fits_a_header("token", token));
        let label = self.section.text("label").unwrap_or_else(|| "reliquary".to_owned());
        let api = self.api("https://api.github.com");
        let route = self.route(Severity::Warning);
        self.section.finish();
        Some(GithubSettings { repository: repository?, token: token?, label, api: api?, route })
    }

    fn pagerduty(mut self) -> Option<PagerdutySettings> {
        let written = self.section.is_written();
        let routing_key = self.required_secret(written, "routing_key");
        let api = self.api("https://events.pagerduty.com");
        let route = self.route(Severity::Critical);
        self.section.finish();
        Some(PagerdutySettings { routing_key: routing_key?, api: api?, route })
    }

    fn webhook(mut self) -> Option<WebhookSettings> {
        let written = self.section.is_written();
        let url = self.required_url(written);
        let secret = self.section.secret("secret");
        let route = self.route(Severity::Info);
        self.section.finish();
        Some(WebhookSettings { url: url?, secret, route })
    }

    fn url(mut self, severity: Severity) -> Option<UrlSettings> {
        let written = self.section.is_written();
        let url = self.required_url(written);
        let route = self.route(severity);
        self.section.finish();
        Some(UrlSettings { url: url?, route })
    }

    fn heartbeat(mut self) -> Option<UrlSettings> {
        let written = self.section.is_written();
        let url = self.required_url(written);
        let databases = self.only();
        let told = if databases.is_empty() { self.databases.len() } else { databases.len() };
        let for_each = |url: &SecretString| url.expose_secret().contains("{database}");
        if told > 1 && url.as_ref().is_some_and(|url| !for_each(url)) {
            self.section.problem(
                "url",
                "must hold {database}, which stands for each one's name: with one sign of life \
                 for several databases, one that is well would hide another that is not",
            );
        }
        self.section.finish();
        let route = RouteSettings { severity: Severity::Info, databases };
        Some(UrlSettings { url: url?, route })
    }

    fn email(mut self) -> Option<EmailSettings> {
        let written = self.section.is_written();
        let host = self.required_text(written, "host");
        let tls = self.section.choice("tls", MailTls::StartTls, &MailTls::WORDS);
        let usual = match tls {
            MailTls::StartTls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        };
        let port = self.section.count("port", usual, 1..=u16::MAX);
        let username = self.section.text("username");
        let password = self.section.secret("password");
        if username.is_some() != password.is_some() {
            self.section.problem("username", "and `password` belong together: give both or none");
        }
        if tls == MailTls::None && password.is_some() {
            self.section.problem("tls", "is \"none\": the password would travel in the clear");
        }
        let from = self.required_text(written, "from");
        let to = self.section.list("to");
        if written && to.is_empty() {
            self.section.problem("to", "is missing: a list of addresses");
        }
        let bad = |address: &String| address.parse::<lettre::message::Mailbox>().is_err();
        if from.as_ref().is_some_and(bad) {
            self.section.problem("from", "is no mail address");
        }
        if to.iter().any(bad) {
            self.section.problem("to", "holds what is no mail address");
        }
        let route = self.route(Severity::Warning);
        self.section.finish();
        let (host, from) = (host?, from?);
        (!to.is_empty()).then_some(EmailSettings {
            host,
            port,
            tls,
            username,
            password,
            from,
            to,
            route,
        })
    }

    fn required_text(&mut self, written: bool, key: &str) -> Option<String> {
        let given = self.section.has(key);
        let text = self.section.text(key);
        if written && !given {
            self.section.problem(key, "is missing");
        }
        text
    }

    fn required_secret(&mut self, written: bool, key: &str) -> Option<SecretString> {
        let given = self.section.has_secret(key);
        let secret = self.section.secret(key);
        if written && !given {
            let message = format!("is missing: give `{key}`, `{key}_file` or `{key}_env`");
            self.section.problem(key, message);
        }
        secret
    }

    fn required_url(&mut self, written: bool) -> Option<SecretString> {
        let url = self.required_secret(written, "url")?;
        self.is_url("url", url.expose_secret()).then_some(url)
    }

    fn api(&mut self, usual: &str) -> Option<String> {
        let api = self.section.text("api").unwrap_or_else(|| usual.to_owned());
        self.is_url("api", &api).then_some(api)
    }

    fn is_url(&self, key: &str, text: &str) -> bool {
        // The placeholder is no part of a URL.
        let parsed = url::Url::parse(&text.replace("{database}", "x"));
        let Ok(url) = parsed else {
            self.section.problem(key, "must be a URL that begins with https://");
            return false;
        };
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "https" | "http") || host.is_empty() {
            self.section.problem(key, "must be a URL that begins with https://");
            return false;
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.section.problem(key, "may not hold a user and a password before its host");
            return false;
        }
        let is_near = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if url.scheme() == "http" && !is_near {
            self.section.warning(key, "is not https: everybody on the way can read it");
        }
        true
    }

    fn is_repository(&self, name: &str) -> bool {
        let plain = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let good = name.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name));
        if !good {
            self.section.problem("repository", "must be owner/name, as in \"octocat/hello\"");
        }
        good
    }

    fn fits_a_header(&self, key: &str, secret: &SecretString) -> bool {
        let good = secret.expose_secret().chars().all(|c| c.is_ascii_graphic());
        if !good {
            let message = "must be of visible ASCII characters without spaces: it travels in an \
                           HTTP header";
            self.section.problem(key, message);
        }
        good
    }

    fn route(&mut self, severity: Severity) -> RouteSettings {
        let severity = self.section.choice("severity", severity, &SEVERITIES);
        RouteSettings { severity, databases: self.only() }
    }

    fn only(&mut self) -> Vec<String> {
        let databases = self.section.list("databases");
        if databases.iter().any(|name| !self.databases.contains(name)) {
            let known = self.databases.join(", ");
            let message = format!("names a database that there is not; there are: {known}");
            self.section.problem("databases", message);
        }
        databases
    }
}
