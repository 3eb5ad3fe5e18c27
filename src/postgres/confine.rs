//! Keeping a server away from the rest of the machine, as far as the machine
//! lets us: less of the processor than others, and no network.

use std::time::Duration;

use super::unprivileged::Account;
use crate::process::{NICE, Program};

/// Trying a program must not hang.
const TRY_WITHIN: Duration = Duration::from_secs(10);

/// Gives it a network of its own, in which there is nothing, and needs no rights.
const NO_NETWORK: &[&str] = &["unshare", "--user", "--map-current-user", "--net"];

/// What a server is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Programs that start it in their turn; see [`super::cluster::ClusterOptions::wrap`].
    pub wrap: Vec<String>,
    /// Whether it has no network.
    pub no_network: bool,
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
    // It steps back for others, and has no network.
    let nice = NICE.to_string();
    let nice = ["nice", "-n", &nice];
    for (wrap, is_network) in [(&nice[..], false), (NO_NETWORK, true)] {
        if works(wrap).await {
            confinement.wrap.extend(wrap.iter().map(|&word| word.to_owned()));
            confinement.no_network |= is_network;
        }
    }
    confinement
}

/// Closes this process's memory and environment to others of its account, for
/// as long as it lives: a server that we start as ourselves must not read them.
pub fn close_to_others() {
    // Where the kernel has no such switch, nothing is lost but the switch.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}
