//! Writes one gzip member (RFC 1952) and checks it before it leaves.
//!
//! Compression is ISA-L's at level 1. Because a backup tool must not trust its
//! compressor, every member is read back as it is written and compared with
//! what went in: one whose text is in memory whole byte by byte, through the
//! very reader that reads archives; one that leaves in pieces by its length and
//! CRC, through zlib-rs.

use std::io::{self, Write};

use isal::{Codec, CompressionLevel, compress_into, write::Encoder as Deflate};

use super::{
    header,
    inflate::{Inflate, NotDeflate},
    unpack::{Unpacker, WHOLE},
};

/// The longest text that is made a member in one go, in bytes: what the reader
/// takes in one go.
pub const LONGEST: usize = 16 * 1024 * 1024;
const _: () = assert!(LONGEST as u64 == WHOLE);

/// A member that does not hold what was put in, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The compressor failed.
    #[error("compress a member: {0}")]
    Compress(#[from] io::Error),
    /// The compressed bytes cannot be read back.
    #[error("read a compressed member back: {0}; the compressor cannot be trusted here")]
    Unreadable(String),
    /// The compressed bytes hold something else.
    #[error(
        "a compressed member does not hold what was put in; the compressor cannot be trusted here"
    )]
    Different,
}

/// Writes members, one after another.
pub struct MemberWriter {
    deflate: Deflate<Vec<u8>>,
    crc: crc32fast::Hasher,
    dump_length: u64,
    out: Vec<u8>,
    /// Where in `out` the compressed bytes begin that were not read back yet.
    unchecked: usize,
    /// The check of a member that leaves in pieces.
    pieces: Inflate,
    buffer: Box<[u8]>,
    packed: Vec<u8>,
    unpacker: Unpacker,
}

impl MemberWriter {
    /// A writer for any number of members.
    #[must_use]
    pub fn new() -> Self {
        Self {
            deflate: Deflate::new(Vec::new(), CompressionLevel::One, Codec::Deflate),
            crc: crc32fast::Hasher::new(),
            dump_length: 0,
            out: Vec::new(),
            unchecked: 0,
            pieces: Inflate::new(),
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
            packed: Vec::new(),
            unpacker: Unpacker::new(),
        }
    }

    /// Makes a member of a text of at most [`LONGEST`] bytes, and returns it.
    /// `comment`, which holds no NUL byte, goes into its header.
    ///
    /// # Errors
    /// When what was written does not hold the text.
    pub fn whole(&mut self, text: &[u8], comment: Option<&str>) -> Result<Vec<u8>, MemberError> {
        let most = most(text.len());
        if self.packed.len() < most {
            // Zeroed by the system, page by page as they are used.
            self.packed = vec![0; most];
        }
        let length = compress_into(text, &mut self.packed, CompressionLevel::One, Codec::Deflate)
            .map_err(io::Error::from)?;
        let crc = crc32fast::hash(text);
        let mut member = Vec::with_capacity(length + HEADROOM);
        header::write(&mut member, comment);
        member.extend_from_slice(&self.packed[..length]);
        end(&mut member, crc, text.len() as u64);
        self.check(&member, text, crc)?;
        Ok(member)
    }

    fn check(&mut self, member: &[u8], text: &[u8], crc: u32) -> Result<(), MemberError> {
        let same = self
            .unpacker
            .holds(member, text, crc)
            .map_err(|error| MemberError::Unreadable(error.to_string()))?;
        if same { Ok(()) } else { Err(MemberError::Different) }
    }

    /// Begins a member, with a comment in its header where one is given.
    /// The comment holds no NUL byte.
    pub fn begin(&mut self, comment: Option<&str>) {
        header::write(&mut self.out, comment);
        self.unchecked = self.out.len();
    }

    /// Adds text to the member.
    ///
    /// # Errors
    /// When the text cannot be compressed.
    pub fn write(&mut self, text: &[u8]) -> Result<(), MemberError> {
        self.crc.update(text);
        self.dump_length += text.len() as u64;
        self.deflate.write_all(text)?;
        self.drain();
        Ok(())
    }

    /// Takes what has been written of a member that goes on.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn take_piece(&mut self) -> Result<Vec<u8>, MemberError> {
        self.read_back()?;
        self.unchecked = 0;
        Ok(std::mem::take(&mut self.out))
    }

    /// Ends the member and returns the length of its text, in bytes.
    ///
    /// # Errors
    /// When what was written does not hold the text.
    pub fn finish(&mut self) -> Result<u64, MemberError> {
        self.deflate.flush()?;
        self.drain();
        let length = std::mem::take(&mut self.dump_length);
        let crc = std::mem::take(&mut self.crc).finalize();
        self.read_back()?;
        let check = std::mem::replace(&mut self.pieces, Inflate::new());
        if !check.ended() || (check.length(), check.crc()) != (length, crc) {
            return Err(MemberError::Different);
        }
        end(&mut self.out, crc, length);
        self.unchecked = self.out.len();
        Ok(length)
    }

    /// Takes the members that are finished.
    pub fn take(&mut self) -> Vec<u8> {
        self.unchecked = 0;
        std::mem::take(&mut self.out)
    }

    /// Reads back what was written of the member since the last time.
    fn read_back(&mut self) -> Result<(), MemberError> {
        let compressed = &self.out[self.unchecked..];
        let taken = self.pieces.push(compressed, &mut self.buffer, |_| {})?;
        if taken == compressed.len() { Ok(()) } else { Err(MemberError::Different) }
    }

    fn drain(&mut self) {
        let compressed = self.deflate.get_ref_mut();
        self.out.extend_from_slice(compressed);
        compressed.clear();
    }
}

