//! What the system says of processes.

use std::{fs, io};

use nix::{errno::Errno, unistd::getpid};

/// The numbers of all processes that we see; none where the system has no such list.
///
/// # Errors
/// When the list cannot be read now.
pub(crate) fn pids() -> io::Result<Vec<i32>> {
    let entries = match fs::read_dir("/proc") {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut pids = Vec::new();
    for entry in entries {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(pids)
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Who it really is, whatever it may do.
    pub(crate) user: u32,
    /// When it began, in ticks since the machine did.
    pub(super) began: u64,
    /// Whether it has ended, and its end was not taken yet.
    pub(super) has_ended: bool,
}

impl Process {
    /// # Errors
    /// When it is gone (see [`is_gone`]), or cannot be looked at now.
    pub(crate) fn read(pid: i32) -> io::Result<Self> {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}"));
        Self::parse(pid, &read("stat")?, &read("status")?)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn parse(pid: i32, stat: &[u8], status: &[u8]) -> Option<Self> {
        // A name may hold anything, a bracket or the end of a line too.
        let stat = String::from_utf8_lossy(stat);
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let status = String::from_utf8_lossy(status);
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            user: user.split_whitespace().next()?.parse().ok()?,
            began: fields.get(19)?.parse().ok()?,
            has_ended: *fields.first()? == "Z",
        })
    }

    pub(super) fn is_our_child(&self) -> bool {
        self.parent == getpid().as_raw()
    }
}

/// Whether an error says that there is no such process, and not only that it could not
/// be looked at.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_holds() {
        let stat = b"12 (a) R 1 1 (b\n) Z 7 8 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 5183 0 0";
        let status = b"Name:\tx\nUid:\t65534\t0\t0\t0\n";
        let process = Process::parse(12, stat, status).unwrap();
        let expected =
            Process { pid: 12, parent: 7, group: 8, user: 65534, began: 5183, has_ended: true };
        assert_eq!(process, expected);
        assert_eq!(Process::parse(12, b"", status), None);
        let own = Process::read(getpid().as_raw()).unwrap();
        assert!(!own.has_ended && own.began > 0);
    }
}
