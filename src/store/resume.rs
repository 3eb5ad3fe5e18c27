//! Reads a long range to its end, however often the line breaks.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};

use super::{ErrorKind, Result, Store, StoreError};

/// How often, and after what pauses, the rest is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Attempts without a single byte between them, the first included.
    pub attempts: u32,
    /// Pause before the second attempt; doubles from there.
    pub pause: Duration,
}

impl Default for Patience {
    /// Half a minute in all.
    fn default() -> Self {
        Self { attempts: 6, pause: Duration::from_secs(1) }
    }
}

/// A range on its way.
struct Reading {
    store: Arc<dyn Store>,
    key: String,
    position: u64,
    end: u64,
    patience: Patience,
    /// Attempts since the last byte that came.
    failed: u32,
    stream: Option<BoxStream<'static, Result<Bytes>>>,
}

/// Streams the bytes `start..end` of an object, in order. Where the stream
/// breaks off, the rest is asked for from there, so that a byte that came is
/// never asked for again.
///
/// An adapter repeats its own attempts below this; this is for what outlasts
/// them. It cannot tell whether the object was replaced in between: whoever
/// reads knows its hash. A stream that ends early yields an error, never a
/// clean end; what is not transient is not tried again.
pub fn read_on(
    store: Arc<dyn Store>,
    key: &str,
    start: u64,
    end: u64,
    patience: Patience,
) -> BoxStream<'static, Result<Bytes>> {
    let key = key.to_owned();
    let reading = Reading { store, key, position: start, end, patience, failed: 0, stream: None };
    futures::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reading))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.position >= self.end {
                return Ok(None);
            }
            match self.piece().await {
                Ok(Some(piece)) => {
                    self.position += piece.len() as u64;
                    if !piece.is_empty() {
                        self.failed = 0;
                    }
                    return Ok(Some(piece));
                }
                // The adapters promise not to end early; asking again costs little.
                Ok(None) if self.failed + 1 < self.patience.attempts => self.stream = None,
                Ok(None) => return Err(self.ended_early()),
                Err(error) if error.is_transient() && self.failed + 1 < self.patience.attempts => {
                    tracing::debug!(%error, position = self.position, "asking for the rest");
                    self.stream = None;
                }
                Err(error) => return Err(error),
            }
            let pause = self.patience.pause.saturating_mul(1 << self.failed.min(16));
            self.failed += 1;
            tokio::time::sleep(pause).await;
        }
    }

    fn ended_early(&self) -> StoreError {
        StoreError {
            operation: "read".to_owned(),
            target: self.store.uri(&self.key),
            kind: ErrorKind::Unavailable,
            detail: format!("it ended {} bytes early", self.end - self.position),
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>> {
        if self.stream.is_none() {
            let (position, end) = (self.position, self.end);
            self.stream = Some(self.store.get_range(&self.key, position, end).await?);
        }
        match &mut self.stream {
            Some(stream) => stream.next().await.transpose(),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;
    use crate::store::{
        LocalStore,
        faults::{Fault, FaultyStore, Plan},
    };

    const BRIEF: Patience = Patience { attempts: 3, pause: Duration::ZERO };

    async fn faulty(plan: Plan) -> (tempfile::TempDir, Arc<FaultyStore>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let local = LocalStore::open(dir.path()).await.unwrap();
        let body: Vec<u8> = (0..1_200_000_u32).flat_map(u32::to_le_bytes).collect();
        local.put("a", body.clone().into()).await.unwrap();
        (dir, Arc::new(FaultyStore::new(Arc::new(local), plan)), body)
    }

    async fn read(store: &Arc<FaultyStore>, start: u64, end: u64) -> Result<Vec<u8>> {
        let stream = read_on(store.clone(), "a", start, end, BRIEF);
        stream
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
    }

    #[tokio::test]
    async fn what_breaks_off_goes_on_where_it_broke_off() {
        for plan in [
            Plan::None,
            Plan::BreaksOff(1),
            Plan::BreaksOff(2),
            Plan::AlwaysBreaksOff,
            Plan::Nth(1, Fault::Rejected),
            Plan::Nth(1, Fault::AcceptedThenFailed),
            Plan::Nth(1, Fault::Hangs(Duration::from_millis(1))),
        ] {
            let (_dir, store, body) = faulty(plan).await;
            assert!(read(&store, 0, 4_800_000).await.unwrap() == body, "{plan:?}");
            assert!(read(&store, 7, 4_799_999).await.unwrap() == body[7..4_799_999], "{plan:?}");
        }
    }

    #[tokio::test]
    async fn an_outage_ends_the_reading_after_its_attempts() {
        let (_dir, store, _) = faulty(Plan::Outage(1, Fault::Rejected)).await;
        let error = read(&store, 0, 100).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(store.calls().len(), 3);
    }

    #[tokio::test]
    async fn what_will_not_change_is_not_tried_again() {
        let (_dir, store, _) = faulty(Plan::None).await;
        let error = read(&store, 0, 4_800_001).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Other);
        assert_eq!(store.calls().len(), 1);
        assert!(read(&store, 5, 5).await.unwrap().is_empty());
    }
}
