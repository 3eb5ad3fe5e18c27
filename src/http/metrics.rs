//! `GET /metrics`: Prometheus' text format.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{App, text};
use crate::metrics::Metrics;

pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    match app.metrics.render(&app.state) {
        Ok(body) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "failed to render the metrics");
            text(StatusCode::INTERNAL_SERVER_ERROR, "failed to render the metrics\n")
        }
    }
}
