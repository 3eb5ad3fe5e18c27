//! Sessions: why there is none, what is no session, and the lock.

use std::{fs, time::Duration};

use reliquary::{
    postgres::{Exclude, Session, SessionError},
    process::{Child, Program, Stream},
};
use rstest::rstest;

use crate::support::pg::{Pg, SOON, execute, free_port, open, own, owned, parse};

#[tokio::test]
async fn every_refusal_says_what_is_wrong_and_never_the_password() {
    let pg = Pg::start_with(
        "max_connections = 6\nsuperuser_reserved_connections = 3\nmax_wal_senders = 0",
    )
    .await;
    pg.sql("postgres", "CREATE ROLE app LOGIN PASSWORD 'hunter2'").await;
    pg.database("dropped", "SELECT").await;
    pg.sql("postgres", "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'dropped'").await;

    let wrong = open(&pg.url_of("app", "hunter3", "postgres")).await.unwrap_err();
    assert!(matches!(wrong, SessionError::Password { given: true, .. }), "{wrong:?}");
    assert!(!wrong.is_transient() && !format!("{wrong} {wrong:?}").contains("hunter"), "{wrong}");

    let url = format!("postgres://app@127.0.0.1:{}/postgres", pg.port);
    let none = open(&url).await.unwrap_err().to_string();
    assert!(none.contains("the URL holds none"), "{none}");

    let missing = open(&pg.url_of("app", "hunter2", "nowhere")).await.unwrap_err();
    assert!(matches!(missing, SessionError::NoDatabase { .. }), "{missing:?}");

    let dropped = open(&pg.url_of("app", "hunter2", "dropped")).await.unwrap_err();
    assert!(matches!(dropped, SessionError::BeingDropped { .. }), "{dropped:?}");

    let url = format!("postgres://app:hunter2@127.0.0.1:{}/postgres", free_port());
    let refused = open(&url).await.unwrap_err();
    assert!(matches!(refused, SessionError::Unreachable { .. }), "{refused:?}");
    assert!(refused.is_transient());

    let unknown = open("postgres://app:hunter2@no-such-host.invalid/postgres").await.unwrap_err();
    assert!(matches!(unknown, SessionError::UnknownHost { .. }), "{unknown:?}");

    let url = pg.url_of("app", "hunter2", "postgres");
    let mut held = Vec::new();
    let full = loop {
        match open(&url).await {
            Ok(session) => held.push(session),
            Err(error) => break error,
        }
        assert!(held.len() < 6);
    };
    assert!(full.is_transient() && full.to_string().contains("53300"), "{full:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = parse(&format!("postgres://u:p@127.0.0.1:{port}/d"));
    let error = Session::open(&url, Duration::from_millis(100), SOON).await.unwrap_err();
    assert!(matches!(error, SessionError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn one_of_two_sessions_gets_the_lock_until_it_ends() {
    let pg = Pg::start().await;
    let url = pg.url("postgres");
    let (mut first, mut second) = (open(&url).await.unwrap(), open(&url).await.unwrap());
    assert!(first.try_lock("s3://bucket/database/").await.unwrap());
    assert!(!second.try_lock("s3://bucket/database/").await.unwrap());
    assert!(second.try_lock("s3://bucket/other/").await.unwrap());
    first.release().await;
    // At once: the next run may begin in the same moment.
    assert!(second.try_lock("s3://bucket/database/").await.unwrap());
}

#[tokio::test]
async fn a_killed_session_frees_its_lock_and_is_noticed() {
    let pg = Pg::start().await;
    let url = pg.url("postgres");
    let mut session = open(&url).await.unwrap();
    assert!(session.try_lock("here").await.unwrap());
    session.snapshot(&Exclude::default()).await.unwrap();
    session.keep_alive().await.unwrap();
    let mut admin = pg.connect("postgres").await;
    execute(
        &mut admin,
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = 'reliquary' AND pid <> pg_backend_pid()",
    )
    .await;
    let error = session.keep_alive().await.unwrap_err();
    assert!(matches!(error, SessionError::Lost { .. }) && error.is_transient(), "{error:?}");
    assert!(open(&url).await.unwrap().try_lock("here").await.unwrap());
}

#[tokio::test]
async fn the_server_s_version_and_the_url_s_wish_are_known() {
    let pg = Pg::start().await;
    let session = open(&pg.url("postgres")).await.unwrap();
    assert_eq!(session.server().major, 15);
    assert!(session.server().num > 150_000 && session.server().text.starts_with("15."));
    let error =
        open(&format!("{}&target_session_attrs=standby", pg.url("postgres"))).await.unwrap_err();
    assert!(matches!(error, SessionError::WrongKind { .. }), "{error:?}");
}

#[tokio::test]
async fn a_standby_is_backed_up_without_its_unlogged_rows() {
    let pg = Pg::start().await;
    pg.sql("postgres", "CREATE TABLE kept (n int); CREATE UNLOGGED TABLE lost (n int)").await;
    let standby = pg.standby("").await;
    let mut session = open(&standby.url("postgres")).await.unwrap();
    assert!(session.is_standby() && session.try_lock("here").await.unwrap());
    let warnings = session.preflight(&Exclude::default()).await.unwrap();
    assert!(warnings.iter().any(|w| w.contains("public.lost")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.contains("hot_standby_feedback")), "{warnings:?}");
    let snapshot = session.snapshot(&Exclude::default()).await.unwrap();
    let tables: Vec<&str> = snapshot.facts.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(tables, ["kept"]);
    assert!(snapshot.facts.standby && snapshot.facts.lsn.is_some());
}

#[rstest]
#[case::transaction("transaction", 5, 0)]
#[case::transaction_with_one_process("transaction", 1, 0)]
#[case::transaction_taking_turns("transaction", 5, 1)]
#[case::statement("statement", 5, 0)]
#[tokio::test]
async fn a_pooler_that_is_no_session_is_refused(
    #[case] mode: &str,
    #[case] size: usize,
    #[case] round_robin: u8,
) {
    let pg = Pg::start().await;
    let pooler = Pooler::start(&pg, mode, size, round_robin).await;
    // Somebody used the pooler before: several processes are idle in it.
    let error = open(&pooler.url()).await.unwrap_err();
    assert!(matches!(error, SessionError::Pooler { .. }), "{error:?}");
    assert!(!error.is_transient() && error.to_string().contains("5432"), "{error}");
}

#[tokio::test]
async fn a_session_pooler_will_do() {
    let pg = Pg::start().await;
    let pooler = Pooler::start(&pg, "session", 5, 0).await;
    let url = pooler.url();
    // In a task, as the daemon does: the futures must be able to move.
    tokio::spawn(async move {
        let mut session = open(&url).await.unwrap();
        assert!(session.try_lock("here").await.unwrap());
        session.preflight(&Exclude::default()).await.unwrap();
        session.snapshot(&Exclude::default()).await.unwrap();
        session.keep_alive().await.unwrap();
        assert!(session.changed_since().await.unwrap().is_empty());
        session.close().await;
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn supabase_s_transaction_port_is_refused_without_connecting() {
    let url = "postgres://postgres.ref:hunter2@aws-0-us-east-1.pooler.supabase.com:6543/postgres";
    let error = open(url).await.unwrap_err();
    assert!(matches!(error, SessionError::Pooler { .. }), "{error:?}");
}

/// A `PgBouncer` in front of a cluster.
struct Pooler {
    port: u16,
    _child: Child,
    _dir: tempfile::TempDir,
}

impl Pooler {
    async fn start(pg: &Pg, mode: &str, size: usize, round_robin: u8) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        own(dir.path());
        let port = free_port();
        let config = dir.path().join("pgbouncer.ini");
        fs::write(
            &config,
            format!(
                "[databases]\npostgres = host={} port={} user=postgres\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\n\
                 server_round_robin = {round_robin}\n",
                pg.dir().display(),
                pg.port
            ),
        )
        .unwrap();
        own(&config);
        let program = owned(Program::new("/usr/sbin/pgbouncer").arg(&config));
        let child = program.spawn(Stream::Null, Stream::Null).unwrap();
        let listening = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, listening).await.unwrap();
        Self { port, _child: child, _dir: dir }
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}
