//! Child processes, each in a process group of its own, with a deadline and a
//! bounded memory of what it wrote to stderr.
//!
//! A child that outlives its deadline or whose job is cancelled gets SIGTERM,
//! a grace period, then SIGKILL, as a group, so that nothing it started stays
//! behind. Secrets travel in the environment, never in the arguments.

mod ending;
mod origin;
mod orphans;
mod priority;
mod remembered;
mod table;

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    os::fd::OwnedFd,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt as _,
    process::{ChildStdin, ChildStdout},
    task::JoinHandle,
};

pub use ending::Ending;
pub(crate) use orphans::{Adoption, take_ends};
pub(crate) use priority::NICE;
pub use priority::Priority;
use priority::step_back;
pub use remembered::STDERR_KEPT;
pub(crate) use remembered::read as remember;
pub(crate) use table::{Process, pids};

/// How long a child may take to end after SIGTERM.
pub const TERM_GRACE: Duration = Duration::from_secs(5);

/// What is run, and how. Its environment is only what is put here plus a few
/// harmless inherited variables, so that no credential of ours reaches a child
/// that does not need it.
#[derive(Clone)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    user: Option<(u32, u32)>,
    dir: Option<PathBuf>,
    priority: Priority,
}

/// Inherited by every child: how to find programs, where temporary files go,
/// and how to speak; none of them carries a secret.
const INHERITED: &[&str] = &["PATH", "TMPDIR", "TZDIR", "LD_LIBRARY_PATH", "HOME"];

/// Where a child's standard stream goes or comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Nowhere.
    Null,
    /// To or from us.
    Piped,
}

/// A child could not be run or did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("start {program}: {reason}")]
    Start {
        /// The program's file name.
        program: String,
        /// Why; no source, or it would be said twice.
        reason: io::Error,
    },
    /// It ended with an error.
    #[error("{program} {status}{}", stderr_suffix(.stderr))]
    Failed {
        /// The program's file name.
        program: String,
        /// How.
        status: Ending,
        /// What is remembered of its stderr.
        stderr: String,
    },
    /// It was still running at its deadline and was ended.
    #[error("{program} did not finish within {} s{}", .deadline.as_secs(), stderr_suffix(.stderr))]
    TimedOut {
        /// The program's file name.
        program: String,
        /// The deadline.
        deadline: Duration,
        /// What is remembered of its stderr.
        stderr: String,
    },
    /// Reading from it or waiting for it failed.
    #[error("wait for {program}: {reason}")]
    Wait {
        /// The program's file name.
        program: String,
        /// Why.
        reason: io::Error,
    },
}

fn stderr_suffix(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl Program {
    /// A program by its path, without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            user: None,
            dir: None,
            priority: Priority::Usual,
        }
    }

    /// Adds an argument. Arguments are visible to every user of the machine: never a secret.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments, with the same caution.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable of the child.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it as another user and group.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// Runs it in another directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Gives it a priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The program's file name, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, stdin: Stream, stdout: Stream) -> Result<Child, ProcessError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one door for children")]
        let mut command = tokio::process::Command::new(&self.path);
        command
            .args(&self.args)
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("LC_ALL", "C")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(stdio(stdin))
            .stdout(stdio(stdout))
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let mut child = orphans::known(|| command.spawn())
            .map_err(|reason| ProcessError::Start { program: self.name(), reason })?;
        let stderr = child.stderr.take().map(|pipe| tokio::spawn(remembered::read(pipe)));
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        if self.priority == Priority::Low {
            step_back(group);
        }
        Ok(Child { name: self.name(), process: child, group, stderr, ended: false })
    }

    /// Runs it to its end and returns what it wrote to stdout.
    ///
    /// # Errors
    /// When it cannot be started, ends with an error, or is not done at the deadline.
    pub async fn output(&self, deadline: Duration) -> Result<Vec<u8>, ProcessError> {
        let mut child = self.spawn(Stream::Null, Stream::Piped)?;
        let mut stdout = child.stdout();
        let work = async {
            let mut bytes = Vec::new();
            if let Some(pipe) = &mut stdout {
                pipe.read_to_end(&mut bytes)
                    .await
                    .map_err(|reason| ProcessError::Wait { program: self.name(), reason })?;
            }
            child.wait().await?.success()?;
            Ok(bytes)
        };
        if let Ok(result) = tokio::time::timeout(deadline, work).await {
            return result;
        }
        let stderr = child.stop(TERM_GRACE).await.stderr;
        Err(ProcessError::TimedOut { program: self.name(), deadline, stderr })
    }
}

