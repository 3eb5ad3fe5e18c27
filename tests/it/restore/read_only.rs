//! A disk that can only be read is as good as any other to get a backup back from.

use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::{restored, said, shop};
use crate::support::{
    postgres::{Server, assert_same_dump},
    product::Product,
    tools::command,
};

/// A folder that nobody can write to, until it is dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    /// Root may write whatever a folder's mode says: for it the file system refuses.
    fn make(folder: &Path) -> Option<Self> {
        let run = |program: &str, arguments: &[&str]| {
            let output = command(program).args(arguments).arg(folder).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !geteuid().is_root() {
            return run("chmod", &["-R", "a-w"]).then(|| Self(folder.to_owned()));
        }
        let path = folder.to_str()?;
        let mounted = run("mount", &["--bind", path]);
        let made = mounted.then(|| Self(folder.to_owned()))?;
        run("mount", &["-o", "remount,bind,ro"]).then_some(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if geteuid().is_root() {
            let _ = command("umount").arg("-l").arg(&self.0).output();
        } else {
            let _ = command("chmod").args(["-R", "u+w"]).arg(&self.0).output();
        }
    }
}

#[test]
fn a_folder_that_can_only_be_read_gives_everything() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    let id = product.backup(&[]).id;
    // As it comes out of a safe: nothing but the backups.
    let hidden = product.store_dir().join(".reliquary");
    if hidden.exists() {
        std::fs::remove_dir_all(hidden).unwrap();
    }
    let Some(_read_only) = ReadOnly::make(&product.store_dir()) else {
        eprintln!("SKIPPED: this user can make no folder read-only");
        return;
    };
    std::fs::write(product.store_dir().join("x"), "").expect_err("it must be read-only");
    for arguments in [
        &["list"][..],
        &["show"],
        &["verify"],
        &["verify", &id],
        &["fetch"],
        &["restore", "--to", "-"],
    ] {
        let output = product.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
    }
    server.create_database("copy");
    restored(&product, &server, "copy", &[]);
    assert_same_dump(&server.dump_plain("shop"), &server.dump_plain("copy"));
    // What must write says what it lacks.
    let output = product.run(&["backup"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("read and write access to"), "{text}");
}
