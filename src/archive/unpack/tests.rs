use std::io::Write;

use proptest::prelude::*;

use super::{super::gzip::MemberWriter, *};

fn member(text: &[u8], comment: Option<&str>) -> Vec<u8> {
    let mut writer = MemberWriter::new();
    writer.begin(comment);
    writer.write(text).unwrap();
    writer.finish().unwrap();
    writer.take()
}

/// What any other gzip makes, with a file name in its header.
fn foreign(text: &[u8]) -> Vec<u8> {
    let builder = flate2::GzBuilder::new().filename("backup.sql").mtime(1_700_000_000);
    let mut gzip = builder.write(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

/// Reads a member in pieces of so many bytes.
fn in_pieces(bytes: &[u8], size: usize) -> Result<Vec<u8>, UnpackError> {
    let (mut reader, mut text, mut taken) = (PieceReader::new(), Vec::new(), 0);
    for piece in bytes.chunks(size) {
        taken += reader.push(piece, |part| text.extend_from_slice(part))?;
    }
    let length = reader.finish()?;
    assert_eq!(length, text.len() as u64);
    let trailing = (bytes.len() - taken) as u64;
    if trailing > 0 { Err(UnpackError::Trailing(trailing)) } else { Ok(text) }
}

/// Reads a member in both ways, which must agree.
fn read(bytes: &[u8], length: usize) -> Result<Vec<u8>, UnpackError> {
    let mut unpacker = Unpacker::new();
    let whole = unpacker.whole(bytes, length as u64).map(<[u8]>::to_vec);
    // The texts are too long to be printed.
    assert!(in_pieces(bytes, bytes.len().max(1)) == whole);
    whole
}

fn text(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|line| format!("{line}\tdonor {}\t\\N\n", line * 7 % 97).into_bytes())
        .collect()
}

#[test]
fn members_of_ours_and_of_others_are_read_in_both_ways() {
    for text in [&b""[..], b"a", &text(1), &text(200_000)] {
        for bytes in [member(text, None), member(text, Some("reliquary/1 x")), foreign(text)] {
            assert!(read(&bytes, text.len()).as_deref() == Ok(text));
            for size in [1, 7, 4096].into_iter().filter(|&size| size > 1 || text.len() < 100) {
                assert!(in_pieces(&bytes, size).as_deref() == Ok(text));
            }
        }
    }
}

#[test]
fn a_text_of_another_length_than_expected_is_read_all_the_same() {
    let text = text(50_000);
    let bytes = member(&text, None);
    let mut unpacker = Unpacker::new();
    for length in [0, 1, text.len() - 1, text.len() + 1, 3 * text.len(), usize::MAX] {
        assert!(unpacker.whole(&bytes, length as u64) == Ok(&text[..]), "{length}");
    }
}

#[test]
fn every_damage_has_its_name() {
    let text = text(20_000);
    let good = member(&text, None);
    let end = good.len();
    let with = |at: usize, bit: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << bit;
        read(&bytes, text.len()).unwrap_err()
    };
    assert_eq!(with(0, 3), UnpackError::Header);
    assert_eq!(with(3, 7), UnpackError::Header);
    let crc = crc32fast::hash(&text);
    assert_eq!(with(end - 8, 0), UnpackError::Crc { expected: crc ^ 1, found: crc });
    let length = u32::try_from(text.len()).unwrap();
    let wrong = UnpackError::Length { expected: length ^ 4, found: u64::from(length) };
    assert_eq!(with(end - 4, 2), wrong);
    assert_eq!(read(&good[..end - 1], text.len()), Err(UnpackError::Truncated(end as u64 - 1)));
    assert_eq!(read(&good[..4], text.len()), Err(UnpackError::Truncated(4)));
    assert_eq!(read(b"", 0), Err(UnpackError::Truncated(0)));
    assert_eq!(read(b"hello", 5), Err(UnpackError::Header));
}

#[test]
fn damage_is_called_the_same_however_the_bytes_come() {
    let good = foreign(&text(20_000));
    for at in (30..good.len() - 8).step_by(911) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        let found = in_pieces(&bytes, bytes.len()).map(drop).unwrap_err();
        for size in [1, 7, 1000, 4096] {
            assert_eq!(in_pieces(&bytes, size).map(drop), Err(found.clone()), "{at}, {size}");
        }
    }
}

#[test]
fn what_follows_a_member_is_never_taken_for_a_part_of_it() {
    let text = text(1000);
    let good = member(&text, None);
    let empty = member(b"", None);
    for after in [&b"\0"[..], b"x", b"\x03\0", &empty, &good, &good[good.len() - 8..]] {
        let bytes = [&good[..], after].concat();
        let trailing = Err(UnpackError::Trailing(after.len() as u64));
        assert!(read(&bytes, text.len()) == trailing, "{after:?}");
        assert!(read(&bytes, 2 * text.len()) == trailing, "{after:?}");
    }
    // An empty member in front is a member of its own, and so is what follows.
    let bytes = [&empty[..], &good].concat();
    assert_eq!(read(&bytes, text.len()), Err(UnpackError::Trailing(good.len() as u64)));
    // An empty deflate stream between the text and its end: gzip says no.
    let mut bytes = good.clone();
    bytes.splice(good.len() - 8..good.len() - 8, [3, 0]);
    read(&bytes, text.len()).unwrap_err();
}

#[test]
fn a_text_beyond_the_limit_is_for_pieces() {
    let zeros = vec![b'0'; usize::try_from(WHOLE).unwrap() + 1];
    let bytes = member(&zeros, None);
    let found = zeros.len() as u64;
    assert_eq!(Unpacker::new().whole(&bytes, found), Err(UnpackError::TooLarge(found)));
    let mut reader = PieceReader::new();
    let mut largest = 0;
    for piece in bytes.chunks(4096) {
        reader.push(piece, |text| largest = largest.max(text.len())).unwrap();
    }
    assert_eq!(reader.finish(), Ok(found));
    assert!(largest <= PIECE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_single_flipped_bit_is_found_or_changes_nothing(
        words in prop::collection::vec("[a-z]{1,9}\t[0-9]{0,4}\n", 0..400), at in any::<prop::sample::Index>()
    ) {
        let text = words.concat().into_bytes();
        let mut bytes = member(&text, None);
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        // Some bits carry nothing: time and system in the header, and what fills
        // the stream's last byte. Only the archive's SHA-256 guards those.
        if let Ok(read) = read(&bytes, text.len()) {
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn however_it_is_cut_a_member_is_read_or_its_end_is_missed(
        words in prop::collection::vec("[a-z]{1,9}\n", 0..300),
        cut in any::<prop::sample::Index>(),
        size in 1_usize..64,
    ) {
        let text = words.concat().into_bytes();
        let bytes = member(&text, Some("x"));
        prop_assert_eq!(in_pieces(&bytes, size), Ok(text.clone()));
        let cut = cut.index(bytes.len());
        prop_assert_eq!(read(&bytes[..cut], text.len()), Err(UnpackError::Truncated(cut as u64)));
    }
}
