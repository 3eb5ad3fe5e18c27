//! `reliquary status`

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{StatusCode, header::HeaderValue};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;

use super::{DONE, Global, UNHEALTHY, print};
use crate::{
    app,
    catalog::{CatalogError, Layout},
    channels,
    clock::Clock,
    health::Status,
    jobs::{
        drill::history::Drills,
        survey::{Origins, survey, tell},
    },
    rfc3339,
    settings::Settings,
    state::DrillReport,
    status::{self, StatusDocument},
    visible::visible_lines,
    words::{Check, DrillStage, JobKind},
};

/// How long a daemon may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The checks that need no daemon.
const OF_THE_STORE: [&str; 6] =
    ["backup_age", "store", "two_sources", "verify", "drill", "drill_left"];

/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 4 << 20;

#[derive(Args, Debug)]
#[command(after_help = "Example: reliquary status || echo \"look at the backups\"")]
pub(super) struct Arguments {
    /// Ask only the running daemon; without this, the store itself is looked at where none answers.
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings(false)?;
    let address = reachable(settings.http.listen);
    let asked = match connect(address).await {
        Ok(stream) => ask(stream, address, settings.http.password.as_ref()).await,
        Err(error) => {
            Err(error).with_context(|| format!("no daemon answers at {address} (http.listen)"))
        }
    };
    let (document, from) = match asked {
        Ok(document) => (document, format!("the daemon at {address}")),
        Err(error) if arguments.live => return Err(error),
        Err(error) => (look(&settings).await?, format!("the store; {error}")),
    };
    if global.json {
        print::json(&document)?;
    } else {
        print!("{}", text(&document, &from));
    }
    Ok(if document.status.is_ok() { DONE } else { UNHEALTHY })
}

/// A daemon that listens everywhere is reached on this machine.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(if listen.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    listen
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    tokio::time::timeout(ANSWER_WITHIN, TcpStream::connect(address)).await?
}

async fn ask(
    stream: TcpStream,
    address: SocketAddr,
    password: Option<&SecretString>,
) -> Result<StatusDocument> {
    let exchange = async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = hyper::Request::get("/status")
            .header(hyper::header::HOST, address.to_string())
            .body(Empty::<Bytes>::new())?;
        if let Some(password) = password {
            let shown = format!("Bearer {}", password.expose_secret());
            let mut shown = HeaderValue::from_str(&shown)?;
            shown.set_sensitive(true);
            request.headers_mut().insert(hyper::header::AUTHORIZATION, shown);
        }
        let response = sender.send_request(request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            bail!("it asks for the password that is http.password where it runs");
        }
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        connection.abort();
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok::<_, anyhow::Error>(serde_json::from_slice(&body)?)
    };
    tokio::time::timeout(ANSWER_WITHIN, exchange)
        .await
        .map_err(anyhow::Error::from)
        .flatten()
        .with_context(|| format!("what listens at {address} (http.listen) gave no status"))
}

/// What the store alone says; nothing of a process, since there is none.
async fn look(settings: &Settings) -> Result<StatusDocument> {
    let store = app::store_to_read(&settings.store).await?;
    let state = app::state(settings, Clock::system());
    for database in settings.databases.values() {
        let layout = Layout::new(database.prefix.clone());
        let looking = async {
            let mut found = survey(store.as_ref(), &layout, state.now()).await?;
            // The source is not asked who it is: its two installations show all the same.
            found.tell_apart(store.as_ref(), &layout, None, &mut Origins::new()).await?;
            Ok::<_, CatalogError>(found)
        };
        match looking.await {
            Ok(found) => {
                tell(&state, &database.name, &found.catalog, found.newest.as_ref());
                let mut drills = Drills::default();
                match drills.refresh(store.as_ref(), &layout, &found.catalog.drills).await {
                    Ok(()) => drills.tell(&state, &database.name, &found.catalog),
                    // Health then says of drills that they were not looked at.
                    Err(error) => warn(&format!("what drills have found cannot be read: {error}")),
                }
            }
            Err(error) => {
                state.update(&database.name, |state| {
                    state.catalog_error = Some(error.to_string());
                });
            }
        }
    }
    // No daemon says which channels it reached, so they are looked at from here.
    app::probe(&channels::channels(&settings.notify)?, &state).await;
    let mut document = status::document(&state, &app::status_info(store.as_ref()));
    forget_the_process(&mut document);
    Ok(document)
}

