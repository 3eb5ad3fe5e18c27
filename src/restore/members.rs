//! Reads members of an archive from the store, each held against its CRC, its
//! length and the manifest.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use sha2::{Digest as _, Sha256};

use crate::{
    archive::{
        manifest::Member,
        unpack::{PieceReader, UnpackError, Unpacker, WHOLE},
    },
    store::{Patience, Store, StoreError, read_on},
};

/// The largest section of definitions that is held in memory, in bytes.
const LARGEST_SECTION: u64 = 512 * 1024 * 1024;

/// A member cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not what was written.
    #[error("{uri}: the member at byte {offset}: {source}")]
    Damaged {
        /// The archive's address.
        uri: String,
        /// Where the member begins.
        offset: u64,
        /// What is wrong.
        source: UnpackError,
    },
    /// It is whole, and not what the manifest says.
    #[error("{uri}: the member at byte {offset} {what}")]
    Different {
        /// The archive's address.
        uri: String,
        /// Where the member begins.
        offset: u64,
        /// What is different.
        what: String,
    },
    /// A section of definitions that no memory should hold.
    #[error("the archive's definitions have {0} bytes, more than are held at once")]
    TooLarge(u64),
}

/// An archive in the store.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The archive's key.
    pub key: String,
    /// How long the store is asked for what it does not give.
    pub patience: Patience,
}

impl Archive {
    pub(super) fn uri(&self) -> String {
        self.store.uri(&self.key)
    }

    /// The text of members that hold statements, one after another.
    pub(super) async fn text(&self, members: &[Member]) -> Result<Bytes, MemberError> {
        let length: u64 = members.iter().map(|member| member.uncompressed).sum();
        if length > LARGEST_SECTION {
            return Err(MemberError::TooLarge(length));
        }
        let mut text = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        for run in runs(members, u64::MAX) {
            let mut run = self.run(run);
            while run.next().is_some() {
                while let Some(piece) = run.piece().await? {
                    text.extend_from_slice(piece);
                }
            }
        }
        Ok(text.into())
    }

