//! A connection URL, read as libpq reads it.
//!
//! The general URL grammar differs from libpq's in just the places that matter
//! here: a `#` or `?` in a password is data to libpq. Hence a parser of our
//! own, after libpq's rules.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    tls::{Tls, TlsError},
    url_parts::Parts,
};

/// Where the source is and how to get in. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct ConnectionUrl {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<SecretString>,
    pub(super) database: String,
    pub(super) tls: Tls,
    pub(super) application_name: String,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) options: Vec<(String, String)>,
    pub(super) wanted: Wanted,
}

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name or an IP address, without brackets.
    Network(String),
    /// The directory that holds the server's socket.
    Socket(String),
}

/// `target_session_attrs`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    Writable,
    ReadOnly,
}

/// A URL cannot be used. No variant holds a value of it: what looks like a host
/// may be the rest of a password.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("read the database URL: it must begin with postgres:// or postgresql://")]
    Scheme,
    /// Quotes that a shell would have taken away, and an env file does not.
    #[error(
        "read the database URL: it begins with a quote; write it without, since nothing takes it away (Docker's env files, for one, keep quotes)"
    )]
    Quoted,
    /// A percent sign without two hexadecimal digits, or bytes that are no UTF-8.
    #[error(
        "read the database URL: its {0} is not percent-encoded properly; write a percent sign as %25"
    )]
    Encoding(&'static str),
    /// There is no host.
    #[error(
        "read the database URL: it names no host; write it after the @, or for a local socket add ?host=/var/run/postgresql"
    )]
    NoHost,
    /// The host holds characters that no host has.
    #[error(
        "read the database URL: its host holds characters that no host name has; in user and password write @ as %40, / as %2F, : as %3A"
    )]
    Host,
    /// Several hosts.
    #[error(
        "read the database URL: it lists several hosts; name one, so that lock, snapshot and dump meet the same server"
    )]
    SeveralHosts,
    /// The port is no number from 1 to 65535.
    #[error(
        "read the database URL: its port is not a number from 1 to 65535; if the password holds / or :, write them as %2F and %3A"
    )]
    Port,
    /// There is no user, and the operating system knows no name for us.
    #[error("read the database URL: it names no user")]
    NoUser,
    /// A query parameter without `=`, or with two.
    #[error("read the database URL: a parameter after the ? is not written name=value")]
    Parameter,
    /// A parameter that Reliquary does not know.
    #[error("read the database URL: its parameter {0} is not supported; remove it")]
    UnknownParameter(String),
    /// A parameter's value makes no sense.
    #[error("read the database URL: its parameter {name} must be {must_be}")]
    Value {
        /// The parameter's name.
        name: &'static str,
        /// What it may be.
        must_be: &'static str,
    },
    /// The TLS parameters cannot be honoured by both ends.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ConnectionUrl {
    /// The password, where there is one.
    #[must_use]
    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// Reads a `postgres://` or `postgresql://` URL.
    ///
    /// # Errors
    /// When it cannot be read, or asks for what sqlx or libpq cannot keep.
    pub fn parse(url: &SecretString) -> Result<Self, UrlError> {
        Parts::read(url.expose_secret())?.into_url()
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The role's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Where the server is, as `host:port` or the socket's directory, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.host {
            Host::Network(host) if host.contains(':') => format!("[{host}]:{}", self.port),
            Host::Network(host) => format!("{host}:{}", self.port),
            Host::Socket(dir) => format!("{dir}/.s.PGSQL.{}", self.port),
        }
    }

    /// Whether both lead to one database, as far as their text tells: a server may
    /// have many names.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.address().eq_ignore_ascii_case(&other.address()) && self.database == other.database
    }

    /// The same server and role, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same, under another name in the server's list of sessions.
    #[must_use]
    pub fn with_application(&self, name: &str) -> Self {
        Self { application_name: name.to_owned(), ..self.clone() }
    }

    /// Its name in the server's list of sessions.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application_name
    }

    /// Whether a password was given with it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The same with a password, where it holds none.
    #[must_use]
    pub fn or_password(mut self, password: Option<SecretString>) -> Self {
        self.password = self.password.or(password);
        self
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionUrl(..)")
    }
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
