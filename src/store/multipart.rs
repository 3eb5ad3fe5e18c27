//! Uploads in parts, several in flight: written once, over any [`Store`].

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinError, JoinSet};

use super::{Created, ErrorKind, PartTag, Result, Store, StoreError, UploadHandle};

const MIB: u64 = 1 << 20;
/// The smallest part S3 takes, the last one aside, in bytes.
pub const MIN_PART: u64 = 5 * MIB;
/// The largest part S3 takes, in bytes.
pub(crate) const MAX_PART: u64 = 5 << 30;
/// The most parts S3 takes.
pub(crate) const MAX_PARTS: u64 = 10_000;
/// An estimate may be this many times too low before the parts run out.
const MARGIN: u64 = 2;

/// The size of the parts of an upload that will have about `total_estimate`
/// bytes: the size that is wanted, or what it takes for 10,000 parts to hold
/// twice the estimate. A multiple of a MiB, from [`MIN_PART`] to 5 GiB;
/// all in bytes. Fixed before an upload begins, since some stores insist on
/// equal parts, the last one aside.
#[must_use]
pub fn part_size_for(total_estimate: u64, wanted: u64) -> u64 {
    let needed = total_estimate.saturating_mul(MARGIN).div_ceil(MAX_PARTS);
    let size = wanted.max(needed).clamp(MIN_PART, MAX_PART);
    size.div_ceil(MIB) * MIB
}

/// How many parts of `part_size` bytes may be in flight where the store takes
/// `most` at once: as many as hold no more bytes than `most` of the `wanted` size
/// would, and at least one.
#[must_use]
pub fn parts_in_flight(most: usize, part_size: u64, wanted: u64) -> usize {
    let budget = wanted.saturating_mul(most as u64);
    let fits = usize::try_from(budget / part_size.max(1)).unwrap_or(usize::MAX);
    fits.clamp(1, most.max(1))
}

/// An upload whose parts go out while the next ones are being made. Holds the
/// parts that are in flight in memory, and the one that waits in
/// [`ParallelUpload::send`].
///
/// Dropping it stops what is in flight but leaves the parts with the store,
/// for the sweep; [`ParallelUpload::abort`] takes them away.
#[derive(Debug)]
pub struct ParallelUpload {
    store: Arc<dyn Store>,
    upload: UploadHandle,
    in_flight: usize,
    /// Dropping the set aborts its tasks.
    running: JoinSet<Result<PartTag>>,
    done: Vec<PartTag>,
    sent: u32,
    failed: bool,
}

impl ParallelUpload {
    /// Begins an upload with at most `in_flight` parts on their way at once, and
    /// no more than the store takes; nothing is visible until
    /// [`ParallelUpload::finish`].
    ///
    /// # Errors
    /// When the store refuses it.
    pub async fn begin(store: Arc<dyn Store>, key: &str, in_flight: usize) -> Result<Self> {
        let upload = store.begin_upload(key).await?;
        let in_flight = in_flight.clamp(1, store.parts_in_flight().max(1));
        Ok(Self {
            store,
            upload,
            in_flight,
            running: JoinSet::new(),
            done: Vec::new(),
            sent: 0,
            failed: false,
        })
    }

    /// Which upload this is.
    #[must_use]
    pub fn handle(&self) -> &UploadHandle {
        &self.upload
    }

    /// Sends the next part: waits for a free place among those in flight, and
    /// returns while the part is on its way. Parts but the last must have one
    /// size, of at least [`MIN_PART`].
    ///
    /// # Errors
    /// The first failure of any part so far. After one the upload can only be
    /// aborted.
    pub async fn send(&mut self, part: Bytes) -> Result<()> {
        if self.failed {
            return Err(self.error("a part of it failed before"));
        }
        if u64::from(self.sent) >= MAX_PARTS {
            self.failed = true;
            return Err(self.error(
                "it has 10000 parts already, the most there can be; the size was estimated \
                 far too low: raise store.part_size",
            ));
        }
        // Failures are looked at even where a place is free, to stop soon.
        while let Some(joined) = self.running.try_join_next() {
            self.settle(joined)?;
        }
        while self.running.len() >= self.in_flight {
            match self.running.join_next().await {
                Some(joined) => self.settle(joined)?,
                None => break,
            }
        }
        self.sent += 1;
        let (store, upload, number) = (Arc::clone(&self.store), self.upload.clone(), self.sent);
        self.running.spawn(async move { store.upload_part(&upload, number, part).await });
        Ok(())
    }

