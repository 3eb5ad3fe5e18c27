//! `reliquary completions` and `reliquary man`

use std::{io, path::Path};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::{Arguments, DONE};

pub(super) fn completions(shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "reliquary", &mut script);
    write(&script)?;
    Ok(DONE)
}

pub(super) fn man(dir: Option<&Path>) -> Result<u8> {
    let mut command = Arguments::command();
    command.build();
    if let Some(dir) = dir {
        std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(command, dir))
            .with_context(|| format!("write manual pages to {}", dir.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        write(&page)?;
    }
    Ok(DONE)
}

/// A reader that has seen enough, such as `head`, is no failure.
fn write(bytes: &[u8]) -> Result<()> {
    use io::Write;
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}
