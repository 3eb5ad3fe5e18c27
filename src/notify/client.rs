//! HTTP for the channels: one request, one answer, with a deadline.

use std::{io, time::Duration};

use bytes::Bytes;
use chrono::DateTime;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Method, Request, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use secrecy::{ExposeSecret, SecretString};

use super::SendError;
use crate::visible::visible;

/// No answer that matters is longer, in bytes: a page of a hundred issues.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
/// So much of what a refusal says is shown, in characters.
const SHOWN: usize = 160;

/// An HTTP client that trusts what the system trusts.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// There is no way to make one.
#[derive(Debug, thiserror::Error)]
#[error("read the system's root certificates (install ca-certificates)")]
pub struct ClientError(#[from] io::Error);

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    /// Names and values; a value may be a secret.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    /// What no error may say.
    pub(super) secrets: Vec<&'a SecretString>,
}

impl<'a> Ask<'a> {
    pub(super) fn json(url: &'a str, body: &serde_json::Value) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: Vec::new(),
            body: Some(("application/json", body.to_string().into_bytes())),
            secrets: Vec::new(),
        }
    }
}

/// A good answer.
pub(super) struct Answer {
    pub(super) body: Bytes,
}

impl Client {
    /// A client whose requests have a deadline each.
    ///
    /// # Errors
    /// When the system trusts nobody.
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .build();
        // A channel is used once an hour or less: an idle connection is dead by then.
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self { inner, timeout })
    }

    /// Asks once. An answer other than 2xx is an error.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, SendError> {
        match tokio::time::timeout(self.timeout, self.exchange(ask, false)).await {
            Ok(answer) => answer,
            Err(_) => Err(SendError::Slow(self.timeout)),
        }
    }

    /// Looks whether anybody answers at a URL's host, whatever they say.
    pub(super) async fn knock(&self, url: &str) -> Result<(), SendError> {
        let mut root = url::Url::parse(url)
            .map_err(|_| SendError::Message("its address is no URL".to_owned()))?;
        root.set_path("/");
        root.set_query(None);
        let ask = Ask {
            method: Method::HEAD,
            url: root.as_str(),
            headers: Vec::new(),
            body: None,
            secrets: Vec::new(),
        };
        match tokio::time::timeout(self.timeout, self.exchange(ask, true)).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(SendError::Slow(self.timeout)),
        }
    }

    async fn exchange(&self, ask: Ask<'_>, any_status: bool) -> Result<Answer, SendError> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.url)
            .header(header::USER_AGENT, concat!("reliquary/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some((kind, _)) = &ask.body {
            request = request.header(header::CONTENT_TYPE, *kind);
        }
        let body = ask.body.map(|(_, body)| body).unwrap_or_default();
        // The error would repeat the address, which is a secret with most channels.
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| SendError::Message("its address or a header is not valid".to_owned()))?;
        let answer = self.inner.request(request).await;
        let answer = answer.map_err(|error| SendError::Unreachable(causes(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        if any_status {
            return Ok(Answer { body: Bytes::new() });
        }
        let body =
            body.map_err(|_| SendError::Unreachable("the answer broke off".to_owned()))?.to_bytes();
        if head.status.is_success() {
            return Ok(Answer { body });
        }
        let status = head.status.as_u16();
        let retry_after = retry_after(&head.headers);
        // GitHub answers 403 where others answer 429, with the same header.
        let limited = matches!(status, 408 | 425 | 429) || (status == 403 && retry_after.is_some());
        Err(SendError::Refused {
            status,
            said: shown(&body, ask.url, &ask.secrets),
            retry_after,
            transient: limited || status >= 500,
        })
    }
}

/// Seconds, or a date, which is read by the answer's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    let now = DateTime::parse_from_rfc2822(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    (until - now).to_std().ok()
}

/// What a refusal says, where it repeats nothing secret and is no page.
fn shown(body: &[u8], url: &str, secrets: &[&SecretString]) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return String::new() };
    let path = url::Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_default();
    let is_secret = (path.len() > 1 && text.contains(&path))
        || secrets.iter().any(|secret| text.contains(secret.expose_secret()));
    if is_secret || text.trim_start().starts_with('<') {
        return String::new();
    }
    visible(&text.trim().chars().take(SHOWN).collect::<String>())
}

/// An error with its causes. The client's name a host at most, never a path.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
