//! Running `psql` on a script that is handed to it piece by piece.
//!
//! The script is somebody else's, and `psql` takes commands from it that run
//! programs of this machine, wherever its own lexer thinks a statement's text
//! holds a backslash. So it is told first, with a key that no script can know,
//! to take none.

mod stopped;

use tokio::{io::AsyncWriteExt as _, process::ChildStdin};

use self::stopped::{own_words, stopped};
use super::{clients::Client, libpq::KEEPALIVES, tls::TlsError, url::ConnectionUrl};
use crate::process::{Child, Priority, ProcessError, Stream, TERM_GRACE};

/// A `psql` for one target.
#[derive(Clone, Debug)]
pub struct Psql {
    /// The program.
    pub client: Client,
    /// Where it connects.
    pub url: ConnectionUrl,
    /// How it stands to whatever else runs on the machine.
    pub priority: Priority,
}

/// `psql` could not be run, or stopped at an error.
#[derive(Debug, thiserror::Error)]
pub enum PsqlError {
    /// TLS cannot be had as the URL asks.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It did not start, or could not be waited for.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It stopped at an error.
    #[error("{message}")]
    Stopped {
        /// What it said, without its own name for the place, and without any row.
        message: String,
        /// The same with names that a row may hold, where it has some: for who knows
        /// that no row was read.
        named: Option<String>,
        /// The line of the script in which the statement ended, where it said so.
        line: Option<usize>,
        /// The error's class; empty where the connection was lost, `None` where it
        /// did not say.
        code: Option<String>,
        /// Whether code of the database met with it: a function, a trigger, a check.
        of_code: bool,
    },
}

/// A `psql` that reads a script. Dropping it kills it.
#[derive(Debug)]
pub struct RunningPsql {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Psql {
    /// Starts it. It reads nobody's settings, takes no commands from the script,
    /// and stops at the first error.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(&self) -> Result<RunningPsql, PsqlError> {
        let mut child = self
            .url
            .program(&self.client.path, self.client.major)?
            .priority(self.priority)
            .args(["-X", "-q", "--no-password", "--set=ON_ERROR_STOP=1"])
            // With the error's code, which says whether it speaks of rows.
            .arg("--set=VERBOSITY=verbose")
            .arg(format!("--dbname={KEEPALIVES}"))
            .arg("--file=-")
            .spawn(Stream::Piped, Stream::Null)?;
        let stdin = child.stdin();
        let mut running = RunningPsql { child, stdin };
        // Where it ends at once, its end says why.
        running.write(restriction().as_bytes()).await;
        Ok(running)
    }

    /// Runs a whole script.
    ///
    /// # Errors
    /// When it cannot be started, or stops at an error.
    pub async fn run(&self, script: &[u8]) -> Result<(), PsqlError> {
        let mut running = self.start().await?;
        running.write(script).await;
        running.finish().await
    }
}

impl RunningPsql {
    /// Hands on a piece; false when it reads no more, because it has stopped:
    /// [`RunningPsql::finish`] says why.
    pub async fn write(&mut self, piece: &[u8]) -> bool {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(piece).await.is_ok(),
            None => false,
        }
    }

    /// Ends the script, and waits until it has run.
    ///
    /// # Errors
    /// When it stopped at an error.
    pub async fn finish(mut self) -> Result<(), PsqlError> {
        drop(self.stdin.take());
        match self.child.wait().await?.success() {
            Ok(_) => Ok(()),
            Err(ProcessError::Failed { status, stderr, program }) => {
                let stopped = stopped(&stderr);
                let stderr = own_words(&stderr);
                Err(stopped.unwrap_or(ProcessError::Failed { program, status, stderr }.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends it in the middle; what it was doing on the server may go on there.
    pub async fn stop(mut self) {
        drop(self.stdin.take());
        self.child.stop(TERM_GRACE).await;
    }
}

/// The line that lets it take no command but the one with this key.
fn restriction() -> String {
    format!("\\restrict {:032x}{:032x}\n", rand::random::<u128>(), rand::random::<u128>())
}
