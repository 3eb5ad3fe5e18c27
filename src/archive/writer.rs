//! Puts the compressed members together, in order, hashes them, and hands them
//! out in parts of equal size.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    gzip::MemberError,
    index::Index,
    manifest::Member,
    pack::{Packed, Queued},
};

/// Takes the archive's bytes.
#[async_trait]
pub trait PartSink: Send {
    /// Why it could not.
    type Error: Send;

    /// Takes the next part. All parts but the last have the size that
    /// [`fn@write`] was told; the last may be shorter, and is the only one of a
    /// small archive.
    async fn part(&mut self, bytes: Bytes, last: bool) -> Result<(), Self::Error>;
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Size of the archive, in bytes.
    pub bytes: u64,
    /// SHA-256 of the archive, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Where everything is.
    pub index: Index,
}

/// The archive could not be written.
#[derive(Debug)]
pub enum WriteError<E> {
    /// The sink failed.
    Sink(E),
    /// A member could not be compressed.
    Member(MemberError),
    /// A member's end never came: the thread that made it is gone.
    Lost,
}

/// Reads the members until the feeder is gone, and hands out the archive's
/// bytes in parts of `part_size` bytes.
///
/// `written` is told the size of the archive so far, in bytes.
///
/// # Errors
/// When the sink fails or a member cannot be compressed.
pub async fn write<S: PartSink>(
    mut members: mpsc::Receiver<Queued>,
    part_size: usize,
    sink: &mut S,
    mut written: impl FnMut(u64) + Send,
) -> Result<Written, WriteError<S::Error>> {
    let mut parts = Parts { buffer: BytesMut::new(), part_size, hash: Sha256::new(), offset: 0 };
    let mut index = Index::default();
    while let Some(queued) = members.recv().await {
        let (content, mut packed) = match queued {
            Queued::Table(header) => {
                index.table(header);
                continue;
            }
            Queued::Member { content, packed } => (content, packed),
        };
        let offset = parts.offset;
        loop {
            match packed.recv().await {
                Some(Packed::Bytes(bytes)) => {
                    parts.push(&bytes, sink).await.map_err(WriteError::Sink)?;
                    written(parts.offset);
                }
                Some(Packed::End { dump_length, rows }) => {
                    let length = parts.offset - offset;
                    let member = Member { offset, length, uncompressed: dump_length, rows };
                    index.member(&content, member);
                    break;
                }
                Some(Packed::Failed(error)) => return Err(WriteError::Member(error)),
                None => return Err(WriteError::Lost),
            }
        }
    }
    let bytes = parts.offset;
    let sha256 = parts.finish(sink).await.map_err(WriteError::Sink)?;
    Ok(Written { bytes, sha256, index })
}

struct Parts {
    buffer: BytesMut,
    part_size: usize,
    hash: Sha256,
    /// Bytes of the archive so far.
    offset: u64,
}

impl Parts {
    async fn push<S: PartSink>(&mut self, mut bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        self.hash.update(bytes);
        self.offset += bytes.len() as u64;
        while !bytes.is_empty() {
            // A part goes out only when a byte follows it, so that the last
            // one is known to be the last.
            if self.buffer.len() == self.part_size {
                sink.part(self.buffer.split().freeze(), false).await?;
            }
            if self.buffer.capacity() == 0 {
                self.buffer.reserve(self.part_size);
            }
            let room = self.part_size - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    async fn finish<S: PartSink>(self, sink: &mut S) -> Result<String, S::Error> {
        sink.part(self.buffer.freeze(), true).await?;
        Ok(super::checksum::hex(&self.hash.finalize()))
    }
}
