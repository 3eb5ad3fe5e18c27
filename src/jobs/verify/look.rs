//! One look at a stored backup: its three objects, and every byte of the archive.

use std::sync::Arc;

use futures::TryStreamExt as _;

use super::{Options, VerifyError};
use crate::{
    archive::{Finding, Manifest, ManifestError, Remark, Report, Verifier, manifest, told},
    catalog::{Entry, Key, Layout, State, checksum_file, legacy_sha256},
    state::Progress,
    store::{ErrorKind, ObjectMeta, Store, read_on},
};

/// What one look found.
pub(super) struct Looked {
    pub(super) legacy: bool,
    /// The archive as the store knew it before it was read.
    pub(super) archive: Option<ObjectMeta>,
    /// What the pass over the archive found; `None` where there is no archive.
    pub(super) report: Option<Report>,
    /// All that is wrong: first what the other objects say, then what the pass found.
    pub(super) findings: Vec<Finding>,
    /// What is odd and no damage.
    pub(super) remarks: Vec<Remark>,
    /// The SHA-256 that a sound archive's checksum file must hold, and does not.
    pub(super) checksum: Option<String>,
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
    let (mut remarks, mut checksum) = (Vec::new(), None);
    let verifier = if let Found::Whole(manifest) = manifest {
        let expected = &manifest.archive.sha256;
        if let Some(remark) = beside(store.as_ref(), layout, entry, expected).await? {
            remarks.push(remark);
            checksum = Some(expected.clone());
        }
        Verifier::of_backup(Arc::new(*manifest), options.threads)
    } else {
        let known = legacy_sha256(store.as_ref(), layout, kind, id).await?;
        if known.is_none() {
            remarks.push(Remark::ChecksumUnknown);
        }
        Verifier::of_legacy(known)
    };
    let key = layout.key(Key::Archive(kind, id));
    let Some(object) = store.head(&key).await? else {
        if legacy || store.head(&layout.key(Key::Manifest(kind, id))).await?.is_none() {
            return Err(removed(entry));
        }
        findings.push(Finding::ArchiveMissing);
        return Ok(Looked { legacy, archive: None, report: None, findings, remarks, checksum });
    };
    let report = pass(store, &key, object.size, verifier, options, progress).await?;
    findings.extend(report.findings.iter().cloned());
    remarks.extend(report.remarks.iter().cloned());
    let (archive, report) = (Some(object), Some(report));
    Ok(Looked { legacy, archive, report, findings, remarks, checksum })
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
            findings.push(Finding::ManifestUnreadable { detail: told(&error.to_string()) });
            return Ok(Found::Unusable);
        }
        Err(error) => return Err(error.into()),
    };
    let manifest = match Manifest::parse(&bytes) {
        Ok(manifest) => manifest,
        // A newer version's: it can tell what is wrong with it, this one cannot.
        Err(error @ ManifestError::UnknownFormat { .. }) => return Err(VerifyError::new(&error)),
        Err(error) => {
            findings.push(Finding::ManifestUnreadable { detail: told(&error.to_string()) });
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
    findings.push(Finding::ManifestOfAnother { expected, found: told(&found) });
    Ok(Found::Unusable)
}

/// What is odd about a backup's checksum file. It is a convenience for stock
/// tools; the manifest is the truth, so that this is never damage.
async fn beside(
    store: &dyn Store,
    layout: &Layout,
    entry: &Entry,
    expected: &str,
) -> Result<Option<Remark>, VerifyError> {
    Ok(match checksum_file(store, layout, entry.kind, entry.id).await? {
        Some(Ok(found)) if found == expected => None,
        Some(Ok(found)) => {
            let expected = told(expected);
            Some(Remark::ChecksumDiffers { expected, found })
        }
        Some(Err(error)) => Some(Remark::ChecksumUnreadable { detail: told(&error.to_string()) }),
        None => Some(Remark::ChecksumMissing),
    })
}

/// Makes sure that what was looked at is what stands there now: hours may lie
/// between, and a verdict counts for what it stands beside.
pub(super) async fn still_there(
    store: &dyn Store,
    layout: &Layout,
    entry: &Entry,
    looked: &Looked,
) -> Result<(), VerifyError> {
    let (kind, id) = (entry.kind, entry.id);
    let archive = store.head(&layout.key(Key::Archive(kind, id))).await?;
    let has_manifest = store.head(&layout.key(Key::Manifest(kind, id))).await?.is_some();
    if archive == looked.archive && has_manifest != looked.legacy {
        return Ok(());
    }
    // A manifest is the first that is removed of a backup.
    let is_removed = !has_manifest && (archive.is_none() || !looked.legacy);
    Err(if is_removed { removed(entry) } else { replaced(entry) })
}

/// Nothing is known of what took its place.
pub(super) fn replaced(entry: &Entry) -> VerifyError {
    VerifyError::new(&format!(
        "{} was written again or taken away while it was read; verify it again",
        entry.id
    ))
}

fn removed(entry: &Entry) -> VerifyError {
    let message = format!("{} was removed since it was listed", entry.id);
    VerifyError { removed: true, ..VerifyError::new(&message) }
}
