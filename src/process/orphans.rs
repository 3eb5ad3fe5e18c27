//! Processes that outlive the child which started them.
//!
//! While somebody waits for them, the kernel makes this process their parent in
//! the child's place. A process may shed its name, its session and its
//! environment, but not whom it descends from: what is our child, and was not
//! started by us, is an orphan.

use std::{
    collections::BTreeSet,
    fs, io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, getpgrp, getpid, getuid},
};
use tokio::process::Child;

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

/// Starts a child that is to be known as one of ours from its first moment.
pub(super) fn known(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
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

/// Makes orphans of our children our own, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Adoption(());

impl Adoption {
    pub(crate) fn begin() -> Self {
        let mut ours = ours();
        ours.adoptions += 1;
        take_in(true);
        Self(())
    }

    /// Kills the orphans that are there; returns whether there was none. What they
    /// have started is an orphan after that, so that once is not enough.
    #[must_use]
    #[expect(clippy::unused_self, reason = "only while it lives are there any")]
    pub(crate) fn end_orphans(&self) -> bool {
        // Nothing is started while we look.
        let mut ours = ours();
        let children: Vec<Process> =
            pids().filter_map(Process::read).filter(Process::is_our_child).collect();
        let there: BTreeSet<i32> = children.iter().map(|child| child.pid).collect();
        ours.children.retain(|child| there.contains(child));
        let mut none = true;
        for orphan in children.iter().filter(|child| !ours.children.contains(&child.pid)) {
            if orphan.is_of_a_library() {
                continue;
            }
            none = false;
            let pid = Pid::from_raw(orphan.pid);
            // Nobody but us takes its end, so that the number is still its own.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
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

/// The numbers of all processes that we see.
pub(crate) fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    user: u32,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
        Self::parse(pid, &read("stat")?, &read("status")?)
    }

    fn parse(pid: i32, stat: &[u8], status: &[u8]) -> Option<Self> {
        // A name may hold anything, a bracket or the end of a line too.
        let stat = String::from_utf8_lossy(stat);
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
        let mut number = || fields.next()?.parse().ok();
        let (parent, group) = (number()?, number()?);
        let status = String::from_utf8_lossy(status);
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let user = user.split_whitespace().next()?.parse().ok()?;
        Some(Self { pid, parent, group, user })
    }

    fn is_our_child(&self) -> bool {
        self.parent == getpid().as_raw()
    }

    /// A library may start a program too, such as one that fetches credentials: it
    /// stays in our group, as none that we start does.
    fn is_of_a_library(&self) -> bool {
        self.user == getuid().as_raw() && self.group == getpgrp().as_raw()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::process::Program;

    #[tokio::test]
    async fn what_a_child_leaves_behind_is_ended_whatever_it_has_shed_and_no_child_of_ours() {
        let adoption = Adoption::begin();
        let sleep = |seconds: &str| Program::new("sleep").arg(seconds);
        let mut own =
            sleep("600").spawn(crate::process::Stream::Null, crate::process::Stream::Null).unwrap();
        let left = "cd /; env -i setsid sh -c 'sleep 600 & echo $! $$; exec sleep 600' 2>/dev/null &\
                    sleep 0.2";
        let mut child = Program::new("sh")
            .args(["-c", left])
            .spawn(crate::process::Stream::Null, crate::process::Stream::Piped)
            .unwrap();
        let mut line = String::new();
        let mut stdout = tokio::io::BufReader::new(child.stdout().unwrap());
        tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line).await.unwrap();
        let left: Vec<i32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(left.len(), 2);
        child.wait().await.unwrap();
        let runs = |pid: i32| fs::metadata(format!("/proc/{pid}")).is_ok();
        assert!(left.iter().all(|&pid| runs(pid)), "they outlive it");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !adoption.end_orphans() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!left.iter().any(|&pid| runs(pid)));
        assert!(runs(i32::try_from(own.id().unwrap()).unwrap()));
        own.stop(Duration::ZERO).await;
    }

    #[test]
    fn a_process_is_read_whatever_its_name_holds() {
        let stat = b"12 (a) R 1 1 (b\n) S 7 8 9 0";
        let status = b"Name:\tx\nUid:\t65534\t0\t0\t0\n";
        let expected = Process { pid: 12, parent: 7, group: 8, user: 65534 };
        assert_eq!(Process::parse(12, stat, status), Some(expected));
        assert_eq!(Process::parse(12, b"", status), None);
    }
}
