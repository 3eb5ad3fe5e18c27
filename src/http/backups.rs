//! `POST /backups`: start one now.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;

use super::{App, Selection, json, select};
use crate::jobs::StartResult;

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
    if !token.is_bearer_of(&headers) {
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
