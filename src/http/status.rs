//! `GET /status`: everything a dashboard needs.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{App, json};
use crate::status;

pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    json(StatusCode::OK, &status::document(&app.state, &app.info))
}