impl fmt::Debug for Program {
    /// Leaves the environment out: passwords live there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("path", &self.path)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

fn stdio(stream: Stream) -> Stdio {
    match stream {
        Stream::Null => Stdio::null(),
        Stream::Piped => Stdio::piped(),
    }
}

/// A running child. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: tokio::process::Child,
    group: Option<Pid>,
    stderr: Option<JoinHandle<String>>,
    ended: bool,
}

/// How a child ended.
#[derive(Debug)]
pub struct Exit {
    /// The program's file name.
    pub program: String,
    /// Its exit code or signal; `None` where it could not be learnt.
    pub status: Option<ExitStatus>,
    /// What is remembered of its stderr.
    pub stderr: String,
}

impl Child {
    /// Takes its stdout, once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.process.stdout.take()
    }

    /// Takes its stdout as a plain blocking descriptor, once, for a reader
    /// thread that must not pay for polling.
    ///
    /// # Errors
    /// When the descriptor cannot be set to blocking.
    pub fn blocking_stdout(&mut self) -> io::Result<Option<OwnedFd>> {
        self.process.stdout.take().map(ChildStdout::into_owned_fd).transpose()
    }

    /// Takes its stdin, once.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.process.stdin.take()
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Its process group, for a caller that must end it from elsewhere.
    #[must_use]
    pub fn group(&self) -> Option<Pid> {
        self.group
    }

    /// Waits until it ends by itself. Take its stdout first and read it, or it may never end.
    ///
    /// # Errors
    /// When the wait itself fails; a child that ended badly is an [`Exit`] that
    /// [`Exit::success`] turns into an error.
    pub async fn wait(&mut self) -> Result<Exit, ProcessError> {
        let status = self
            .process
            .wait()
            .await
            .map_err(|reason| ProcessError::Wait { program: self.name.clone(), reason })?;
        self.note_end();
        Ok(Exit {
            program: self.name.clone(),
            status: Some(status),
            stderr: self.remembered().await,
        })
    }

    /// Ends it: SIGTERM to the group, up to `grace`, then SIGKILL.
    pub async fn stop(&mut self, grace: Duration) -> Exit {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(grace, self.process.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
        }
        let status = self.process.wait().await.ok();
        // A grandchild may still hold the group: it goes too.
        self.signal(Signal::SIGKILL);
        self.note_end();
        Exit { program: self.name.clone(), status, stderr: self.remembered().await }
    }

    fn note_end(&mut self) {
        self.ended = true;
        orphans::ended(self.group);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // An error only says that the group is gone already.
            let _ = killpg(group, signal);
        }
    }

    async fn remembered(&mut self) -> String {
        let Some(mut task) = self.stderr.take() else {
            return String::new();
        };
        // A grandchild that keeps stderr open must not keep us waiting.
        if let Ok(text) = tokio::time::timeout(TERM_GRACE, &mut task).await {
            return text.unwrap_or_default();
        }
        task.abort();
        String::new()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::SIGKILL);
        }
    }
}

impl Exit {
    /// Turns a bad end into an error.
    ///
    /// # Errors
    /// When the exit code is not zero or a signal ended it.
    pub fn success(self) -> Result<Self, ProcessError> {
        match self.status {
            Some(status) if status.success() => Ok(self),
            status => Err(ProcessError::Failed {
                status: status.into(),
                program: self.program,
                stderr: self.stderr,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
