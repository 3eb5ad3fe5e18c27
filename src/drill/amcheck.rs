//! `pg_amcheck` over a whole database, where the server programs bring it.

use std::{path::Path, time::Duration};

use super::{record::Comparison, sandbox::Sandbox};
use crate::postgres::Target;
use crate::{
    process::{Priority, Program, Stream, remember},
    words::Looked,
};

const NAME: &str = "pg_amcheck finds no corruption";

/// How much of what it says is kept, in characters.
const SAID: usize = 2000;

/// What it exits with where it has found something, or could not look at something.
const FOUND: i32 = 2;

/// How an error of the server begins in what it says. That is how a damaged index is
/// told, and everything that keeps the server from looking.
const ERROR: &str = "ERROR:";

/// What an error of the server holds that tells of damage: the checks of an index name
/// it, a page of a table is invalid, and what was stored beside a row is incomplete.
const OF_DAMAGE: [&str; 3] = [" index \"", "invalid page in ", " chunk number "];

/// Whether the server could install the extension that it needs.
const HAS_EXTENSION: &str = "SELECT count(*) FROM pg_catalog.pg_available_extensions WHERE name OPERATOR(pg_catalog.=) 'amcheck'";

const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// The sandbox runs what nobody has read, and may ask for a password: nothing of
/// ours answers, and nothing of ours is looked into.
fn program(path: &Path, jobs: usize) -> Program {
    Program::new(path)
        .priority(Priority::Low)
        .args(["--install-missing", "--no-dependent-toast", "-j", &jobs.max(1).to_string()])
        .arg("--no-password")
        .env("PGPASSFILE", "/dev/null")
        .env("HOME", "/nonexistent")
        .dir("/")
}

/// What it came to.
fn judge(code: Option<i32>, said: &str, stderr: &str) -> (Looked, String) {
    match code {
        Some(0) => (Looked::Ok, "every table and B-tree".to_owned()),
        Some(FOUND) if tells_of_damage(said) => (Looked::Failed, said.to_owned()),
        // Some of why stands in what it says: that the server is gone, for one.
        _ => (Looked::CouldNotRun, [said, stderr].join("\n").trim().to_owned()),
    }
}

/// Whether a line below that of a relation tells of damage. What is found in a table is
/// told as it is, and an error is one of the server.
fn tells_of_damage(said: &str) -> bool {
    let mut is_of_error = false;
    said.lines().any(|line| {
        let Some(text) = line.strip_prefix("    ") else {
            is_of_error = false;
            return false;
        };
        is_of_error |= text.starts_with(ERROR);
        let names = || OF_DAMAGE.iter().any(|of| text.contains(of));
        if is_of_error { text.starts_with(ERROR) && names() } else { true }
    })
}

impl Comparison {
    /// There is nothing to check it with.
    #[must_use]
    pub fn no_amcheck(why: &str) -> Self {
        Self::new(NAME, Looked::NotRun, why.to_owned())
    }
}

impl Sandbox {
    /// Checks every table and B-tree, with so many sessions at once.
    pub async fn amcheck(&self, jobs: usize, deadline: Duration) -> Comparison {
        // What is there and does not run is another matter than what is not there.
        let could_not = |why: String| Comparison::new(NAME, Looked::CouldNotRun, why);
        let path = self.bins().dir.join("pg_amcheck");
        if !path.is_file() {
            return Comparison::no_amcheck(&format!("{} is not there", path.display()));
        }
        match self.has_amcheck().await {
            Ok(true) => {}
            Ok(false) => {
                let why = "the server does not have the extension amcheck (to mend it: install the \
                           server's contrib package)";
                return Comparison::no_amcheck(why);
            }
            Err(error) => return could_not(error),
        }
        let cluster = self.cluster();
        let program = program(&path, jobs)
            .arg("-h")
            .arg(cluster.socket_dir())
            .args(["-p", &cluster.port().to_string(), "-U", cluster.superuser()])
            .args(["-d", self.database()]);
        let mut child = match program.spawn(Stream::Null, Stream::Piped) {
            Ok(child) => child,
            Err(error) => return could_not(error.to_string()),
        };
        let mut said = String::new();
        let work = async {
            if let Some(stdout) = child.stdout() {
                // A server that means harm may have it say without end.
                said = remember(stdout).await;
            }
            child.wait().await
        };
        let exit = match tokio::time::timeout(deadline, work).await {
            Ok(Ok(exit)) => exit,
            Ok(Err(error)) => return could_not(error.to_string()),
            Err(_) => {
                return could_not(format!("it did not finish within {} s", deadline.as_secs()));
            }
        };
        let code = exit.status.and_then(|status| status.code());
        let (outcome, detail) = judge(code, said.trim(), exit.stderr.trim());
        Comparison::new(NAME, outcome, detail.chars().take(SAID).collect())
    }

    async fn has_amcheck(&self) -> Result<bool, String> {
        let url = self.url().map_err(|error| error.to_string())?;
        let session = Target::another(&url, CONNECT_WITHIN).await;
        let mut session = session.map_err(|error| error.to_string())?;
        let count = session.number(HAS_EXTENSION).await.map_err(|error| error.to_string());
        session.close().await;
        Ok(count? > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn what_keeps_the_server_from_looking_is_no_damage() {
        let judge = |code, said: &str| judge(Some(code), said, "pg_amcheck: error: no").0;
        assert_eq!(judge(0, ""), Looked::Ok);
        assert_eq!(judge(1, ""), Looked::CouldNotRun);
        assert_eq!(judge(FOUND, ""), Looked::CouldNotRun);
        let gone =
            "btree index \"app.public.gift_pkey\":\n    server closed the connection unexpectedly";
        let (outcome, why) = super::judge(Some(1), gone, "");
        assert!(outcome == Looked::CouldNotRun && why == gone, "{why}");
        let server = "heap table \"app.public.gift\":\n    ERROR:  out of shared memory\n    HINT:  \
                      You might need to increase max_locks_per_transaction.\n\
                      btree index \"app.public.gift_pkey\":\n    ERROR:  could not open file \
                      \"base/5/7\": No such file or directory\n    CONTEXT:  of index \"x\"";
        assert_eq!(judge(FOUND, server), Looked::CouldNotRun);
        let index = "btree index \"app.public.gift_pkey\":\n    ERROR:  item order invariant violated \
                     for index \"gift_pkey\"\n    DETAIL:  Lower index tid=(1,2)";
        let heap = "heap table \"app.public.gift\", block 3, offset 7:\n    xmin 5 equals or exceeds \
                    next valid transaction ID";
        let page = "heap table \"app.public.gift\":\n    ERROR:  invalid page in block 3 of relation \
                    base/5/7";
        for damage in [index, heap, page] {
            assert_eq!(judge(FOUND, damage), Looked::Failed, "{damage}");
            let both = format!("{server}\n{damage}");
            assert_eq!(judge(FOUND, &both), Looked::Failed, "{both}");
        }
    }

    #[tokio::test]
    async fn it_has_no_password_of_ours_for_a_server_that_asks_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pg_amcheck");
        let script = "#!/bin/sh\necho \"$HOME $PGPASSFILE $*\"\n";
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let said = program(&path, 0).output(CONNECT_WITHIN).await.unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("/nonexistent /dev/null "), "{said}");
        assert!(said.contains(" -j 1 ") && said.contains(" --no-password"), "{said}");
    }
}
