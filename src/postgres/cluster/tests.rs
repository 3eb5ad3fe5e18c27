use super::{
    super::{confine::confine, server_bins::find_server_bins},
    *,
};

async fn options() -> ClusterOptions {
    ClusterOptions::new(find_server_bins(&[], Some(15)).await.unwrap().dir)
}

async fn answer(cluster: &Cluster) -> i32 {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::query_scalar("select 42").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn it_answers_on_its_socket_only_and_leaves_nothing() {
    let cluster = Cluster::start(options().await).await.unwrap();
    let home = cluster.socket_dir().to_owned();
    assert_eq!(home.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(answer(&cluster).await, 42);
    let mut connection =
        PgConnection::connect_with(&cluster.connect_options("postgres")).await.unwrap();
    let listens: String =
        sqlx::query_scalar("show listen_addresses").fetch_one(&mut connection).await.unwrap();
    assert_eq!(listens, "");
    cluster.stop().await.unwrap();
    assert!(!home.exists());
}

#[tokio::test]
async fn dropping_it_ends_a_busy_backend_and_removes_the_directory() {
    let cluster = Cluster::start(options().await).await.unwrap();
    let home = cluster.socket_dir().to_owned();
    let mut connection =
        PgConnection::connect_with(&cluster.connect_options("postgres")).await.unwrap();
    let backend: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
    let busy =
        tokio::spawn(
            async move { sqlx::query("select pg_sleep(600)").execute(&mut connection).await },
        );
    drop(cluster);
    assert!(busy.await.unwrap().is_err());
    assert!(!home.exists());
    assert!(!Path::new(&format!("/proc/{backend}")).exists());
}

#[tokio::test]
async fn the_end_of_its_owner_is_its_end() {
    let mut cluster = Cluster::start(options().await).await.unwrap();
    let home = cluster.socket_dir().to_owned();
    // What the kernel does for us when we are killed.
    cluster.watch = None;
    let exit = tokio::time::timeout(STOP_DEADLINE, cluster.child.wait()).await.unwrap();
    assert!(exit.is_ok());
    tokio::time::timeout(STOP_DEADLINE, async {
        while home.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// Whether a process runs that sleeps for so long.
fn sleeps(seconds: u32) -> bool {
    let wanted = format!("sleep\0{seconds}\0");
    crate::process::pids().unwrap().into_iter().any(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == wanted.as_bytes())
    })
}

/// Confined as a sandbox is, or by nothing, and with a program that has left it.
async fn left_by_a_program(confined: bool, seconds: u32) -> Cluster {
    let mut options = options().await;
    options.least = true;
    if confined {
        let confinement = confine().await;
        (options.wrap, options.own_processes) = (confinement.wrap, confinement.own_processes);
    }
    let cluster = Cluster::start(options).await.unwrap();
    let mut connection =
        PgConnection::connect_with(&cluster.connect_options("postgres")).await.unwrap();
    let program = format!("cd /; env -i setsid sleep {seconds} >/dev/null 2>&1 &");
    let sql = format!("COPY (SELECT 1) TO PROGRAM '{program} sleep 0.2'");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    assert!(sleeps(seconds));
    cluster
}

fn unlike_others(at: u32) -> u32 {
    40_000_000 + std::process::id() % 1_000_000 * 10 + at
}

#[tokio::test]
async fn what_a_program_has_left_ends_with_it_confined_or_not() {
    for (at, confined) in [(0, true), (1, false)] {
        let seconds = unlike_others(at);
        let cluster = left_by_a_program(confined, seconds).await;
        let home = cluster.socket_dir().to_owned();
        drop(cluster);
        assert!(!sleeps(seconds), "confined: {confined}");
        assert!(!home.exists());
    }
}

#[tokio::test]
async fn the_end_of_its_owner_is_the_end_of_what_is_confined_with_it() {
    let seconds = unlike_others(2);
    let mut cluster = left_by_a_program(true, seconds).await;
    let home = cluster.socket_dir().to_owned();
    cluster.watch = None;
    tokio::time::timeout(STOP_DEADLINE, cluster.child.wait()).await.unwrap().unwrap();
    let deadline = Instant::now() + STOP_DEADLINE;
    while home.exists() {
        assert!(Instant::now() < deadline, "the watcher removes it");
        tokio::time::sleep(POLL).await;
    }
    assert!(!sleeps(seconds));
}

#[tokio::test]
async fn a_server_that_refuses_to_start_says_why() {
    let options = options().await.set("shared_buffers", "nonsense");
    let error = Cluster::start(options).await.unwrap_err();
    assert!(error.to_string().contains("shared_buffers"), "{error}");
}

#[tokio::test]
async fn a_long_temporary_directory_is_named() {
    let long = tempfile::Builder::new().prefix(&"x".repeat(100)).tempdir().unwrap();
    let mut options = options().await;
    options.root = Some(long.path().to_owned());
    let error = Cluster::start(options).await.unwrap_err();
    assert!(matches!(error, ClusterError::SocketPath(_)), "{error}");
}
