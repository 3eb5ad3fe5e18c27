//! A decorator that counts and times every call.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream::BoxStream};

use super::{
    Created, Deletion, LifecycleRule, ObjectMeta, Page, PartTag, Result, Store, UnfinishedUpload,
    UploadHandle,
};
use crate::{
    metrics::Observer,
    words::{Direction, StoreOperation},
};

/// A store whose calls are counted.
pub struct Metered {
    store: Arc<dyn Store>,
    observer: Arc<dyn Observer>,
}

impl std::fmt::Debug for Metered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Metered").field(&self.store).finish()
    }
}

impl Metered {
    /// Counts the calls of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, observer: Arc<dyn Observer>) -> Self {
        Self { store, observer }
    }

    async fn timed<T>(
        &self,
        operation: StoreOperation,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        let outcome = call.await;
        self.observer.request(operation, outcome.is_ok(), begun.elapsed().as_secs_f64());
        outcome
    }

    fn count(&self, direction: Direction, bytes: usize) {
        self.observer.bytes(direction, bytes as u64);
    }
}

#[async_trait]
impl Store for Metered {
    fn uri(&self, key: &str) -> String {
        self.store.uri(key)
    }

    fn parts_in_flight(&self) -> usize {
        self.store.parts_in_flight()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        let size = body.len();
        self.timed(StoreOperation::Put, self.store.put(key, body)).await?;
        self.count(Direction::Sent, size);
        Ok(())
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
        let size = body.len();
        let created =
            self.timed(StoreOperation::PutIfAbsent, self.store.put_if_absent(key, body)).await?;
        self.count(Direction::Sent, size);
        Ok(created)
    }

    async fn begin_upload(&self, key: &str) -> Result<UploadHandle> {
        self.timed(StoreOperation::BeginUpload, self.store.begin_upload(key)).await
    }

    async fn upload_part(
        &self,
        upload: &UploadHandle,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag> {
        let size = body.len();
        let tag = self
            .timed(StoreOperation::UploadPart, self.store.upload_part(upload, number, body))
            .await?;
        self.count(Direction::Sent, size);
        Ok(tag)
    }

    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created> {
        self.timed(StoreOperation::CompleteUpload, self.store.complete_upload(upload, parts)).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        self.timed(StoreOperation::AbortUpload, self.store.abort_upload(upload)).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        self.timed(StoreOperation::UnfinishedUploads, self.store.unfinished_uploads(prefix)).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let body = self.timed(StoreOperation::Get, self.store.get(key, limit)).await?;
        self.count(Direction::Received, body.len());
        Ok(body)
    }

    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let begun = Instant::now();
        let mut running = Running { observer: Arc::clone(&self.observer), begun, ok: false };
        let stream = self.store.get_range(key, start, end).await?;
        running.ok = true;
        Ok(stream
            .inspect(move |chunk| match chunk {
                Ok(bytes) => running.observer.bytes(Direction::Received, bytes.len() as u64),
                Err(_) => running.ok = false,
            })
            .boxed())
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.timed(StoreOperation::Head, self.store.head(key)).await
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        self.timed(StoreOperation::List, self.store.list_page(prefix, next)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.timed(StoreOperation::Delete, self.store.delete(key)).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        self.timed(StoreOperation::DeleteMany, self.store.delete_many(keys)).await
    }

    async fn server_time(&self) -> Result<DateTime<Utc>> {
        self.timed(StoreOperation::ServerTime, self.store.server_time()).await
    }

    async fn lifecycle_rules(&self) -> Result<Option<Vec<LifecycleRule>>> {
        self.timed(StoreOperation::LifecycleRules, self.store.lifecycle_rules()).await
    }
}

/// A `get_range` under way; tells the observer when it is dropped, which is
/// when its stream is.
struct Running {
    observer: Arc<dyn Observer>,
    begun: Instant,
    ok: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.observer.request(
            StoreOperation::GetRange,
            self.ok,
            self.begun.elapsed().as_secs_f64(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::LocalStore;

    #[derive(Default)]
    struct Log {
        requests: Mutex<Vec<(StoreOperation, bool)>>,
        bytes: Mutex<Vec<(Direction, u64)>>,
    }

    impl Observer for Log {
        fn request(&self, operation: StoreOperation, ok: bool, seconds: f64) {
            assert!(seconds >= 0.0);
            self.requests.lock().unwrap().push((operation, ok));
        }

        fn bytes(&self, direction: Direction, bytes: u64) {
            self.bytes.lock().unwrap().push((direction, bytes));
        }
    }

    #[tokio::test]
    async fn every_call_is_counted_with_its_outcome_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(Log::default());
        let local = Arc::new(LocalStore::open(dir.path()).await.unwrap());
        let store = Metered::new(local, Arc::clone(&log) as Arc<dyn Observer>);

        store.put("a", Bytes::from_static(b"12345")).await.unwrap();
        store.get("missing", 10).await.unwrap_err();
        let stream = store.get_range("a", 1, 4).await.unwrap();
        assert_eq!(
            *log.requests.lock().unwrap(),
            [(StoreOperation::Put, true), (StoreOperation::Get, false)]
        );
        let chunks: Vec<_> = stream.collect().await;
        assert!(chunks.iter().all(Result::is_ok));
        store.get_range("missing", 0, 1).await.err().unwrap();

        assert_eq!(
            *log.requests.lock().unwrap(),
            [
                (StoreOperation::Put, true),
                (StoreOperation::Get, false),
                (StoreOperation::GetRange, true),
                (StoreOperation::GetRange, false)
            ]
        );
        assert_eq!(*log.bytes.lock().unwrap(), [(Direction::Sent, 5), (Direction::Received, 3)]);
    }
}
