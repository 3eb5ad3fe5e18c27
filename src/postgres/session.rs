//! One session on the source: its lock, its snapshot, its facts.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

use super::{
    connect::{SessionError, connect, failed},
    definitions::{self, Definitions},
    exclude::{Exclude, ResolvedExclusions},
    facts::{self, Facts, ServerVersion},
    lock_room::LOCK_ROOM,
    pooler, relations,
    url::{ConnectionUrl, Wanted},
};

/// A session on the source, known to be a real one. Dropping it ends its
/// transaction and frees its lock; [`Session::close`] does so politely.
#[derive(Debug)]
pub struct Session {
    pub(super) connection: PgConnection,
    pub(super) server: ServerVersion,
    pub(super) standby: bool,
    pub(super) role: String,
    pub(super) database: String,
    url: ConnectionUrl,
    lock_timeout: Duration,
    /// What the snapshot says of the database.
    definitions: Option<Definitions>,
}

/// A view of the source that stays as it is while its session lives.
#[derive(Debug)]
pub struct Snapshot {
    /// For `pg_dump --snapshot`.
    pub id: String,
    /// What is in it.
    pub facts: Facts,
    /// What the dump leaves out.
    pub exclusions: ResolvedExclusions,
    /// What does not stop a backup but should be known.
    pub warnings: Vec<String>,
}

/// How long one of our own queries may take on the server.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(5);

/// How long all queries of one step may take, the network included.
pub(super) const WORK_WITHIN: Duration = Duration::from_mins(10);

/// How long a sign of life may take.
const ALIVE_WITHIN: Duration = Duration::from_secs(30);

/// How long a goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Settings of our session, those that the server knows. With an empty search
/// path no object of the database can pose as one of the catalog's.
const SETTINGS: &str = "SELECT pg_catalog.set_config(s.name, w.value, false)
    FROM (VALUES ('search_path', ''), ('statement_timeout', $1), ('lock_timeout', $2),
                 ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
                 ('transaction_timeout', '0'), ('jit', 'off'),
                 -- A machine that died must not hold its lock and its snapshot for hours.
                 ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'),
                 ('tcp_keepalives_count', '6')) AS w (name, value)
    JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) w.name";

impl Session {
    /// Connects, makes sure that this is a session and not a transaction
    /// pooler, and prepares it, all within `deadline` (20 s or more leave time
    /// to recognise a pooler). It takes a second connection for a moment. Our
    /// own queries wait for a lock at most `lock_timeout`.
    ///
    /// # Errors
    /// When it cannot connect, or is not talking to a session.
    pub async fn open(
        url: &ConnectionUrl,
        deadline: Duration,
        lock_timeout: Duration,
    ) -> Result<Self, SessionError> {
        pooler::refuse_known(url)?;
        tokio::time::timeout(deadline, Self::prepare(url, deadline, lock_timeout))
            .await
            .unwrap_or_else(|_| {
                Err(SessionError::TimedOut { address: url.address(), after: deadline })
            })
    }

    async fn prepare(
        url: &ConnectionUrl,
        deadline: Duration,
        lock_timeout: Duration,
    ) -> Result<Self, SessionError> {
        let mut connection = connect(url, deadline).await?;
        pooler::refuse_shared(url, &mut connection, deadline).await?;
        configure(&mut connection, lock_timeout).await?;
        let (num, text, standby, read_only, role, database): (
            i32,
            String,
            bool,
            bool,
            String,
            String,
        ) = sqlx::query_as(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version'),
                    pg_is_in_recovery(), current_setting('transaction_read_only')::bool,
                    current_user::text, current_database()::text",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(failed("prepare the session"))?;
        check_kind(url, standby || read_only)?;
        let num = u32::try_from(num).unwrap_or_default();
        Ok(Self {
            connection,
            server: ServerVersion { num, major: num / 10_000, text },
            standby,
            role,
            database,
            url: url.clone(),
            lock_timeout,
            definitions: None,
        })
    }

    /// The server's version.
    #[must_use]
    pub fn server(&self) -> &ServerVersion {
        &self.server
    }

    /// Whether the server is a standby, which replays what another writes.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.standby
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The cluster's identity, where our role may know it and the server answers.
    pub async fn system_identifier(&mut self) -> Option<String> {
        let asking = facts::system_identifier(&mut self.connection);
        tokio::time::timeout(ALIVE_WITHIN, asking).await.ok().flatten()
    }

    /// Takes the advisory lock of a backup's destination (the store's URI and
    /// the prefix); false where another session of this server holds it. It is
    /// held until the session ends, however it ends. A standby's locks are its
    /// own: the primary does not see them.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn try_lock(&mut self, destination: &str) -> Result<bool, SessionError> {
        const DOING: &str = "take the advisory lock";
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(lock_key(destination))
            .fetch_one(&mut self.connection);
        within(DOING, ALIVE_WITHIN, async { lock.await.map_err(failed(DOING)) }).await
    }

    /// Begins the transaction whose view of the database the dump shares, and
    /// reads the facts from that same view.
    ///
    /// # Errors
    /// When the server refuses, a table is locked, or the connection is lost.
    pub async fn snapshot(&mut self, exclude: &Exclude) -> Result<Snapshot, SessionError> {
        within("take a snapshot", WORK_WITHIN, self.begin(exclude)).await
    }

