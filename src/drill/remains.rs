//! What a drill leaves behind that was killed with no time to clean up, and the
//! next one's clearing it away.
//!
//! Every sandbox's folder holds a file that its process keeps locked. The kernel
//! lets go of the lock however the process ends, so that a folder whose lock is
//! free is nobody's any more.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::process::pids;

/// How every sandbox's folder begins.
pub(super) const PREFIX: &str = "reliquary-drill-";

/// The file whose lock says that somebody uses the folder.
const OWNER: &str = "owner";

/// How long a server may take to end, and what is killed.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

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
        end_processes(&folder).await;
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

/// Ends the servers whose data lie in a folder, and then whatever else has come from
/// a sandbox there. The number in `postmaster.pid` says nothing: a server that had
/// processes of its own counted them for itself.
async fn end_processes(folder: &Path) {
    let serving = || seen("cmdline", |line| serves(line, folder));
    let to = |processes: &[Pid], signal| {
        for &pid in processes {
            let _ = kill(pid, signal);
        }
    };
    to(&serving(), Signal::SIGQUIT);
    for _ in 0..PATIENCE {
        if serving().is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    for _ in 0..PATIENCE {
        let mut left = serving();
        left.extend(seen("environ", |environment| lives_in(environment, folder)));
        if left.is_empty() {
            break;
        }
        to(&left, Signal::SIGKILL);
        tokio::time::sleep(PAUSE).await;
    }
}

/// The processes of which the system says something.
fn seen(what: &str, is_so: impl Fn(&[u8]) -> bool) -> Vec<Pid> {
    let says = |pid: &i32| fs::read(format!("/proc/{pid}/{what}")).is_ok_and(|said| is_so(&said));
    pids().filter(says).map(Pid::from_raw).collect()
}

/// Whether arguments are those of a server of a sandbox in a folder, or of a program
/// that has started it.
fn serves(arguments: &[u8], folder: &Path) -> bool {
    let arguments: Vec<&[u8]> = arguments.split(|&byte| byte == 0).collect();
    arguments.windows(2).any(|pair| {
        let data = Path::new(OsStr::from_bytes(pair[1]));
        pair[0] == b"-D" && data.ends_with("data") && data.starts_with(folder)
    })
}

/// Whether an environment is that of a sandbox in a folder, which is handed down to
/// whatever is started there.
fn lives_in(environment: &[u8], folder: &Path) -> bool {
    environment.split(|&byte| byte == 0).any(|variable| {
        let home = variable.strip_prefix(b"HOME=").unwrap_or_default();
        let home = Path::new(OsStr::from_bytes(home));
        home != folder && home.starts_with(folder)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Child, Program, Stream};

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
    #[tokio::test]
    async fn what_a_sandbox_has_started_ends_with_its_remains() {
        let root = tempfile::tempdir().unwrap();
        let dead = root.path().join("reliquary-drill-dead");
        fs::create_dir(&dead).unwrap();
        drop(own(&dead).unwrap());
        let spawn = |program: Program| program.spawn(Stream::Null, Stream::Null).unwrap();
        let sleep = || Program::new("sleep").arg("600");
        let home = dead.join("reliquary-pg-x");
        let left = spawn(sleep().env("HOME", &home));
        // Its number is in no file, or counts for itself alone.
        let server = ["-c", "sleep 600; true", "postgres", "-D"];
        let server = spawn(Program::new("sh").args(server).arg(home.join("data")));
        let others = [sleep(), sleep().env("HOME", root.path()), sleep().env("HOME", &dead)];
        let others = others.map(spawn);

        assert_eq!(clear(root.path()).await, std::slice::from_ref(&dead));
        let runs = |child: &Child| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id().unwrap()));
            stat.is_ok_and(|stat| !stat.contains(") Z"))
        };
        assert!(!runs(&left) && !runs(&server));
        assert!(others.iter().all(runs));
    }

    #[test]
    fn a_server_is_known_by_its_folder_and_nothing_by_less() {
        let folder = Path::new("/t/reliquary-drill-x");
        for (arguments, expected) in [
            ("postgres\0-D\0/t/reliquary-drill-x/pg/data\0-k\0", true),
            ("unshare\0--pid\0sh\0postgres\0-D\0/t/reliquary-drill-x/pg/data\0", true),
            ("postgres\0-D\0/t/reliquary-drill-xy/pg/data\0", false),
            ("ls\0/t/reliquary-drill-x/pg/data\0", false),
            ("", false),
        ] {
            assert_eq!(serves(arguments.as_bytes(), folder), expected, "{arguments:?}");
        }
        for (environment, expected) in [
            ("PATH=/bin\0HOME=/t/reliquary-drill-x/reliquary-pg-y\0", true),
            ("HOME=/t/reliquary-drill-xy/pg\0", false),
            ("PWD=/t/reliquary-drill-x/pg\0HOME=/root\0", false),
            ("", false),
        ] {
            assert_eq!(lives_in(environment.as_bytes(), folder), expected, "{environment:?}");
        }
    }
}
