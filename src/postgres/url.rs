//! A connection URL, read as libpq reads it.
//!
//! The general URL grammar differs from libpq's in just the places that matter
//! here: a `#` or `?` in a password is data to libpq. Hence a parser of our
//! own, after libpq's rules.

use std::{fmt, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::tls::{Tls, TlsError, TlsParameters};

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

/// Parameters that say something to a connection pool or an ORM, not to a
/// session; and TCP keepalives, which we set ourselves.
const IGNORED: &[&str] = &[
    "pgbouncer",
    "schema",
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
];

impl ConnectionUrl {
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

/// What the URL says, decoded, before it is judged.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<SecretString>,
    database: Option<String>,
    tls: TlsParameters,
    application_name: Option<String>,
    connect_timeout: Option<String>,
    options: Option<String>,
    wanted: Option<String>,
}

impl Parts {
    /// libpq's `conninfo_uri_parse_options`: credentials end at the first `@`
    /// before a slash, a host at the first `:`, `/` or `?`.
    fn read(url: &str) -> Result<Self, UrlError> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or(UrlError::Scheme)?;
        let mut parts = Self::default();
        let rest = match rest.find(['@', '/']) {
            Some(at) if rest[at..].starts_with('@') => {
                let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
                parts.user = filled(decode(user, "user")?);
                parts.password = filled(decode(password, "password")?).map(SecretString::from);
                &rest[at + 1..]
            }
            _ => rest,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, rest) = rest.split_at(end);
        let (host, port) = split_place(place)?;
        parts.host = filled(decode(host, "host")?);
        parts.port = filled(decode(port, "port")?);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let database = path.strip_prefix('/').unwrap_or(path);
        // The rest of a password with @ and / in it, which libpq would take for
        // a host and a database and print.
        if database.contains('@') {
            return Err(UrlError::Host);
        }
        parts.database = filled(decode(database, "database name")?);
        for pair in query.unwrap_or_default().split('&') {
            if !pair.is_empty() {
                parts.set(pair)?;
            }
        }
        Ok(parts)
    }

    fn set(&mut self, pair: &str) -> Result<(), UrlError> {
        let (name, value) = pair.split_once('=').ok_or(UrlError::Parameter)?;
        if value.contains('=') {
            return Err(UrlError::Parameter);
        }
        let name = decode(name, "query")?;
        let value = filled(decode(value, "query")?);
        match name.as_str() {
            "host" => self.host = value,
            "port" => self.port = value,
            "user" => self.user = value,
            "password" => self.password = value.map(SecretString::from),
            "dbname" => self.database = value,
            "application_name" => self.application_name = value,
            "connect_timeout" => self.connect_timeout = value,
            "options" => self.options = value,
            "target_session_attrs" => self.wanted = value,
            "sslmode" => self.tls.mode = value,
            // libpq's courtesy to JDBC.
            "ssl" if value.as_deref() == Some("true") => self.tls.mode = Some("require".into()),
            "ssl" => {
                return Err(UrlError::Value {
                    name: "ssl",
                    must_be: "true; say what you mean with sslmode",
                });
            }
            "sslrootcert" => self.tls.root = value.map(PathBuf::from),
            "sslcert" => self.tls.cert = value.map(PathBuf::from),
            "sslkey" => self.tls.key = value.map(PathBuf::from),
            "channel_binding" => self.tls.channel_binding = value,
            known if IGNORED.contains(&known) => {}
            _ => return Err(UrlError::UnknownParameter(printable(&name))),
        }
        Ok(())
    }

    fn into_url(self) -> Result<ConnectionUrl, UrlError> {
        let host = read_host(&self.host.ok_or(UrlError::NoHost)?)?;
        let port = match self.port {
            None => 5432,
            Some(port) if port.contains(',') => return Err(UrlError::SeveralHosts),
            Some(port) => match port.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(UrlError::Port),
            },
        };
        let user = match self.user {
            Some(user) => user,
            // As libpq: whoever we are for the operating system.
            None => nix::unistd::User::from_uid(nix::unistd::geteuid())
                .ok()
                .flatten()
                .map(|user| user.name)
                .ok_or(UrlError::NoUser)?,
        };
        let tls = self.tls.read(matches!(host, Host::Socket(_)))?;
        Ok(ConnectionUrl {
            database: self.database.unwrap_or_else(|| user.clone()),
            application_name: self.application_name.unwrap_or_else(|| "reliquary".to_owned()),
            connect_timeout: self.connect_timeout.map(|t| read_timeout(&t)).transpose()?.flatten(),
            options: read_options(self.options.as_deref().unwrap_or_default())?,
            wanted: read_wanted(self.wanted.as_deref())?,
            password: self.password,
            host,
            port,
            user,
            tls,
        })
    }
}

/// Splits `host:port`, where host may be an IPv6 address in brackets.
fn split_place(place: &str) -> Result<(&str, &str), UrlError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if rest.is_empty() => Ok((host, "")),
            None if rest.starts_with(',') => Err(UrlError::SeveralHosts),
            None => Err(UrlError::Host),
        };
    }
    if place.contains(',') {
        return Err(UrlError::SeveralHosts);
    }
    Ok(place.split_once(':').unwrap_or((place, "")))
}

fn read_host(host: &str) -> Result<Host, UrlError> {
    if host.contains(',') {
        return Err(UrlError::SeveralHosts);
    }
    if host.starts_with('/') {
        return Ok(Host::Socket(host.to_owned()));
    }
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.chars().all(allowed) { Ok(Host::Network(host.to_owned())) } else { Err(UrlError::Host) }
}

fn read_timeout(text: &str) -> Result<Option<Duration>, UrlError> {
    let seconds: i64 = text
        .trim()
        .parse()
        .map_err(|_| UrlError::Value { name: "connect_timeout", must_be: "a number of seconds" })?;
    // As libpq: zero and less mean no limit; one second is read as two.
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.max(2))))
}

fn read_wanted(text: Option<&str>) -> Result<Wanted, UrlError> {
    match text {
        None | Some("any" | "prefer-standby") => Ok(Wanted::Any),
        Some("read-write" | "primary") => Ok(Wanted::Writable),
        Some("read-only" | "standby") => Ok(Wanted::ReadOnly),
        Some(_) => Err(UrlError::Value {
            name: "target_session_attrs",
            must_be: "any, read-write, read-only, primary, standby or prefer-standby",
        }),
    }
}

/// Reads `-c name=value` and `--name=value`; sqlx can say nothing else.
fn read_options(text: &str) -> Result<Vec<(String, String)>, UrlError> {
    let wrong = || UrlError::Value {
        name: "options",
        must_be: "a list of settings, each written -c name=value",
    };
    let mut words = split_words(text).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or_else(wrong)?
        } else if let Some(setting) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            setting.to_owned()
        } else {
            return Err(wrong());
        };
        let (name, value) = setting.split_once('=').ok_or_else(wrong)?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

/// Splits at spaces; a backslash takes the next character as it is.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn decode(text: &str, part: &'static str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let code = tail
                .get(..2)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .filter(|code| *code != 0)
                .ok_or(UrlError::Encoding(part))?;
            bytes.push(code);
            rest = &tail[2..];
        } else if byte == 0 {
            return Err(UrlError::Encoding(part));
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Encoding(part))
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A parameter's name that may be shown. What is no plain word is not a name
/// but perhaps the rest of a password with a `?` in it.
fn printable(name: &str) -> String {
    let word = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if word { name.to_owned() } else { "(not shown: it is no plain word)".to_owned() }
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
