//! What `sslmode` and its companions mean, so that sqlx and libpq agree.
//!
//! libpq is the measure. sqlx verifies less in three places, and each is closed
//! here rather than left open:
//! - it ignores `sslrootcert` under `sslmode=require`, where libpq verifies;
//! - its `verify-ca` trusts the public web roots *besides* the file, without
//!   looking at the host name, so that anyone with any web certificate passes;
//! - it knows no channel binding and no revocation lists.
//!
//! Therefore every mode that verifies at all verifies the host name too, in
//! both. What remains: sqlx adds the file to the public web roots and cannot be
//! told to trust it alone, so a web authority that wrongly certified the
//! database's own host name would be believed by our session, though not by
//! `pg_dump`, which then fails.

use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// How the connection is guarded; what both ends are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// No TLS.
    Off,
    /// Plain first, TLS where the server insists.
    Allow,
    /// TLS first, plain where the server has none.
    Prefer(Option<ClientCert>),
    /// TLS with whoever answers.
    Require(Option<ClientCert>),
    /// TLS with a server that proves its host name.
    Full {
        /// Whom to believe.
        roots: Roots,
        /// What we show.
        client: Option<ClientCert>,
    },
}

/// Authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// `sslrootcert=system`: the public web's.
    System,
    /// A PEM file.
    File(PathBuf),
}

/// `sslcert` and `sslkey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientCert {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// The parameters as they were written.
#[derive(Default)]
pub(super) struct TlsParameters {
    pub(super) mode: Option<String>,
    pub(super) root: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) channel_binding: Option<String>,
}

/// TLS cannot be had as the URL asks.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `sslmode` is none that exists.
    #[error(
        "read the database URL: sslmode must be disable, allow, prefer, require, verify-ca or verify-full"
    )]
    Mode,
    /// `channel_binding` is none that exists.
    #[error("read the database URL: channel_binding must be disable or prefer")]
    ChannelBinding,
    /// `channel_binding=require` cannot be kept.
    #[error(
        "read the database URL: channel_binding=require cannot be kept by Reliquary's own session; verify the server instead: sslmode=verify-full&sslrootcert=system (or the provider's CA file), and remove channel_binding"
    )]
    ChannelBindingRequired,
    /// A mode that verifies, without an authority.
    #[error(
        "read the database URL: sslmode=verify-ca and verify-full need sslrootcert: the provider's CA file, or system for the public web's authorities"
    )]
    NoRoots,
    /// An authority, with a mode that may fall back to no TLS at all.
    #[error(
        "read the database URL: sslrootcert protects nothing with sslmode disable, allow or prefer, which fall back to no TLS; write sslmode=verify-full"
    )]
    RootsUnused,
    /// `sslrootcert=system` with a mode that does not look at the host name.
    #[error(
        "read the database URL: sslrootcert=system needs sslmode=verify-full: with any other, every site of the web could pose as the database"
    )]
    SystemRoots,
    /// One of the pair is missing.
    #[error("read the database URL: sslcert and sslkey must be given together")]
    HalfClientCert,
    /// A file cannot be read.
    #[error("read the file of {parameter}: {source}")]
    File {
        /// The URL's parameter that names it.
        parameter: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// No bundle of public authorities for an old libpq.
    #[error(
        "find the system's certificate authorities for sslrootcert=system: install the package ca-certificates, or name a CA file"
    )]
    NoBundle,
    /// A variable of our environment would change what the URL means.
    #[error(
        "connect with what the URL says: the environment variable {0} would change it; unset it, and write what it says into the URL"
    )]
    Environment(&'static str),
}

/// Read by sqlx from our own environment, with no way to take them back.
const INTRUDERS: [&str; 3] = ["PGSSLCERT", "PGSSLKEY", "PGOPTIONS"];

