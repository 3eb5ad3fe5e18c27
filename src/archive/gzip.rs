//! Writes one gzip member (RFC 1952) and checks it before it leaves.
//!
//! Compression is ISA-L's at level 1. Because a backup tool must not trust its
//! compressor, every member is decompressed again as it is written, and length
//! and CRC are compared with what went in. A member that is in memory whole is
//! read back by ISA-L's decoder, which is the faster one; one that leaves in
//! pieces by zlib-rs, which takes its input in pieces.

use std::io::{self, Read, Write};

use isal::{Codec, CompressionLevel, read::Decoder, write::Encoder as Deflate};

use super::{
    header,
    inflate::{Inflate, NotDeflate},
};

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
    pieces: Option<Inflate>,
    buffer: Box<[u8]>,
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
            pieces: None,
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
        }
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
        let check = self.pieces.get_or_insert_with(Inflate::new);
        read_piece_back(check, &self.out[self.unchecked..], &mut self.buffer)?;
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
        let compressed = &self.out[self.unchecked..];
        let found = match self.pieces.take() {
            None => read_back(compressed, &mut self.buffer)?,
            Some(mut check) => {
                read_piece_back(&mut check, compressed, &mut self.buffer)?;
                if !check.ended() {
                    return Err(MemberError::Different);
                }
                (check.length(), check.crc())
            }
        };
        if found != (length, crc) {
            return Err(MemberError::Different);
        }
        self.out.extend_from_slice(&crc.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "RFC 1952: the size modulo 2^32")]
        self.out.extend_from_slice(&(length as u32).to_le_bytes());
        self.unchecked = self.out.len();
        Ok(length)
    }

    /// Takes the members that are finished.
    pub fn take(&mut self) -> Vec<u8> {
        self.unchecked = 0;
        std::mem::take(&mut self.out)
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

/// Length and CRC of what a whole member's compressed bytes hold.
fn read_back(compressed: &[u8], buffer: &mut [u8]) -> Result<(u64, u32), MemberError> {
    let mut inflate = Decoder::new(compressed, Codec::Deflate);
    let mut crc = crc32fast::Hasher::new();
    let mut length = 0;
    loop {
        let count =
            inflate.read(buffer).map_err(|error| MemberError::Unreadable(error.to_string()))?;
        if count == 0 {
            return Ok((length, crc.finalize()));
        }
        crc.update(&buffer[..count]);
        length += count as u64;
    }
}

/// Reads back what a member's next compressed bytes hold.
fn read_piece_back(
    check: &mut Inflate,
    compressed: &[u8],
    buffer: &mut [u8],
) -> Result<(), MemberError> {
    let taken = check.push(compressed, buffer, |_| {})?;
    if taken == compressed.len() { Ok(()) } else { Err(MemberError::Different) }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;
    use crate::archive::comment;

    fn member(writer: &mut MemberWriter, pieces: &[&[u8]], comment: Option<&str>) -> Vec<u8> {
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
        for in_pieces in [false, true] {
            let mut writer = MemberWriter::new();
            writer.begin(None);
            writer.write(b"what was put in").unwrap();
            if in_pieces {
                writer.take_piece().unwrap();
            }
            // As if the compressor had been given something else.
            writer.crc.update(b"!");
            assert!(matches!(writer.finish(), Err(MemberError::Different)));
        }
    }

    #[test]
    fn a_compressor_that_writes_nonsense_is_caught() {
        for in_pieces in [false, true] {
            let mut writer = MemberWriter::new();
            writer.begin(None);
            let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
            writer.write(&text).unwrap();
            let middle = writer.out.len() / 2;
            writer.out[middle] ^= 0x10;
            let piece = if in_pieces { writer.take_piece().map(drop) } else { Ok(()) };
            assert!(piece.and_then(|()| writer.finish()).is_err());
        }
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
