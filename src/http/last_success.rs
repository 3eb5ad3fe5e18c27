//! `GET /last-success`: the time of the newest good backup, for a shell script.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};

use super::{App, Selection, select, text};
use crate::rfc3339;

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Query(selection): Query<Selection>,
) -> Response {
    match select(&app.state, &selection) {
        Ok(database) => match database.last_success {
            Some(time) => text(StatusCode::OK, rfc3339::format(time) + "\n"),
            None => text(StatusCode::NOT_FOUND, "there is no good backup\n"),
        },
        Err(error) => text(error.status(), format!("{error}\n")),
    }
}
