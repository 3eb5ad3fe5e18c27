use std::io::Write;

use super::*;

const END: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

fn read(bytes: &[u8], size: usize) -> Plain {
    let mut reading = Reading::default();
    bytes.chunks(size).for_each(|piece| reading.push(piece));
    reading.finish()
}

/// What is found, however the bytes come.
fn findings(bytes: &[u8]) -> Vec<Finding> {
    let found = read(bytes, usize::MAX).findings;
    for size in [1, 3, 1000] {
        assert_eq!(read(bytes, size).findings, found);
    }
    found
}

fn damaged(number: u64, offset: usize, error: &UnpackError) -> Vec<Finding> {
    vec![Finding::Gzip { number, offset: offset as u64, detail: error.to_string() }]
}

#[test]
fn one_member_or_many_are_read_to_the_end() {
    let text = format!("CREATE TABLE t ();\n{END}");
    let plain = read(&gzip(&text), 5);
    assert_eq!((plain.members, plain.dump_bytes), (1, text.len() as u64));
    assert_eq!(plain.findings, []);
    let many = [gzip("CREATE TABLE"), gzip(""), gzip(" t ();\n"), gzip(END)].concat();
    assert_eq!(findings(&many), []);
    assert_eq!(read(&many, 7).members, 4);
    let all = "-- PostgreSQL database cluster dump complete\n--\n\n\\unrestrict x\n\n";
    assert_eq!(findings(&gzip(all)), []);
}

#[test]
fn what_is_cut_or_damaged_says_where() {
    let (first, second) = (gzip("CREATE TABLE t ();\n"), gzip(END));
    let whole = [&first[..], &second].concat();
    assert_eq!(findings(&first), []);
    assert_eq!(read(&first, 5).remarks, [Remark::DumpEnd]);
    assert_eq!(read(&whole, 5).remarks, []);
    let cut = &whole[..whole.len() - 3];
    let missing = UnpackError::Truncated(second.len() as u64 - 3);
    assert_eq!(findings(cut), damaged(2, first.len(), &missing));
    let mut flipped = whole.clone();
    let crc = whole.len() - 8;
    flipped[crc] ^= 1;
    let found = crc32fast::hash(END.as_bytes());
    let expected = found ^ 1;
    assert_eq!(findings(&flipped), damaged(2, first.len(), &UnpackError::Crc { expected, found }));
    assert_eq!(findings(b""), damaged(1, 0, &UnpackError::Truncated(0)));
    assert_eq!(findings(b"<html>"), damaged(1, 0, &UnpackError::Header));
}

#[test]
fn what_follows_the_last_member_is_counted() {
    let whole = gzip(&format!("CREATE TABLE t ();\n{END}"));
    for after in [&b"\0"[..], &[0; 600], b"garbage", b"\x1f", b"\x1f\x8c"] {
        let found = findings(&[&whole[..], after].concat());
        if after == b"\x1f" {
            assert_eq!(found, damaged(2, whole.len(), &UnpackError::Truncated(1)));
            continue;
        }
        let (offset, bytes) = (whole.len() as u64, after.len() as u64);
        assert_eq!(found, [Finding::Trailing { offset, bytes }], "{after:?}");
    }
}