fn warn(what: &str) {
    eprintln!("warning: {}", visible_lines(what));
}

/// Takes out what is said of a daemon's life: nobody has started one here.
fn forget_the_process(document: &mut StatusDocument) {
    let settled = |status: &mut Status| {
        if *status == Status::Starting {
            *status = Status::Stale;
        }
    };
    settled(&mut document.status);
    for database in &mut document.databases {
        let health = &mut database.health;
        settled(&mut health.status);
        health.checks.retain(|check| OF_THE_STORE.contains(&check.name.as_str()));
        let age = health.checks.iter_mut().find(|check| check.name == "backup_age");
        if let (Some(age), None) = (age, health.last_success) {
            "no good backup is known".clone_into(&mut age.detail);
        }
    }
}

fn text(document: &StatusDocument, from: &str) -> String {
    let mut text = format!("{}  (says {from})\n", document.status.as_str());
    for database in &document.databases {
        let health = &database.health;
        let last = health.last_success.map_or("no good backup yet".to_owned(), |time| {
            format!("last good backup {} ago", print::age(document.now, time))
        });
        text += &format!("\n{}: {}, {last}\n", database.name, health.status.as_str());
        for check in &health.checks {
            let mark = match (check.ok, check.unknown) {
                (false, _) => "NOT",
                (true, true) => "?  ",
                (true, false) => "ok ",
            };
            text += &format!("  {mark} {:<11} {}\n", check.name, visible_lines(&check.detail));
        }
        for running in database.running.iter().chain(&database.aside) {
            let progress = &running.progress;
            let done = match running.job {
                JobKind::Backup => format!("{} of dump", print::size(progress.dump_bytes)),
                JobKind::Verify => format!("{} of archive", print::size(progress.archive_bytes)),
                JobKind::Audit => format!("{} checks", Check::ALL.len()),
                JobKind::Sweep => {
                    format!("{} of archive freed", print::size(progress.archive_bytes))
                }
                JobKind::Drill => {
                    let stage = progress.drill.map_or("begins", DrillStage::as_str);
                    format!("its stage {stage}")
                }
            };
            text += &format!(
                "  a {} runs since {}s: {}, {done}\n",
                running.job, running.seconds, progress.stage
            );
        }
        if let Some(last) = database.drills.as_ref().and_then(|drills| drills.last.as_ref()) {
            let reason = last.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let DrillReport { id, backup, verdict, .. } = last;
            text += &format!("  last drill  {id} of {backup}: {verdict}{reason}\n");
            let stages: Vec<String> = last
                .stages
                .iter()
                .filter(|stage| !stage.stage.contains('.'))
                .map(|stage| format!("{} {:.1} s", stage.stage, stage.seconds))
                .collect();
            if !stages.is_empty() {
                text += &format!("              {}\n", visible_lines(&stages.join(", ")));
            }
        }
        if let Some(next) = database.next_drill {
            text += &format!("  next drill  {}\n", rfc3339::format(next));
        }
        if let Some(catalog) = &database.catalog {
            text += &format!(
                "  {} scheduled, {} manual, {} legacy; {} in the store\n",
                print::count(catalog.scheduled),
                print::count(catalog.manual),
                print::count(catalog.legacy),
                print::size(catalog.bytes)
            );
        }
    }
    if !document.channels.is_empty() {
        text += "\nchannels:\n";
    }
    for (kind, channel) in &document.channels {
        let mark = if channel.error.is_none() { "ok " } else { "NOT" };
        let detail = match (&channel.error, channel.last_sent) {
            (Some(error), _) => format!("failed to {}", visible_lines(error)),
            (None, Some(time)) => format!("last told {} ago", print::age(document.now, time)),
            (None, None) => "can be reached".to_owned(),
        };
        text += &format!("  {mark} {:<11} {detail}\n", kind.as_str());
    }
    text
}
