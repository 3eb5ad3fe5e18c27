//! Processes that outlive the child which started them.
//!
//! While somebody waits for them, the kernel makes this process their parent in
//! the child's place. A process may shed its name, its session and its
//! environment, but not whom it descends from: what is our child, was not started by
//! us, and comes from that child (see [`Origin`]), is an orphan of it.
//!
//! The first process of a container is the parent of everybody's orphans, always. It
//! takes their ends, and ends none of them.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, getpgrp, getpid, getuid},
};

use super::{
    Child,
    origin::{Origin, We, limit_of},
    table::{Process, is_gone, pids},
};

/// How often the first process takes the ends of those that were left to it.
const TAKE_EVERY: Duration = Duration::from_secs(10);

struct Ours {
    /// What we have started, and not yet seen end.
    children: BTreeSet<i32>,
    /// How many wait for orphans.
    adoptions: usize,
}

static OURS: Mutex<Ours> = Mutex::new(Ours { children: BTreeSet::new(), adoptions: 0 });

fn ours() -> MutexGuard<'static, Ours> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ours {
    /// Our children that we have not started, and whether nobody was overlooked.
    fn strangers(&mut self) -> (Vec<Process>, bool) {
        // One that cannot be looked at now may well be there.
        self.children.retain(|&child| !has_left(&Process::read(child)));
        let Ok(pids) = pids() else { return (Vec::new(), false) };
        let (mut strangers, mut are_all) = (Vec::new(), true);
        for seen in pids.into_iter().map(Process::read) {
            match seen {
                Ok(process) => {
                    if process.is_our_child()
                        && !self.children.contains(&process.pid)
                        && !is_of_a_library(&process)
                    {
                        strangers.push(process);
                    }
                }
                Err(error) => are_all &= is_gone(&error) || is_of_others(&error),
            }
        }
        (strangers, are_all)
    }
}

/// Whether a child of ours is gone for certain, its end taken, by what was seen under
/// its number.
fn has_left(seen: &io::Result<Process>) -> bool {
    match seen {
        Ok(process) => !process.is_our_child(),
        Err(error) => is_gone(error),
    }
}

/// Whether it is closed to us, as no child of ours is.
fn is_of_others(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// A library may start a program too, such as one that fetches credentials: it
/// stays in our group, as none that we start does.
fn is_of_a_library(process: &Process) -> bool {
    process.user == getuid().as_raw() && process.group == getpgrp().as_raw()
}

/// Starts a child that is to be known as one of ours from its first moment.
pub(super) fn known(
    start: impl FnOnce() -> io::Result<tokio::process::Child>,
) -> io::Result<tokio::process::Child> {
    let mut ours = ours();
    let child = start()?;
    ours.children.extend(child.id().and_then(|id| i32::try_from(id).ok()));
    Ok(child)
}

/// Says that a child was seen to end, so that its number may be another's.
pub(super) fn ended(child: Option<Pid>) {
    if let Some(child) = child {
        ours().children.remove(&child.as_raw());
    }
}

/// Takes the ends of those that were left to us because we are the first process, for
/// as long as it is awaited; where we are not, there is nothing to take.
pub(crate) async fn take_ends() {
    while getpid().as_raw() == 1 {
        tokio::time::sleep(TAKE_EVERY).await;
        take_those_of(&ours().strangers().0);
    }
}

/// Nobody but us takes the end of a stranger: those that we have started are none.
fn take_those_of(strangers: &[Process]) {
    for ended in strangers.iter().filter(|stranger| stranger.has_ended) {
        let _ = waitpid(Pid::from_raw(ended.pid), Some(WaitPidFlag::WNOHANG));
    }
}

/// Makes orphans of a child our own, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Adoption(Origin);

impl Adoption {
    /// Those of a child that has just started, and runs as `user`; `None` where it has
    /// ended already.
    pub(crate) fn of(child: &Child, user: u32) -> Option<Self> {
        let origin = Origin::of(child.group()?.as_raw(), user);
        let mut ours = ours();
        ours.adoptions += 1;
        take_in(true);
        Some(Self(origin))
    }

    /// Kills the orphans that are there; returns whether there was none. What they
    /// have started is an orphan after that, so that once is not enough.
    #[must_use]
    pub(crate) fn end_orphans(&self) -> bool {
        // Nothing is started while we look.
        let mut ours = ours();
        let (strangers, mut none) = ours.strangers();
        take_those_of(&strangers);
        let we = We { user: getuid().as_raw(), are_first: getpid().as_raw() == 1 };
        for stranger in strangers.iter().filter(|stranger| !stranger.has_ended) {
            match self.0.is_of(stranger, we, || limit_of(stranger.pid)) {
                Ok(false) => continue,
                Ok(true) => {
                    let pid = Pid::from_raw(stranger.pid);
                    // Nobody but us takes its end, so that the number is still its own.
                    let _ = kill(pid, Signal::SIGKILL);
                    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
                }
                // It is looked at again.
                Err(_) => {}
            }
            none = false;
        }
        none
    }
}

impl Drop for Adoption {
    fn drop(&mut self) {
        let mut ours = ours();
        ours.adoptions -= 1;
        if ours.adoptions == 0 {
            take_in(false);
        }
    }
}

/// Tells the kernel whose children orphans become.
fn take_in(orphans: bool) {
    // Where it knows no such thing, they become another's, and stay.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(orphans);
    #[cfg(not(target_os = "linux"))]
    let _ = orphans;
}

#[cfg(test)]
#[path = "orphans_tests.rs"]
mod tests;
