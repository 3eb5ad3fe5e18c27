//! Programs that the tests need and the system's packages lack; `tests/tools.sh` fetches them.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// A child of a test. Tests wait for their children at once, so they need none
/// of what `process.rs` adds.
#[expect(clippy::disallowed_methods, reason = "a test may start a program and wait for it")]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// Where fetched tools may be, in the order in which they are looked for.
pub(crate) fn tool_dirs() -> Vec<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("a temporary directory inside the target directory");
    std::env::var_os("RELIQUARY_TEST_TOOLS")
        .map(PathBuf::from)
        .into_iter()
        .chain([target.join("tools"), PathBuf::from("/var/cache/reliquary-test-tools")])
        .collect()
}

/// The path of a tool such as `moto_server`, `aws` or `promtool`: a fetched
/// one, or whatever `PATH` finds.
pub(crate) fn tool(name: &str) -> PathBuf {
    tool_dirs()
        .iter()
        .flat_map(|dir| [dir.join("venv/bin").join(name), dir.join("bin").join(name)])
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}
