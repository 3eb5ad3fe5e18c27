//! No channel gets a secret or a row of data, whatever an error holds. Letters
//! and signs of life are among them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reliquary::{
    notify::{Channel, Desk, Email, EmailOptions, EmailTls, Message, Route, Scrub, Timing},
    words::{ChannelKind, Event, Severity},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;

use super::{
    listener::{Listener, taken},
    message, notice, over_http,
};

const PASSWORD: &str = "correct-horse";
const ROW: &str = "anna@example.com";

/// Takes letters in the clear, and keeps what it was told.
async fn mail() -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told: Arc<Mutex<String>> = Arc::default();
    let kept = Arc::clone(&told);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (read, mut write) = socket.into_split();
                let (mut lines, mut in_letter) = (BufReader::new(read).lines(), false);
                write.write_all(b"220 mail.test ESMTP\r\n").await?;
                while let Some(line) = lines.next_line().await? {
                    kept.lock().unwrap().push_str(&format!("{line}\n"));
                    in_letter = (in_letter || line == "DATA") && line != ".";
                    let answer: &[u8] = match line.as_str() {
                        "DATA" => b"354 go on\r\n",
                        _ if in_letter => continue,
                        _ => b"250 ok\r\n",
                    };
                    write.write_all(answer).await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    (port, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_channel_gets_a_secret_or_a_row() {
    let listener = Listener::start(|_, asked| taken(asked)).await;
    let (port, letters) = mail().await;
    let email = Email::new(EmailOptions {
        host: "127.0.0.1".to_owned(),
        port,
        tls: EmailTls::None,
        login: None,
        from: "backups@example.org".parse().unwrap(),
        to: vec!["ops@example.org".parse().unwrap()],
        timeout: Duration::from_secs(20),
    })
    .unwrap();
    let route = Route { severity: Severity::Info, databases: vec![] };
    let mut channels: Vec<Channel> = over_http(&listener.url, Duration::from_secs(20))
        .into_iter()
        .map(|(kind, deliver)| Channel { kind, route: route.clone(), deliver })
        .collect();
    channels.push(Channel { kind: ChannelKind::Email, route, deliver: Arc::new(email) });
    assert_eq!(channels.len(), ChannelKind::ALL.len());
    let scrub = Scrub::new(vec![PASSWORD.into()]);
    let timing = Timing { deadline: Duration::from_secs(30), ..Timing::default() };
    let (desk, deliveries) = Desk::new(channels, scrub, timing, Arc::new(|_, _| {}));
    let hostile = format!(
        "duplicate key of {PASSWORD}\nDETAIL: Key (email)=({ROW}) exists.\nCONTEXT: COPY people, \
         line 3: \"{ROW}\"\nLINE 1: insert into people values ('{ROW}')"
    );
    for event in Event::ALL {
        desk.send(Message::Notice(notice(*event).map_texts(|_| hostile.clone())));
    }
    desk.send(message(ChannelKind::Heartbeat));
    drop(desk);
    for delivery in deliveries {
        delivery.run(CancellationToken::new()).await;
    }
    let mut told: Vec<String> = listener
        .asked()
        .iter()
        .map(|asked| {
            let body = String::from_utf8_lossy(&asked.body);
            format!("{} {:?} {body}", asked.path, asked.headers)
        })
        .collect();
    let letters = letters.lock().unwrap().clone();
    assert!(letters.contains("duplicate key of ********"), "{letters}");
    told.push(letters);
    for kind in ["/slack", "/discord", "/teams", "/webhook", "/v2/enqueue", "/repos", "/beat"] {
        assert!(told.iter().any(|text| text.starts_with(kind)), "{kind} was told nothing");
    }
    for text in told {
        assert!(!text.contains(PASSWORD) && !text.contains(ROW), "{text}");
    }
}
