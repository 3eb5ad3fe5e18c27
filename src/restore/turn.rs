//! One restore at a time in one database: two would drop, make and fill the same things
//! under each other's hands.
//!
//! What keeps others out is a lock of the session that plans and controls the restore,
//! and is free when that session ends, however it does.

use std::time::Duration;

use super::error::RestoreError;
use crate::postgres::{Target, quote};

/// The lock, one of each database.
const LOCK: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('reliquary restore', 0))::int4::int8";

/// The server process that holds it.
const HOLDER: &str = "SELECT pid::text FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::int8 << 32) | objid::int8 = hashtextextended('reliquary restore', 0)";

const DATABASE: &str = "SELECT current_database()::text";

/// How often it is asked for again, and after which time: a server notices within two
/// seconds that whoever held it was killed.
const AGAIN: (usize, Duration) = (25, Duration::from_millis(100));

/// Keeps other restores out while the session lives. Where the server has no such lock
/// to give, returns a warning.
///
/// # Errors
/// When another restore is in the database.
pub(super) async fn take(control: &mut Target) -> Result<Option<String>, RestoreError> {
    for _ in 0..AGAIN.0 {
        match control.number(LOCK).await {
            Ok(0) => tokio::time::sleep(AGAIN.1).await,
            Ok(_) => return Ok(None),
            Err(error) => return Ok(Some(unknown(&error.to_string()))),
        }
    }
    let holder = control.names(HOLDER).await.unwrap_or_default().pop();
    let database = control.names(DATABASE).await.unwrap_or_default().pop().unwrap_or_default();
    Err(RestoreError::Refused(vec![taken(&database, holder.as_deref())]))
}

fn unknown(error: &str) -> String {
    format!(
        "whether another restore is in this database cannot be known ({error}): start none until \
         this one has ended"
    )
}

fn taken(database: &str, holder: Option<&str>) -> String {
    let database = quote(database);
    let wait = format!("another restore is in database {database}, and two would spoil each other");
    match holder {
        Some(process) => format!(
            "{wait}: wait until it has ended; where nobody runs it any more, end its session, \
             server process {process}: SELECT pg_terminate_backend({process})"
        ),
        None => format!("{wait}: wait until it has ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_wait_is_told_for_whom_and_what_helps() {
        let said = taken("App", Some("42"));
        for part in ["in database \"App\"", "wait until", "SELECT pg_terminate_backend(42)"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(taken("app", None).ends_with("wait until it has ended"));
        assert!(unknown("no such function").contains("cannot be known (no such function)"));
    }
}
