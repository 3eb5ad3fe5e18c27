//! Where a restore goes, as a person says it.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use secrecy::{ExposeSecret as _, SecretString};

use super::super::Misused;
use crate::postgres::ConnectionUrl;

/// What `--to` says where SQL is written instead.
pub(super) const STDOUT: &str = "-";

/// Reads `--to` and `--to-env`: a URL, `env:NAME`, or `file:PATH`. A password
/// that the URL lacks is looked for where `psql` would look for it.
pub(super) fn url(to: Option<&str>, to_env: Option<&str>) -> Result<ConnectionUrl> {
    let url = match (to, to_env) {
        (Some(to), None) => match (to.strip_prefix("env:"), to.strip_prefix("file:")) {
            (Some(name), _) => variable(name)?,
            (_, Some(path)) => file(path)?,
            _ => {
                let url = parse(&SecretString::from(to))?;
                if url.has_password() {
                    tracing::warn!(
                        "the target's password stands in the arguments, where every user of this \
                         machine can read it; give the URL as --to env:NAME or --to file:PATH, or \
                         the password in PGPASSWORD"
                    );
                }
                return Ok(with_password(url));
            }
        },
        (None, Some(name)) => variable(name)?,
        _ => bail!(Misused("say where it goes: --to URL, --to env:NAME, or --to -".to_owned())),
    };
    Ok(with_password(parse(&url)?))
}

fn variable(name: &str) -> Result<SecretString> {
    match env::var(name) {
        Ok(value) => Ok(value.trim().into()),
        Err(_) => bail!(Misused(format!("the environment variable {name} holds no URL"))),
    }
}

fn file(path: &str) -> Result<SecretString> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    Ok(text.trim().into())
}

fn parse(url: &SecretString) -> Result<ConnectionUrl> {
    ConnectionUrl::parse(url).map_err(|error| {
        let message = error.to_string();
        let what = message.strip_prefix("read the database URL: ").unwrap_or(&message);
        let hint = if url.expose_secret().contains("://") {
            ""
        } else {
            "; env:NAME and file:PATH name where it stands, and `--to - >FILE` writes SQL instead"
        };
        Misused(format!("the target's URL: {what}{hint}")).into()
    })
}

fn with_password(url: ConnectionUrl) -> ConnectionUrl {
    if url.has_password() {
        return url;
    }
    let given = env::var("PGPASSWORD").ok().filter(|password| !password.is_empty());
    let password = given.map(SecretString::from).or_else(|| {
        let file = env::var_os("PGPASSFILE").map(PathBuf::from);
        let file =
            file.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass")));
        url.password_from(&file?)
    });
    url.or_password(password)
}
