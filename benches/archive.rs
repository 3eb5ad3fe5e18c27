//! The archive's stages one by one, in bytes of dump a second, on rows like
//! those of a donation database. `cargo bench --bench archive`
//!
//! `gzip_6` is what a user would otherwise wait for: compare it with `members`.

#![expect(clippy::expect_used, reason = "a benchmark of what fails says nothing")]

use std::{io::Write, sync::Arc};

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use reliquary::archive::{
    Manifest, PartSink, Section, Splitter, Unpacker, Verifier,
    copy::CopyHeader,
    gzip::MemberWriter,
    mark, pack, read_section,
    split::{self, Content},
    write,
};

const MEMBER: usize = 4 << 20;

fn main() {
    divan::main();
}

/// About 32 MB of a data section: one large table.
fn dump() -> Vec<u8> {
    let mut text = b"--\n-- PostgreSQL database dump\n--\n\nCOPY public.donation (id, church, \
        donor, cents, currency, at, status, note) FROM stdin;\n"
        .to_vec();
    let mut state = 1_u64;
    for id in 0..320_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (church, donor, cents) = (state >> 58, (state >> 40) & 0xffff, (state >> 20) & 0xffff);
        writeln!(
            text,
            "{id}\tchurch_{church}\tdonor_{donor:06}\t{cents}\tusd\t2026-{:02}-{:02} \
             12:{:02}:00\tsucceeded\t\\N",
            church % 12 + 1,
            donor % 28 + 1,
            cents % 60
        )
        .expect("a Vec takes everything");
    }
    text.extend_from_slice(b"\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n");
    text
}

/// Counts what it is given, and gives the buffer back.
struct Nowhere(u64);

impl split::Sink for Nowhere {
    fn table(&mut self, _: CopyHeader) {}

    fn piece(&mut self, _: &Content, mut text: Vec<u8>, _: Option<u64>) -> Vec<u8> {
        self.0 += text.len() as u64;
        text.clear();
        text
    }
}

#[divan::bench]
fn splitter(bencher: Bencher<'_, '_>) {
    let dump = dump();
    bencher.counter(BytesCount::of_slice(&dump)).bench(|| {
        let mut sink = Nowhere(0);
        let mut splitter = Splitter::new(Section::Data, MEMBER, Vec::new());
        for block in dump.chunks(256 * 1024) {
            splitter.push(block, &mut sink).expect("a dump");
        }
        splitter.finish(&mut sink).expect("a whole dump");
        black_box(sink.0)
    });
}

/// Compressing members and reading each back, on one thread.
#[divan::bench]
fn members(bencher: Bencher<'_, '_>) {
    let dump = dump();
    bencher.counter(BytesCount::of_slice(&dump)).bench(|| {
        let mut writer = MemberWriter::new();
        let mut bytes = 0;
        for text in dump.chunks(MEMBER) {
            bytes += writer.whole(text, None).expect("the same text").len();
        }
        black_box(bytes)
    });
}

/// A manifest of any kind, and the archive of [`dump`] that it is made to fit.
fn backup() -> (Arc<Manifest>, Vec<u8>) {
    let text = include_bytes!("../tests/fixtures/manifests/0.1.0.json");
    let mut manifest = Manifest::parse(text).expect("a manifest");
    let (mut feeder, members) = pack(1, MEMBER, Some(mark(&manifest.id)));
    let reading = std::thread::spawn(move || {
        let end = b"--\n-- PostgreSQL database dump complete\n--\n\n";
        for (section, text) in Section::ALL.into_iter().zip([&end[..], &dump(), &end[..]]) {
            read_section(text, section, MEMBER, &mut feeder, |_| {}).expect("a dump");
        }
    });
    let mut sink = Sink::default();
    let written = block_on(write(vec![vec![members]], 8 << 20, &mut sink, |_, _| {}));
    let Ok(written) = written else { panic!("the sink takes everything") };
    reading.join().expect("a dump");
    manifest.archive.bytes = written.bytes;
    manifest.archive.sha256 = written.sha256;
    manifest.archive.uncompressed_bytes = written.index.uncompressed_bytes;
    manifest.rows = written.index.rows;
    manifest.tables = written.index.tables;
    manifest.sections = written.index.sections;
    (Arc::new(manifest), sink.0)
}

#[derive(Default)]
struct Sink(Vec<u8>);

#[async_trait::async_trait]
impl PartSink for Sink {
    type Error = std::convert::Infallible;

    async fn part(&mut self, bytes: Bytes, _: bool) -> Result<(), Self::Error> {
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

/// Every check of a pass, with one inflating thread beside the one that hashes.
#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let (manifest, archive) = backup();
    let archive = Bytes::from(archive);
    bencher.counter(BytesCount::new(manifest.archive.uncompressed_bytes)).bench(|| {
        block_on(async {
            let mut verifier = Verifier::of_backup(Arc::clone(&manifest), 1);
            for start in (0..archive.len()).step_by(512 * 1024) {
                let piece = archive.slice(start..archive.len().min(start + 512 * 1024));
                verifier.push(piece).await.expect("the threads are there");
            }
            let report = verifier.finish().await.expect("the threads are there");
            assert!(report.findings.is_empty(), "{report:?}");
            report.dump_bytes
        })
    });
}

/// Reading members back strictly, on one thread, and nothing else.
#[divan::bench]
fn unpack(bencher: Bencher<'_, '_>) {
    let (manifest, archive) = backup();
    let members = manifest.members();
    bencher.counter(BytesCount::new(manifest.archive.uncompressed_bytes)).bench(|| {
        let mut unpacker = Unpacker::new();
        let mut bytes = 0;
        for member in &members {
            let [start, end] = [member.offset, member.offset + member.length]
                .map(|offset| usize::try_from(offset).expect("it is in memory"));
            let text = unpacker.whole(&archive[start..end], member.uncompressed);
            bytes += text.expect("a whole member").len();
        }
        black_box(bytes)
    });
}

/// The size and speed to beat: one stream at gzip's level 6, never read back.
#[divan::bench]
fn gzip_6(bencher: Bencher<'_, '_>) {
    let dump = dump();
    bencher.counter(BytesCount::of_slice(&dump)).bench(|| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        gzip.write_all(&dump).expect("compress");
        black_box(gzip.finish().expect("compress").len())
    });
}
