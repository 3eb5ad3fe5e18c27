//! The account that runs a server: PostgreSQL refuses to run as root.

use std::{
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use crate::process::Program;

/// Tried in order when we are root.
const CANDIDATES: &[&str] = &["postgres", "nobody"];

/// The same for a server that runs what nobody has read: the account should own
/// nothing that is worth anything, and `postgres` may own a real cluster.
const LEAST: &[&str] = &["nobody", "postgres"];

/// An account that may run a server.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Its name, for messages.
    pub(super) name: String,
    /// `None` when it is the one that we run as.
    ids: Option<(Uid, Gid)>,
}

impl Account {
    /// Our own account, or an unprivileged one when we are root.
    pub(super) fn for_server() -> Result<Self, String> {
        Self::among(CANDIDATES)
    }

    /// The same, and the one that owns the least when we are root.
    pub(super) fn for_sandbox() -> Result<Self, String> {
        Self::among(LEAST)
    }

    fn among(candidates: &[&str]) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Ok(Self { name: "that runs this".to_owned(), ids: None });
        }
        candidates
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self { name: user.name, ids: Some((user.uid, user.gid)) })
            .ok_or_else(|| {
                "the server refuses to run as root, and there is neither an account postgres \
                 nor nobody; run as another user"
                    .to_owned()
            })
    }

    /// Whether it is another one than ours.
    pub(super) fn differs(&self) -> bool {
        self.ids.is_some()
    }

    /// Its number.
    pub(super) fn user(&self) -> u32 {
        self.ids.map_or_else(geteuid, |(user, _)| user).as_raw()
    }

    /// Makes a program run as this account.
    pub(super) fn run(&self, program: Program) -> Program {
        match self.ids {
            Some((uid, gid)) => program.user(uid.as_raw(), gid.as_raw()),
            None => program,
        }
    }

    /// Makes this account the owner of `path`.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        match self.ids {
            Some((uid, gid)) => Ok(chown(path, Some(uid), Some(gid))?),
            None => Ok(()),
        }
    }
}

/// The number of the account that sandboxes run as, where there is one.
pub(crate) fn sandbox_user() -> Option<u32> {
    Account::for_sandbox().ok().map(|account| account.user())
}

/// Whether everyone may walk down to `path`, as an account other than ours must.
pub(super) fn reachable(path: &Path) -> bool {
    path.ancestors().skip(1).all(|dir| {
        dir.as_os_str().is_empty()
            || dir
                .metadata()
                .is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0 && meta.is_dir())
    }) && path.metadata().is_ok_and(|meta| meta.size() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_directory_on_the_way_is_noticed() {
        let outer = tempfile::tempdir().unwrap();
        let file = outer.path().join("file");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(outer.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(!reachable(&file));
        std::fs::set_permissions(outer.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(reachable(&file));
    }
}
