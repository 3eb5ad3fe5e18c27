use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

/// A mail server for one connection, without TLS. It ends with what it was told.
async fn mail_server(recipient: &'static str) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let (read, mut write) = socket.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut told = Vec::new();
        write.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
        let mut in_letter = false;
        while let Ok(Some(line)) = lines.next_line().await {
            told.push(line.clone());
            let answer = match line.as_str() {
                "." => {
                    in_letter = false;
                    "250 taken\r\n"
                }
                _ if in_letter => continue,
                line if line.starts_with("EHLO") => "250-mail.test\r\n250 8BITMIME\r\n",
                line if line.starts_with("RCPT") => recipient,
                "DATA" => {
                    in_letter = true;
                    "354 go on\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            if write.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
        told
    });
    (port, task)
}

fn email(port: u16, tls: EmailTls, login: bool) -> Email {
    Email::new(EmailOptions {
        host: "127.0.0.1".to_owned(),
        port,
        tls,
        login: login.then(|| ("user".to_owned(), "mail-password".into())),
        from: "Reliquary <backups@example.com>".parse().unwrap(),
        to: vec!["a@example.com".parse().unwrap(), "b@example.com".parse().unwrap()],
        timeout: Duration::from_secs(20),
    })
    .unwrap()
}

#[tokio::test]
async fn a_letter_holds_everything_and_goes_to_everybody() {
    let (port, server) = mail_server("250 ok\r\n").await;
    let email = email(port, EmailTls::None, false);
    email.deliver(&message(Event::Opened)).await.unwrap();
    drop(email);
    let told = server.await.unwrap();
    let text = told.join("\n");
    for part in [
        "EHLO reliquary.invalid",
        "MAIL FROM:<backups@example.com>",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "Subject: [reliquary] opened: main: there is no fresh backup",
        "opened (critical), database main at s3://b/database/",
        "- last_run: failed <at> upload & more",
        "  reliquary status -d main",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_and_one_for_good_is_not() {
    for (answer, transient) in [("451 later\r\n", true), ("550 no such user\r\n", false)] {
        let (port, server) = mail_server(answer).await;
        let email = email(port, EmailTls::None, false);
        let error = email.deliver(&message(Event::Opened)).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{error}");
        drop(email);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_neither_password_nor_letter() {
    for tls in [EmailTls::StartTls, EmailTls::Implicit] {
        let (port, server) = mail_server("250 ok\r\n").await;
        let email = email(port, tls, true);
        let error = email.deliver(&message(Event::Opened)).await.unwrap_err();
        assert!(!error.to_string().contains("mail-password"), "{error}");
        drop(email);
        let told = server.await.unwrap().join("\n");
        let is_hidden = !told.contains("AUTH") && !told.contains("MAIL FROM");
        assert!(is_hidden && !told.contains("no fresh backup"), "{told}");
    }
}
