//! `sslmode` through sqlx and through libpq: both accept, or both refuse.

use reliquary::postgres::{Session, SessionError};

use crate::support::pg::{Pg, SOON, authority, certificate, parse, pg_dump};

const ROLE: &str = "CREATE ROLE app LOGIN PASSWORD 'secret'";

/// Whether each end connects: our session, then `pg_dump`.
async fn connects(url: &str) -> (Result<(), SessionError>, Result<(), String>) {
    let url = parse(url);
    let session = Session::open(&url, SOON, SOON).await.map(drop);
    let client = pg_dump().await;
    let dump = url
        .program(&client.path, client.major)
        .unwrap()
        .args(["--schema-only", "--no-password"])
        .output(SOON)
        .await
        .map(drop)
        .map_err(|error| error.to_string());
    (session, dump)
}

/// Whether the connection is encrypted, according to the server.
async fn encrypted(pg: &Pg, url: &str) -> bool {
    let url = format!("{url}{}application_name=probe", if url.contains('?') { '&' } else { '?' });
    let session = Session::open(&parse(&url), SOON, SOON).await.unwrap();
    let mut admin = pg.connect("postgres").await;
    let ssl = sqlx::query_scalar(
        "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
         WHERE a.application_name = 'probe'",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    session.close().await;
    ssl
}

#[tokio::test]
async fn both_ends_agree_on_every_mode() {
    let pg = Pg::start_with_tls().await;
    pg.sql("postgres", ROLE).await;
    authority(pg.dir(), "other").await;
    let ca = pg.ca.display();
    let other = pg.dir().join("other.pem");
    let other = other.display();
    let port = pg.port;
    let at =
        |host: &str, query: &str| format!("postgres://app:secret@{host}:{port}/postgres?{query}");
    let cases = [
        ("localhost", "sslmode=disable".to_owned(), true),
        ("localhost", "sslmode=allow".to_owned(), true),
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", "sslmode=require".to_owned(), true),
        // Without an authority nobody is verified: that is what require says.
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        ("localhost", format!("sslmode=require&sslrootcert={ca}"), true),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={ca}"), true),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ca}"), true),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={ca}"), false),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ca}"), false),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={ca}"), false),
        ("localhost", format!("sslmode=require&sslrootcert={other}"), false),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={other}"), false),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), false),
        ("localhost", "sslrootcert=system".to_owned(), false),
    ];
    for (host, query, accepted) in cases {
        let (session, dump) = connects(&at(host, &query)).await;
        assert_eq!(session.is_ok(), accepted, "{host} {query}: session {session:?}");
        assert_eq!(dump.is_ok(), accepted, "{host} {query}: pg_dump {dump:?}");
        if let Err(error) = session {
            assert!(matches!(error, SessionError::TlsFailed { .. }), "{host} {query}: {error}");
            assert!(error.to_string().contains("sslrootcert"), "{error}");
        }
    }
    assert!(encrypted(&pg, &at("localhost", "sslmode=prefer")).await);
    assert!(encrypted(&pg, &at("localhost", "sslmode=require")).await);
    assert!(!encrypted(&pg, &at("localhost", "sslmode=allow")).await);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let pg = Pg::start().await;
    pg.sql("postgres", ROLE).await;
    let url = |mode: &str| format!("{}?sslmode={mode}", pg.url_of("app", "secret", "postgres"));
    let (session, dump) = connects(&url("require")).await;
    let error = session.unwrap_err();
    assert!(matches!(error, SessionError::NoTls { .. }), "{error}");
    assert!(dump.unwrap_err().contains("server does not support SSL"));
    let (session, dump) = connects(&url("prefer")).await;
    assert!(session.is_ok() && dump.is_ok(), "{session:?} {dump:?}");
}

#[tokio::test]
async fn a_server_that_insists_on_or_refuses_tls_is_met_half_way_by_both() {
    let pg = Pg::start_with_rules(
        "local all all trust\nhostssl all app all scram-sha-256\nhostnossl all plain all scram-sha-256\n",
    )
    .await;
    pg.sql("postgres", ROLE).await;
    pg.sql("postgres", "CREATE ROLE plain LOGIN PASSWORD 'secret'").await;
    for (user, mode, accepted) in [
        ("app", "allow", true),
        ("app", "disable", false),
        ("plain", "prefer", true),
        ("plain", "require", false),
    ] {
        let url = format!("{}?sslmode={mode}", pg.url_of(user, "secret", "postgres"));
        let (session, dump) = connects(&url).await;
        assert_eq!(session.is_ok(), accepted, "{user} {mode}: {session:?}");
        assert_eq!(dump.is_ok(), accepted, "{user} {mode}: {dump:?}");
    }
}

#[tokio::test]
async fn a_ca_file_that_is_not_there_is_named() {
    let url = parse("postgres://u:hunter2@localhost/d?sslmode=verify-full&sslrootcert=/nowhere/ca");
    let error = Session::open(&url, SOON, SOON).await.unwrap_err().to_string();
    assert!(error.contains("sslrootcert") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_by_both() {
    let pg = Pg::start_with_rules("local all all trust\nhostssl all all all cert\n").await;
    pg.sql("postgres", "CREATE ROLE app LOGIN").await;
    certificate(pg.dir(), "client", "app", "extendedKeyUsage = clientAuth").await;
    let dir = pg.dir().display();
    let url = format!(
        "postgres://app@localhost:{}/postgres?sslmode=verify-full&sslrootcert={dir}/ca.pem",
        pg.port
    );
    let (session, dump) = connects(&url).await;
    assert!(session.is_err() && dump.is_err(), "{session:?} {dump:?}");
    let (session, dump) =
        connects(&format!("{url}&sslcert={dir}/client.pem&sslkey={dir}/client.key")).await;
    assert!(session.is_ok() && dump.is_ok(), "{session:?} {dump:?}");
}