    async fn begin(&mut self, exclude: &Exclude) -> Result<Snapshot, SessionError> {
        let system_identifier = facts::system_identifier(&mut self.connection).await;
        let doing = failed("take a snapshot");
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut self.connection)
            .await
            .map_err(&doing)?;
        let (id, micros): (String, i64) = sqlx::query_as(
            "SELECT pg_export_snapshot(),
                    (extract(epoch FROM statement_timestamp()) * 1000000)::int8",
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(&doing)?;
        self.definitions = Some(definitions::read(&mut self.connection).await?);
        let all = relations::read(&mut self.connection).await?;
        let (exclusions, warnings) = exclude.resolve(&all);
        let about = facts::About {
            server: &self.server,
            standby: self.standby,
            database: &self.database,
            taken_at_micros: micros,
            system_identifier,
        };
        let facts = facts::read(&mut self.connection, &about, &all, &exclusions).await;
        let facts = match facts {
            Err(SessionError::Locked { doing, .. }) => {
                return Err(SessionError::Locked { doing, holders: self.lock_holders().await });
            }
            facts => facts?,
        };
        Ok(Snapshot { id, facts, exclusions, warnings })
    }

    /// What is not as the snapshot says any more: what was altered, replaced,
    /// truncated or dropped. Ask this when every `pg_dump` has begun to write:
    /// by then each has read all definitions and holds its locks. A dump of what
    /// is named here may not restore, or lack rows, without a word: take another
    /// snapshot. It takes another connection for a moment. (VACUUM FULL and
    /// CLUSTER are noticed too, although they harm nothing.)
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn changed_since(&mut self) -> Result<Vec<String>, SessionError> {
        let Some(before) = &self.definitions else { return Ok(Vec::new()) };
        let look = async {
            let mut present = connect(&self.url, ALIVE_WITHIN).await?;
            configure(&mut present, self.lock_timeout).await?;
            let now = definitions::read(&mut present).await?;
            // The server ends a session without a goodbye as well.
            let _ = tokio::time::timeout(CLOSE_WITHIN, present.close()).await;
            Ok(before.changed(&now))
        };
        within("compare the database with the snapshot", WORK_WITHIN, look).await
    }

    /// How many locks the server has room for, those of all sessions.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn lock_room(&mut self) -> Result<u64, SessionError> {
        const DOING: &str = "ask how many locks the server has room for";
        let asked = sqlx::query_scalar::<_, i64>(LOCK_ROOM).fetch_one(&mut self.connection);
        let room =
            within(DOING, ALIVE_WITHIN, async { asked.await.map_err(failed(DOING)) }).await?;
        Ok(u64::try_from(room).unwrap_or_default())
    }

    /// Gives a sign of life, so that a lost snapshot is noticed and nothing
    /// between here and the server thinks the connection idle.
    ///
    /// # Errors
    /// When the session, and the snapshot with it, is gone.
    pub async fn keep_alive(&mut self) -> Result<(), SessionError> {
        const DOING: &str = "hold the snapshot";
        let sign = sqlx::raw_sql("SELECT 1").execute(&mut self.connection);
        within(DOING, ALIVE_WITHIN, async {
            sign.await
                .map(drop)
                .map_err(|error| SessionError::Lost { doing: DOING, reason: error.to_string() })
        })
        .await
    }

    /// Which tables are locked so that nobody can read them, and by whom, for a
    /// message. Asks in a transaction of its own; a running one is given up.
    pub async fn lock_holders(&mut self) -> Vec<String> {
        let _ = sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await;
        relations::lock_holders(&mut self.connection).await.unwrap_or_default()
    }

    /// Ends the transaction, frees the lock, and says goodbye, whatever the
    /// session was doing.
    pub async fn close(self) {
        // The server ends a session without a goodbye as well.
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.connection.close()).await;
    }

    /// The same for a session that has nothing left to do. The lock is free when
    /// this returns: whoever asks for it next must not be told that another
    /// process has it, only because the server has not heard the goodbye yet.
    pub async fn release(mut self) {
        let unlock = sqlx::raw_sql("SELECT pg_catalog.pg_advisory_unlock_all()")
            .execute(&mut self.connection);
        // Where it cannot be said, the goodbye frees the lock.
        let _ = tokio::time::timeout(CLOSE_WITHIN, unlock).await;
        self.close().await;
    }
}

/// Gives a session of ours the settings it needs.
async fn configure(
    connection: &mut PgConnection,
    lock_timeout: Duration,
) -> Result<(), SessionError> {
    sqlx::query(SETTINGS)
        .bind(STATEMENT_TIMEOUT.as_millis().to_string())
        .bind(lock_timeout.as_millis().max(1).to_string())
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed("prepare the session"))
}

/// A connection whose peer is gone without a word would wait for hours.
pub(super) async fn within<T, E: From<SessionError>>(
    doing: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", limit.as_secs());
        Err(E::from(SessionError::Lost { doing, reason }))
    })
}

/// The first eight bytes of a SHA-256, so that destinations do not meet by chance.
fn lock_key(destination: &str) -> i64 {
    let digest = Sha256::digest(format!("reliquary backup of {destination}"));
    digest.iter().take(8).fold(0_i64, |key, byte| (key << 8) | i64::from(*byte))
}

fn check_kind(url: &ConnectionUrl, read_only: bool) -> Result<(), SessionError> {
    let wanted = match url.wanted {
        Wanted::Writable if read_only => "writable",
        Wanted::ReadOnly if !read_only => "read-only",
        _ => return Ok(()),
    };
    Err(SessionError::WrongKind { address: url.address(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_s_lock_never_changes() {
        // Daemons of different versions must meet on the same lock.
        assert_eq!(lock_key("s3://bucket/database/"), 6_007_574_114_831_491_473);
        assert_ne!(lock_key("s3://bucket/a/"), lock_key("s3://bucket/b/"));
    }
}
