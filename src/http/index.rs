//! `GET /`: what can be asked here.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{App, text};

const ROUTES: &str = "\
GET  /livez         200 while the process is alive
GET  /healthz       200 while every database has a fresh, good backup; JSON
GET  /last-success  the time of the newest good backup (?database=)
GET  /status        everything there is to know; JSON
GET  /metrics       Prometheus
POST /backups       starts a backup; needs a token in the configuration (?database=)
";

pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    text(StatusCode::OK, format!("reliquary {}\n\n{ROUTES}", app.state.version()))
}
