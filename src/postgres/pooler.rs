//! Telling a session from a transaction pooler.
//!
//! Behind a transaction pooler a client has a server process only while a
//! transaction runs. The proof needs two clients: ours is idle, then a second
//! one holds a transaction open. Where sessions are real, the second has a
//! process of its own and ours is still the same. Behind a pooler the second is
//! handed the process that ours just gave back, or ours comes back to another.
//!
//! Nothing is set before this is known: behind a pooler a setting would stick
//! to a process that the application gets next.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, Row};

use super::{
    connect::{SessionError, connect, failed},
    url::{ConnectionUrl, Host},
};

/// Other clients of a busy pooler may take the process in between; then ours
/// gets another. To meet the same one by chance every time is what this makes
/// unlikely.
const ROUNDS: usize = 4;

/// How long our idle connection may wait for a process. A pooler with a single
/// process has none to give while the second client holds it.
const PATIENCE: Duration = Duration::from_secs(5);

const DOING: &str = "tell a session from a transaction pooler";

/// Refuses by the address alone what is known to be a transaction pooler.
pub(super) fn refuse_known(url: &ConnectionUrl) -> Result<(), SessionError> {
    let Host::Network(host) = &url.host else {
        return Ok(());
    };
    if url.port == 6543 && (host.ends_with(".supabase.com") || host.ends_with(".supabase.co")) {
        return Err(refuse(url, "port 6543 of Supabase is a transaction pooler"));
    }
    Ok(())
}

/// Refuses what behaves like a transaction pooler.
pub(super) async fn refuse_shared(
    url: &ConnectionUrl,
    connection: &mut PgConnection,
    deadline: Duration,
) -> Result<(), SessionError> {
    let mut second = connect(url, deadline).await?;
    for _ in 0..ROUNDS {
        let before = process(connection).await.map_err(failed(DOING))?;
        let other = match hold(&mut second).await {
            Ok(other) => other,
            // Statement pooling refuses transactions outright.
            Err(error) if error.as_database_error().is_some() => {
                return Err(refuse(url, "a transaction cannot be held open"));
            }
            Err(error) => return Err(failed(DOING)(error)),
        };
        if other == before {
            return Err(refuse(url, "two connections were given the same server process"));
        }
        let changed = match tokio::time::timeout(PATIENCE, process(connection)).await {
            Ok(after) => after.map_err(failed(DOING))? != before,
            Err(_) => {
                return Err(refuse(
                    url,
                    "no server process was free while another connection held a transaction",
                ));
            }
        };
        if changed {
            return Err(refuse(url, "the server process changed from one transaction to the next"));
        }
        second.execute("ROLLBACK").await.map_err(failed(DOING))?;
    }
    // Its end is of no consequence: it did nothing.
    let _ = second.close().await;
    Ok(())
}

fn refuse(url: &ConnectionUrl, reason: &str) -> SessionError {
    SessionError::Pooler { address: url.address(), reason: reason.to_owned() }
}

/// The server process behind a connection, asked without a prepared statement,
/// which a pooler might refuse.
async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = sqlx::raw_sql("SELECT pg_catalog.pg_backend_pid()").fetch_one(connection).await?;
    row.try_get(0)
}

async fn hold(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.execute(sqlx::raw_sql("BEGIN")).await?;
    process(connection).await
}
