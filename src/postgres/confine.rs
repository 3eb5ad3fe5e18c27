//! Keeping a server away from the rest of the machine, as far as the machine
//! lets us: less of the processor than others, no network, and no process but its
//! own.

use std::time::Duration;

use super::unprivileged::Account;
use crate::process::{NICE, Program};

/// Trying a program must not hang.
const TRY_WITHIN: Duration = Duration::from_secs(10);

/// Gives it a network of its own, in which there is nothing, and needs no rights.
const NO_NETWORK: &[&str] = &["unshare", "--user", "--map-current-user", "--net"];

/// And processes of its own: none outlives the first, the kernel ends them with it,
/// whatever they do.
const OWN_PROCESSES: &[&str] = &["--ipc", PROCESSES, "--fork", "--kill-child"];
const PROCESSES: &str = "--pid";

/// And a view of those alone (`/proc`). A machine that lets us have them may still
/// refuse it, as containers do.
const OWN_VIEW: &str = "--mount-proc";

/// The first process of a namespace is the parent of whatever loses its own. A
/// server would take the end of such a process for that of a backend.
const FIRST: &str = r#""$@" & wait "$!""#;

/// What a server is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Programs that start it in their turn; see [`super::cluster::ClusterOptions::wrap`].
    pub wrap: Vec<String>,
    /// Whether it has no network.
    pub no_network: bool,
    /// Whether it has processes of its own, which the kernel ends with it.
    pub own_processes: bool,
}

/// Finds out what this machine lets the account of a sandbox do.
pub async fn confine() -> Confinement {
    let Ok(account) = Account::for_sandbox() else { return Confinement::default() };
    let works = async |wrap: &[&str]| {
        let (Some(first), rest) = (wrap.first(), &wrap[1.min(wrap.len())..]) else { return false };
        let program = account.run(Program::new(*first)).args(rest).arg("true").dir("/");
        program.output(TRY_WITHIN).await.is_ok()
    };
    let mut confinement = Confinement::default();
    let mut add = |wrap: &[&str]| confinement.wrap.extend(wrap.iter().map(|&word| word.to_owned()));
    // It steps back for others.
    let nice = NICE.to_string();
    let nice = ["nice", "-n", &nice];
    if works(&nice).await {
        add(&nice);
    }
    for namespaces in namespaces() {
        if works(&namespaces).await {
            add(&namespaces);
            confinement.no_network = true;
            confinement.own_processes = namespaces.contains(&PROCESSES);
            break;
        }
    }
    confinement
}

/// Ways to keep it away, the one that keeps it farthest first.
fn namespaces() -> [Vec<&'static str>; 3] {
    let first = ["/bin/sh", "-c", FIRST, "sh"];
    [
        [NO_NETWORK, OWN_PROCESSES, &[OWN_VIEW], &first].concat(),
        [NO_NETWORK, OWN_PROCESSES, &first].concat(),
        NO_NETWORK.to_vec(),
    ]
}

/// Closes this process's memory and environment to others of its account, for
/// as long as it lives: a server that we start as ourselves must not read them.
pub fn close_to_others() {
    // Where the kernel has no such switch, nothing is lost but the switch.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}
