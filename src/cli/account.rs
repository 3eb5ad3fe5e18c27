//! Who runs this, where nobody says who it is.

use nix::unistd::{User, geteuid};

/// The account's name.
pub(super) fn account() -> String {
    let id = geteuid();
    let user = User::from_uid(id).ok().flatten();
    user.map_or_else(|| format!("account {id}"), |user| user.name)
}
