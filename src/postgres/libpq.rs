//! A connection URL as sqlx's options and as libpq's environment.
//!
//! Everything travels to a child in its environment: its arguments are visible
//! to every user of the machine, its environment only to ours.

use std::{ffi::OsString, path::Path};

use secrecy::ExposeSecret;
use sqlx::{ConnectOptions, postgres::PgConnectOptions};

use super::{
    tls::{NO_FILE, TlsError},
    url::{ConnectionUrl, Host},
};
use crate::process::Program;

/// Seconds that a child may take to connect where the URL says nothing.
const CONNECT_TIMEOUT: u64 = 30;

/// TCP keepalives of a child, as a connection string without a secret. There
/// are no environment variables for them. A dead peer is noticed in about
/// 90 s instead of two hours.
pub(super) const KEEPALIVES: &str =
    "keepalives=1 keepalives_idle=30 keepalives_interval=10 keepalives_count=6";

impl ConnectionUrl {
    /// What sqlx is told; where there are several, the next is tried when the
    /// server refuses TLS, or its absence, as libpq does for `prefer` and `allow`.
    ///
    /// # Errors
    /// When a certificate cannot be read or our environment would interfere.
    pub fn sqlx(&self) -> Result<Vec<PgConnectOptions>, TlsError> {
        // sqlx reads PG* variables of our environment here; each that it reads
        // is set again below, or refused by `Tls::sqlx`.
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(self.port)
            .username(&self.user)
            .password(self.password.as_ref().map_or("", ExposeSecret::expose_secret))
            .database(&self.database)
            .application_name(&self.application_name)
            // Poolers refuse startup parameters that they do not know.
            .extra_float_digits(None)
            .disable_statement_logging();
        options = match &self.host {
            Host::Network(host) => options.host(host),
            Host::Socket(dir) => options.host("localhost").socket(dir),
        };
        if !self.options.is_empty() {
            options = options.options(self.options.iter().map(|(name, value)| (name, value)));
        }
        self.tls.sqlx(&options)
    }

    /// The environment that makes libpq connect the same way; `major` is the
    /// client program's.
    ///
    /// # Errors
    /// When the system's certificate authorities are asked for and not found.
    pub fn libpq(&self, major: u32) -> Result<Vec<(&'static str, OsString)>, TlsError> {
        let host = match &self.host {
            Host::Network(host) => host,
            Host::Socket(dir) => dir,
        };
        let timeout = self.connect_timeout.map_or(CONNECT_TIMEOUT, |timeout| timeout.as_secs());
        let mut env: Vec<(&'static str, OsString)> = vec![
            ("PGHOST", host.into()),
            ("PGPORT", self.port.to_string().into()),
            ("PGUSER", (&self.user).into()),
            ("PGDATABASE", (&self.database).into()),
            ("PGAPPNAME", (&self.application_name).into()),
            ("PGCONNECT_TIMEOUT", timeout.to_string().into()),
            ("PGGSSENCMODE", "disable".into()),
            // Neither ~/.pgpass nor ~/.postgresql may change what the URL says.
            ("PGPASSFILE", NO_FILE.into()),
            ("HOME", "/nonexistent".into()),
        ];
        if let Some(password) = &self.password {
            env.push(("PGPASSWORD", password.expose_secret().into()));
        }
        if !self.options.is_empty() {
            let settings: Vec<String> = self
                .options
                .iter()
                .map(|(name, value)| format!("-c {}", escape(&format!("{name}={value}"))))
                .collect();
            env.push(("PGOPTIONS", settings.join(" ").into()));
        }
        for (name, value) in self.tls.libpq(major)? {
            env.push((name, value.into_os_string()));
        }
        Ok(env)
    }

    /// A client program of PostgreSQL, told where to connect. Only what is no
    /// secret may be added to its arguments.
    ///
    /// # Errors
    /// As [`ConnectionUrl::libpq`].
    pub fn program(&self, path: &Path, major: u32) -> Result<Program, TlsError> {
        Ok(self
            .libpq(major)?
            .into_iter()
            .fold(Program::new(path), |program, (name, value)| program.env(name, value)))
    }
}

/// The server splits options at spaces; a backslash keeps the next character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' || c.is_ascii_whitespace() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn env(url: &str) -> Vec<(&'static str, String)> {
        ConnectionUrl::parse(&SecretString::from(url))
            .unwrap()
            .libpq(15)
            .unwrap()
            .into_iter()
            .map(|(name, value)| (name, value.into_string().unwrap()))
            .collect()
    }

    fn get(env: &[(&str, String)], name: &str) -> Option<String> {
        env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone())
    }

    #[test]
    fn libpq_is_told_everything_and_nothing_of_the_home_directory() {
        let env = env("postgres://u:p%20w@db:6000/d?sslmode=require&options=-c%20geqo%3Da%5C%20b");
        for (name, value) in [
            ("PGHOST", "db"),
            ("PGPORT", "6000"),
            ("PGUSER", "u"),
            ("PGPASSWORD", "p w"),
            ("PGDATABASE", "d"),
            ("PGSSLMODE", "require"),
            ("PGAPPNAME", "reliquary"),
            ("PGOPTIONS", "-c geqo=a\\ b"),
            ("HOME", "/nonexistent"),
            ("PGPASSFILE", NO_FILE),
            ("PGSSLROOTCERT", NO_FILE),
            ("PGSSLCERT", NO_FILE),
        ] {
            assert_eq!(get(&env, name).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn an_empty_password_leaves_the_variable_away() {
        assert_eq!(get(&env("postgres://u@db/d"), "PGPASSWORD"), None);
    }

    #[test]
    fn sqlx_and_libpq_get_the_same_options() {
        let url = "postgres://u@db/d?options=-c%20a%3D1%20--b%3Dx%5C%20y";
        let parsed = ConnectionUrl::parse(&SecretString::from(url)).unwrap();
        let sqlx = parsed.sqlx().unwrap();
        assert_eq!(sqlx[0].get_options(), get(&env(url), "PGOPTIONS").as_deref());
    }
}
