//! What is known of a backup before it is restored: by its manifest, or of a
//! legacy archive by its first lines and the newest backup beside it.

use std::io::Read as _;

use futures::TryStreamExt as _;

use super::{Environment, Request, fault::Fault};
use crate::{
    archive::{Manifest, ManifestError, manifest},
    catalog::{self, CatalogError, Key, State, legacy_sha256},
    drill::{PLATFORM_ROLES, Record},
    store::StoreError,
    words::DrillReason,
};

/// What `pg_dump` writes among its first lines.
const DUMPED_FROM: &[u8] = b"-- Dumped from database version ";

/// How much of a legacy archive is read for it, in bytes.
const HEAD: u64 = 64 * 1024;

/// How much of its text.
const HEAD_TEXT: u64 = 16 * 1024;

/// SQL packs about that well; only the room for it depends on this.
const PACKS: u64 = 10;

/// The oldest major that is drilled where nothing is known.
const OLDEST: u32 = 9;

/// What is drilled.
#[derive(Debug)]
pub(super) enum Subject {
    Backup(Box<Manifest>),
    Legacy(Box<Legacy>),
}

/// A legacy archive.
#[derive(Debug)]
pub(super) struct Legacy {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) sha256: Option<String>,
    server: Option<String>,
    newest: Option<manifest::Source>,
}

impl Subject {
    /// Reads what there is to know.
    pub(super) async fn read(environment: &Environment, request: &Request) -> Result<Self, Fault> {
        let store = environment.store.as_ref();
        let Request { layout, catalog, entry, .. } = request;
        if entry.state == State::Good {
            let read = catalog::read_manifest(store, layout, catalog, entry.kind, entry.id).await;
            return match read {
                Ok(manifest) => Ok(Self::Backup(Box::new(manifest))),
                Err(error) => Err(of_manifest(&error)),
            };
        }
        let of_store = |error: StoreError| Fault::unproven(DrillReason::Store, error.to_string());
        let key = layout.key(Key::Archive(entry.kind, entry.id));
        let sha256 = legacy_sha256(store, layout, entry.kind, entry.id).await.map_err(of_store)?;
        let end = entry.archive_bytes.min(HEAD);
        let pieces = store.get_range(&key, 0, end).await.map_err(of_store)?;
        let head: Vec<bytes::Bytes> = pieces.try_collect().await.map_err(of_store)?;
        let newest = match catalog.good().next() {
            Some(good) => catalog::read_manifest(store, layout, catalog, good.kind, good.id)
                .await
                .ok()
                .map(|manifest| manifest.source),
            None => None,
        };
        Ok(Self::Legacy(Box::new(Legacy {
            id: entry.id.to_string(),
            key,
            bytes: entry.archive_bytes,
            sha256,
            server: dumped_from(&head.concat()),
            newest,
        })))
    }

    /// Tells the record what is known.
    pub(super) fn tell(&self, record: &mut Record) {
        let backup = &mut record.backup;
        match self {
            Self::Backup(manifest) => {
                backup.sha256 = Some(manifest.archive.sha256.clone());
                backup.rows = Some(manifest.rows);
                backup.source_version = Some(manifest.source.server_version.clone());
            }
            Self::Legacy(legacy) => {
                backup.sha256.clone_from(&legacy.sha256);
                backup.source_version.clone_from(&legacy.server);
            }
        }
    }

    /// Its manifest, where it has one.
    pub(super) fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Backup(manifest) => Some(manifest),
            Self::Legacy(_) => None,
        }
    }

    /// What is known of the source.
    pub(super) fn source(&self) -> Option<&manifest::Source> {
        match self {
            Self::Backup(manifest) => Some(&manifest.source),
            Self::Legacy(legacy) => legacy.newest.as_ref(),
        }
    }

    /// The source's major version.
    pub(super) fn major(&self) -> u32 {
        match self {
            Self::Backup(manifest) => manifest.source.server_version_num / 10_000,
            Self::Legacy(legacy) => {
                let said = legacy.server.as_deref();
                let said = said.and_then(|text| text.split(['.', ' ']).next()?.parse().ok());
                let newest = legacy.newest.as_ref();
                said.or(newest.map(|source| source.server_version_num / 10_000)).unwrap_or(OLDEST)
            }
        }
    }

    /// The source's encoding.
    pub(super) fn encoding(&self) -> String {
        let source = match self {
            Self::Backup(manifest) => Some(&manifest.source),
            Self::Legacy(legacy) => legacy.newest.as_ref(),
        };
        source.map_or_else(|| "UTF8".to_owned(), |source| source.encoding.clone())
    }

    /// Size of the dump, in bytes; a guess for a legacy archive.
    pub(super) fn dump_bytes(&self) -> u64 {
        match self {
            Self::Backup(manifest) => manifest.archive.uncompressed_bytes,
            Self::Legacy(legacy) => legacy.bytes.saturating_mul(PACKS),
        }
    }

    /// Roles that it may name.
    pub(super) fn roles(&self) -> Vec<String> {
        match self {
            Self::Backup(manifest) => manifest.source.roles.clone(),
            Self::Legacy(legacy) => {
                let mut roles: Vec<String> =
                    PLATFORM_ROLES.iter().map(|&role| role.to_owned()).collect();
                roles.extend(legacy.newest.iter().flat_map(|source| source.roles.clone()));
                roles
            }
        }
    }
}

/// What it says of a backup that its manifest cannot be used, which is a part of it.
fn of_manifest(error: &CatalogError) -> Fault {
    match error {
        CatalogError::Store(_) => Fault::unproven(DrillReason::Store, error.to_string()),
        // Another version of ours wrote it, and may well restore it.
        CatalogError::Manifest(_, ManifestError::UnknownFormat { .. }) => {
            Fault::unproven(DrillReason::Incomplete, error.to_string())
        }
        _ => Fault::failed(DrillReason::ArchiveDamaged, error.to_string()),
    }
}

/// The version of the server, from an archive's beginning.
fn dumped_from(head: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    // It is cut off, which is an error at its end and none before it.
    let _ = flate2::read::MultiGzDecoder::new(head).take(HEAD_TEXT).read_to_end(&mut text);
    let at = memchr::memmem::find(&text, DUMPED_FROM)? + DUMPED_FROM.len();
    let line = text[at..].split(|&byte| byte == b'\n').next()?;
    Some(String::from_utf8_lossy(line).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::words::DrillVerdict;

    #[test]
    fn a_manifest_of_another_format_is_no_damage() {
        let of = |text: &[u8]| {
            let error = Manifest::parse(text).unwrap_err();
            let fault = of_manifest(&CatalogError::Manifest("a.manifest.json".to_owned(), error));
            (fault.verdict, fault.reason)
        };
        let newer = of(br#"{"format": "reliquary/9"}"#);
        assert_eq!(newer, (DrillVerdict::Unproven, DrillReason::Incomplete));
        assert_eq!(of(b"{").0, DrillVerdict::Failed);
    }

    #[test]
    fn the_version_is_read_from_an_archive_that_is_cut_off() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"--\n-- PostgreSQL database dump\n--\n\n").unwrap();
        packed.write_all(b"-- Dumped from database version 15.4 (Debian)\n").unwrap();
        let noise: String = (0..20_000_u64)
            .map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        packed.write_all(noise.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let cut = &packed[..packed.len() / 2];
        assert_eq!(dumped_from(cut).as_deref(), Some("15.4 (Debian)"));
        assert_eq!(dumped_from(b"nothing of the kind"), None);
    }
}
