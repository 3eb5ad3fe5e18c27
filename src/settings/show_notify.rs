//! The part of the effective settings that says who is told.

use serde::Serialize;

use super::{
    AnomalySettings, MailTls, NotifySettings, RouteSettings, UrlSettings, show::mask,
    units::duration_text,
};

#[derive(Serialize)]
pub(super) struct ShownNotify<'s> {
    after: String,
    calm: String,
    remind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    github: Option<ShownChannel<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack: Option<ShownChannel<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagerduty: Option<ShownChannel<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<ShownChannel<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<ShownChannel<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<ShownChannel<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discord: Option<ShownChannel<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teams: Option<ShownChannel<'s>>,
}

/// A channel, whichever; it shows the keys that it has.
#[derive(Default, Serialize)]
struct ShownChannel<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_key: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'s [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    databases: Option<&'s [String]>,
}

#[derive(Serialize)]
pub(super) struct ShownAnomalies<'s> {
    enabled: bool,
    shrank: u8,
    table_rows: u64,
    slower: u32,
    ignore: &'s [String],
}

impl<'s> ShownAnomalies<'s> {
    pub(super) fn of(settings: &'s AnomalySettings) -> Self {
        let AnomalySettings { enabled, shrank, table_rows, slower, ignore } = settings;
        Self {
            enabled: *enabled,
            shrank: *shrank,
            table_rows: *table_rows,
            slower: *slower,
            ignore,
        }
    }
}

impl<'s> ShownChannel<'s> {
    fn of(route: &'s RouteSettings) -> Self {
        let RouteSettings { severity, databases } = route;
        Self { severity: Some(severity.as_str()), databases: Some(databases), ..Self::default() }
    }

    fn of_url(settings: &'s UrlSettings) -> Self {
        Self { url: Some(mask(&settings.url)), ..Self::of(&settings.route) }
    }
}

impl<'s> ShownNotify<'s> {
    pub(super) fn of(settings: &'s NotifySettings) -> Self {
        Self {
            after: duration_text(settings.after),
            calm: duration_text(settings.calm),
            remind: duration_text(settings.remind),
            github: settings.github.as_ref().map(|github| ShownChannel {
                repository: Some(&github.repository),
                token: Some(mask(&github.token)),
                label: Some(&github.label),
                api: Some(&github.api),
                ..ShownChannel::of(&github.route)
            }),
            slack: settings.slack.as_ref().map(ShownChannel::of_url),
            pagerduty: settings.pagerduty.as_ref().map(|pagerduty| ShownChannel {
                routing_key: Some(mask(&pagerduty.routing_key)),
                api: Some(&pagerduty.api),
                ..ShownChannel::of(&pagerduty.route)
            }),
            email: settings.email.as_ref().map(|email| ShownChannel {
                host: Some(&email.host),
                port: Some(email.port),
                tls: MailTls::WORDS
                    .iter()
                    .find(|(_, tls)| *tls == email.tls)
                    .map(|(word, _)| *word),
                username: email.username.as_deref(),
                password: email.password.as_ref().map(mask),
                from: Some(&email.from),
                to: Some(&email.to),
                ..ShownChannel::of(&email.route)
            }),
            webhook: settings.webhook.as_ref().map(|webhook| ShownChannel {
                url: Some(mask(&webhook.url)),
                secret: webhook.secret.as_ref().map(mask),
                ..ShownChannel::of(&webhook.route)
            }),
            // It has no severity: a sign of life is none.
            heartbeat: settings.heartbeat.as_ref().map(|heartbeat| ShownChannel {
                severity: None,
                ..ShownChannel::of_url(heartbeat)
            }),
            discord: settings.discord.as_ref().map(ShownChannel::of_url),
            teams: settings.teams.as_ref().map(ShownChannel::of_url),
        }
    }
}
