//! How another floor asks for a backup, without knowing who makes it.

use std::fmt::Debug;

/// What became of a request to start a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartResult {
    /// It begins.
    Accepted,
    /// One of that database runs already.
    AlreadyRunning,
    /// The runner knows no such database.
    UnknownDatabase,
    /// The process is on its way out.
    ShuttingDown,
}

/// Starts a backup on request; the runner implements it.
pub trait Trigger: Debug + Send + Sync + 'static {
    /// Starts a backup of that database, and returns without waiting for its end.
    fn start(&self, database: &str) -> StartResult;
}
