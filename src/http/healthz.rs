//! `GET /healthz`: whether there is a fresh, good backup of every database.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{App, json};
use crate::health;

pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    let health = health::current(&app.state);
    let status =
        if health.status.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &health)
}
