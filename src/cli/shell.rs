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

/// What the page of the program says beside its arguments.
const PLACES: &str = r".SH FILES
.TP
\fI./config/reliquary.toml\fR, \fI/etc/reliquary/reliquary.toml\fR
The settings, where neither \-\-config nor RELIQUARY_CONFIG names another file.
.SH ENVIRONMENT
.TP
RELIQUARY_CONFIG
The settings file.
.TP
RELIQUARY__STORE__URL and the like
Any key of the settings, with two underscores between the words; before the file.
.TP
DIRECT_URL
The source, where there is one database and the settings give it no url.
.TP
AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ROLE_ARN and the like
What the usual tools of AWS read.
.TP
RUST_LOG
Levels of logs, where log.filter is not set.
";

pub(super) fn man(dir: Option<&Path>) -> Result<u8> {
    let command = Arguments::command();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    page.extend_from_slice(PLACES.as_bytes());
    let Some(dir) = dir else {
        write(&page)?;
        return Ok(DONE);
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .and_then(|()| std::fs::write(dir.join("reliquary.1"), page))
        .with_context(|| format!("write manual pages to {}", dir.display()))?;
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
