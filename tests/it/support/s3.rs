//! S3 servers for tests: one in this process, moto's, and one that follows a script.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use reliquary::store::{AccessKey, S3Options};
use s3s::{Body, HttpRequest, HttpResponse, auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

/// A server with one bucket, gone when dropped.
pub(crate) struct S3Server {
    /// `http://127.0.0.1:port`
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) access_key: String,
    pub(crate) secret: String,
    /// Where the objects are, a folder for each bucket.
    pub(crate) dir: PathBuf,
    _files: TempDir,
    server: JoinHandle<()>,
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl S3Server {
    /// What connects to it.
    pub(crate) fn options(&self) -> S3Options {
        options(&self.endpoint, &self.bucket, &self.access_key, &self.secret)
    }

    /// How many files of unfinished uploads there are; the server cannot list them.
    pub(crate) fn parts_left(&self) -> usize {
        let files = std::fs::read_dir(&self.dir).unwrap().flatten();
        let part = |name: &str| name.starts_with(".upload_id-");
        files.filter(|file| file.file_name().to_str().is_some_and(part)).count()
    }
}

/// Options for a server on this machine, with short patience.
pub(crate) fn options(endpoint: &str, bucket: &str, access_key: &str, secret: &str) -> S3Options {
    S3Options {
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        credentials: Some(AccessKey {
            id: access_key.to_owned(),
            secret: secret.to_owned().into(),
            session_token: None,
        }),
        attempt_timeout: Duration::from_secs(20),
        attempts: 3,
        backoff: Duration::from_millis(20),
        ..S3Options::new(bucket)
    }
}

/// What a server does with a request, decided before it looks at it.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// Serves it.
    Pass,
    /// Serves it, and never answers.
    Swallow,
    /// The same, and tells when it has been served.
    SwallowAndTell(mpsc::UnboundedSender<()>),
    /// Answers with a status and S3's error code.
    Refuse(u16, &'static str),
    /// Serves it with one bit of its body flipped on the way.
    Garble,
}

/// Decides by a request's method, and its path and query.
pub(crate) type Judge = Arc<dyn Fn(&str, &str) -> Verdict + Send + Sync>;

/// An S3 server in this process, which checks signatures and checksums.
pub(crate) async fn s3s_server() -> S3Server {
    s3s_server_with(Arc::new(|_, _| Verdict::Pass)).await
}

/// The same, with requests that fare badly.
pub(crate) async fn s3s_server_with(judge: Judge) -> S3Server {
    let files = tempfile::tempdir().unwrap();
    let bucket = "backups".to_owned();
    std::fs::create_dir(files.path().join(&bucket)).unwrap();
    let (access_key, secret) = ("AKIATEST".to_owned(), "a-test-secret".to_owned());
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(files.path()).unwrap());
    builder.set_auth(SimpleAuth::from_single(access_key.clone(), secret.clone()));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // The server looks whether an object is there and writes it afterwards;
    // S3 does that in one step, so conditional requests go one by one.
    let one_by_one = Arc::new(tokio::sync::Mutex::new(()));
    let server = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (service, one_by_one) = (service.clone(), Arc::clone(&one_by_one));
            let judge = Arc::clone(&judge);
            tokio::spawn(async move {
                let handle = hyper::service::service_fn(move |request| {
                    let (service, one_by_one) = (service.clone(), Arc::clone(&one_by_one));
                    let target =
                        request.uri().path_and_query().map_or("", |target| target.as_str());
                    let verdict = judge(request.method().as_str(), target);
                    async move {
                        if let Verdict::Refuse(status, code) = verdict {
                            return Ok(refusal(status, code));
                        }
                        let conditional = request.headers().contains_key("if-none-match");
                        let turn = if conditional { Some(one_by_one.lock().await) } else { None };
                        let request = received(request, matches!(verdict, Verdict::Garble)).await;
                        let answer = service.call(request).await;
                        drop(turn);
                        match verdict {
                            Verdict::Swallow => std::future::pending().await,
                            Verdict::SwallowAndTell(served) => {
                                let _ = served.send(());
                                std::future::pending().await
                            }
                            _ => answer,
                        }
                    }
                });
                // Clients hang up when they like.
                let _ = Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), handle)
                    .await;
            });
        }
    });
    let dir = files.path().to_owned();
    S3Server { endpoint, bucket, access_key, secret, dir, _files: files, server }
}

/// A request as the service takes it, with or without one bit flipped.
async fn received(request: hyper::Request<hyper::body::Incoming>, garbled: bool) -> HttpRequest {
    if !garbled {
        return request.map(Body::from);
    }
    let (parts, body) = request.into_parts();
    let mut bytes = Vec::from(body.collect().await.unwrap().to_bytes());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    HttpRequest::from_parts(parts, Body::from(bytes))
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>judged</Message></Error>");
    hyper::Response::builder().status(status).body(Body::from(body)).unwrap()
}

