//! Telling what comes from one child of ours, whatever it has shed.
//!
//! A process may shed its name, its session, its group and its environment. A limit
//! that was lowered for whoever it descends from is with it for good: only the
//! system's own rights raise it again. So that child is given a low limit for the
//! number of file locks, which no kernel heeds any more: it is a mark, and no more.

use std::{fs, io};

use super::table::Process;

/// The limit that is the mark: no process has it by chance.
const MARK: u64 = 0x5245_4c49;

/// From where processes come.
#[derive(Debug)]
pub(super) struct Origin {
    group: i32,
    user: u32,
    began: u64,
    is_marked: bool,
}

/// Who looks for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct We {
    pub(super) user: u32,
    /// Whether we are the first process, the parent of everybody who loses their own.
    pub(super) are_first: bool,
}

impl Origin {
    /// A child of ours that has just started, and runs as `user`.
    pub(super) fn of(child: i32, user: u32) -> Self {
        let began = Process::read(child).map_or(0, |process| process.began);
        // A system may let us set it, and not say so.
        let is_marked = mark(child) && limit_of(child).is_ok_and(|limit| limit <= MARK);
        Self { group: child, user, began, is_marked }
    }

    /// Whether a process that has become our child comes from there. `limit` asks for
    /// its limit.
    ///
    /// # Errors
    /// When that cannot be asked for.
    pub(super) fn is_of(
        &self,
        process: &Process,
        we: We,
        limit: impl FnOnce() -> io::Result<u64>,
    ) -> io::Result<bool> {
        if process.user != self.user || process.began < self.began {
            return Ok(false);
        }
        if process.group == self.group {
            return Ok(true);
        }
        if self.is_marked {
            return Ok(limit()? <= MARK);
        }
        // The first process is given what comes from elsewhere too, from a shell in the
        // container say: where that may be of the same user, nobody can tell.
        Ok(!we.are_first || self.user != we.user)
    }
}

/// The limit of a process that would be the mark.
pub(super) fn limit_of(pid: i32) -> io::Result<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    hard_limit(&limits).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn hard_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Marks a process, and so whatever it starts from now on; returns whether that
/// tells it from others.
#[cfg(target_os = "linux")]
fn mark(pid: i32) -> bool {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let is_free = getrlimit(Resource::Locks).maximum.is_none_or(|limit| limit > MARK);
    let limit = Rlimit { current: Some(MARK), maximum: Some(MARK) };
    let pid = Pid::from_raw(pid).filter(|_| is_free);
    pid.is_some_and(|pid| prlimit(Some(pid), Resource::Locks, limit).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn mark(_: i32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SANDBOX: u32 = 65534;
    const OURS: u32 = 10001;

    fn origin(user: u32, is_marked: bool) -> Origin {
        Origin { group: 50, user, began: 1000, is_marked }
    }

    fn process(user: u32, began: u64) -> Process {
        Process { pid: 70, parent: 1, group: 70, user, began, has_ended: false }
    }

    fn is_of(origin: &Origin, process: &Process, are_first: bool, limit: u64) -> bool {
        let we = We { user: OURS, are_first };
        origin.is_of(process, we, || Ok(limit)).unwrap()
    }

    #[test]
    fn what_somebody_has_left_to_the_first_process_is_not_of_the_sandbox() {
        for are_first in [false, true] {
            // `docker exec … nohup setsid something &`, while a drill runs.
            let marked = origin(OURS, true);
            assert!(!is_of(&marked, &process(OURS, 2000), are_first, u64::MAX));
            assert!(!is_of(&marked, &process(SANDBOX, 2000), are_first, 5), "of another user");
            assert!(!is_of(&marked, &process(OURS, 999), are_first, 5), "it was there before");
            // A limit may be lowered further, and never raised again.
            for limit in [MARK, MARK - 1, 0] {
                assert!(is_of(&marked, &process(OURS, 1000), are_first, limit));
            }
            let in_group = Process { group: 50, ..process(OURS, 1000) };
            assert!(is_of(&marked, &in_group, are_first, u64::MAX), "its watcher, say");
        }
    }

    #[test]
    fn where_there_is_no_mark_the_user_tells_or_that_nothing_else_is_given_to_us() {
        let of_another = |user| is_of(&origin(SANDBOX, false), &process(user, 2000), true, 5);
        assert!(of_another(SANDBOX) && !of_another(OURS) && !of_another(0));
        let of_ours = |are_first| is_of(&origin(OURS, false), &process(OURS, 2000), are_first, 5);
        assert!(of_ours(false) && !of_ours(true));
    }

    #[test]
    fn what_cannot_be_told_now_is_no_answer() {
        let we = We { user: OURS, are_first: false };
        let unknown = || Err(io::Error::from(io::ErrorKind::Other));
        assert!(origin(OURS, true).is_of(&process(OURS, 2000), we, unknown).is_err());
    }

    #[test]
    fn a_limit_is_read_from_what_the_system_says() {
        let limits = |of_locks: &str| {
            format!("Limit Soft Hard Units\nMax file locks   {of_locks}  locks\nMax x 1 2 y\n")
        };
        assert_eq!(hard_limit(&limits("12  13")), Some(13));
        assert_eq!(hard_limit(&limits("unlimited  unlimited")), Some(u64::MAX));
        assert_eq!(hard_limit("Limit Soft Hard Units\n"), None);
        assert!(limit_of(nix::unistd::getpid().as_raw()).unwrap() > MARK);
    }
}