    /// Waits for the parts and makes the object visible, unless one is there.
    /// An upload of nothing becomes an empty object.
    ///
    /// # Errors
    /// The first failure of a part, or that of the completion. The parts were
    /// thrown away then, as far as the store let us; a completion that failed
    /// may have happened nevertheless.
    pub async fn finish(mut self) -> Result<Created> {
        match self.try_finish().await {
            Ok(created) => Ok(created),
            Err(error) => {
                // Should the completion have happened after all, the store
                // does not know the upload any more, and nothing is undone.
                if let Err(left) = self.abort().await {
                    tracing::warn!(error = %left, "parts of a failed upload were left behind");
                }
                Err(error)
            }
        }
    }

    /// Waits until the store has every part that was sent.
    ///
    /// # Errors
    /// The first failure of any part. The upload can then only be aborted.
    pub async fn flush(&mut self) -> Result<()> {
        while let Some(joined) = self.running.join_next().await {
            self.settle(joined)?;
        }
        if self.failed { Err(self.error("a part of it failed before")) } else { Ok(()) }
    }

    async fn try_finish(&mut self) -> Result<Created> {
        if self.sent == 0 {
            self.send(Bytes::new()).await?;
        }
        self.flush().await?;
        self.done.sort_unstable_by_key(|tag| tag.number);
        self.store.complete_upload(&self.upload, &self.done).await
    }

    /// Stops what is in flight and throws all parts away.
    ///
    /// # Errors
    /// When the store does not let us; the sweep finds such parts later.
    pub async fn abort(mut self) -> Result<()> {
        self.running.shutdown().await;
        self.store.abort_upload(&self.upload).await
    }

    fn settle(&mut self, joined: Result<Result<PartTag>, JoinError>) -> Result<()> {
        let outcome = joined.unwrap_or_else(|error| {
            Err(self.error(&format!("the task that sent a part ended: {error}")))
        });
        match outcome {
            Ok(tag) => {
                self.done.push(tag);
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                self.running.abort_all();
                Err(error)
            }
        }
    }

