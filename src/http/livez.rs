//! `GET /livez`: whether a restart would help. Never about freshness: a restart
//! cannot make a backup.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{App, text};

pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    let liveness = app.state.liveness();
    match (liveness.scheduler, liveness.runner) {
        (true, true) => text(StatusCode::OK, "ok\n"),
        (false, _) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the scheduler gives no sign of life\n")
        }
        (true, false) => text(StatusCode::SERVICE_UNAVAILABLE, "a runner has ended\n"),
    }
}
