//! Letters over real TLS, with a certificate authority of this test's own.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_rustls::TlsAcceptor;

use crate::support::{pg, product::Product};

const PASSWORD: &str = "mail-hunter2";

/// A server that takes letters, and tells each line it was told, with whether
/// that came under TLS.
struct MailServer {
    port: u16,
    lines: UnboundedReceiver<(bool, String)>,
    files: TempDir,
}

impl MailServer {
    /// `host` is the name on the certificate.
    async fn start(host: &str, implicit: bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        pg::authority(files.path(), "ca").await;
        let extension = format!("subjectAltName = DNS:{host}");
        pg::certificate(files.path(), "mail", host, &extension).await;
        let acceptor = acceptor(files.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, lines) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (told, acceptor) = (told.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if implicit {
                        let Ok(socket) = acceptor.accept(socket).await else { return };
                        talk(socket, true, true, &told).await;
                        return;
                    }
                    let Some(socket) = talk(socket, false, true, &told).await else { return };
                    let Ok(socket) = acceptor.accept(socket).await else { return };
                    talk(socket, true, false, &told).await;
                });
            }
        });
        Self { port, lines, files }
    }

    /// Everything it was told so far.
    fn told(&mut self) -> Vec<(bool, String)> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).collect()
    }
}

fn acceptor(files: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(files.join("mail.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(files.join("mail.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Talks until the end, or until TLS is to begin: then gives the socket back.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    under_tls: bool,
    greets: bool,
    told: &UnboundedSender<(bool, String)>,
) -> Option<S> {
    let mut socket = BufReader::new(socket);
    if greets {
        socket.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
    }
    let mut in_letter = false;
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        let _ = told.send((under_tls, line.clone()));
        let answer = match line.as_str() {
            "." => {
                in_letter = false;
                "250 taken\r\n"
            }
            _ if in_letter => continue,
            line if line.starts_with("EHLO") && under_tls => "250-mail.test\r\n250 AUTH PLAIN\r\n",
            line if line.starts_with("EHLO") => "250-mail.test\r\n250 STARTTLS\r\n",
            "STARTTLS" => {
                socket.write_all(b"220 go on\r\n").await.ok()?;
                return Some(socket.into_inner());
            }
            line if line.starts_with("AUTH") => "235 welcome\r\n",
            "DATA" => {
                in_letter = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        socket.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// An installation that tells by letter.
fn product(server: &MailServer, tls: &str, trusted: bool) -> Product {
    let product = Product::bare()
        .set("DIRECT_URL", "postgres://u@h/db")
        .set("RELIQUARY__NOTIFY__EMAIL__HOST", "localhost")
        .set("RELIQUARY__NOTIFY__EMAIL__PORT", server.port.to_string())
        .set("RELIQUARY__NOTIFY__EMAIL__TLS", tls)
        .set("RELIQUARY__NOTIFY__EMAIL__USERNAME", "backups")
        .set("RELIQUARY__NOTIFY__EMAIL__PASSWORD", PASSWORD)
        .set("RELIQUARY__NOTIFY__EMAIL__FROM", "backups@example.com")
        .set("RELIQUARY__NOTIFY__EMAIL__TO", "ops@example.com,on-call@example.com");
    let store = product.store_url();
    let product = product.set("RELIQUARY__STORE__URL", store);
    if trusted {
        product.set("SSL_CERT_FILE", server.files.path().join("ca.pem").display().to_string())
    } else {
        product
    }
}

async fn send(product: Product) -> (Option<i32>, String) {
    let run = tokio::task::spawn_blocking(move || product.run(&["notify", "test"]));
    let output = tokio::time::timeout(Duration::from_mins(1), run).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_travels_under_tls_with_either_way_of_beginning_it() {
    for (tls, implicit) in [("starttls", false), ("implicit", true)] {
        let mut server = MailServer::start("localhost", implicit).await;
        let (code, said) = send(product(&server, tls, true)).await;
        assert!(code == Some(0) && said.contains("email: sent\n"), "{tls}: {said}");
        let told = server.told();
        let plainly: Vec<&str> =
            told.iter().filter(|(under, _)| !under).map(|(_, line)| line.as_str()).collect();
        let expected: &[&str] =
            if implicit { &[] } else { &["EHLO reliquary.invalid", "STARTTLS"] };
        assert_eq!(plainly, expected, "{tls}: nothing else is told in the clear");
        let text: String = told.iter().map(|(_, line)| format!("{line}\n")).collect();
        for part in [
            "AUTH PLAIN",
            "MAIL FROM:<backups@example.com>",
            "RCPT TO:<ops@example.com>",
            "RCPT TO:<on-call@example.com>",
            "Subject: [reliquary] test: main: this is a test of Reliquary's alerts",
        ] {
            assert!(text.contains(part), "{tls}: {part} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_trusted_gets_neither_password_nor_letter() {
    for (tls, implicit) in [("starttls", false), ("implicit", true)] {
        // An authority that nobody knows, and a certificate of another host.
        for (host, trusted) in [("localhost", false), ("other.example.com", true)] {
            let mut server = MailServer::start(host, implicit).await;
            let (code, said) = send(product(&server, tls, trusted)).await;
            assert_eq!(code, Some(1), "{tls} {host}: {said}");
            assert!(said.contains("failed to reach it"), "{tls} {host}: {said}");
            assert!(!said.contains(PASSWORD), "{said}");
            let told = server.told();
            assert!(
                told.iter().all(|(_, line)| !line.contains("AUTH") && !line.contains("MAIL")),
                "{tls} {host}: {told:?}"
            );
        }
    }
}
