//! An archive as SQL on stdout.

use std::{io::ErrorKind, os::fd::AsFd as _};

use anyhow::Result;

use super::{
    super::{DONE, FAILED, reader::NOBODY_READS},
    Wanted, Way, legacy,
};
use crate::{
    restore::{self, Progress, WriteError},
    visible::visible,
};

/// Writes it. A reader that has seen enough is no error.
pub(super) async fn run(wanted: &Wanted, quiet: bool) -> Result<u8> {
    let written = write(wanted, quiet).await;
    match written.as_ref().map_err(anyhow::Error::downcast_ref) {
        Err(Some(WriteError::Output(error))) if error.kind() == ErrorKind::BrokenPipe => {
            Ok(NOBODY_READS)
        }
        _ => written,
    }
}

async fn write(wanted: &Wanted, quiet: bool) -> Result<u8> {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned()?;
    let file = tokio::fs::File::from_std(stdout.into());
    let mut out = tokio::io::BufWriter::with_capacity(1 << 18, file);
    let (progress, options) = (Progress::default(), &wanted.options);
    match wanted.way().await? {
        Way::Members(stored) => {
            let damage = wanted.damage(&stored, quiet).await?;
            let left_out = damage.as_ref().map(|damage| damage.lines(&stored.manifest));
            restore::write(&stored, options, damage, &mut out, &progress).await?;
            let left_out = left_out.unwrap_or_default();
            for line in &left_out {
                eprintln!("error: not written: {}", visible(line));
            }
            Ok(if left_out.is_empty() { DONE } else { FAILED })
        }
        Way::Stream(archive) => {
            legacy::only_whole(options)?;
            let (known, damaged) = (wanted.sha256().await?, wanted.damaged);
            let known = known.as_deref();
            restore::write_legacy(&archive, known, damaged, &mut out, &progress).await?;
            Ok(DONE)
        }
    }
}
