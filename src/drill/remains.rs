//! What a drill leaves behind that was killed with no time to clean up, and the
//! next one's clearing it away.
//!
//! Every sandbox's folder holds a file that its process keeps locked. The kernel
//! lets go of the lock however the process ends, so that a folder whose lock is
//! free is nobody's any more.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How every sandbox's folder begins.
pub(super) const PREFIX: &str = "reliquary-drill-";

/// The file whose lock says that somebody uses the folder.
const OWNER: &str = "owner";

/// How long a server may take to end.
const PATIENCE: u32 = 100;

/// Says that a folder is in use, until it is dropped.
#[derive(Debug)]
pub(super) struct Owner(#[expect(dead_code, reason = "it holds the lock")] File);

/// Takes a new folder.
pub(super) fn own(folder: &Path) -> io::Result<Owner> {
    let file = File::create(folder.join(OWNER))?;
    file.try_lock().map_err(io::Error::from)?;
    Ok(Owner(file))
}

/// Clears away what killed drills have left in `root`; returns what was cleared.
pub(super) async fn clear(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let ours = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PREFIX) && path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
    });
    let mut cleared = Vec::new();
    for folder in ours {
        // One without the file was made this moment, or is not ours to judge.
        let Ok(file) = File::open(folder.join(OWNER)) else { continue };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
        }
        end_servers(&folder).await;
        match fs::remove_dir_all(&folder) {
            Ok(()) => cleared.push(folder),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "what a killed drill left could not be removed");
            }
        }
    }
    cleared
}

/// Ends servers whose data lie in a folder.
async fn end_servers(folder: &Path) {
    let Ok(homes) = fs::read_dir(folder) else { return };
    for home in homes.flatten().map(|home| home.path()) {
        let data = home.join("data");
        let Some(pid) = postmaster(&data) else { continue };
        let _ = kill(pid, Signal::SIGQUIT);
        for _ in 0..PATIENCE {
            if !serves(pid, &data) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if serves(pid, &data) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// The server of a data directory, where it still runs.
fn postmaster(data: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?);
    serves(pid, data).then_some(pid)
}

/// Whether a process is the server of a data directory. Its number may have
/// gone to another one since.
fn serves(pid: Pid, data: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let data = data.as_os_str().as_encoded_bytes();
    line.split(|&byte| byte == 0).any(|argument| argument == data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_owns_is_cleared_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.join("pg/data")).unwrap();
            path
        };
        let live = folder("reliquary-drill-live");
        let _owner = own(&live).unwrap();
        let dead = folder("reliquary-drill-dead");
        drop(own(&dead).unwrap());
        // A number that is another process's: ours.
        let pid = std::process::id().to_string();
        fs::write(dead.join("pg/data/postmaster.pid"), pid).unwrap();
        let unmarked = folder("reliquary-drill-unmarked");
        let foreign = folder("someone-elses");
        drop(own(&foreign).unwrap());

        assert_eq!(clear(root.path()).await, std::slice::from_ref(&dead));
        assert!(!dead.exists());
        for kept in [live, unmarked, foreign] {
            assert!(kept.exists(), "{}", kept.display());
        }
    }
}
