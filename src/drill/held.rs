//! A database of the settings, held against other drills.
//!
//! What keeps them out is a lock of one session, which is lost with that session.
//! It has a name of its own, by which what is left of it is ended.

use std::time::Duration;

use super::target::{BorrowError, failed};
use crate::postgres::{ConnectionUrl, Target};

/// A drill of any process holds this lock of the database while it is in it.
const LOCK: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('reliquary drill', 0))::int4::int8";

pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// A database that no other drill is in. Dropping it lets others in; nothing of it
/// was touched.
#[derive(Debug)]
pub struct Held {
    url: ConnectionUrl,
    application: String,
    pub(super) control: Target,
}

impl Held {
    /// Takes a database, unless another drill is in it.
    ///
    /// # Errors
    /// When another one is, or it cannot be reached.
    pub async fn take(url: &ConnectionUrl) -> Result<Self, BorrowError> {
        let application = format!("reliquary drill {:08x}", rand::random::<u32>());
        let control = Target::open(&url.with_application(&application), CONNECT_WITHIN).await?;
        let mut held = Self { url: url.clone(), application, control };
        held.lock().await?;
        Ok(held)
    }

    /// Its connection string.
    #[must_use]
    pub fn url(&self) -> &ConnectionUrl {
        &self.url
    }

    /// Takes it once more, after the session was lost.
    pub(super) async fn again(&mut self) -> Result<(), BorrowError> {
        let url = self.url.with_application(&self.application);
        self.control = Target::open(&url, CONNECT_WITHIN).await?;
        // The server may not have noticed, and still keep the lock for it.
        let ended = self.control.end_others(&self.application).await;
        ended.map_err(failed("end the session that was lost"))?;
        self.lock().await
    }

    /// Lets others in: the next drill must not be told that we are still there, only
    /// because the server has not heard our goodbye yet.
    pub(super) async fn release(mut self) {
        let unlock = self.control.run("SELECT pg_catalog.pg_advisory_unlock_all()");
        // Where it cannot be said, the goodbye frees the lock.
        let _ = tokio::time::timeout(CONNECT_WITHIN, unlock).await;
        self.control.close().await;
    }

    async fn lock(&mut self) -> Result<(), BorrowError> {
        match self.control.number(LOCK).await.map_err(failed("lock it"))? {
            0 => Err(BorrowError::Busy),
            _ => Ok(()),
        }
    }
}