impl From<NotDeflate> for MemberError {
    fn from(error: NotDeflate) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Default for MemberWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemberWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberWriter")
            .field("dump_length", &self.dump_length)
            .finish_non_exhaustive()
    }
}

/// Ends a member: RFC 1952's CRC-32 and length of its text.
fn end(member: &mut Vec<u8>, crc: u32, length: u64) {
    member.extend_from_slice(&crc.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "RFC 1952: the size modulo 2^32")]
    member.extend_from_slice(&(length as u32).to_le_bytes());
}

/// Room for a member's header and end beside its compressed text, in bytes.
const HEADROOM: usize = 256;

/// The most bytes that a text of so many takes when compressed: stored blocks of
/// at most 64 KiB less one, with five bytes each, and some to spare.
fn most(length: usize) -> usize {
    length + (length / 65_535 + 1) * 5 + HEADROOM
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;
    use crate::archive::comment;

    /// In one go where there is one piece, as the archive does it.
    fn member(writer: &mut MemberWriter, pieces: &[&[u8]], comment: Option<&str>) -> Vec<u8> {
        if let [text] = pieces {
            return writer.whole(text, comment).unwrap();
        }
        writer.begin(comment);
        let mut bytes = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            writer.write(piece).unwrap();
            if at + 1 < pieces.len() {
                bytes.extend(writer.take_piece().unwrap());
            }
        }
        let length = writer.finish().unwrap();
        assert_eq!(length, pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
        bytes.extend(writer.take());
        bytes
    }

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn the_comment_of_the_first_member_is_read_from_its_beginning_alone() {
        let mut writer = MemberWriter::new();
        let bytes = member(&mut writer, &[b"text"], Some("reliquary/1 x"));
        assert_eq!(comment(&bytes[..40.min(bytes.len())]), Some("reliquary/1 x"));
        assert_eq!(gunzip(&bytes), b"text");
        let plain = member(&mut writer, &[b"text"], None);
        assert_eq!(comment(&plain), None);
        assert_eq!(comment(b""), None);
        assert_eq!(comment(b"\x1f\x8b\x08\x10\0\0\0\0\0\0never ends"), None);
    }

    #[test]
    fn a_compressor_that_lies_is_caught() {
        let mut writer = MemberWriter::new();
        for takes_a_piece in [false, true] {
            writer.begin(None);
            writer.write(b"what was put in").unwrap();
            if takes_a_piece {
                writer.take_piece().unwrap();
            }
            // As if the compressor had been given something else.
            writer.crc.update(b"!");
            assert!(matches!(writer.finish(), Err(MemberError::Different)));
            writer = MemberWriter::new();
        }
        let other = writer.whole(b"something else!", None).unwrap();
        let checked = writer.check(&other, b"what was put in", crc32fast::hash(b"what was put in"));
        assert!(matches!(checked, Err(MemberError::Different)), "{checked:?}");
    }

    #[test]
    fn a_compressor_that_writes_nonsense_is_caught() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for takes_a_piece in [false, true] {
            let mut writer = MemberWriter::new();
            writer.begin(None);
            writer.write(&text).unwrap();
            let middle = writer.out.len() / 2;
            writer.out[middle] ^= 0x10;
            let piece = if takes_a_piece { writer.take_piece().map(drop) } else { Ok(()) };
            assert!(piece.and_then(|()| writer.finish()).is_err());
        }
        let mut writer = MemberWriter::new();
        let mut member = writer.whole(&text, None).unwrap();
        let middle = member.len() / 2;
        member[middle] ^= 0x10;
        assert!(writer.check(&member, &text, crc32fast::hash(&text)).is_err());
    }

    #[test]
    fn empty_and_incompressible_members_are_whole() {
        let mut writer = MemberWriter::new();
        assert_eq!(gunzip(&member(&mut writer, &[], None)), b"");
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..3_000_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        assert_eq!(gunzip(&member(&mut writer, &[&noise], None)), noise);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn members_one_after_another_are_read_by_any_gzip(
            members in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70_000), 0..4), 1..5)
        ) {
            let mut writer = MemberWriter::new();
            let mut bytes = Vec::new();
            for pieces in &members {
                let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
                bytes.extend(member(&mut writer, &pieces, None));
            }
            let text: Vec<u8> = members.concat().concat();
            prop_assert_eq!(gunzip(&bytes), text);
        }
    }
}
