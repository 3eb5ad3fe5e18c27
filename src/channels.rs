//! Builds the channels that alerts go through from the settings.

use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::SecretString;

use crate::{
    alerts::{Policy, anomaly::Thresholds},
    jobs::watch::WatchSettings,
    notify::{
        Channel, Client, Deliver, Discord, Email, EmailOptions, EmailTls, GitHub, GitHubOptions,
        Heartbeat, PagerDuty, Route, Scrub, Slack, Teams, Webhook,
    },
    settings::{EmailSettings, MailTls, NotifySettings, RouteSettings, Settings, UrlSettings},
    words::{ChannelKind, Severity},
};

/// Deadline of one attempt to deliver.
const ATTEMPT: Duration = Duration::from_secs(10);
/// A backup that takes longer by less than this is not slow.
const SLOWER_BY: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// The channels that are configured.
///
/// # Errors
/// When the system trusts nobody, or the mail server's name cannot be one.
pub fn channels(settings: &NotifySettings) -> Result<Vec<Channel>> {
    let mut channels = Vec::new();
    let mut add = |kind, route: &RouteSettings, deliver: std::sync::Arc<dyn Deliver>| {
        let RouteSettings { severity, databases } = route.clone();
        channels.push(Channel { kind, route: Route { severity, databases }, deliver });
    };
    let client = || Client::new(ATTEMPT).context("prepare HTTPS for [notify]");
    if let Some(github) = &settings.github {
        let options = GitHubOptions {
            api: github.api.clone(),
            repository: github.repository.clone(),
            token: github.token.clone(),
            label: github.label.clone(),
        };
        let deliver = GitHub::new(client()?, options);
        add(ChannelKind::Github, &github.route, std::sync::Arc::new(deliver));
    }
    if let Some(UrlSettings { url, route }) = &settings.slack {
        add(ChannelKind::Slack, route, std::sync::Arc::new(Slack::new(client()?, url.clone())));
    }
    if let Some(pagerduty) = &settings.pagerduty {
        let key = pagerduty.routing_key.clone();
        let deliver = PagerDuty::new(client()?, &pagerduty.api, key);
        add(ChannelKind::Pagerduty, &pagerduty.route, std::sync::Arc::new(deliver));
    }
    if let Some(email) = &settings.email {
        let deliver = Email::new(mail(email)?).context("prepare notify.email")?;
        add(ChannelKind::Email, &email.route, std::sync::Arc::new(deliver));
    }
    if let Some(webhook) = &settings.webhook {
        let deliver = Webhook::new(client()?, webhook.url.clone(), webhook.secret.clone());
        add(ChannelKind::Webhook, &webhook.route, std::sync::Arc::new(deliver));
    }
    if let Some(UrlSettings { url, route }) = &settings.heartbeat {
        let deliver = Heartbeat::new(client()?, url.clone());
        add(ChannelKind::Heartbeat, route, std::sync::Arc::new(deliver));
    }
    if let Some(UrlSettings { url, route }) = &settings.discord {
        add(ChannelKind::Discord, route, std::sync::Arc::new(Discord::new(client()?, url.clone())));
    }
    if let Some(UrlSettings { url, route }) = &settings.teams {
        add(ChannelKind::Teams, route, std::sync::Arc::new(Teams::new(client()?, url.clone())));
    }
    Ok(channels)
}

fn mail(settings: &EmailSettings) -> Result<EmailOptions> {
    let login = settings.username.clone().zip(settings.password.clone());
    Ok(EmailOptions {
        host: settings.host.clone(),
        port: settings.port,
        tls: match settings.tls {
            MailTls::StartTls => EmailTls::StartTls,
            MailTls::Implicit => EmailTls::Implicit,
            MailTls::None => EmailTls::None,
        },
        login,
        from: settings.from.parse().context("read notify.email.from")?,
        to: settings
            .to
            .iter()
            .map(|to| to.parse())
            .collect::<Result<_, _>>()
            .context("read notify.email.to")?,
        timeout: ATTEMPT,
    })
}

/// Variables in which AWS's own chain of credentials looks for secrets.
const OF_AWS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Knows every secret of the settings and of the environment.
#[must_use]
pub fn scrub(settings: &Settings) -> Scrub {
    let environment = OF_AWS.iter().filter_map(|name| std::env::var(name).ok());
    Scrub::new(secrets(settings)).and(environment.map(SecretString::from).collect())
}

