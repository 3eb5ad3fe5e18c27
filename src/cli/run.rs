//! `reliquary run`

use anyhow::Result;

use super::{DONE, Global};
use crate::{
    app::{self, Daemon},
    clock::Clock,
    lifecycle::{Signal, Signals},
};

pub(super) async fn run(global: &Global) -> Result<u8> {
    let settings = global.settings(true)?;
    let signals = Signals::install()?;
    let store = app::store(&settings.store).await?;
    let daemon = Daemon::new(&settings, store, Clock::system())?;
    let listener = daemon.listen().await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %listener.local_addr()?,
        databases = settings.databases.len(),
        "running"
    );
    let stop = daemon.run(listener, signals).await?;
    tracing::info!(clean = stop.clean, "stopped");
    let unclean = stop.signal.map_or(super::FAILED, Signal::exit_code);
    Ok(if stop.clean { DONE } else { unclean })
}
