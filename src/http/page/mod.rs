//! `GET /`: the status page.
//!
//! It is written on the server from the live state alone, and needs no script:
//! without one it reloads by itself. With one, [`events`] tells when something
//! has changed. Whoever does not ask for HTML gets the list of routes. Where a
//! password is set, neither is for who does not show it.

mod events;
mod html;
mod view;

use std::{
    io::Write as _,
    sync::{Arc, LazyLock},
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

pub(super) use events::Events;

use super::{App, guard, text};

/// The routes that are always there.
const ROUTES: &str = "\
GET  /              the status page, for a browser
GET  /livez         200 while the process is alive
GET  /healthz       200 while every database has a fresh, good backup; JSON
GET  /last-success  the time of the newest good backup (?database=)
GET  /status        everything there is to know; JSON
GET  /metrics       Prometheus
";

/// The one that is there where it can be used.
const BACKUPS: &str = "POST /backups       starts a backup; needs the token (?database=)\n";

const SCRIPT: &str = include_str!("page.js");

/// Nothing but what the page is made of: its own style by its hash, its own
/// script, and what that asks for.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(html::STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; script-src 'self'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

pub(super) async fn get(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = guard::refusal(&app, &headers) {
        return varied(refusal);
    }
    if !wants_html(&headers) {
        let backups = if app.can_start() { BACKUPS } else { "" };
        let list = format!("reliquary {}\n\n{ROUTES}{backups}", app.state.version());
        return varied(text(StatusCode::OK, list));
    }
    let page = html::document(&view::current(&app.state, &app.info)).into_string();
    let mut response = squeezed(page, &headers);
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    answer.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    varied(response)
}

/// `GET /page.js`
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// A browser says so; `curl`, which takes anything, gets what a terminal shows.
fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html")
        })
}

fn varied(mut response: Response) -> Response {
    let varies = HeaderValue::from_static("accept, accept-encoding, authorization");
    response.headers_mut().insert(header::VARY, varies);
    response
}

/// Hundreds of cells are much alike: a tenth of them travels. There is no
/// secret on the page that its size could give away.
fn squeezed(page: String, headers: &HeaderMap) -> Response {
    let takes = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(is_gzip);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    if takes
        && encoder.write_all(page.as_bytes()).is_ok()
        && let Ok(bytes) = encoder.finish()
    {
        let coding = HeaderValue::from_static("gzip");
        return ([(header::CONTENT_ENCODING, coding)], Body::from(bytes)).into_response();
    }
    Body::from(page).into_response()
}

/// Whether a coding that a client names is the one we have, and not named to
/// say that it will not do.
fn is_gzip(named: &str) -> bool {
    let mut parts = named.split(';').map(str::trim);
    let is_ours = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    is_ours && weight.and_then(|weight| weight.parse::<f32>().ok()) != Some(0.0)
}

#[cfg(test)]
mod tests;
