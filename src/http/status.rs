//! `GET /status`: everything a dashboard needs.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{App, guard, json};
use crate::status;

pub(super) async fn get(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = guard::refusal(&app, &headers) {
        return refusal;
    }
    json(StatusCode::OK, &status::document(&app.state, &app.info))
}
