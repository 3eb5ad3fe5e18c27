//! One restore at a time in one database: two would drop, make and fill the same things
//! under each other's hands.
//!
//! What keeps others out is a lock of the session that plans and controls the restore,
//! and is free when that session ends, however it does. Other sessions of a restore that
//! was killed may be at work for a moment longer: they are waited for.

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

/// Sessions that do something for a restore whose lock is free. One that does nothing may
/// be a pooler's, which keeps it for whoever comes next.
const LEFT: &str = "SELECT pid::text FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
      AND application_name LIKE 'reliquary restore %'
      AND application_name <> current_setting('application_name')
    ORDER BY pid";

const DATABASE: &str = "SELECT current_database()::text";

/// How often it is asked for again, and after which time: a server notices within two
/// seconds that whoever held it was killed.
const AGAIN: (usize, Duration) = (25, Duration::from_millis(100));

/// How often the sessions of one that was killed are waited for.
const LEFT_AGAIN: usize = 50;

/// What the sessions of a restore call themselves, so that none is left behind.
pub(super) fn application() -> String {
    format!("reliquary restore {:08x}", rand::random::<u32>())
}

/// Keeps other restores out while the session lives. Where the server has no such lock
/// to give, returns a warning.
///
/// # Errors
/// When another restore is in the database.
pub(super) async fn take(control: &mut Target) -> Result<Option<String>, RestoreError> {
    for _ in 0..AGAIN.0 {
        match control.number(LOCK).await {
            Ok(0) => tokio::time::sleep(AGAIN.1).await,
            Ok(_) => return alone(control).await,
            Err(error) => return Ok(Some(unknown(&error.to_string()))),
        }
    }
    let holder = control.names(HOLDER).await.unwrap_or_default().pop();
    let database = control.names(DATABASE).await.unwrap_or_default().pop().unwrap_or_default();
    Err(RestoreError::Refused(vec![taken(&database, holder.as_deref())]))
}

/// Waits until the sessions of a restore that was killed are gone.
async fn alone(control: &mut Target) -> Result<Option<String>, RestoreError> {
    let mut left = Vec::new();
    for _ in 0..LEFT_AGAIN {
        left = control.names(LEFT).await.unwrap_or_default();
        if left.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep(AGAIN.1).await;
    }
    let database = control.names(DATABASE).await.unwrap_or_default().pop().unwrap_or_default();
    Err(RestoreError::Refused(vec![still_at_work(&database, &left)]))
}

fn still_at_work(database: &str, left: &[String]) -> String {
    let end: Vec<String> =
        left.iter().map(|process| format!("SELECT pg_terminate_backend({process})")).collect();
    format!(
        "sessions of a restore that was killed are still at work in database {}: wait until they \
         have ended, or end them: {}",
        quote(database),
        end.join("; ")
    )
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
        let said = still_at_work("App", &["1".into(), "2".into()]);
        assert!(said.ends_with("(1); SELECT pg_terminate_backend(2)"), "{said}");
        assert!(taken("app", None).ends_with("wait until it has ended"));
        assert!(unknown("no such function").contains("cannot be known (no such function)"));
    }
}