/// Where distributions keep the public authorities.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl TlsParameters {
    /// Judges the parameters together; `socket` for a local socket, where libpq uses no TLS.
    pub(super) fn read(self, socket: bool) -> Result<Tls, TlsError> {
        match self.channel_binding.as_deref() {
            None | Some("disable" | "prefer") => {}
            Some("require") => return Err(TlsError::ChannelBindingRequired),
            Some(_) => return Err(TlsError::ChannelBinding),
        }
        let client = match (self.cert, self.key) {
            (Some(cert), Some(key)) => Some(ClientCert { cert, key }),
            (None, None) => None,
            _ => return Err(TlsError::HalfClientCert),
        };
        let roots = self.root.map(|root| {
            if root.as_os_str() == "system" { Roots::System } else { Roots::File(root) }
        });
        let tls = match (self.mode.as_deref(), roots) {
            (None | Some("verify-full"), Some(Roots::System)) => {
                Tls::Full { roots: Roots::System, client }
            }
            (
                Some("disable" | "allow" | "prefer" | "require" | "verify-ca"),
                Some(Roots::System),
            ) => return Err(TlsError::SystemRoots),
            (Some("require" | "verify-ca" | "verify-full"), Some(roots)) => {
                Tls::Full { roots, client }
            }
            (Some("verify-ca" | "verify-full"), None) => return Err(TlsError::NoRoots),
            (Some("require"), None) => Tls::Require(client),
            (None | Some("disable" | "allow" | "prefer"), Some(_)) => {
                return Err(TlsError::RootsUnused);
            }
            (None | Some("prefer"), None) => Tls::Prefer(client),
            (Some("allow"), None) => Tls::Allow,
            (Some("disable"), None) => Tls::Off,
            (Some(_), _) => return Err(TlsError::Mode),
        };
        Ok(if socket { Tls::Off } else { tls })
    }
}

impl Tls {
    /// What sqlx is told, in the order it is tried. libpq goes on to the next
    /// where the server refuses TLS, or refuses its absence.
    pub(super) fn sqlx(
        &self,
        options: &PgConnectOptions,
    ) -> Result<Vec<PgConnectOptions>, TlsError> {
        if let Some(name) = INTRUDERS.into_iter().find(|name| std::env::var_os(name).is_some()) {
            return Err(TlsError::Environment(name));
        }
        // Stands in for the PGSSLROOTCERT of our environment, which sqlx has read.
        let options = options.clone().ssl_root_cert_from_pem(Vec::new());
        let mode = |options: &PgConnectOptions, mode| options.clone().ssl_mode(mode);
        Ok(match self {
            Self::Off => vec![mode(&options, PgSslMode::Disable)],
            Self::Allow => {
                vec![mode(&options, PgSslMode::Disable), mode(&options, PgSslMode::Require)]
            }
            Self::Prefer(client) => {
                let options = show(options, client.as_ref())?;
                vec![mode(&options, PgSslMode::Prefer), mode(&options, PgSslMode::Disable)]
            }
            Self::Require(client) => {
                vec![mode(&show(options, client.as_ref())?, PgSslMode::Require)]
            }
            Self::Full { roots, client } => {
                let mut options = show(options, client.as_ref())?;
                if let Roots::File(path) = roots {
                    options = options.ssl_root_cert_from_pem(read("sslrootcert", path)?);
                }
                vec![mode(&options, PgSslMode::VerifyFull)]
            }
        })
    }

    /// What libpq is told, as environment variables. `major` is the client
    /// program's: `system` is known from 16 on.
    pub(super) fn libpq(&self, major: u32) -> Result<Vec<(&'static str, PathBuf)>, TlsError> {
        let (mode, roots, client) = match self {
            Self::Off => ("disable", None, None),
            Self::Allow => ("allow", None, None),
            Self::Prefer(client) => ("prefer", None, client.as_ref()),
            Self::Require(client) => ("require", None, client.as_ref()),
            Self::Full { roots, client } => ("verify-full", Some(roots), client.as_ref()),
        };
        let root = match roots {
            None => None,
            Some(Roots::File(path)) => Some(path.clone()),
            Some(Roots::System) => match bundle() {
                Some(path) => Some(path),
                None if major >= 16 => Some(PathBuf::from("system")),
                None => return Err(TlsError::NoBundle),
            },
        };
        // A file that is not there keeps libpq from the ones under ~/.postgresql.
        let or_none = |path: Option<PathBuf>| path.unwrap_or_else(|| PathBuf::from(NO_FILE));
        Ok(vec![
            ("PGSSLMODE", PathBuf::from(mode)),
            ("PGSSLROOTCERT", or_none(root)),
            ("PGSSLCERT", or_none(client.map(|client| client.cert.clone()))),
            ("PGSSLKEY", or_none(client.map(|client| client.key.clone()))),
            ("PGSSLCRL", or_none(None)),
        ])
    }
}

/// A path at which there is nothing.
pub(super) const NO_FILE: &str = "/nonexistent/reliquary";

fn bundle() -> Option<PathBuf> {
    BUNDLES.into_iter().map(PathBuf::from).find(|path| path.is_file())
}

fn show(
    options: PgConnectOptions,
    client: Option<&ClientCert>,
) -> Result<PgConnectOptions, TlsError> {
    let Some(client) = client else {
        return Ok(options);
    };
    Ok(options
        .ssl_client_cert_from_pem(read("sslcert", &client.cert)?)
        .ssl_client_key_from_pem(read("sslkey", &client.key)?))
}

fn read(parameter: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { parameter, source })
}
