//! Why a throwaway cluster could not be made.

use std::{io, path::PathBuf, time::Duration};

use crate::process::ProcessError;

/// A cluster could not be made or did not stay up.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no account that could run the server.
    #[error("find an unprivileged account to run PostgreSQL as: {0}")]
    Account(String),
    /// Its directory could not be made.
    #[error("prepare the cluster's directory {}: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server's account cannot get at something it needs.
    #[error(
        "let the account {account} reach {}: a directory on the way is closed to it; \
         set TMPDIR, or move the programs, to where everyone may look",
        .path.display()
    )]
    Unreachable {
        /// The account.
        account: String,
        /// What it must reach.
        path: PathBuf,
    },
    /// The kernel would refuse the socket.
    #[error("make a socket at {}: a socket's path is limited to 107 bytes; set TMPDIR to a shorter one", .0.display())]
    SocketPath(PathBuf),
    /// `initdb`, or the copy of a template, failed.
    #[error("initialise the cluster: {0}")]
    Init(#[source] ProcessError),
    /// The server could not be started.
    #[error("run the server: {0}")]
    Run(#[from] ProcessError),
    /// The server ended while it started.
    #[error("start the server: it ended, and said: {0}")]
    Ended(String),
    /// The server did not answer in time.
    #[error("the new server does not answer within {} s: {last}", .deadline.as_secs())]
    NotReady {
        /// The deadline.
        deadline: Duration,
        /// What the last attempt met.
        last: String,
    },
}
