//! Reads one gzip member back: its header, its text, its CRC and its length.
//!
//! A member that is in memory whole goes through ISA-L, which is the fastest
//! decoder there is; one that comes in pieces, because it is larger than anybody
//! wants in memory, through zlib-rs. Both say the same of the same bytes.

use isal::{Codec, decompress_into};
use memchr::memmem;

use super::{
    header::{self, Header},
    inflate::Inflate,
};

/// The largest text that [`Unpacker::whole`] takes into memory, in bytes.
/// Members of the default size are far below it; what is above it is a row
/// that filled more than a member.
pub const WHOLE: u64 = 16 * 1024 * 1024;

/// How much text is handed out at once where a member comes in pieces, in bytes.
const PIECE: usize = 128 * 1024;

/// The length of a member's CRC and length at its end, in bytes.
const TRAILER: usize = 8;

/// A member that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// It does not begin as a gzip member does.
    #[error("it does not begin with a gzip header")]
    Header,
    /// It is no deflate stream from some place on.
    ///
    /// Neither where nor how is said: both the decoder's position and its word
    /// for it depend on how the bytes came, and a damage must be called the
    /// same at every reading.
    #[error("its compressed text is damaged")]
    Deflate,
    /// Its end is missing.
    #[error("it is cut short, after {0} bytes")]
    Truncated(u64),
    /// Its text is not what was compressed.
    #[error("its text has the CRC-32 {found:08x}, and its end says {expected:08x}")]
    Crc {
        /// What its end says.
        expected: u32,
        /// What its text has.
        found: u32,
    },
    /// Its text is longer or shorter than what was compressed.
    #[error("its text has {found} bytes, and its end says {expected} (modulo 2^32)")]
    Length {
        /// What its end says, modulo 2^32.
        expected: u32,
        /// What its text has, in bytes.
        found: u64,
    },
    /// It is whole, and its text too long to be held in memory.
    #[error("its text has {0} bytes, more than are held at once")]
    TooLarge(u64),
    /// Something follows its end.
    #[error("{0} bytes follow its end")]
    Trailing(u64),
}

/// Reads members that are in memory whole, one after another.
#[derive(Debug, Default)]
pub struct Unpacker {
    text: Vec<u8>,
}

impl Unpacker {
    /// A reader without buffers; they grow to the largest member.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a member that is given whole holds exactly `text`, which has the
    /// CRC-32 `crc` and at most [`WHOLE`] bytes.
    ///
    /// # Errors
    /// When it is no whole member, or not only one.
    pub fn holds(&mut self, member: &[u8], text: &[u8], crc: u32) -> Result<bool, UnpackError> {
        let length = text.len();
        if self.text.len() < length {
            self.text.resize(length, 0);
        }
        // Equal texts have equal CRCs: it need not be computed again.
        let same = inflate_whole(member, &mut self.text[..length]) && self.text[..length] == *text;
        if same && ends_with(member, crc, length) {
            return Ok(true);
        }
        Ok(self.whole(member, length as u64)? == text)
    }

    /// The text of a member that is given whole, and is all that is given.
    ///
    /// `length` is what its text is expected to have, in bytes, at most
    /// [`WHOLE`]; a text of another length is read all the same, up to that
    /// limit, so that the caller can say how long it is.
    ///
    /// # Errors
    /// When it is no whole member, or not only one, or its text is larger than
    /// [`WHOLE`]: that is for a [`PieceReader`].
    pub fn whole(&mut self, member: &[u8], length: u64) -> Result<&[u8], UnpackError> {
        let length = usize::try_from(length.min(WHOLE)).unwrap_or(0);
        if self.text.len() < length {
            self.text.resize(length, 0);
        }
        // Whatever is not as it should be is looked at again, slowly, by what
        // can say where and why.
        let found = &mut self.text[..length];
        if inflate_whole(member, found) && ends_with(member, crc32fast::hash(found), length) {
            return Ok(&self.text[..length]);
        }
        let limit = usize::try_from(WHOLE).unwrap_or(usize::MAX);
        self.text.clear();
        let text = &mut self.text;
        let mut reader = PieceReader::new();
        let mut too_large = false;
        let taken = reader.push(member, |piece| {
            too_large |= text.len() + piece.len() > limit;
            if !too_large {
                text.extend_from_slice(piece);
            }
        })?;
        let found = reader.finish()?;
        if taken < member.len() {
            return Err(UnpackError::Trailing((member.len() - taken) as u64));
        }
        if too_large {
            return Err(UnpackError::TooLarge(found));
        }
        Ok(&self.text)
    }
}