    /// Its bytes `start..end`, however often the line breaks.
    fn bytes(&self, start: u64, end: u64) -> BoxStream<'static, Result<Bytes, StoreError>> {
        read_on(Arc::clone(&self.store), &self.key, start, end, self.patience)
    }

    /// Reads members that follow one another in the archive, with one request
    /// where the line holds.
    pub(super) fn run(&self, members: Vec<Member>) -> Run {
        Run {
            archive: self.clone(),
            members: members.into(),
            stream: None,
            buffer: BytesMut::new(),
            unpacker: Unpacker::new(),
            open: None,
        }
    }

    /// SHA-256 of the archive's bytes, in hexadecimal digits. `progress` is told
    /// how many bytes were read since the last call.
    pub(super) async fn sha256(
        &self,
        bytes: u64,
        progress: impl Fn(u64),
    ) -> Result<String, StoreError> {
        let mut hash = Sha256::new();
        let mut stream = self.bytes(0, bytes);
        while let Some(piece) = stream.try_next().await? {
            hash.update(&piece);
            progress(piece.len() as u64);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Groups members that follow one another in the archive, each group of about
/// `size` compressed bytes.
pub(super) fn runs(members: &[Member], size: u64) -> Vec<Vec<Member>> {
    let mut runs: Vec<Vec<Member>> = Vec::new();
    let mut length = 0;
    for &member in members {
        let follows = runs.last().and_then(|run| run.last()).is_some_and(|last| {
            last.offset + last.length == member.offset && length + member.length <= size
        });
        if let Some(run) = runs.last_mut().filter(|_| follows) {
            run.push(member);
            length += member.length;
        } else {
            runs.push(vec![member]);
            length = member.length;
        }
    }
    runs
}

/// Members that are read one after another.
pub(super) struct Run {
    archive: Archive,
    members: VecDeque<Member>,
    stream: Option<BoxStream<'static, Result<Bytes, StoreError>>>,
    buffer: BytesMut,
    unpacker: Unpacker,
    open: Option<Open>,
}

/// The member that is being read.
struct Open {
    member: Member,
    /// Compressed bytes that were not read yet.
    left: u64,
    /// For one that is too large to be held.
    pieces: Option<Box<(PieceReader, Vec<u8>)>>,
}

impl Run {
    /// Goes on to the next member.
    pub(super) fn next(&mut self) -> Option<Member> {
        if self.stream.is_none()
            && let (Some(first), Some(last)) = (self.members.front(), self.members.back())
        {
            let (start, end) = (first.offset, last.offset + last.length);
            self.stream = Some(self.archive.bytes(start, end));
        }
        let member = self.members.pop_front()?;
        let large = member.uncompressed > WHOLE;
        let pieces = large.then(|| Box::new((PieceReader::new(), Vec::new())));
        self.open = Some(Open { member, left: member.length, pieces });
        Some(member)
    }

    /// The next piece of the member's text; `None` when it was whole.
    pub(super) async fn piece(&mut self) -> Result<Option<&[u8]>, MemberError> {
        let Some(mut open) = self.open.take() else { return Ok(None) };
        let Some(pieces) = &mut open.pieces else {
            return self.whole(open.member).await.map(Some);
        };
        pieces.1.clear();
        while pieces.1.is_empty() && open.left > 0 {
            if self.buffer.is_empty() {
                self.fill(1).await?;
            }
            let (reader, text) = &mut **pieces;
            let length = self.buffer.len().min(usize::try_from(open.left).unwrap_or(usize::MAX));
            // A little at a time, so that its text stays small too.
            let some = &self.buffer[..length.min(16 * 1024)];
            let given = some.len();
            let taken = reader
                .push(some, |piece| text.extend_from_slice(piece))
                .map_err(|source| self.archive.damaged(open.member, source))?;
            self.buffer.advance(taken);
            open.left -= taken as u64;
            if taken < given {
                let source = UnpackError::Trailing(open.left);
                return Err(self.archive.damaged(open.member, source));
            }
        }
        if pieces.1.is_empty() {
            let reader = std::mem::take(&mut pieces.0);
            let found = reader.finish().map_err(|e| self.archive.damaged(open.member, e))?;
            self.archive.check_length(open.member, found)?;
            return Ok(None);
        }
        let open = self.open.insert(open);
        Ok(open.pieces.as_ref().map(|pieces| pieces.1.as_slice()))
    }

    async fn whole(&mut self, member: Member) -> Result<&[u8], MemberError> {
        let length = usize::try_from(member.length).unwrap_or(usize::MAX);
        self.fill(length).await?;
        let bytes = self.buffer.split_to(length);
        let text = self
            .unpacker
            .whole(&bytes, member.uncompressed)
            .map_err(|source| self.archive.damaged(member, source))?;
        self.archive.check_length(member, text.len() as u64)?;
        Ok(text)
    }

    /// Reads until so many bytes are there.
    async fn fill(&mut self, length: usize) -> Result<(), MemberError> {
        while self.buffer.len() < length {
            let next = match &mut self.stream {
                Some(stream) => stream.next().await,
                None => None,
            };
            // The store promises all bytes or an error.
            let Some(bytes) = next else {
                let offset = self.open.as_ref().map_or(0, |open| open.member.offset);
                let what = "is not there as a whole".to_owned();
                let uri = self.archive.uri();
                return Err(MemberError::Different { uri, offset, what });
            };
            self.buffer.extend_from_slice(&bytes?);
        }
        Ok(())
    }
}

impl Archive {
    fn damaged(&self, member: Member, source: UnpackError) -> MemberError {
        MemberError::Damaged { uri: self.uri(), offset: member.offset, source }
    }

    /// A member of which the store does not hold all bytes.
    pub(super) fn cut_short(&self, member: Member, what: &str) -> MemberError {
        let what = format!("cannot be read: {what}");
        MemberError::Different { uri: self.uri(), offset: member.offset, what }
    }

    fn check_length(&self, member: Member, found: u64) -> Result<(), MemberError> {
        if found == member.uncompressed {
            return Ok(());
        }
        Err(MemberError::Different {
            uri: self.uri(),
            offset: member.offset,
            what: format!("has {found} bytes of text instead of {}", member.uncompressed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(offset: u64, length: u64) -> Member {
        Member { offset, length, uncompressed: 1, rows: 0 }
    }

    #[test]
    fn members_that_follow_one_another_are_read_together_up_to_a_size() {
        let members = [(0, 10), (10, 10), (20, 10), (50, 10), (60, 100), (160, 1)];
        let members = members.map(|(offset, length)| member(offset, length));
        let offsets: Vec<Vec<u64>> = runs(&members, 25)
            .iter()
            .map(|run| run.iter().map(|member| member.offset).collect())
            .collect();
        assert_eq!(offsets, [vec![0, 10], vec![20], vec![50], vec![60], vec![160]]);
        assert_eq!(runs(&members, u64::MAX).len(), 2);
    }
}