    fn error(&self, detail: &str) -> StoreError {
        StoreError {
            operation: "go on with the upload of".to_owned(),
            target: self.store.uri(&self.upload.key),
            kind: ErrorKind::Other,
            detail: detail.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::store::{
        LocalStore,
        faults::{Fault, FaultyStore, Plan},
        list_all,
    };

    async fn local() -> (tempfile::TempDir, Arc<dyn Store>) {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).await.unwrap();
        (dir, Arc::new(store))
    }

    /// Three parts: six calls to the store, or fewer.
    async fn upload_three(store: &Arc<dyn Store>) -> Result<Created> {
        let mut upload = ParallelUpload::begin(Arc::clone(store), "key", 4).await?;
        for part in ["one ", "two ", "three"] {
            if let Err(error) = upload.send(Bytes::from_static(part.as_bytes())).await {
                upload.abort().await?;
                return Err(error);
            }
        }
        upload.finish().await
    }

    #[tokio::test]
    async fn whichever_call_fails_the_object_is_whole_or_not_there() {
        for fault in
            [Fault::Rejected, Fault::AcceptedThenFailed, Fault::Hangs(Duration::from_millis(1))]
        {
            let mut failed = 0;
            for nth in 1.. {
                let (_dir, inner) = local().await;
                let faulty = Arc::new(FaultyStore::new(inner.clone(), Plan::Nth(nth, fault)));
                let store: Arc<dyn Store> = faulty.clone();
                let outcome = upload_three(&store).await;
                let calls = faulty.calls();
                if calls.len() < nth {
                    assert_eq!(outcome.unwrap(), Created::Yes);
                    break;
                }
                outcome.expect_err("the fault was swallowed");
                failed += 1;
                if let Some(object) = list_all(&*inner, "").await.unwrap().first() {
                    assert_eq!(object.size, 13, "{fault:?} at {nth}");
                }
                // What a failed abort leaves, the sweep finds.
                for left in inner.unfinished_uploads("").await.unwrap() {
                    inner.abort_upload(&left.upload).await.unwrap();
                }
                upload_three(&inner).await.unwrap();
                assert_eq!(inner.get("key", 13).await.unwrap(), "one two three");
                assert_eq!(inner.unfinished_uploads("").await.unwrap(), []);
            }
            // Begin, three parts, completion.
            assert_eq!(failed, 5, "{fault:?}");
        }
    }

    #[tokio::test]
    async fn after_a_failed_part_the_upload_takes_no_more() {
        let (_dir, inner) = local().await;
        let store = Arc::new(FaultyStore::new(inner.clone(), Plan::Nth(2, Fault::Rejected)));
        let mut upload = ParallelUpload::begin(store.clone(), "key", 4).await.unwrap();
        upload.send(Bytes::from_static(b"one")).await.unwrap();
        // One part in flight at once: the second waits for the first.
        let error = upload.send(Bytes::from_static(b"two")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        upload.send(Bytes::from_static(b"two")).await.unwrap_err();
        upload.finish().await.unwrap_err();
        let calls: Vec<String> = store.calls().into_iter().map(|(call, _)| call).collect();
        assert_eq!(calls, ["begin_upload", "upload_part", "abort_upload"]);
        assert_eq!(inner.unfinished_uploads("").await.unwrap(), []);
    }

    #[tokio::test]
    async fn dropping_an_upload_stops_its_parts() {
        let (_dir, inner) = local().await;
        let hang = Fault::Hangs(Duration::from_hours(1));
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(inner, Plan::Outage(2, hang)));
        let mut upload = ParallelUpload::begin(store.clone(), "key", 4).await.unwrap();
        upload.send(Bytes::from_static(b"one")).await.unwrap();
        assert_eq!(Arc::strong_count(&store), 3);
        drop(upload);
        let stopped = async {
            while Arc::strong_count(&store) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap();
    }

    #[test]
    fn a_small_upload_gets_the_size_that_is_wanted() {
        assert_eq!(part_size_for(0, 8 * MIB), 8 * MIB);
        assert_eq!(part_size_for(1 << 30, 8 * MIB), 8 * MIB);
        assert_eq!(part_size_for(0, 0), MIN_PART);
        assert_eq!(part_size_for(0, 8 * MIB + 1), 9 * MIB);
    }

    #[test]
    fn a_terabyte_gets_parts_enough() {
        let size = part_size_for(1 << 40, 8 * MIB);
        assert_eq!(size, 210 * MIB);
        assert!(size * MAX_PARTS >= 2 << 40);
    }

    #[test]
    fn larger_parts_are_fewer_at_once() {
        for (part_size, in_flight) in [(8, 4), (9, 3), (16, 2), (17, 1), (210, 1)] {
            assert_eq!(parts_in_flight(4, part_size * MIB, 8 * MIB), in_flight, "{part_size}");
        }
        assert_eq!(parts_in_flight(0, 0, 0), 1);
    }

    #[test]
    fn no_estimate_is_too_large_to_answer() {
        assert_eq!(part_size_for(u64::MAX, u64::MAX), MAX_PART);
    }

    proptest! {
        #[test]
        fn parts_suffice_for_twice_the_estimate(
            // 25 TB, twice which is the most that 10,000 parts of 5 GiB hold.
            estimate in 0..25_000_000_000_000_u64,
            wanted in 0..200 * MIB,
        ) {
            let size = part_size_for(estimate, wanted);
            prop_assert!(size * MAX_PARTS >= estimate * 2);
            prop_assert!(size >= wanted);
            prop_assert!((MIN_PART..=MAX_PART).contains(&size));
            prop_assert_eq!(size % MIB, 0);
        }
    }
}
