//! `reliquary fetch`

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    DONE, Global, UNHEALTHY, print, progress,
    which::{Opened, Which},
};
use crate::{
    catalog::{BackupId, Layout},
    clock::Clock,
    jobs::fetch::{self, FetchError, Fetched, Request},
    lifecycle::{Ended, Signals, interruptible},
    state::Progress,
    store::Patience,
    visible::visible_lines,
};

/// How long an interrupted fetch may take to put away what has come.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  reliquary fetch\n  reliquary fetch 2026-11-23T14 -o /mnt/backups/\n  \
    reliquary fetch --at \"2026-11-23 14:30Z\" -o before.sql.gz"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Where to: a file, or a folder that is there; its own name, here, where this is not given.
    #[arg(long, short, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    /// Replace a different file of that name.
    #[arg(long)]
    force: bool,
    /// Fetch a backup that verify found damaged, as it is, under a name that says so; exits 3
    /// where its bytes are not those that were stored.
    #[arg(long)]
    damaged: bool,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    arguments.which.query()?;
    let settings = global.settings(false)?;
    let Opened { store, layout, catalog, .. } = arguments.which.open(&settings).await?;
    let damaged = arguments.damaged;
    let which = &arguments.which;
    let entry =
        which.find_to_restore(store.as_ref(), &layout, &catalog, "fetch ID", damaged).await?;
    let file = destination(arguments.output.as_deref(), &name(entry.id, damaged));
    let request = Request {
        catalog: &catalog,
        entry,
        file,
        force: arguments.force,
        damaged,
        patience: Patience::default(),
    };

    let began = Instant::now();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let shown = progress::show_reading(&progress, entry.archive_bytes, global.quiet || global.json);
    let work = fetch::run(&store, &layout, &request, &progress, &cancel);
    let ended = interruptible(Signals::install()?, cancel.clone(), GRACE, Box::pin(work)).await;
    shown.end();
    let result = match ended {
        Ended::Finished(result) => result,
        Ended::Interrupted { value: Some(Ok(fetched)), .. } => Ok(fetched),
        Ended::Interrupted { signal, value } => {
            if let Some(Err(error)) =
                value.filter(|value| !matches!(value, Err(FetchError::Cancelled)))
            {
                eprintln!("error: {}", visible_lines(&error.to_string()));
            }
            eprintln!("interrupted; the same command goes on where it stopped");
            return Ok(signal.exit_code());
        }
    };
    let fetched = result?;
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        print::json(&json!({
            "id": fetched.id,
            "file": fetched.file,
            "checksum_file": fetched.checksum_file,
            "bytes": fetched.bytes,
            "sha256": fetched.sha256,
            "checksum_known": fetched.known,
            "damaged": fetched.was.is_some(),
            "sha256_stored": fetched.was,
            "bytes_there_before": fetched.had,
            "seconds": seconds,
            "age_seconds": (Clock::system().now() - fetched.id.time()).num_seconds(),
        }))?;
    } else if !global.quiet {
        print!("{}", text(&fetched, seconds));
    }
    if let Some(was) = &fetched.was {
        eprintln!(
            "warning: THIS ARCHIVE IS DAMAGED: its SHA-256 is not {was}, which was stored; the \
             checksum file beside it is of the bytes as they are, and gunzip stops at the first \
             damaged member. `reliquary restore {} --damaged` brings back every table that can be \
             read",
            fetched.id
        );
        return Ok(UNHEALTHY);
    }
    if !fetched.known {
        eprintln!(
            "warning: no checksum of this legacy archive is known; it is whole as gzip, and \
             nothing more can be said of it"
        );
    }
    Ok(DONE)
}

/// An archive's own name; a damaged one must not be taken for it.
fn name(id: BackupId, damaged: bool) -> String {
    let name = Layout::file_name(id);
    if damaged { name.replace(".sql.gz", ".damaged.sql.gz") } else { name }
}

fn destination(output: Option<&Path>, name: &str) -> PathBuf {
    match output {
        None => PathBuf::from(name),
        Some(path) if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            path.join(name)
        }
        Some(path) => path.to_owned(),
    }
}

fn text(fetched: &Fetched, seconds: f64) -> String {
    let (file, size) = (fetched.file.display(), print::size(fetched.bytes));
    let how = match fetched.had {
        0 => format!("({seconds:.1} s)"),
        had if had == fetched.bytes => "was there already".to_owned(),
        had => format!("({} of it were there; {seconds:.1} s)", print::size(had)),
    };
    let checksum = fetched.checksum_file.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "{file}: {size} {how}\n  sha256 {}\n  check it again in its folder: sha256sum -c {checksum}\n",
        fetched.sha256
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_its_own_name_unless_a_file_is_named() {
        let id: BackupId = "2026-11-23T14-00-00Z".parse().unwrap();
        let own = "2026-11-23T14-00-00Z.sql.gz";
        assert_eq!(name(id, false), own);
        assert_eq!(name(id, true), "2026-11-23T14-00-00Z.damaged.sql.gz");
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(destination(None, own), Path::new(own));
        assert_eq!(destination(Some(dir.path()), own), dir.path().join(own));
        assert_eq!(
            destination(Some(Path::new("not/there/")), own),
            Path::new("not/there").join(own)
        );
        assert_eq!(destination(Some(Path::new("x.sql.gz")), own), Path::new("x.sql.gz"));
    }
}
