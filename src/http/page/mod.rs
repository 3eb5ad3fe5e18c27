//! `GET /`: the status page.
//!
//! It is written on the server from the live state alone, and needs no script:
//! without one it reloads by itself. With one, [`events`] tells when something
//! has changed. Whoever does not ask for HTML gets the list of routes.

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

const ROUTES: &str = "\
GET  /              the status page, for a browser
GET  /livez         200 while the process is alive
GET  /healthz       200 while every database has a fresh, good backup; JSON
GET  /last-success  the time of the newest good backup (?database=)
GET  /status        everything there is to know; JSON
GET  /metrics       Prometheus
POST /backups       starts a backup; needs a token in the configuration (?database=)
";

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
    if !wants_html(&headers) {
        let list = format!("reliquary {}\n\n{ROUTES}", app.state.version());
        return varied(text(StatusCode::OK, list));
    }
    if let Some(refusal) = guard::refusal(&app, &headers) {
        return varied(refusal);
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
        .any(|coding| coding.trim().eq_ignore_ascii_case("gzip"));
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

#[cfg(test)]
mod tests;
