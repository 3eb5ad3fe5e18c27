//! Why a session could not be had or was lost, in plain words.

use std::{io, time::Duration};

use sqlx::{Connection, PgConnection};

use super::{
    tls::TlsError,
    url::{ConnectionUrl, Host},
};

/// There is no session, or it can do no more.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// TLS cannot be had as the URL asks.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The host's name leads nowhere.
    #[error(
        "connect to {address}: the host name is not known: {source}; check its spelling and DNS"
    )]
    UnknownHost {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error(
        "connect to {address}: {source}; check that the server runs, the port, and what stands between (firewall, allowed networks)"
    )]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("connect to {address}: no answer within {} s", .after.as_secs())]
    TimedOut {
        /// Host and port.
        address: String,
        /// The deadline.
        after: Duration,
    },
    /// The server has no TLS, and the URL insists.
    #[error(
        "connect to {address}: the server offers no TLS, which sslmode asks for; switch TLS on there, or where the path is trusted write sslmode=disable"
    )]
    NoTls {
        /// Host and port.
        address: String,
    },
    /// The server's certificate was not believed, or the handshake broke.
    #[error(
        "connect to {address}: TLS failed: {reason}; check that sslrootcert is the CA that signed the server's certificate and that the certificate names this host (subjectAltName)"
    )]
    TlsFailed {
        /// Host and port.
        address: String,
        /// What rustls says.
        reason: String,
    },
    /// The password is wrong.
    #[error("connect to {address}: the password of user {user} is wrong{}", no_password(*.given))]
    Password {
        /// Host and port.
        address: String,
        /// The role.
        user: String,
        /// Whether the URL holds a password at all.
        given: bool,
    },
    /// There is no such database.
    #[error("connect to {address}: there is no database {database}; check the end of the URL")]
    NoDatabase {
        /// Host and port.
        address: String,
        /// The name.
        database: String,
    },
    /// A name, as an `SQL_ASCII` database takes any bytes for one.
    #[error(
        "{doing}: a name in the database is not UTF-8, and so cannot be written down; find it with \
         \"SET client_encoding = 'SQL_ASCII'; SELECT oid::regclass FROM pg_class\" and rename it"
    )]
    NotUnicode {
        /// What was tried.
        doing: &'static str,
    },
    /// The database is half dropped.
    #[error(
        "connect to {address}: database {database} is being dropped: an interrupted DROP DATABASE left it unusable (datconnlimit = -2); finish the drop and point the URL at the right database"
    )]
    BeingDropped {
        /// Host and port.
        address: String,
        /// The name.
        database: String,
    },
    /// The server refuses for another reason.
    #[error("connect to {address}: the server refuses: {message} (SQLSTATE {code})")]
    Rejected {
        /// Host and port.
        address: String,
        /// What it says.
        message: String,
        /// The error's class.
        code: String,
    },
    /// A pooler that hands every transaction to another session.
    #[error(
        "hold a session on {address}: {reason}; a dump needs one session for its whole length: use the direct connection or a session pooler (Supabase: port 5432; Neon: the host name without -pooler; PgBouncer: pool_mode = session)"
    )]
    Pooler {
        /// Host and port.
        address: String,
        /// How it shows.
        reason: String,
    },
    /// `target_session_attrs` asks for another kind of server.
    #[error(
        "connect to {address}: the server is not {wanted}, which target_session_attrs asks for"
    )]
    WrongKind {
        /// Host and port.
        address: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The session is gone.
    #[error("{doing}: the connection to the database was lost: {reason}")]
    Lost {
        /// What was being done.
        doing: &'static str,
        /// Why.
        reason: String,
    },
    /// Somebody holds a table.
    #[error("{doing}: a table is locked{}", blockers(.holders))]
    Locked {
        /// What was being done.
        doing: &'static str,
        /// Which table, by whom; empty where that could not be learnt.
        holders: Vec<String>,
    },
    /// A query failed.
    #[error("{doing}: {source}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: sqlx::Error,
    },
}

fn no_password(given: bool) -> &'static str {
    if given { "" } else { ": the URL holds none, and ~/.pgpass is not read" }
}

