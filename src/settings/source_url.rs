//! The connection string of a source, judged without ever repeating it.

use url::Url;

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Checks a connection string. What is wrong is said in fixed sentences, which
/// cannot carry any part of it.
///
/// # Errors
///
/// What is wrong and how to mend it.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text.contains("[YOUR-PASSWORD]") {
        return Err("still holds the placeholder [YOUR-PASSWORD]: put the password in its place");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("holds a space, a line break or a control character: \
                    percent-encode it (a space is `%20`)");
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(scheme, Some("postgres" | "postgresql")) {
        return Err("must be a URL that begins with `postgres://` or `postgresql://`");
    }
    let url = Url::parse(text).map_err(|_| {
        "cannot be read as a URL: the password's characters `@ : / ? # [ ] %` must be \
         percent-encoded (`#` is `%23`, `@` is `%40`, `/` is `%2F`), and the port is a number"
    })?;
    if url.fragment().is_some() {
        return Err("holds a `#`: percent-encode it as `%23` where it belongs to the password");
    }
    let query = |names: [&str; 2]| {
        url.query_pairs().find(|(name, _)| names.contains(&&**name)).map(|(_, value)| value)
    };
    let in_authority = url.host_str().is_some_and(|host| !host.is_empty());
    if !in_authority && query(["host", "hostaddr"]).is_none_or(|host| host.is_empty()) {
        return Err("names no host: write `postgres://user:password@host:5432/database`");
    }
    if url.host_str().is_some_and(|host| host.contains(',')) {
        return Err("names several hosts: name one, the primary");
    }
    if url.port() == Some(0) {
        return Err("names port 0: PostgreSQL's usual port is 5432");
    }
    let database = url.path().trim_start_matches('/');
    if database.is_empty() && query(["dbname", "dbname"]).is_none_or(|name| name.is_empty()) {
        return Err("names no database: it follows the host, as in `…@host:5432/database`");
    }
    if database.contains('/') {
        return Err("has more than one `/` after the host: percent-encode one that belongs to \
                    the database's name as `%2F`");
    }
    if query(["sslmode", "ssl-mode"]).is_some_and(|mode| !MODES.contains(&&*mode)) {
        return Err("has an unknown sslmode: it is one of disable, allow, prefer, require, \
                    verify-ca and verify-full");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("postgres://u:p@h/db")]
    #[case(
        "postgresql://postgres.abcd:p%23%40@aws-0.pooler.supabase.com:5432/postgres?sslmode=require"
    )]
    #[case("postgresql:///app?host=/var/run/postgresql&user=postgres")]
    #[case("postgres://%2Fvar%2Frun%2Fpostgresql/app")]
    #[case("postgres://u@[::1]:5433/db")]
    #[case("postgres://h:6543/db")]
    #[case("postgres://h?dbname=db")]
    fn a_url_that_libpq_takes_is_taken(#[case] url: &str) {
        assert_eq!(check(url), Ok(()));
    }

    #[rstest]
    #[case("postgres://u:[YOUR-PASSWORD]@h/db", "placeholder")]
    #[case("mysql://u:p@h/db", "begins with")]
    #[case("host=h dbname=db password=p", "space")]
    #[case("host=h", "begins with")]
    #[case("postgres://u:p@h/db\n", "line break")]
    #[case("postgres://u:a#b@h/db", "percent-encoded")]
    #[case("postgres://u:1#b@h/db", "`%23`")]
    #[case("postgres://u:p@h:port/db", "percent-encoded")]
    #[case("postgres:///db", "no host")]
    #[case("postgres://h1,h2/db", "several hosts")]
    #[case("postgres://h:0/db", "port 0")]
    #[case("postgres://u:p@h", "no database")]
    #[case("postgres://u:p@h/", "no database")]
    #[case("postgres://u:p@h/a/b", "more than one")]
    #[case("postgres://u:p@h/db?sslmode=on", "unknown sslmode")]
    fn a_url_that_cannot_work_is_refused_with_the_remedy(#[case] url: &str, #[case] says: &str) {
        let message = check(url).unwrap_err();
        assert!(message.contains(says), "{message}");
    }
}
