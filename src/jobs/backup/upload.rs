//! The archive on its way into the store: in parts, or in one piece where it is small.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{BackupError, already_there};
use crate::{
    archive::PartSink,
    store::{Created, ParallelUpload, Store, StoreError, parts_in_flight},
    words::Stage,
};

/// An archive that is being uploaded and not visible yet.
#[derive(Debug)]
pub(super) struct ArchiveUpload {
    store: Arc<dyn Store>,
    key: String,
    in_flight: usize,
    parts: Option<ParallelUpload>,
    /// An archive of a single part waits here for its completion.
    whole: Option<Bytes>,
}

impl ArchiveUpload {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, key: String::new(), in_flight: 1, parts: None, whole: None }
    }

    /// Says where the archive goes, and in parts of which size (in bytes). The
    /// larger they are beside the `wanted` size, the fewer are in flight, so
    /// that a larger database does not take more memory.
    pub(super) fn prepare(&mut self, key: String, part_size: u64, wanted: u64) {
        self.key = key;
        self.in_flight = parts_in_flight(self.store.parts_in_flight(), part_size, wanted);
    }

    /// Waits until the store has every part, so that what is left to do for the
    /// archive is a single request.
    pub(super) async fn flush(&mut self) -> Result<(), BackupError> {
        match &mut self.parts {
            Some(parts) => parts.flush().await.map_err(BackupError::store(Stage::Upload)),
            None => Ok(()),
        }
    }

    /// Makes the archive visible.
    pub(super) async fn complete(&mut self) -> Result<(), BackupError> {
        let created = match (self.parts.take(), self.whole.take()) {
            (Some(parts), _) => parts.finish().await,
            (None, Some(bytes)) => self.store.put_if_absent(&self.key, bytes).await,
            (None, None) => return Ok(()),
        };
        match created.map_err(BackupError::store(Stage::Upload))? {
            Created::Yes => Ok(()),
            Created::AlreadyThere => Err(already_there(Stage::Upload, &self.store.uri(&self.key))),
        }
    }

    /// Throws away what was not completed.
    pub(super) async fn abort(&mut self) {
        self.whole = None;
        if let Some(parts) = self.parts.take()
            && let Err(error) = parts.abort().await
        {
            tracing::warn!(%error, "an unfinished upload was left behind");
        }
    }
}

#[async_trait]
impl PartSink for ArchiveUpload {
    type Error = StoreError;

    async fn part(&mut self, bytes: Bytes, last: bool) -> Result<(), StoreError> {
        if last && self.parts.is_none() {
            self.whole = Some(bytes);
            return Ok(());
        }
        // It stays in its place while a part is waited for: a run that is
        // dropped right then must still find what to throw away.
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let store = Arc::clone(&self.store);
                none.insert(ParallelUpload::begin(store, &self.key, self.in_flight).await?)
            }
        };
        parts.send(bytes).await
    }
}
