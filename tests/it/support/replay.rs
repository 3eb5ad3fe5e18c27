//! A `pg_dump` that works once and then says it all again, for tests that make
//! dozens of backups of a database in which nothing changes.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// Makes a folder with such a program. What it says is of the options that it
/// is called with first, whatever they are later.
pub(super) fn folder(real: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let program: PathBuf = folder.path().join("pg_dump");
    let script = format!(
        "#!/bin/sh\n\
         said='{folder}'/said-version\n\
         for option; do\n\
           case $option in --section=*) said='{folder}'/said-${{option#--section=}} ;; esac\n\
         done\n\
         if [ ! -e \"$said\" ]; then\n\
           '{real}' \"$@\" >\"$said.$$\" || exit\n\
           mv \"$said.$$\" \"$said\"\n\
         fi\n\
         exec cat \"$said\"\n",
        folder = folder.path().display(),
        real = real.display(),
    );
    std::fs::write(&program, script).expect("a script");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");
    folder
}
