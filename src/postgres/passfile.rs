//! The password of a target from where `psql` users keep theirs.
//!
//! A target's URL is typed by a person at that moment, unlike the source's,
//! which is the whole truth about its connection: so the two usual places
//! outside of the URL are read for it, and only for it.

use std::path::Path;

use secrecy::SecretString;

use super::url::{ConnectionUrl, Host};

impl ConnectionUrl {
    /// The password that a password file has for this connection: lines of
    /// `host:port:database:user:password`, where `*` is anything.
    #[must_use]
    pub fn password_from(&self, file: &Path) -> Option<SecretString> {
        let text = std::fs::read_to_string(file).ok()?;
        let host = match &self.host {
            Host::Network(host) => host.as_str(),
            Host::Socket(_) => "localhost",
        };
        let port = self.port.to_string();
        let wanted = [host, &port, &self.database, &self.user];
        text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let fields = fields(line);
            let (password, place) = fields.split_last()?;
            let fits = place.len() == wanted.len()
                && place.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
            fits.then(|| SecretString::from(password.clone()))
        })
    }
}

/// Splits at colons; a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|field| field.extend(chars.next())),
            c => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pgpass");
        let text = "# a comment\nother:*:*:*:no\ndb:5432:d:me:p\\:w\\\\\n*:*:*:*:any\n";
        std::fs::write(&file, text).unwrap();
        let password = |url: &str| {
            let url = ConnectionUrl::parse(&SecretString::from(url)).unwrap();
            url.password_from(&file).map(|found| found.expose_secret().to_owned())
        };
        assert_eq!(password("postgres://me@db/d").as_deref(), Some("p:w\\"));
        assert_eq!(password("postgres://you@db/d").as_deref(), Some("any"));
        let url = ConnectionUrl::parse(&SecretString::from("postgres://me@db/d")).unwrap();
        assert!(url.password_from(&dir.path().join("nothing")).is_none());
    }
}
