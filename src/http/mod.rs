//! What machines and people ask over HTTP. One file a route; every answer is a
//! view of [`State`] through the one evaluation of health.
//!
//! Nothing here asks the store or the source, so an answer takes microseconds
//! whatever the backup does, and nothing a client does reaches either.

mod backups;
mod guard;
mod healthz;
mod last_success;
mod livez;
mod metrics;
mod page;
mod server;
mod status;
mod token;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

pub use server::{Limits, serve};
pub use token::Token;

use crate::{
    jobs::Trigger,
    metrics::Metrics,
    state::{DatabaseState, State},
    status::StatusInfo,
};

/// What the routes answer from.
#[derive(Clone, Debug)]
pub struct App {
    /// The live state.
    pub state: State,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Starts a backup.
    pub trigger: Option<Arc<dyn Trigger>>,
    /// What a client must show to start one. `POST /backups` exists only where
    /// there is both a trigger and a token.
    pub token: Option<Token>,
    /// What a client must show to see the page and `/status`; `None` lets all see them.
    pub password: Option<Token>,
    /// What `/status` says of the settings.
    pub info: StatusInfo,
}

impl App {
    /// Whether a client can start a backup.
    fn can_start(&self) -> bool {
        self.trigger.is_some() && self.token.is_some()
    }
}

/// Every route.
pub fn router(app: App) -> Router {
    let events = page::Events::default();
    let mut router = Router::new()
        .route("/", get(page::get))
        .route("/page.js", get(page::script))
        .route(
            "/events",
            get(move |state, headers: HeaderMap| async move { events.get(state, &headers) }),
        )
        .route("/livez", get(livez::get))
        .route("/healthz", get(healthz::get))
        .route("/last-success", get(last_success::get))
        .route("/status", get(status::get))
        .route("/metrics", get(metrics::get));
    if app.can_start() {
        router = router.route("/backups", post(backups::post));
    }
    router
        .fallback(async || text(StatusCode::NOT_FOUND, "no such page; see /\n"))
        .method_not_allowed_fallback(async || {
            text(StatusCode::METHOD_NOT_ALLOWED, "this page does not take that method\n")
        })
        .with_state(Arc::new(app))
}

/// `?database=`
#[derive(Debug, Deserialize)]
struct Selection {
    database: Option<String>,
}

/// Why a selection names no database.
#[derive(Debug, thiserror::Error)]
enum SelectionError {
    #[error("there are several databases; add ?database= with one of: {0}")]
    Several(String),
    #[error("no such database; there are: {0}")]
    Unknown(String),
}

impl SelectionError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Several(_) => StatusCode::BAD_REQUEST,
            Self::Unknown(_) => StatusCode::NOT_FOUND,
        }
    }
}

/// Finds the database that is meant; one that is alone need not be named.
fn select(state: &State, selection: &Selection) -> Result<DatabaseState, SelectionError> {
    let names = state.names();
    let ((Some(name), _) | (None, [name])) = (&selection.database, names.as_slice()) else {
        return Err(SelectionError::Several(names.join(", ")));
    };
    state.database(name).ok_or_else(|| SelectionError::Unknown(names.join(", ")))
}

fn text(status: StatusCode, body: impl Into<String>) -> Response {
    (status, body.into()).into_response()
}

/// JSON that a person with `curl` can read too.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(body) {
        Ok(mut body) => {
            body.push('\n');
            let content_type = HeaderValue::from_static("application/json");
            (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "failed to write a JSON answer");
            text(StatusCode::INTERNAL_SERVER_ERROR, "failed to write the answer\n")
        }
    }
}
