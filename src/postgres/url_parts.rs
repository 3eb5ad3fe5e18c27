//! The grammar of libpq's connection URLs.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    tls::TlsParameters,
    url::{ConnectionUrl, Host, UrlError, Wanted},
};

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

/// What the URL says, decoded, before it is judged.
#[derive(Default)]
pub(super) struct Parts {
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
    pub(super) fn read(url: &str) -> Result<Self, UrlError> {
        let rest =
            url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")).ok_or(
                if url.starts_with(['"', '\'']) { UrlError::Quoted } else { UrlError::Scheme },
            )?;
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

    pub(super) fn into_url(self) -> Result<ConnectionUrl, UrlError> {
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
