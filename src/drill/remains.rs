//! What a drill leaves behind that was killed with no time to clean up, and the
//! next one's clearing it away.
//!
//! Every sandbox's folder holds a file that its process keeps locked. The kernel
//! lets go of the lock however the process ends, so that a folder whose lock is
//! free is nobody's any more.
//!
//! Others may write where sandboxes are made, and what a dump has run may have left
//! anything there under any name: what is not a folder of our own with a file of our
//! own in it is left alone, and no link leads anywhere. All of this may block.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::{
    fcntl::{OFlag, openat},
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, geteuid, getuid},
};
use tokio_util::sync::CancellationToken;

use crate::{
    postgres::sandbox_user,
    process::{Process, pids},
};

/// How every sandbox's folder begins.
pub(super) const PREFIX: &str = "reliquary-drill-";

/// The file whose lock says that somebody uses the folder.
const OWNER: &str = "owner";

/// Its name until it is locked: a folder without an owner is nobody's to clear.
const NOT_LOCKED_YET: &str = "owner.new";

/// How long a server may take to end, and what is killed.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Says that a folder is in use, until it is dropped.
#[derive(Debug)]
pub(super) struct Owner(#[expect(dead_code, reason = "it holds the lock")] File);

/// Takes a new folder.
pub(super) fn own(folder: &Path) -> io::Result<Owner> {
    let not_yet = folder.join(NOT_LOCKED_YET);
    let file = File::create_new(&not_yet)?;
    file.try_lock().map_err(io::Error::from)?;
    fs::rename(not_yet, folder.join(OWNER))?;
    Ok(Owner(file))
}

/// Clears away what killed drills have left in `root`, until it is told to stop;
/// returns what was cleared.
pub(super) fn clear(root: &Path, stop: &CancellationToken) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let named = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PREFIX)
    });
    let mut cleared = Vec::new();
    for folder in named {
        if stop.is_cancelled() {
            break;
        }
        // One without a file was made this moment, or is not ours to judge.
        let Ok(Left { folder: opened, owner }) = Left::open(&folder) else { continue };
        match owner.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
        }
        end_processes(&folder, stop);
        // Nothing has taken its place meanwhile.
        if stop.is_cancelled() || !is_still(&folder, &opened) {
            continue;
        }
        match remove(&folder) {
            Ok(()) => cleared.push(folder),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "what a killed drill left could not be removed");
            }
        }
    }
    cleared
}

/// Removes a sandbox's folder, its owner last: what is left where that fails, or where
/// it is cut short, is still known for a sandbox's.
///
/// # Errors
/// When something cannot be removed.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == OWNER {
            continue;
        }
        // A link is removed, and not what it leads to.
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir_all(folder)
}

/// A sandbox's folder, and the file in it that says whether somebody uses it.
struct Left {
    folder: File,
    owner: File,
}

impl Left {
    /// # Errors
    /// When there is no such folder with such a file, or they are not our own.
    fn open(folder: &Path) -> io::Result<Self> {
        let own = |file: File, is_kind: fn(&fs::Metadata) -> bool| {
            let known = file.metadata()?;
            let is_ours = is_kind(&known) && known.uid() == geteuid().as_raw();
            if is_ours { Ok(file) } else { Err(io::Error::from(io::ErrorKind::InvalidInput)) }
        };
        let only_a_folder = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let mut options = fs::OpenOptions::new();
        let opened = options.read(true).custom_flags(only_a_folder.bits()).open(folder)?;
        let folder = own(opened, fs::Metadata::is_dir)?;
        // Somebody may have made a pipe of that name, for which one would wait.
        let at_once = OFlag::O_RDONLY
            | OFlag::O_NONBLOCK
            | OFlag::O_NOFOLLOW
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let opened = File::from(openat(&folder, OWNER, at_once, Mode::empty())?);
        let owner = own(opened, fs::Metadata::is_file)?;
        Ok(Self { folder, owner })
    }
}

/// Whether a path still leads to a folder that was opened, and over no link.
fn is_still(path: &Path, opened: &File) -> bool {
    let identity = |known: fs::Metadata| (known.dev(), known.ino());
    let there = path.symlink_metadata().map(identity);
    there.is_ok_and(|there| opened.metadata().is_ok_and(|known| identity(known) == there))
}

/// Ends the servers whose data lie in a folder, and then whatever else has come from
/// a sandbox there. The number in `postmaster.pid` says nothing: a server that had
/// processes of its own counted them for itself.
fn end_processes(folder: &Path, stop: &CancellationToken) {
    let serving = || seen("cmdline", |line| serves(line, folder));
    let to = |processes: &[Pid], signal| {
        for &pid in processes {
            let _ = kill(pid, signal);
        }
    };
    to(&serving(), Signal::SIGQUIT);
    for _ in 0..PATIENCE {
        if stop.is_cancelled() || serving().is_empty() {
            break;
        }
        thread::sleep(PAUSE);
    }
    for _ in 0..PATIENCE {
        let mut left = serving();
        left.extend(seen("environ", |environment| lives_in(environment, folder)));
        if stop.is_cancelled() || left.is_empty() {
            break;
        }
        to(&left, Signal::SIGKILL);
        thread::sleep(PAUSE);
    }
}

