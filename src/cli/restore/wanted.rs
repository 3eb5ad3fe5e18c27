//! What the arguments lead to, before the target is asked.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Result, anyhow};

use super::super::progress;
use crate::{
    archive::manifest::Source,
    catalog::{self, Catalog, CatalogError, Entry, Key, Layout, Remains, State},
    postgres::ConnectionUrl,
    restore::{self, Damage, Live, Options, Progress, Stored, Stream},
    store::{Patience, Store},
    visible::visible_lines,
};

pub(super) struct Wanted {
    pub(super) store: Arc<dyn Store>,
    pub(super) layout: Layout,
    pub(super) catalog: Catalog,
    pub(super) entry: Entry,
    pub(super) options: Options,
    /// Whether it is wanted although it is damaged.
    pub(super) damaged: bool,
    /// Where it is settled, the source: it is never a target.
    pub(super) source: Live,
    /// Other databases of the settings, by name, as far as it is known where they are.
    pub(super) others: Vec<(String, ConnectionUrl)>,
    pub(super) client_dirs: Vec<PathBuf>,
}

/// How an archive is read.
pub(super) enum Way {
    /// Member by member.
    Members(Box<Stored>),
    /// As one stream, without a manifest.
    Stream(Stream),
}

impl Wanted {
    pub(super) async fn way(&self) -> Result<Way> {
        let Self { store, layout, catalog, entry, .. } = self;
        let (kind, id) = (entry.kind, entry.id);
        let stored = |manifest| Stored::new(Arc::clone(store), manifest);
        if self.damaged {
            match catalog::remains(store.as_ref(), layout, kind, id).await? {
                Remains::Members(manifest) => {
                    let held = entry.archive_bytes;
                    return Ok(Way::Members(Box::new(Stored { held, ..stored(*manifest) })));
                }
                Remains::Stream(Some(why)) => eprintln!(
                    "warning: {why}; it is read as one stream, as an archive without a manifest is"
                ),
                Remains::Stream(None) => {}
            }
        } else if entry.state == State::Good {
            let read = catalog::read_manifest(store.as_ref(), layout, catalog, kind, id).await;
            let manifest = read.map_err(|error| match error {
                CatalogError::Store(_) => anyhow::Error::from(error),
                error => anyhow!("{error}; {}", restore::OTHERWISE),
            })?;
            return Ok(Way::Members(Box::new(stored(manifest))));
        }
        Ok(Way::Stream(Stream {
            store: Arc::clone(store),
            key: layout.key(Key::Archive(kind, id)),
            bytes: entry.archive_bytes,
            patience: Patience::default(),
        }))
    }

    /// The SHA-256 of an archive that is read as one stream, where it is known.
    pub(super) async fn sha256(&self) -> Result<Option<String>> {
        let Self { store, layout, entry, .. } = self;
        Ok(catalog::legacy_sha256(store.as_ref(), layout, entry.kind, entry.id).await?)
    }

    /// What the newest backup says of its source that can be read. It is only one of
    /// the ways to know the source, and stands in no archive's way.
    pub(super) async fn newest(&self) -> Option<Source> {
        let Self { store, layout, catalog, .. } = self;
        let newest = catalog::newest_source(store.as_ref(), layout, catalog).await;
        for (id, error) in &newest.unread {
            let error = visible_lines(&error.to_string());
            eprintln!("warning: what backup {id} says of its source cannot be read: {error}");
        }
        newest.source
    }

    /// What cannot be read of an archive that is wanted although it is damaged.
    pub(super) async fn damage(&self, stored: &Stored, quiet: bool) -> Result<Option<Damage>> {
        if !self.damaged {
            return Ok(None);
        }
        let progress = Progress::default();
        let line = progress.clone();
        let shown = progress::show_line(move || super::line(&line), quiet);
        let examined = restore::examine(stored, &self.options, &progress).await;
        shown.end();
        Ok(Some(examined?))
    }
}