fn secrets(settings: &Settings) -> Vec<SecretString> {
    let notify = &settings.notify;
    let mut secrets: Vec<SecretString> = Vec::new();
    let of_databases = settings.databases.values();
    let of_databases = of_databases.flat_map(|of| [&of.url, &of.drill.target]);
    for url in of_databases.chain([&settings.drill.target]).flatten() {
        secrets.push(url.clone());
        let parsed = crate::postgres::ConnectionUrl::parse(url).ok();
        secrets.extend(parsed.and_then(|url| url.password().cloned()));
    }
    if let Some(credentials) = &settings.store.credentials {
        secrets.push(credentials.secret_access_key.clone());
        secrets.extend(credentials.session_token.clone());
    }
    secrets.extend(settings.http.token.clone());
    secrets.extend(settings.http.password.clone());
    secrets.extend(notify.github.as_ref().map(|github| github.token.clone()));
    secrets.extend(notify.pagerduty.as_ref().map(|pagerduty| pagerduty.routing_key.clone()));
    secrets.extend(notify.email.as_ref().and_then(|email| email.password.clone()));
    secrets.extend(notify.webhook.as_ref().map(|webhook| webhook.url.clone()));
    secrets.extend(notify.webhook.as_ref().and_then(|webhook| webhook.secret.clone()));
    let urls = [&notify.slack, &notify.heartbeat, &notify.discord, &notify.teams];
    secrets.extend(urls.into_iter().flatten().map(|settings| settings.url.clone()));
    secrets
}

/// When something is told, and what is odd.
#[must_use]
pub fn watch_settings(settings: &Settings) -> WatchSettings {
    let NotifySettings { after, calm, remind, .. } = &settings.notify;
    // The settings hold no duration that is too long for this.
    let delta = |duration: &Duration| {
        chrono::TimeDelta::from_std(*duration).unwrap_or(chrono::TimeDelta::MAX)
    };
    let odd = &settings.anomalies;
    WatchSettings {
        policy: Policy { after: delta(after), calm: delta(calm), remind: delta(remind) },
        thresholds: Thresholds {
            enabled: odd.enabled,
            shrank: odd.shrank,
            table_rows: odd.table_rows,
            slower: odd.slower,
            slower_by: SLOWER_BY,
            ignore: odd.ignore.clone(),
        },
    }
}

/// A test alert about a database.
#[must_use]
pub fn test_notice(
    database: &str,
    place: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> crate::notify::Notice {
    crate::notify::Notice {
        event: crate::words::Event::Test,
        // So that every channel takes it, whatever it is told otherwise.
        severity: Severity::Critical,
        database: database.to_owned(),
        place: place.to_owned(),
        problem: "test".to_owned(),
        title: format!("{database}: this is a test of Reliquary's alerts"),
        findings: vec!["nothing is wrong; somebody ran `reliquary notify test`".to_owned()],
        next: vec!["Nothing: this alert has arrived.".to_owned()],
        commands: vec![format!("reliquary status -d {database}")],
        since: now,
        at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};

    #[test]
    fn every_secret_of_the_settings_is_known() {
        let mut sources = Sources { dir: "/nowhere".into(), ..Sources::default() };
        for (name, value) in [
            ("STORE__URL", "s3://bucket"),
            ("STORE__ACCESS_KEY_ID", "AKIA"),
            ("STORE__SECRET_ACCESS_KEY", "secret-of-s3-xyz"),
            ("DATABASES__A__URL", "postgres://u:secret-of-a@h/a"),
            ("DATABASES__A__PREFIX", "a/"),
            ("DATABASES__A__DRILL__TARGET", "postgres://u:secret-of-own-drill@h/d"),
            ("DATABASES__B__URL", "postgres://u:secret%2Dof-b@h/b"),
            ("DATABASES__B__PREFIX", "b/"),
            ("DRILL__TARGET", "postgres://u:secret-of-drill@h/d"),
            ("HTTP__PASSWORD", "secret-of-http-0123456789"),
            ("HTTP__TOKEN", "secret-of-token-0123456789"),
            ("NOTIFY__GITHUB__REPOSITORY", "o/r"),
            ("NOTIFY__GITHUB__TOKEN", "secret-of-github"),
            ("NOTIFY__PAGERDUTY__ROUTING_KEY", "secret-of-pagerduty-0123456789ab"),
            ("NOTIFY__WEBHOOK__URL", "https://h/secret-of-hook"),
            ("NOTIFY__WEBHOOK__SECRET", "secret-of-signature"),
            ("NOTIFY__SLACK__URL", "https://h/secret-of-slack"),
        ] {
            sources.env.insert(format!("RELIQUARY__{name}"), value.to_owned());
        }
        let scrub = Scrub::new(secrets(&load(&sources).unwrap().0));
        for value in sources.env.values() {
            let Some(at) = value.find("secret") else { continue };
            // Of a database's URL the password is known by itself.
            let at = if value.starts_with("https://") { 0 } else { at };
            let said = scrub.mask(&value[at..].replace("%2D", "-"));
            assert!(said.starts_with("********"), "{said}");
        }
        // The whole of a URL as well, however it is written.
        assert_eq!(scrub.mask("postgres://u:secret%2Dof-b@h/b"), "********");
    }
}
