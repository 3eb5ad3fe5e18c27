//! An archive as SQL on stdout.

use std::os::fd::AsFd as _;

use anyhow::Result;

use super::{super::DONE, Wanted, legacy};
use crate::{
    catalog::{self, Key, State},
    restore::{self, Progress},
};

/// Writes it.
pub(super) async fn run(wanted: &Wanted) -> Result<u8> {
    let Wanted { store, layout, catalog, entry, options, .. } = wanted;
    let stdout = std::io::stdout().as_fd().try_clone_to_owned()?;
    let file = tokio::fs::File::from_std(stdout.into());
    let mut out = tokio::io::BufWriter::with_capacity(1 << 18, file);
    let progress = Progress::default();
    let written = if entry.state == State::Good {
        let manifest =
            catalog::read_manifest(store.as_ref(), layout, catalog, entry.kind, entry.id).await?;
        restore::write(store, &manifest, options, &mut out, &progress).await
    } else {
        legacy::only_whole(options)?;
        let key = layout.key(Key::Archive(entry.kind, entry.id));
        let known = catalog::legacy_sha256(store.as_ref(), layout, entry.kind, entry.id).await?;
        let (bytes, known) = (entry.archive_bytes, known.as_deref());
        restore::write_legacy(store, &key, bytes, known, &mut out, &progress).await
    };
    written?;
    Ok(DONE)
}
