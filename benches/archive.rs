//! The archive's stages one by one, in bytes of dump a second, on rows like
//! those of a donation database. `cargo bench --bench archive`
//!
//! `gzip_6` is what a user would otherwise wait for: compare it with `members`.

#![expect(clippy::expect_used, reason = "a benchmark of what fails says nothing")]

use std::io::Write;

use divan::{Bencher, black_box, counter::BytesCount};
use reliquary::archive::{
    Section, Splitter,
    copy::CopyHeader,
    gzip::MemberWriter,
    split::{Content, Sink},
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

impl Sink for Nowhere {
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
