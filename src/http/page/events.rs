//! `GET /events`: tells a page that is open what to renew, as server-sent events.
//!
//! `change` says that something has happened; `progress` carries what runs, as
//! the page shows it. Both are read from the live state once a second, however
//! many pages are open: a run's counters move far more often than anybody looks.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use maud::{Markup, html};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Interval, MissedTickBehavior},
};

use super::{html::progress, view};
use crate::{
    http::{App, guard, text},
    state, status,
};

/// How often the state is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// So many ticks in which nothing happens are followed by a sign of life, so
/// that neither a proxy nor the server takes the stream for dead.
const QUIET: u32 = 15;

/// Pages that may listen at once; each holds a connection.
const LISTENERS: usize = 32;

/// The places of those who listen.
#[derive(Clone, Debug)]
pub(in crate::http) struct Events(Arc<Semaphore>);

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LISTENERS)))
    }
}

impl Events {
    /// Answers with a stream that ends when the process is on its way out.
    pub(in crate::http) fn get(self, State(app): State<Arc<App>>, headers: &HeaderMap) -> Response {
        if let Some(refusal) = guard::refusal(&app, headers) {
            return refusal;
        }
        let Ok(place) = self.0.try_acquire_owned() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many pages listen already\n");
        };
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let seen = fingerprint(&app);
        let listener = Listener { app, interval, seen, ran: false, quiet: 0, _place: place };
        let stream = futures::stream::unfold(listener, |mut listener| async {
            let event = listener.next().await?;
            Some((Ok::<_, std::convert::Infallible>(event), listener))
        });
        Sse::new(stream).into_response()
    }
}

/// One page that is open.
struct Listener {
    app: Arc<App>,
    interval: Interval,
    /// What it has seen already.
    seen: u64,
    /// Whether something ran when it was last told.
    ran: bool,
    quiet: u32,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next thing to tell; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.interval.tick().await;
            if self.app.state.stopping() {
                return None;
            }
            let now = fingerprint(&self.app);
            if now != self.seen {
                self.seen = now;
                self.quiet = 0;
                return Some(Event::default().event("change").data("-"));
            }
            let runs = runs(&self.app.state);
            if runs || self.ran {
                self.ran = runs;
                self.quiet = 0;
                let fragment = running(&self.app).into_string();
                return Some(Event::default().event("progress").data(fragment));
            }
            self.quiet += 1;
            if self.quiet >= QUIET {
                self.quiet = 0;
                return Some(Event::default().comment("still here"));
            }
        }
    }
}

fn runs(state: &state::State) -> bool {
    state.databases().iter().any(|database| database.running.is_some() || database.aside.is_some())
}

/// What runs, one element a database.
fn running(app: &App) -> Markup {
    let page = view::current(&app.state, &app.info);
    html! {
        @for (at, database) in page.databases.iter().enumerate() {
            (progress(at, &database.now))
        }
    }
}

/// Another number when something has happened that the page shows; time alone
/// and the counters of a run are nothing that happened.
fn fingerprint(app: &App) -> u64 {
    let mut document = status::document(&app.state, &app.info);
    document.now = document.started_at;
    document.uptime_seconds = 0;
    for database in &mut document.databases {
        database.health.age_seconds = None;
        database.health.checks.iter_mut().for_each(|check| check.detail.clear());
        for running in database.running.iter_mut().chain(&mut database.aside) {
            running.seconds = 0;
            running.progress = state::Progress::default().report();
        }
    }
    let mut hasher = DefaultHasher::new();
    format!("{document:?}").hash(&mut hasher);
    hasher.finish()
}
