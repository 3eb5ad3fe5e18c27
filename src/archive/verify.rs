//! Reads an archive again and checks every byte: its length and SHA-256, each
//! member's gzip header, CRC and length, that each is one whole COPY of its
//! table or whole statements, its rows, and that each section ends as
//! `pg_dump` ends it.
//!
//! It is one pass over the bytes as they come. One thread hashes, several
//! inflate and read; what is in memory is a member for each of them, whatever
//! the size of the archive. A damaged member stops nothing: the manifest says
//! where the next one is.

mod collect;
mod finding;
mod hash;
mod members;
mod outcome;
mod plain;
mod remark;
mod text;

use std::sync::Arc;

use bytes::Bytes;

pub use finding::{Finding, Problem};
pub use remark::Remark;
pub(crate) use text::told;

use self::{hash::HashThread, members::Members, plain::PlainThread};
use super::{
    manifest::Manifest,
    map::{Map, wrong_sums},
    mark,
};

/// The most damaged members, and the most wrong sums of a manifest, that are
/// listed; of the others only the number is said.
pub const FINDINGS: usize = 100;

/// What a pass over an archive found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Size of the archive, in bytes.
    pub archive_bytes: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Length of its text, as far as it could be read, in bytes.
    pub dump_bytes: u64,
    /// Members that were looked at.
    pub members: u64,
    /// Rows of whole members; `None` where no manifest says which is which.
    pub rows: Option<u64>,
    /// What is wrong; empty where nothing is.
    pub findings: Vec<Finding>,
    /// What is odd and no damage.
    pub remarks: Vec<Remark>,
}

/// A thread of the pass broke down, which is a fault in Reliquary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a thread that was checking the archive is gone, which is a fault in Reliquary")]
pub struct Lost;

/// Checks an archive whose bytes are pushed into it, in order.
///
/// Dropping it ends its threads.
pub struct Verifier {
    hash: HashThread,
    body: Body,
    manifest: Option<Arc<Manifest>>,
    /// What the archive's SHA-256 should be, where that is known.
    sha256: Option<String>,
    findings: Vec<Finding>,
    position: u64,
}

enum Body {
    Members(Box<Members>),
    Plain(PlainThread),
}

impl Verifier {
    /// For the archive of a backup; `threads` threads inflate.
    #[must_use]
    pub fn of_backup(manifest: Arc<Manifest>, threads: usize) -> Self {
        let mut findings: Vec<Finding> = wrong_sums(&manifest)
            .into_iter()
            .map(|sum| Finding::ManifestSum {
                what: text::told(&sum.what),
                expected: sum.parts,
                found: sum.said,
            })
            .collect();
        let more = findings.len().saturating_sub(FINDINGS) as u64;
        if more > 0 {
            findings.truncate(FINDINGS);
            findings.push(Finding::More { count: more });
        }
        let body = match Map::of(&manifest) {
            Ok(map) => Body::Members(Box::new(Members::start(manifest.clone(), map, threads))),
            Err(error) => {
                findings.push(Finding::ManifestMembers { detail: error.to_string() });
                Body::Plain(PlainThread::start())
            }
        };
        let sha256 = Some(manifest.archive.sha256.clone());
        let hash = HashThread::start();
        Self { hash, body, manifest: Some(manifest), sha256, findings, position: 0 }
    }

    /// For an archive without a manifest that can be used: gzip to the end, and
    /// its SHA-256 where that is known.
    #[must_use]
    pub fn of_legacy(sha256: Option<String>) -> Self {
        let (hash, body) = (HashThread::start(), Body::Plain(PlainThread::start()));
        Self { hash, body, manifest: None, sha256, findings: Vec::new(), position: 0 }
    }

    /// Takes the next bytes; waits while the threads are busy.
    ///
    /// # Errors
    /// When one of the threads broke down.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Lost> {
        self.position += bytes.len() as u64;
        self.hash.push(bytes.clone()).await?;
        match &mut self.body {
            Body::Members(members) => members.push(bytes).await,
            Body::Plain(plain) => plain.push(bytes).await,
        }
    }

    /// The archive is at its end; waits for the threads.
    ///
    /// # Errors
    /// When one of them broke down.
    pub async fn finish(self) -> Result<Report, Lost> {
        let Self { hash, body, manifest, sha256: expected, mut findings, position } = self;
        let sha256 = hash.finish().await?;
        if let Some(archive) = manifest.as_ref().map(|manifest| &manifest.archive)
            && archive.bytes != position
        {
            findings.push(Finding::Size { expected: archive.bytes, found: position });
        }
        let bytes_differ = expected.as_ref().is_some_and(|expected| *expected != sha256);
        if let Some(expected) = expected.filter(|_| bytes_differ) {
            let expected = text::told(&expected);
            findings.push(Finding::Sha256 { expected, found: sha256.clone() });
        }
        let report = |dump_bytes, members, rows, findings, remarks| Report {
            archive_bytes: position,
            sha256,
            dump_bytes,
            members,
            rows,
            findings,
            remarks,
        };
        match body {
            Body::Members(members) => {
                let found = members.finish().await?;
                findings.extend(manifest.and_then(|manifest| {
                    foreign_mark(&manifest, found.mark.as_deref(), bytes_differ)
                }));
                let (dump_bytes, members, rows) = (found.dump_bytes, found.members, found.rows);
                findings.extend(found.findings(bytes_differ));
                Ok(report(dump_bytes, members, Some(rows), findings, Vec::new()))
            }
            Body::Plain(plain) => {
                let found = plain.finish().await?;
                findings.extend(found.findings);
                Ok(report(found.dump_bytes, found.members, None, findings, found.remarks))
            }
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("position", &self.position).finish_non_exhaustive()
    }
}

/// Whether the archive calls itself another one. Where its bytes are those that
/// were hashed it may be silent.
fn foreign_mark(manifest: &Manifest, found: Option<&str>, bytes_differ: bool) -> Option<Finding> {
    let expected = mark(&manifest.id);
    let foreign = match found {
        Some(found) => found != expected,
        None => bytes_differ,
    };
    foreign.then(|| Finding::Mark { expected: text::told(&expected), found: found.map(text::told) })
}

#[cfg(test)]
mod tests;
