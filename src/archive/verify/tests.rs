mod damage;
mod manifest;

use std::convert::Infallible;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    archive::{
        PartSink,
        checksum::hex,
        gzip::MemberWriter,
        manifest::{Member, Sections, Table},
        pack, read_section, write,
    },
    postgres::Section,
};

const MEMBER: usize = 64 * 1024;
const END: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";

/// An archive and its manifest.
#[derive(Clone)]
struct Backup {
    manifest: Manifest,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Sink(Vec<u8>);

#[async_trait]
impl PartSink for Sink {
    type Error = Infallible;

    async fn part(&mut self, bytes: Bytes, _: bool) -> Result<(), Infallible> {
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

/// What the pipeline of a backup makes of three sections.
async fn made_of(sections: [String; 3]) -> Backup {
    let text = include_bytes!("../../../tests/fixtures/manifests/0.1.0.json");
    let mut manifest = Manifest::parse(text).unwrap();
    let (mut feeder, members) = pack(2, MEMBER, Some(mark(&manifest.id)));
    let reading = tokio::task::spawn_blocking(move || {
        for (section, text) in Section::ALL.into_iter().zip(sections) {
            read_section(text.as_bytes(), section, MEMBER, &mut feeder, |_| {}).unwrap();
        }
    });
    let mut sink = Sink::default();
    let Ok(written) = write(vec![vec![members]], 5 << 20, &mut sink, |_, _| {}).await else {
        panic!("the sink takes everything");
    };
    reading.await.unwrap();
    manifest.archive.bytes = written.bytes;
    manifest.archive.sha256 = written.sha256;
    manifest.archive.uncompressed_bytes = written.index.uncompressed_bytes;
    manifest.rows = written.index.rows;
    manifest.tables = written.index.tables;
    manifest.sections = written.index.sections;
    Backup { manifest, bytes: sink.0 }
}

fn table(name: &str, rows: u64) -> String {
    let rows: String = (0..rows).map(|i| format!("{i}\tdonor {}\n", i * 7919 % 1000)).collect();
    format!("COPY public.{name} (id, name) FROM stdin;\n{rows}\\.\n\n")
}

fn sections() -> [String; 3] {
    let data = table("church", 50) + &table("donation", 80_000) + &table("none", 0);
    [
        format!("CREATE TABLE church ();\n{END}"),
        format!("{data}SELECT pg_catalog.setval('s', 3);\n{END}"),
        format!("CREATE INDEX ON donation (id);\n{END}"),
    ]
}

async fn backup() -> Backup {
    made_of(sections()).await
}

/// The same for tests that are not asynchronous.
fn backup_now() -> Backup {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(backup())
}

async fn pass(backup: &Backup, threads: usize, piece: usize) -> Report {
    let mut verifier = Verifier::of_backup(Arc::new(backup.manifest.clone()), threads);
    for piece in backup.bytes.chunks(piece) {
        verifier.push(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    verifier.finish().await.unwrap()
}

/// What is found, whoever reads and however the bytes come.
async fn findings(backup: &Backup) -> Vec<Finding> {
    let found = pass(backup, 2, usize::MAX).await.findings;
    assert_eq!(pass(backup, 1, 1013).await.findings, found);
    found
}

impl Backup {
    fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    /// The archive's own hash and what the manifest says of it.
    fn differs(&self) -> Finding {
        Finding::Sha256 { expected: self.manifest.archive.sha256.clone(), found: self.sha256() }
    }

    fn resized(&self) -> Finding {
        Finding::Size { expected: self.manifest.archive.bytes, found: self.bytes.len() as u64 }
    }

    /// The member of a number, and what it holds.
    fn place(&self, number: usize) -> (Member, String) {
        let map = Map::of(&self.manifest).unwrap();
        let place = map.places()[number - 1];
        (place.member, place.content(&self.manifest.tables))
    }

    fn member(&self, number: usize, problem: Problem) -> Finding {
        let (Member { offset, length, .. }, holds) = self.place(number);
        Finding::Member { number, holds, offset, length, problem }
    }

    fn flipped(&self, byte: u64) -> Self {
        let mut damaged = self.clone();
        damaged.bytes[usize::try_from(byte).unwrap()] ^= 1;
        damaged
    }

    fn cut(&self, length: u64) -> Self {
        let mut damaged = self.clone();
        damaged.bytes.truncate(usize::try_from(length).unwrap());
        damaged
    }

    /// Makes the manifest one of these bytes, whatever they are.
    fn committed(mut self) -> Self {
        self.manifest.archive.sha256 = self.sha256();
        self.manifest.archive.bytes = self.bytes.len() as u64;
        self
    }
}

fn gzip(detail: &str) -> Problem {
    Problem::Gzip { detail: detail.to_owned() }
}

#[tokio::test]
async fn a_whole_archive_has_nothing_wrong_with_it() {
    let backup = backup().await;
    let manifest = &backup.manifest;
    let members = manifest.members().len() as u64;
    assert!(members > 8, "{members}");
    let expected = Report {
        archive_bytes: backup.bytes.len() as u64,
        sha256: manifest.archive.sha256.clone(),
        dump_bytes: manifest.archive.uncompressed_bytes,
        members,
        rows: Some(80_050),
        findings: vec![],
        remarks: vec![],
    };
    for (threads, piece) in [(1, 1000), (1, usize::MAX), (3, 100), (4, 70_000)] {
        assert_eq!(pass(&backup, threads, piece).await, expected);
    }
}

#[tokio::test]
async fn a_legacy_archive_is_held_against_the_hash_that_is_known() {
    let backup = backup().await;
    for (known, differs) in
        [(None, false), (Some(backup.sha256()), false), (Some("0".repeat(64)), true)]
    {
        let mut verifier = Verifier::of_legacy(known.clone());
        verifier.push(Bytes::from(backup.bytes.clone())).await.unwrap();
        let report = verifier.finish().await.unwrap();
        assert_eq!((report.rows, &report.sha256), (None, &backup.sha256()));
        let expected = known.unwrap_or_default();
        let wrong = Finding::Sha256 { expected, found: backup.sha256() };
        assert_eq!(report.findings, if differs { vec![wrong] } else { vec![] });
    }
}

#[tokio::test]
async fn a_pass_that_is_given_up_ends_its_threads() {
    let backup = backup().await;
    let manifest = Arc::new(backup.manifest);
    let mut verifier = Verifier::of_backup(Arc::clone(&manifest), 2);
    verifier.push(Bytes::from(backup.bytes)).await.unwrap();
    drop(verifier);
    // Each thread holds the manifest.
    let ended = async {
        while Arc::strong_count(&manifest) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), ended).await.unwrap();
}