/// The processes of which the system says something, among those of our account and
/// of that of sandboxes: others' are not looked at, and not ended.
fn seen(what: &str, is_so: impl Fn(&[u8]) -> bool) -> Vec<Pid> {
    let users = [Some(getuid().as_raw()), sandbox_user()];
    let is_theirs =
        |pid: &i32| Process::read(*pid).is_ok_and(|process| users.contains(&Some(process.user)));
    let says = |pid: &i32| fs::read(format!("/proc/{pid}/{what}")).is_ok_and(|said| is_so(&said));
    let pids = pids().unwrap_or_default().into_iter();
    pids.filter(is_theirs).filter(says).map(Pid::from_raw).collect()
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
    use std::{os::unix::fs::symlink, sync::mpsc};

    use super::*;
    use crate::process::{Child, Program, Stream};

    /// What is cleared in a folder, which takes no longer than it may.
    fn cleared(root: &Path) -> Vec<PathBuf> {
        let (sender, receiver) = mpsc::channel();
        let root = root.to_owned();
        thread::spawn(move || sender.send(clear(&root, &CancellationToken::new())));
        receiver.recv_timeout(Duration::from_secs(20)).expect("it waits for somebody")
    }

    #[test]
    fn what_nobody_owns_is_cleared_and_nothing_else() {
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
        let begins = folder("reliquary-drill-begins");
        File::create(begins.join(NOT_LOCKED_YET)).unwrap();
        let foreign = folder("someone-elses");
        drop(own(&foreign).unwrap());

        assert_eq!(cleared(root.path()), std::slice::from_ref(&dead));
        assert!(!dead.exists());
        for kept in [live, unmarked, begins, foreign] {
            assert!(kept.exists(), "{}", kept.display());
        }
    }

    #[test]
    fn what_others_have_put_there_is_neither_waited_for_nor_followed() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let pipe = folder("reliquary-drill-pipe");
        nix::unistd::mkfifo(&pipe.join(OWNER), Mode::S_IRWXU).unwrap();
        fs::create_dir(folder("reliquary-drill-folder").join(OWNER)).unwrap();
        let victim = elsewhere.path().join("reliquary-drill-victim");
        fs::create_dir(&victim).unwrap();
        drop(own(&victim).unwrap());
        symlink(&victim, root.path().join("reliquary-drill-link")).unwrap();
        symlink(victim.join(OWNER), folder("reliquary-drill-linked").join(OWNER)).unwrap();
        File::create(root.path().join("reliquary-drill-file")).unwrap();
        // A link in what is ours goes, and what it leads to stays.
        let ours = folder("reliquary-drill-ours");
        drop(own(&ours).unwrap());
        symlink(&victim, ours.join("data")).unwrap();
        let mut expected = vec![ours];
        if geteuid().is_root() {
            let of_nobody = folder("reliquary-drill-nobodys");
            drop(own(&of_nobody).unwrap());
            std::os::unix::fs::chown(&of_nobody, Some(65534), None).unwrap();
            let nobodys_file = folder("reliquary-drill-nobodys-file");
            drop(own(&nobodys_file).unwrap());
            std::os::unix::fs::chown(nobodys_file.join(OWNER), Some(65534), None).unwrap();
        }
        let before = fs::read_dir(root.path()).unwrap().count();

        let cleared = cleared(root.path());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), before - 1);
        assert!(victim.join(OWNER).exists());
        expected.sort();
        assert_eq!(cleared, expected);
    }

    #[test]
    fn a_folder_is_nobodys_in_no_moment_of_its_beginning() {
        let root = tempfile::tempdir().unwrap();
        let (stop, path) = (CancellationToken::new(), root.path().to_owned());
        let stopped = stop.clone();
        let clearing = thread::spawn(move || {
            let mut cleared = Vec::new();
            while !stopped.is_cancelled() {
                cleared.extend(clear(&path, &stopped));
            }
            cleared
        });
        for at in 0..500 {
            let folder = root.path().join(format!("{PREFIX}{at}"));
            fs::create_dir(&folder).unwrap();
            let owner = own(&folder).unwrap();
            assert!(folder.join(OWNER).exists());
            // As a drill does that ends in order.
            fs::remove_dir_all(&folder).unwrap();
            drop(owner);
        }
        stop.cancel();
        assert_eq!(clearing.join().unwrap(), Vec::<PathBuf>::new());
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

        let path = root.path().to_owned();
        let cleared = tokio::task::spawn_blocking(move || cleared(&path)).await.unwrap();
        assert_eq!(cleared, std::slice::from_ref(&dead));
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