/// moto's S3 server, killed when dropped. It accepts any secret.
pub(crate) struct Moto {
    pub(crate) endpoint: String,
    _process: tokio::process::Child,
}

/// Starts moto's server on a free port.
///
/// # Panics
/// When it is not installed.
pub(crate) async fn moto_server() -> Moto {
    #[expect(clippy::disallowed_methods, reason = "a test's own server, killed when dropped")]
    let mut command = tokio::process::Command::new("moto_server");
    let mut process = command
        .args(["--host", "127.0.0.1", "--port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("moto's server is needed for this test: pip install 'moto[server]'");
    let stderr = process.stderr.take().unwrap();
    let (found, address) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        let mut found = Some(found);
        // Read to the end: a full pipe would stop the server.
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, address)) = line.split_once("Running on ")
                && let Some(found) = found.take()
            {
                let _ = found.send(address.split_whitespace().next().unwrap_or("").to_owned());
            }
        }
    });
    let endpoint = tokio::time::timeout(Duration::from_mins(1), address)
        .await
        .expect("moto's server did not start within a minute")
        .expect("moto's server ended at once: pip install 'moto[server]'");
    Moto { endpoint, _process: process }
}

impl Moto {
    /// Makes a bucket and returns what connects to it.
    pub(crate) async fn bucket(&self, name: &str) -> S3Options {
        let made = reqwest::Client::new()
            .put(format!("{}/{name}", self.endpoint))
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .send()
            .await
            .unwrap();
        assert!(made.status().is_success(), "{made:?}");
        options(&self.endpoint, name, "test", "test")
    }
}

/// What a scripted server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Answers with a status, headers and a body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Announces so many bytes, sends the body, and hangs up.
    CutShort(u16, Vec<(&'static str, String)>, String, usize),
    /// Hangs up after so many bytes of the request's body.
    Reset(usize),
    /// Reads the request and never answers.
    Silence,
}

impl Step {
    /// An empty 200 with an entity tag.
    pub(crate) fn ok() -> Self {
        Self::Answer(
            200,
            vec![("etag", "\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned())],
            String::new(),
        )
    }

    /// S3's error document.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::Answer(
            status,
            vec![("content-type", "application/xml".to_owned())],
            format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>"),
        )
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `PUT /bucket/key?query`
    pub(crate) line: String,
    /// In lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// A server that does what its script says, one step a request, and notes
/// every request. Past the script's end it answers 418.
pub(crate) struct Scripted {
    pub(crate) endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    server: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Scripted {
    pub(crate) async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script: Vec<Step> = script.into_iter().collect();
        let script = Arc::new(Mutex::new(script.into_iter()));
        let noted = Arc::clone(&requests);
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (script, noted) = (Arc::clone(&script), Arc::clone(&noted));
                tokio::spawn(async move {
                    // A client that hangs up ends its connection, not the server.
                    let _ = follow(socket, &script, &noted).await;
                });
            }
        });
        Self { endpoint, requests, server }
    }

    pub(crate) fn options(&self) -> S3Options {
        options(&self.endpoint, "bucket", "AKIATEST", "a-test-secret")
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// One request a connection: simpler, and as legal as any.
async fn follow(
    socket: TcpStream,
    script: &Mutex<std::vec::IntoIter<Step>>,
    noted: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut request = Request { line: String::new(), headers: Vec::new(), body: Vec::new() };
    socket.read_line(&mut request.line).await?;
    if request.line.is_empty() {
        return Ok(());
    }
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    request.line = request.line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let length: usize =
        request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let step = script.lock().unwrap().next().unwrap_or(Step::error(418, "PastTheScript"));
    if let Step::Reset(after) = step {
        request.body = vec![0; after.min(length)];
        socket.read_exact(&mut request.body).await?;
        noted.lock().unwrap().push(request);
        // Unread bytes make the close a reset.
        return Ok(());
    }
    if request.header("expect").is_some() {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    request.body = vec![0; length];
    socket.read_exact(&mut request.body).await?;
    let is_head = request.line.starts_with("HEAD ");
    noted.lock().unwrap().push(request);
    let (status, headers, body, announced) = match step {
        Step::Answer(status, headers, body) => {
            let length = body.len();
            (status, headers, body, length)
        }
        Step::CutShort(status, headers, body, announced) => (status, headers, body, announced),
        Step::Silence => {
            // Until the client gives up.
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).await?;
            return Ok(());
        }
        Step::Reset(_) => return Ok(()),
    };
    let mut answer = format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-length") {
        answer.extend(["content-length: ", &announced.to_string(), "\r\n"]);
    }
    for (name, value) in &headers {
        answer.extend([*name, ": ", value, "\r\n"]);
    }
    answer += "\r\n";
    if !is_head {
        answer += &body;
    }
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await
}