fn blockers(holders: &[String]) -> String {
    if holders.is_empty() {
        " by DDL that has not ended".to_owned()
    } else {
        format!(": {}", holders.join("; "))
    }
}

impl SessionError {
    /// Whether the same may succeed a little later with nothing mended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::UnknownHost { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::WrongKind { .. }
            | Self::Lost { .. }
            | Self::Locked { .. } => true,
            Self::Rejected { code, .. } => is_transient_code(code),
            Self::Query { source, .. } => {
                code_of(source).is_some_and(|code| is_transient_code(&code))
            }
            _ => false,
        }
    }
}

/// Turns an error of a query into ours.
pub(super) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> SessionError {
    move |source| match &source {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => {
            SessionError::Lost { doing, reason: source.to_string() }
        }
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("55P03") => SessionError::Locked { doing, holders: Vec::new() },
            Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04") => {
                SessionError::Lost { doing, reason: error.message().to_owned() }
            }
            Some("22021" | "22P05") => SessionError::NotUnicode { doing },
            _ => SessionError::Query { doing, source },
        },
        _ => SessionError::Query { doing, source },
    }
}

/// Connects, falling back as libpq does for `prefer` and `allow`.
pub(super) async fn connect(
    url: &ConnectionUrl,
    deadline: Duration,
) -> Result<PgConnection, SessionError> {
    let deadline = url.connect_timeout.map_or(deadline, |own| own.min(deadline));
    let attempt = async {
        let mut attempts = url.sqlx()?.into_iter().peekable();
        let mut first = None;
        while let Some(options) = attempts.next() {
            match PgConnection::connect_with(&options).await {
                Ok(connection) => return Ok(connection),
                Err(error) if attempts.peek().is_some() && another_guard_may_do(&error) => {
                    first = Some(error);
                }
                // The first way is the one that was asked for; its error says more.
                Err(error) => return Err(explain(url, first.unwrap_or(error))),
            }
        }
        Err(SessionError::NoTls { address: url.address() })
    };
    tokio::time::timeout(deadline, attempt)
        .await
        .unwrap_or_else(|_| Err(SessionError::TimedOut { address: url.address(), after: deadline }))
}

fn another_guard_may_do(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        error => code_of(error).as_deref() == Some("28000"),
    }
}

fn explain(url: &ConnectionUrl, error: sqlx::Error) -> SessionError {
    let address = url.address();
    match error {
        sqlx::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            SessionError::TlsFailed { address, reason: source.to_string() }
        }
        sqlx::Error::Io(source) if is_lookup(url, &source) => {
            SessionError::UnknownHost { address, source }
        }
        sqlx::Error::Io(source) => SessionError::Unreachable { address, source },
        sqlx::Error::Tls(error) if error.to_string().contains("does not support TLS") => {
            SessionError::NoTls { address }
        }
        sqlx::Error::Tls(error) => SessionError::TlsFailed { address, reason: error.to_string() },
        sqlx::Error::Database(error) => {
            let message = error.message().to_owned();
            match error.code().as_deref().unwrap_or_default() {
                "28P01" => SessionError::Password {
                    address,
                    user: url.user.clone(),
                    given: url.password.is_some(),
                },
                "3D000" => SessionError::NoDatabase { address, database: url.database.clone() },
                "55000" if message.contains("invalid database") => {
                    SessionError::BeingDropped { address, database: url.database.clone() }
                }
                code => SessionError::Rejected { address, message, code: code.to_owned() },
            }
        }
        // sqlx would show the password's offending character.
        sqlx::Error::Configuration(error) if error.to_string().contains("saslprep") => {
            SessionError::Rejected {
                address,
                message: "the password holds characters that SCRAM does not allow".to_owned(),
                code: "28P01".to_owned(),
            }
        }
        source => SessionError::Query { doing: "connect to the database", source },
    }
}

/// The standard library keeps the resolver's errors without a kind of their own.
fn is_lookup(url: &ConnectionUrl, error: &io::Error) -> bool {
    matches!(url.host, Host::Network(_)) && error.to_string().contains("lookup address")
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Connection trouble, exhausted resources, serialization, cancelled by a
/// timeout or an operator, snapshot too old.
fn is_transient_code(code: &str) -> bool {
    ["08", "53", "40", "57", "72"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}
