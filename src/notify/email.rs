//! A letter, by SMTP with TLS.

use std::time::Duration;

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{authentication::Credentials, extension::ClientId},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Deliver, Message, Notice, SendError,
    text::{cut, plain},
};

/// Longer subjects are cut, in characters.
const LONGEST_SUBJECT: usize = 200;

/// How letters are sent.
#[derive(Clone, Debug)]
pub struct EmailOptions {
    /// The server's name, which its certificate must hold.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the line is guarded.
    pub tls: EmailTls,
    /// Who we are, and how we prove it.
    pub login: Option<(String, SecretString)>,
    /// The sender.
    pub from: Mailbox,
    /// Who gets it.
    pub to: Vec<Mailbox>,
    /// Deadline of one attempt.
    pub timeout: Duration,
}

/// How the line to the server is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailTls {
    /// TLS after `STARTTLS`; a server that has none gets nothing.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// Not at all.
    None,
}

/// Tells by letter.
#[derive(Debug)]
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    options: EmailOptions,
}

impl Email {
    /// Tells by this server.
    ///
    /// # Errors
    /// When the host's name cannot be one, or the system trusts nobody.
    pub fn new(options: EmailOptions) -> Result<Self, SendError> {
        type Transport = AsyncSmtpTransport<Tokio1Executor>;
        let builder = match options.tls {
            EmailTls::StartTls => Transport::starttls_relay(&options.host),
            EmailTls::Implicit => Transport::relay(&options.host),
            EmailTls::None => Ok(Transport::builder_dangerous(&options.host)),
        };
        let mut builder = builder
            .map_err(|error| SendError::Message(format!("prepare TLS: {error}")))?
            .port(options.port)
            // The machine's own name is nobody's business.
            .hello_name(ClientId::Domain("reliquary.invalid".to_owned()))
            .timeout(Some(options.timeout));
        if let Some((user, password)) = &options.login {
            let password = password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self { transport: builder.build(), options })
    }

    fn letter(&self, notice: &Notice) -> Result<Letter, SendError> {
        let subject = format!("[reliquary] {}: {}", notice.event, notice.title);
        let mut letter = Letter::builder()
            .from(self.options.from.clone())
            .subject(cut(&subject, LONGEST_SUBJECT))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.options.to {
            letter = letter.to(to.clone());
        }
        letter.body(plain(notice)).map_err(|error| SendError::Message(error.to_string()))
    }
}

fn error(error: &lettre::transport::smtp::Error) -> SendError {
    match error.status() {
        // What the server said may repeat addresses; the number says enough.
        Some(code) => SendError::Refused {
            status: u16::from(code),
            said: String::new(),
            retry_after: None,
            transient: error.is_transient(),
        },
        None => SendError::Unreachable(
            if error.is_timeout() {
                "no answer in time"
            } else if error.is_tls() {
                "its TLS is not to be trusted"
            } else if error.is_client() {
                "it does not offer what is asked for (STARTTLS, or a way to log in)"
            } else {
                "the connection was refused or broke off"
            }
            .to_owned(),
        ),
    }
}

#[async_trait]
impl Deliver for Email {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Notice(notice) = message else { return Ok(()) };
        let sent = self.transport.send(self.letter(notice)?);
        match tokio::time::timeout(self.options.timeout, sent).await {
            Ok(sent) => sent.map(drop).map_err(|found| error(&found)),
            Err(_) => Err(SendError::Slow(self.options.timeout)),
        }
    }

    async fn probe(&self) -> Result<(), SendError> {
        let test = self.transport.test_connection();
        match tokio::time::timeout(self.options.timeout, test).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SendError::Answer("it does not answer NOOP")),
            Ok(Err(found)) => Err(error(&found)),
            Err(_) => Err(SendError::Slow(self.options.timeout)),
        }
    }

    fn takes(&self, message: &Message) -> bool {
        matches!(message, Message::Notice(_))
    }
}
