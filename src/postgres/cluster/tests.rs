use super::{super::server_bins::find_server_bins, *};

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
