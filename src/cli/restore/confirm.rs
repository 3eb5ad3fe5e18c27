//! The question before anything is dropped.

use std::io::Write as _;

use anyhow::{Result, bail};
use tokio::sync::oneshot;

use super::outcome::Interrupted;
use crate::lifecycle::Signals;

/// Asks a person. A signal is an answer too.
pub(super) async fn ask(database: &str) -> Result<bool> {
    eprint!("drop what the archive creates from database {database}, and restore? [y/N] ");
    std::io::stderr().flush()?;
    let (answer, answered) = oneshot::channel();
    // A thread of its own, which nobody has to wait for.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).map(|_| line);
        // Where nobody waits for it any more, the process is about to end.
        let _ = answer.send(read);
    });
    let mut signals = Signals::install()?;
    let line = tokio::select! {
        signal = signals.next() => bail!(Interrupted::untouched(signal)),
        line = answered => line??,
    };
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
