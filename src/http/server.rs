//! The accept loop, with a limit on everything a client can make us spend:
//! connections, header bytes, body bytes, and time for each of them.
//!
//! Connections past the limit wait in the kernel's backlog; the header timeout
//! also ends idle ones, so a place is free again soon. At a stop, idle
//! connections close at once, busy ones after their answer or a deadline.

use std::{any::Any, io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, StatusCode, header},
    middleware::map_response,
    response::Response,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer,
};

use super::text;

/// What a client may make the server spend.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at once; further ones wait in the backlog.
    pub connections: usize,
    /// Time for a request's headers to arrive; an idle connection closes after it too.
    pub header_timeout: Duration,
    /// Time for a request, from its headers to its answer.
    pub request_timeout: Duration,
    /// The longest life of a connection, which bounds clients that do not read.
    pub connection_age: Duration,
    /// Size of a request's head, in bytes (hyper takes no less than 8 KiB).
    pub head_bytes: usize,
    /// Number of a request's headers.
    pub headers: usize,
    /// Size of a request's body, in bytes.
    pub body_bytes: usize,
    /// Time for open requests to end at a stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            // A probe waits behind those who say nothing, and a few seconds only.
            header_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            connection_age: Duration::from_mins(2),
            head_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 1024,
            drain: Duration::from_secs(3),
        }
    }
}

/// How long to wait after a failed accept, which is most often a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is cancelled, then ends open connections within
/// [`Limits::drain`]. A connection that fails is its own affair.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let router = limited(router, &limits);
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    while let Some((stream, place)) = accept(&listener, &places, &stop).await {
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, router, limits, stop).await;
            drop(place);
        });
    }
    // Whoever comes now is told so by the kernel, not left waiting.
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection and its place; `None` at a stop.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let next = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, place)),
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "failed to accept an HTTP connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(next).await.flatten()
}

/// Whether the client went away before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, stop: CancellationToken) {
    // Answers are small and written at once; an error changes nothing.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.head_bytes)
        .max_headers(limits.headers)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(limits.connection_age) => None,
    };
    let result = if let Some(result) = ended {
        result
    } else {
        connection.as_mut().graceful_shutdown();
        // What is not done by the deadline is dropped.
        tokio::time::timeout(limits.drain, connection).await.unwrap_or(Ok(()))
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

fn limited(router: Router, limits: &Limits) -> Router {
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limits.request_timeout);
    router
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(limits.body_bytes))
        .layer(timeout)
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| {
            // The panic's own text went to the log through the panic hook.
            tracing::error!("answering an HTTP request panicked");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made\n")
        }))
        .layer(map_response(common_headers))
}

/// Health from a cache would be a lie, and no answer is meant to be run.
async fn common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
