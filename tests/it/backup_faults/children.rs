//! Programs in the place of `pg_dump`, and the product as a process of its own.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::pipe,
    process::Child,
    task::JoinHandle,
};

use super::bench::{Bench, PATIENCE, eventually, program};

/// A folder with a `pg_dump` that does what a script says.
///
/// The script finds the real program in `$real`, the section's name in
/// `$section`, and may call `reach`, which tells the test that it has come so
/// far and waits until the test lets it go on. One that calls `hold` waits for
/// the same: the sections are dumped at once.
pub(super) struct FakeDump {
    pub(super) dir: TempDir,
    reached: BufReader<pipe::Receiver>,
    go: pipe::Sender,
}

impl FakeDump {
    /// One that says it is of the real one's version.
    pub(super) fn new(bench: &Bench, script: &str) -> Self {
        Self::of_version(bench, "exec \"$real\" --version", script)
    }

    /// One that answers `--version` with what `version` runs.
    pub(super) fn of_version(bench: &Bench, version: &str, script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for fifo in ["reached", "go"] {
            mkfifo(&path(fifo), Mode::S_IRWXU).unwrap();
        }
        let text = format!(
            "#!/bin/sh\n\
             real='{real}' dir='{dir}' section=none\n\
             case \"$*\" in --version) {version}; exit;; esac\n\
             for arg; do case $arg in --section=*) section=${{arg#--section=}};; esac; done\n\
             reach() {{ echo \"$$ $section\" >\"$dir/reached\"; read -r _ <\"$dir/go\"; \
             : >\"$dir/gone-on\"; }}\n\
             hold() {{ until [ -e \"$dir/gone-on\" ]; do sleep 0.02; done; }}\n\
             {script}\n",
            real = bench.server.bin("pg_dump").display(),
            dir = dir.path().display(),
        );
        std::fs::write(path("pg_dump"), text).unwrap();
        std::fs::set_permissions(path("pg_dump"), PermissionsExt::from_mode(0o755)).unwrap();
        // Open for both, so that neither end ever waits for the other to come.
        let mut options = pipe::OpenOptions::new();
        let reached = options.read_write(true).open_receiver(path("reached")).unwrap();
        let go = options.open_sender(path("go")).unwrap();
        Self { dir, reached: BufReader::new(reached), go }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until the script calls `reach`; returns its process id.
    pub(super) async fn reached(&mut self) -> Pid {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.reached.read_line(&mut line)).await;
        read.expect("the script was not reached in time").unwrap();
        Pid::from_raw(line.split(' ').next().unwrap().parse().unwrap())
    }

    /// Lets the script go on.
    pub(super) async fn release(&mut self) {
        self.go.write_all(b"go on\n").await.unwrap();
    }
}

/// Whether a process has not ended; one that nobody has waited for yet counts as ended.
pub(super) fn is_alive(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

/// Waits until a process is gone.
pub(super) async fn gone(pid: Pid) {
    eventually(&format!("process {pid} ends"), || !is_alive(pid)).await;
}

/// The program under test, killed when dropped.
pub(super) struct Reliquary {
    process: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// How it ended, and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Reliquary {
    /// Starts it in a directory where it finds no settings.
    pub(super) fn start(env: &BTreeMap<String, String>, dir: &Path, args: &[&str]) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the program under test, killed when dropped"
        )]
        let mut command = tokio::process::Command::new(program());
        let mut process = command
            .args(args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = tokio::spawn(collect(process.stdout.take().unwrap()));
        let stderr = tokio::spawn(collect(process.stderr.take().unwrap()));
        Self { process, stdout, stderr }
    }

    /// Starts it on a bench.
    pub(super) fn on(bench: &Bench, args: &[&str]) -> Self {
        Self::start(&bench.env, bench.files.path(), args)
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().unwrap().try_into().unwrap())
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> Ended {
        let ended = async {
            let status = self.process.wait().await.unwrap();
            let (stdout, stderr) = (&mut self.stdout, &mut self.stderr);
            Ended { status, stdout: stdout.await.unwrap(), stderr: stderr.await.unwrap() }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("it did not end in time")
    }

    /// Kills it, with no time to do anything.
    pub(super) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }
}

async fn collect(mut pipe: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The arguments of every process of this machine that can be seen.
pub(super) fn arguments() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| {
            let path: PathBuf = process.path().join("cmdline");
            let bytes = std::fs::read(path).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
        })
        .collect()
}
