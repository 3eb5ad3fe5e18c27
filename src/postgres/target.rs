//! A session on the database that is restored into.

use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row as _, ValueRef as _,
    postgres::{PgCopyIn, PgDatabaseError, PgErrorPosition},
};

use super::{
    connect::{SessionError, connect},
    facts::ServerVersion,
    pooler,
    said::Said,
    url::ConnectionUrl,
};

/// How long a goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// A session that loads. Dropping it closes its socket; see
/// [`Target::end_others`] for what the server then still does.
#[derive(Debug)]
pub struct Target {
    pub(super) connection: PgConnection,
    pub(super) server: ServerVersion,
}

/// A statement failed on the target.
#[derive(Debug)]
pub struct TargetError {
    /// What the server says, with its details and without any row.
    pub message: String,
    /// The same with names that a row may hold, where it has some: for who knows that
    /// no row was read.
    pub named: Option<String>,
    /// The error's class; empty where the connection was lost.
    pub code: String,
    /// Whether code of the database met with it: a function, a trigger, a check.
    pub of_code: bool,
}

/// What a server says of its own files: they are damaged.
const CORRUPTED: [&str; 2] = ["XX001", "XX002"];

/// Whether an error of this class says nothing of what the server was asked, but of the
/// server: it or the connection is gone (then the class is empty), it was stopped by
/// somebody, has too little of something, or its own files are damaged.
#[must_use]
pub fn is_servers_own(code: &str) -> bool {
    let is_of = |class: &&str| code.starts_with(class);
    code.is_empty() || ["08", "53", "57", "58"].iter().any(is_of) || CORRUPTED.contains(&code)
}

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if self.code.is_empty() { Ok(()) } else { write!(f, " (SQLSTATE {})", self.code) }
    }
}

impl std::error::Error for TargetError {}

impl TargetError {
    /// Whether our role lacks a right.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.code == "42501"
    }

    /// Whether it is no answer to what was asked; see [`is_servers_own`].
    #[must_use]
    pub fn is_no_answer(&self) -> bool {
        is_servers_own(&self.code)
    }

    /// Whether the session is gone: its connection is, or the server has ended it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.code.is_empty() || self.code.starts_with("57P")
    }

    /// Whether the same object is there already.
    #[must_use]
    pub fn is_there_already(&self) -> bool {
        matches!(self.code.as_str(), "42710" | "42P07" | "42P06" | "42723")
    }

    /// Whether what it was about, or the schema of it, is not there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self.code.as_str(), "3F000" | "42704" | "42P01" | "42883")
    }

    /// Whether rows point at rows that are not there.
    #[must_use]
    pub fn points_at_nothing(&self) -> bool {
        self.code == "23503"
    }

    /// Whether two sessions of ours waited for each other.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        self.code == "40P01"
    }
}

impl TargetError {
    /// The same of what has read no row yet.
    fn before_rows(self) -> Self {
        match self.named {
            Some(named) => Self { message: named, named: None, ..self },
            None => self,
        }
    }
}

impl From<sqlx::Error> for TargetError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) =
            error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
        else {
            let message = format!("the connection to the target was lost: {error}");
            return Self { message, named: None, code: String::new(), of_code: false };
        };
        let (code, position) = (database.code(), database.position());
        let said = Said {
            code,
            message: database.message(),
            detail: database.detail(),
            hint: database.hint(),
            context: database.r#where(),
            query: match position {
                Some(PgErrorPosition::Internal { query, .. }) => Some(query),
                _ => None,
            },
            sure: true,
            placed: matches!(position, Some(PgErrorPosition::Original(_))),
        };
        Self {
            message: said.without_rows(),
            named: said.with_names(),
            code: code.to_owned(),
            of_code: said.is_of_code(),
        }
    }
}

/// Settings that make loading fast or that no dump may depend on, those that
/// the server knows. None needs a superuser. A backend whose client is gone
/// must not build an index for an hour more.
const SETTINGS: &str = "SELECT pg_catalog.set_config(s.name, w.value, false)
    FROM (VALUES ('search_path', ''), ('statement_timeout', '0'), ('lock_timeout', '0'),
                 ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
                 ('transaction_timeout', '0'), ('synchronous_commit', 'off'), ('jit', 'off'),
                 ('row_security', 'off'), ('client_min_messages', 'warning'),
                 ('client_connection_check_interval', '2s'),
                 ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'),
                 ('tcp_keepalives_count', '6')) AS w (name, value)
    JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) w.name";

