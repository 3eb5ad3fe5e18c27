//! One look at a stored backup: its three objects, and every byte of the archive.

use std::sync::Arc;

use futures::TryStreamExt as _;

use super::{Options, VerifyError};
use crate::{
    archive::{Finding, Manifest, ManifestError, Report, Verifier, manifest},
    catalog::{Entry, Key, Layout, State, checksum_file, pointed_sha256},
    state::Progress,
    store::{ErrorKind, Store, read_on},
};

/// What one look found.
pub(super) struct Looked {
    pub(super) legacy: bool,
    /// What the pass over the archive found; `None` where there is no archive.
    pub(super) report: Option<Report>,
    /// All that is wrong: first what the other objects say, then what the pass found.
    pub(super) findings: Vec<Finding>,
}

impl Looked {
    /// Whether this second look saw what the first one did.
    ///
    /// Bytes of one length and one SHA-256 were the same bytes, whatever a
    /// decoder made of them as they came; so the archive's own findings need
    /// not be held against each other, and those of the other objects do.
    pub(super) fn agrees_with(&self, first: &Self) -> bool {
        let bytes = |looked: &Self| {
            looked.report.as_ref().map(|report| (report.archive_bytes, report.sha256.clone()))
        };
        bytes(self) == bytes(first) && self.beside() == first.beside()
    }

    /// What is wrong with the objects beside the archive.
    fn beside(&self) -> &[Finding] {
        let of_pass = self.report.as_ref().map_or(0, |report| report.findings.len());
        &self.findings[..self.findings.len().saturating_sub(of_pass)]
    }
}

/// Looks at everything that belongs to an entry.
pub(super) async fn look(
    store: &Arc<dyn Store>,
    layout: &Layout,
    entry: &Entry,
    options: Options,
    progress: &Progress,
) -> Result<Looked, VerifyError> {
    let (kind, id) = (entry.kind, entry.id);
    let mut findings = Vec::new();
    let manifest = manifest(store.as_ref(), layout, entry, &mut findings).await?;
    let legacy = matches!(manifest, Found::Missing);
    if legacy && matches!(entry.state, State::Good | State::Broken) {
        return Err(removed(entry));
    }
    let checksum = checksum(store.as_ref(), layout, entry, legacy, &mut findings).await?;
    let (verifier, committed) = match manifest {
        Found::Whole(manifest) => {
            let expected = &manifest.archive.sha256;
            if let Some(found) = checksum.filter(|found| found != expected) {
                let expected = expected.clone();
                findings.push(Finding::ChecksumDiffers { expected, found });
            }
            (Verifier::of_backup(Arc::new(*manifest), options.threads), true)
        }
        Found::Unusable => (Verifier::of_legacy(checksum), true),
        Found::Missing => {
            let known = match checksum {
                Some(known) => Some(known),
                None => pointed_sha256(store.as_ref(), layout, kind, id).await?,
            };
            (Verifier::of_legacy(known), false)
        }
    };
    let key = layout.key(Key::Archive(kind, id));
    let Some(object) = store.head(&key).await? else {
        if !committed || store.head(&layout.key(Key::Manifest(kind, id))).await?.is_none() {
            return Err(removed(entry));
        }
        findings.push(Finding::ArchiveMissing);
        return Ok(Looked { legacy, report: None, findings });
    };
    let report = pass(store, &key, object.size, verifier, options, progress).await?;
    findings.extend(report.findings.iter().cloned());
    Ok(Looked { legacy, report: Some(report), findings })
}

async fn pass(
    store: &Arc<dyn Store>,
    key: &str,
    size: u64,
    mut verifier: Verifier,
    options: Options,
    progress: &Progress,
) -> Result<Report, VerifyError> {
    let mut stream = read_on(Arc::clone(store), key, 0, size, options.patience);
    let broke_down = |lost| VerifyError::new(&lost);
    while let Some(piece) = stream.try_next().await? {
        progress.add_archive_bytes(piece.len() as u64);
        verifier.push(piece).await.map_err(broke_down)?;
    }
    let report = verifier.finish().await.map_err(broke_down)?;
    progress.add_dump_bytes(report.dump_bytes);
    Ok(report)
}

enum Found {
    Whole(Box<Manifest>),
    /// There is one, of no use.
    Unusable,
    /// There is none: the archive is a legacy one.
    Missing,
}

async fn manifest(
    store: &dyn Store,
    layout: &Layout,
    entry: &Entry,
    findings: &mut Vec<Finding>,
) -> Result<Found, VerifyError> {
    let (kind, id) = (entry.kind, entry.id);
    let bytes = match store.get(&layout.key(Key::Manifest(kind, id)), manifest::LIMIT).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) if error.kind == ErrorKind::TooLarge => {
            findings.push(Finding::ManifestUnreadable { detail: error.to_string() });
            return Ok(Found::Unusable);
        }
        Err(error) => return Err(error.into()),
    };
    let manifest = match Manifest::parse(&bytes) {
        Ok(manifest) => manifest,
        // A newer version's: it can tell what is wrong with it, this one cannot.
        Err(error @ ManifestError::UnknownFormat { .. }) => return Err(VerifyError::new(&error)),
        Err(error) => {
            findings.push(Finding::ManifestUnreadable { detail: error.to_string() });
            return Ok(Found::Unusable);
        }
    };
    let archive = layout.key(Key::Archive(kind, id));
    let own = (manifest.id.as_str(), manifest.kind, manifest.archive.key.as_str());
    if own == (id.to_string().as_str(), kind, archive.as_str()) {
        return Ok(Found::Whole(Box::new(manifest)));
    }
    let found = format!("{} backup {}, {}", own.1.name(), own.0, own.2);
    let expected = format!("{} backup {id}, {archive}", kind.name());
    findings.push(Finding::ManifestOfAnother { expected, found });
    Ok(Found::Unusable)
}

/// What the checksum file says.
async fn checksum(
    store: &dyn Store,
    layout: &Layout,
    entry: &Entry,
    legacy: bool,
    findings: &mut Vec<Finding>,
) -> Result<Option<String>, VerifyError> {
    match checksum_file(store, layout, entry.kind, entry.id).await? {
        Some(Ok(sha256)) => return Ok(Some(sha256)),
        Some(Err(error)) => {
            findings.push(Finding::ChecksumUnreadable { detail: error.to_string() });
        }
        None if legacy => {}
        None => findings.push(Finding::ChecksumMissing),
    }
    Ok(None)
}

fn removed(entry: &Entry) -> VerifyError {
    let message = format!("{} was removed since it was listed", entry.id);
    VerifyError { removed: true, ..VerifyError::new(&message) }
}