/// Inflates a member whose text fills `text` exactly. False says only that it
/// has to be looked at more closely.
fn inflate_whole(member: &[u8], text: &mut [u8]) -> bool {
    decompress_into(member, text, Codec::Gzip).is_ok_and(|length| length == text.len())
}

/// Whether a member that ISA-L has read is all there is. `crc` and `length` are
/// those of its text.
///
/// ISA-L has held the text against the eight bytes after the stream's end, but
/// does not say where that is. When the bytes that it must have seen there are
/// nowhere but at the member's end, the stream ended before them.
fn ends_with(member: &[u8], crc: u32, length: usize) -> bool {
    let Header::Whole(start) = header::read(member) else { return false };
    let Some(end) = member.len().checked_sub(TRAILER).filter(|&end| end > start) else {
        return false;
    };
    let mut trailer = [0; TRAILER];
    trailer[..4].copy_from_slice(&crc.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "RFC 1952: the size modulo 2^32")]
    trailer[4..].copy_from_slice(&(length as u32).to_le_bytes());
    memmem::find(&member[start..], &trailer) == Some(end - start)
}

/// Reads one member that comes in pieces, in bounded memory.
#[derive(Debug)]
pub struct PieceReader {
    stage: Stage,
    inflate: Inflate,
    buffer: Box<[u8]>,
    /// Compressed bytes so far, in bytes.
    taken: u64,
}

#[derive(Debug)]
enum Stage {
    /// What there is of the header.
    Header(Vec<u8>),
    Text,
    /// What there is of the member's end.
    Trailer(Vec<u8>),
    Ended,
}

impl PieceReader {
    /// Ready for a member.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: Stage::Header(Vec::new()),
            inflate: Inflate::new(),
            buffer: vec![0; PIECE].into_boxed_slice(),
            taken: 0,
        }
    }

    /// Takes the next bytes and hands out the text they hold, in pieces of at
    /// most 128 KiB. Returns how many of them belong to the member: fewer than
    /// there are when it ends among them, and none after its end.
    ///
    /// The text was not held against the CRC yet: that is at the member's end.
    ///
    /// # Errors
    /// When they do not belong to a whole member; nothing more can be read then.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut text: impl FnMut(&[u8]),
    ) -> Result<usize, UnpackError> {
        let mut rest = bytes;
        loop {
            let before = rest.len();
            match &mut self.stage {
                Stage::Header(header) => {
                    let had = header.len();
                    header.extend_from_slice(rest);
                    match header::read(header) {
                        Header::Bad => return Err(UnpackError::Header),
                        Header::Cut => rest = &[],
                        Header::Whole(length) => {
                            rest = &rest[length - had..];
                            self.stage = Stage::Text;
                        }
                    }
                }
                Stage::Text => {
                    let taken = self.inflate.push(rest, &mut self.buffer, &mut text);
                    let taken = taken.map_err(|_| UnpackError::Deflate)?;
                    rest = &rest[taken..];
                    if self.inflate.ended() {
                        self.stage = Stage::Trailer(Vec::with_capacity(TRAILER));
                    }
                }
                Stage::Trailer(trailer) => {
                    let missing = (TRAILER - trailer.len()).min(rest.len());
                    trailer.extend_from_slice(&rest[..missing]);
                    rest = &rest[missing..];
                    if trailer.len() == TRAILER {
                        check(trailer, &self.inflate)?;
                        self.stage = Stage::Ended;
                    }
                }
                Stage::Ended => {}
            }
            self.taken += (before - rest.len()) as u64;
            if rest.is_empty() || matches!(self.stage, Stage::Ended) {
                return Ok(bytes.len() - rest.len());
            }
        }
    }

    /// Whether the member has come to its end, and was whole.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// No more bytes follow. Returns the length of the member's text, in bytes.
    ///
    /// # Errors
    /// When the member has not come to its end.
    pub fn finish(self) -> Result<u64, UnpackError> {
        if self.ended() {
            Ok(self.inflate.length())
        } else {
            Err(UnpackError::Truncated(self.taken))
        }
    }
}

impl Default for PieceReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Holds a member's text against what its end says.
fn check(trailer: &[u8], inflate: &Inflate) -> Result<(), UnpackError> {
    let number = |at: usize| {
        trailer[at..at + 4].iter().rev().fold(0_u32, |number, &byte| number << 8 | u32::from(byte))
    };
    let (crc, length) = (number(0), number(4));
    let found = inflate.length();
    // RFC 1952: the length modulo 2^32.
    if found & u64::from(u32::MAX) != u64::from(length) {
        return Err(UnpackError::Length { expected: length, found });
    }
    let found = inflate.crc();
    if found != crc {
        return Err(UnpackError::Crc { expected: crc, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
