//! `pg_amcheck` over a whole database, where the server programs bring it.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::{record::Comparison, sandbox::Sandbox};
use crate::{
    process::{Program, Stream},
    words::Looked,
};

const NAME: &str = "pg_amcheck finds no corruption";

/// How much of what it says is kept, in characters.
const SAID: usize = 2000;

/// What it exits with where it has found something.
const FOUND: i32 = 2;

impl Sandbox {
    /// Checks every table and B-tree, with so many sessions at once.
    pub async fn amcheck(&self, jobs: usize, deadline: Duration) -> Comparison {
        let not_run = |why: String| Comparison::new(NAME, Looked::NotRun, why);
        let path = self.bins().dir.join("pg_amcheck");
        if !path.is_file() {
            return not_run(format!("{} is not there", path.display()));
        }
        let cluster = self.cluster();
        let program = Program::new(path)
            .args(["--install-missing", "--no-dependent-toast", "-j", &jobs.max(1).to_string()])
            .arg("-h")
            .arg(cluster.socket_dir())
            .args(["-p", &cluster.port().to_string(), "-U", cluster.superuser()])
            .args(["-d", self.database()])
            .dir("/");
        let mut child = match program.spawn(Stream::Null, Stream::Piped) {
            Ok(child) => child,
            Err(error) => return not_run(error.to_string()),
        };
        let mut said = Vec::new();
        let work = async {
            if let Some(mut stdout) = child.stdout() {
                // What cannot be read says nothing; how it ended does.
                let _ = stdout.read_to_end(&mut said).await;
            }
            child.wait().await
        };
        let exit = match tokio::time::timeout(deadline, work).await {
            Ok(Ok(exit)) => exit,
            Ok(Err(error)) => return not_run(error.to_string()),
            Err(_) => return not_run(format!("it did not finish within {} s", deadline.as_secs())),
        };
        let said: String = String::from_utf8_lossy(&said).trim().chars().take(SAID).collect();
        match exit.status.and_then(|status| status.code()) {
            Some(0) => Comparison::new(NAME, Looked::Ok, "every table and B-tree".to_owned()),
            Some(FOUND) => Comparison::new(NAME, Looked::Failed, said),
            _ => not_run(exit.stderr.trim().to_owned()),
        }
    }
}
