//! `POST /backups`: start one now.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use axum::{
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{App, Selection, json, select};
use crate::jobs::StartResult;

/// What a client must show, kept as its SHA-256.
///
/// Comparing digests in constant time leaks neither the secret's bytes nor its
/// length, and a look into the memory does not find it here.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Remembers a secret. An empty one is never matched.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self(Sha256::digest(secret.expose_secret().as_bytes()).into())
    }

    /// Whether the headers carry it as `Authorization: Bearer`.
    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        // Two headers could be read differently by a proxy before us.
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some(shown) = bearer(value) else { return false };
        let digest: [u8; 32] = Sha256::digest(shown).into();
        digest.ct_eq(&self.0).into()
    }
}

impl Debug for Token {
    /// Not even the digest: a short secret could be guessed from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, shown) = value.as_bytes().split_at_checked(SCHEME.len())?;
    let shown = shown.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !shown.is_empty()).then_some(shown)
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// The body means nothing, but is read, so that its limit holds.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(selection): Query<Selection>,
    _body: Bytes,
) -> Response {
    let (Some(trigger), Some(token)) = (&app.trigger, &app.token) else {
        return refuse(StatusCode::NOT_FOUND, "starting backups over HTTP is not configured");
    };
    if !token.is_shown(&headers) {
        let mut response =
            refuse(StatusCode::UNAUTHORIZED, "show the token as Authorization: Bearer");
        let challenge = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    let name = match select(&app.state, &selection) {
        Ok(database) => database.name,
        Err(error) => return refuse(error.status(), &error.to_string()),
    };
    match trigger.start(&name) {
        StartResult::Accepted => {
            let answer = Answer { database: Some(&name), status: Some("accepted"), error: None };
            json(StatusCode::ACCEPTED, &answer)
        }
        StartResult::AlreadyRunning => {
            refuse(StatusCode::CONFLICT, "a backup of this database runs already")
        }
        StartResult::UnknownDatabase => refuse(StatusCode::NOT_FOUND, "no such database"),
        StartResult::ShuttingDown => {
            refuse(StatusCode::SERVICE_UNAVAILABLE, "the process is shutting down")
        }
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    json(status, &Answer { database: None, status: None, error: Some(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(token: &str, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Token::new(&SecretString::from(token)).is_shown(&headers)
    }

    #[test]
    fn only_the_whole_token_opens_the_door() {
        assert!(shown("s3cret", "Bearer s3cret"));
        assert!(shown("s3cret", "bearer  s3cret"));
        for value in ["Bearer s3cre", "Bearer s3crets", "Bearer S3cret", "Basic s3cret", "s3cret"] {
            assert!(!shown("s3cret", value), "{value}");
        }
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        for value in ["Bearer ", "Bearer", "bearer  ", ""] {
            assert!(!shown("", value), "{value}");
        }
    }

    #[test]
    fn two_headers_are_refused_even_when_one_is_right() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        assert!(!Token::new(&SecretString::from("s3cret")).is_shown(&headers));
    }

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", Token::new(&SecretString::from("s3cret"))), "Token(..)");
    }
}