impl Target {
    /// Connects, refuses what is no real session, and prepares it.
    ///
    /// # Errors
    /// When it cannot connect, or is not talking to a session.
    pub async fn open(url: &ConnectionUrl, deadline: Duration) -> Result<Self, SessionError> {
        pooler::refuse_known(url)?;
        tokio::time::timeout(deadline, async {
            let mut connection = connect(url, deadline).await?;
            pooler::refuse_shared(url, &mut connection, deadline).await?;
            Self::prepare(connection).await
        })
        .await
        .unwrap_or_else(|_| Err(SessionError::TimedOut { address: url.address(), after: deadline }))
    }

    /// Another session where one is open already.
    ///
    /// # Errors
    /// When it cannot connect.
    pub async fn another(url: &ConnectionUrl, deadline: Duration) -> Result<Self, SessionError> {
        Self::prepare(connect(url, deadline).await?).await
    }

    async fn prepare(mut connection: PgConnection) -> Result<Self, SessionError> {
        const DOING: &str = "prepare the session";
        let doing = super::connect::failed(DOING);
        sqlx::query(SETTINGS).execute(&mut connection).await.map_err(&doing)?;
        let (num, text): (i32, String) = sqlx::query_as(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version')",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(&doing)?;
        let num = u32::try_from(num).unwrap_or_default();
        Ok(Self { connection, server: ServerVersion { num, major: num / 10_000, text } })
    }

    /// The server's version.
    #[must_use]
    pub fn server(&self) -> &ServerVersion {
        &self.server
    }

    /// Runs statements; none of them returns rows that matter.
    ///
    /// # Errors
    /// When the server refuses, or the connection is lost.
    pub async fn run(&mut self, sql: &str) -> Result<(), TargetError> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    /// One number that a query returns.
    ///
    /// # Errors
    /// When the server refuses, or the connection is lost.
    pub async fn number(&mut self, sql: &str) -> Result<i64, TargetError> {
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await?)
    }

    /// Names that a query returns.
    ///
    /// # Errors
    /// When the server refuses, or the connection is lost.
    pub async fn names(&mut self, sql: &str) -> Result<Vec<String>, TargetError> {
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await?)
    }

    /// How many rows a query returns, and the first column of the first as
    /// text. Rows are counted as they come, and not held.
    ///
    /// # Errors
    /// When the server refuses, or the connection is lost.
    pub async fn answer(&mut self, sql: &str) -> Result<(u64, Option<String>), TargetError> {
        let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut self.connection);
        let (mut count, mut first) = (0, None);
        while let Some(row) = rows.try_next().await? {
            if count == 0
                && let Ok(value) = row.try_get_raw(0)
                && !value.is_null()
            {
                first = value.as_str().ok().map(str::to_owned);
            }
            count += 1;
        }
        Ok((count, first))
    }

    /// Begins a `COPY … FROM stdin`.
    ///
    /// # Errors
    /// When the server refuses, or the connection is lost.
    pub async fn copy(&mut self, statement: &str) -> Result<CopyIn<'_>, TargetError> {
        let begun = self.connection.copy_in_raw(statement).await;
        begun.map(CopyIn).map_err(|error| TargetError::from(error).before_rows())
    }

    /// Ends every other session of this login that calls itself `application`,
    /// whatever it does, and waits until they are gone; returns how many were left.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn end_others(&mut self, application: &str) -> Result<i64, TargetError> {
        const ENDING: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE application_name = $1 AND usename = session_user AND pid <> pg_backend_pid()";
        let mut left = 0;
        for _ in 0..100 {
            left = sqlx::query_scalar(ENDING)
                .bind(application)
                .fetch_one(&mut self.connection)
                .await?;
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(left)
    }

    /// Says goodbye.
    pub async fn close(self) {
        // The server ends a session without a goodbye as well.
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.connection.close()).await;
    }
}

/// A COPY that takes rows.
pub struct CopyIn<'a>(PgCopyIn<&'a mut PgConnection>);

impl std::fmt::Debug for CopyIn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CopyIn(..)")
    }
}

impl CopyIn<'_> {
    /// Hands on rows, cut anywhere.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, rows: &[u8]) -> Result<(), TargetError> {
        self.0.send(rows).await?;
        Ok(())
    }

    /// Ends it; returns how many rows the server took.
    ///
    /// # Errors
    /// When the server did not take them all.
    pub async fn finish(self) -> Result<u64, TargetError> {
        Ok(self.0.finish().await?)
    }

    /// Gives it up: nothing of it stays.
    pub async fn abort(self) {
        // Its error is the one that we asked for.
        let _ = self.0.abort("the archive's member is damaged").await;
    }
}
