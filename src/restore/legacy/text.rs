//! The text of a gzip file, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt as _, stream::BoxStream};
use sha2::{Digest as _, Sha256};

use super::{
    super::{failure::Failure, progress::Progress},
    Stream,
};
use crate::{
    archive::unpack::PieceReader,
    store::{StoreError, read_on},
};

type Pieces = BoxStream<'static, Result<Bytes, StoreError>>;

/// How much of the archive is unpacked at once, in bytes.
const SOME: usize = 16 * 1024;

/// The text of a gzip file of any number of members.
pub(in super::super) struct Text {
    stream: Pieces,
    uri: String,
    packed: Bytes,
    reader: Option<PieceReader>,
    unpacked: Vec<u8>,
    hash: Sha256,
}

impl Text {
    /// Opens an archive.
    pub(in super::super) fn open(archive: &Stream) -> Self {
        let Stream { store, key, bytes, patience } = archive;
        let stream = read_on(Arc::clone(store), key, 0, *bytes, *patience);
        let (packed, unpacked) = (Bytes::new(), Vec::new());
        let (uri, hash) = (store.uri(key), Sha256::new());
        Self { stream, uri, packed, reader: None, unpacked, hash }
    }

    /// The next piece; `None` at the file's end, where the last member must end too.
    pub(in super::super) async fn piece(
        &mut self,
        progress: &Progress,
    ) -> Result<Option<&[u8]>, Failure> {
        self.unpacked.clear();
        while self.unpacked.is_empty() {
            if self.packed.is_empty() {
                let Some(bytes) = self.stream.try_next().await? else {
                    return match self.reader.take() {
                        None => Ok(None),
                        Some(reader) => match reader.finish() {
                            Ok(_) => Ok(None),
                            Err(error) => Err(Failure::of(&self.uri, error)),
                        },
                    };
                };
                self.hash.update(&bytes);
                progress.add(bytes.len() as u64);
                self.packed = bytes;
                continue;
            }
            let reader = self.reader.get_or_insert_default();
            let some = self.packed.slice(..self.packed.len().min(SOME));
            let text = &mut self.unpacked;
            let taken = reader
                .push(&some, |piece| text.extend_from_slice(piece))
                .map_err(|error| Failure::of(&self.uri, error))?;
            let _ = self.packed.split_to(taken);
            if reader.ended() {
                self.reader = None;
            }
        }
        Ok(Some(&self.unpacked))
    }

    /// Of all that was read, in hexadecimal digits.
    pub(in super::super) fn sha256(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
