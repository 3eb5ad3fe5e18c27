//! Inflates the compressed text of a gzip member as it comes, in bounded memory.

use flate2::{Decompress, FlushDecompress, Status};

/// Compressed bytes that are no deflate stream, with zlib's word for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotDeflate(String);

/// Reads one deflate stream; counts and hashes what it holds.
#[derive(Debug)]
pub(super) struct Inflate {
    zlib: Decompress,
    crc: crc32fast::Hasher,
    ended: bool,
}

impl Inflate {
    /// Ready for a stream.
    pub(super) fn new() -> Self {
        let (zlib, crc) = (Decompress::new(false), crc32fast::Hasher::new());
        Self { zlib, crc, ended: false }
    }

    /// Takes the next bytes of the stream, and hands its text out through
    /// `buffer`. Returns how many bytes belong to the stream: fewer than there
    /// are when it ends among them.
    ///
    /// # Errors
    /// When the bytes are no deflate stream.
    pub(super) fn push(
        &mut self,
        compressed: &[u8],
        buffer: &mut [u8],
        mut text: impl FnMut(&[u8]),
    ) -> Result<usize, NotDeflate> {
        let mut taken = 0;
        while !self.ended {
            let (read, written) = (self.zlib.total_in(), self.zlib.total_out());
            let status = self
                .zlib
                .decompress(&compressed[taken..], buffer, FlushDecompress::None)
                .map_err(|error| NotDeflate(error.to_string()))?;
            // Neither can be more than the slice it counts in.
            let written = usize::try_from(self.zlib.total_out() - written).unwrap_or(usize::MAX);
            taken += usize::try_from(self.zlib.total_in() - read).unwrap_or(usize::MAX);
            self.crc.update(&buffer[..written]);
            text(&buffer[..written]);
            self.ended = status == Status::StreamEnd;
            // A full buffer may have more behind it even when all input is read.
            if taken == compressed.len() && written < buffer.len() {
                break;
            }
        }
        Ok(taken)
    }

    /// Whether the stream has come to its end.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// How much text the stream held so far, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.zlib.total_out()
    }

    /// CRC-32 of the text so far.
    pub(super) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }
}
