//! A decorator for commands that people wait for in an incident: a store that
//! does not answer is away, and is not asked again for a while.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

use super::{
    Created, Deletion, ErrorKind, LifecycleRule, ObjectMeta, Page, PartTag, Result, S3Store, Store,
    StoreError, UnfinishedUpload, UploadHandle,
};

/// How long each call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a store that did not answer is left alone. A restore takes longer, and
/// what it came to must not be lost because the bucket was away when it began.
const REST: Duration = Duration::from_mins(1);

/// A store that is not waited for.
#[derive(Debug)]
pub struct Impatient {
    store: Arc<dyn Store>,
    patience: Duration,
    rest: Duration,
    /// When it last did not answer.
    away: Mutex<Option<Instant>>,
}

impl Impatient {
    /// Each call of `store` has 10 seconds; after one that had no answer every
    /// further one of the next minute fails at once.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, patience: PATIENCE, rest: REST, away: Mutex::default() }
    }

    async fn asked<T>(
        &self,
        operation: &str,
        key: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let failed = |detail: String| StoreError {
            operation: operation.to_owned(),
            target: self.store.uri(key),
            kind: ErrorKind::TimedOut,
            detail,
        };
        if self.is_away() {
            return Err(failed("it did not answer before, and is not asked again yet".to_owned()));
        }
        let result = tokio::time::timeout(self.patience, call)
            .await
            .unwrap_or_else(|_| Err(failed(format!("{} s", self.patience.as_secs()))));
        if let Err(StoreError { kind: ErrorKind::TimedOut | ErrorKind::Unavailable, .. }) = &result
        {
            *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        result
    }

    fn is_away(&self) -> bool {
        let away = *self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.is_some_and(|since| since.elapsed() < self.rest)
    }
}

#[async_trait]
impl Store for Impatient {
    fn uri(&self, key: &str) -> String {
        self.store.uri(key)
    }

    fn bucket(&self) -> Option<&S3Store> {
        self.store.bucket()
    }

    fn folder(&self) -> Option<&Path> {
        self.store.folder()
    }

    fn parts_in_flight(&self) -> usize {
        self.store.parts_in_flight()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.asked("put", key, self.store.put(key, body)).await
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
        self.asked("put", key, self.store.put_if_absent(key, body)).await
    }

    async fn begin_upload(&self, key: &str) -> Result<UploadHandle> {
        self.asked("begin the upload of", key, self.store.begin_upload(key)).await
    }

    async fn upload_part(
        &self,
        upload: &UploadHandle,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag> {
        let call = self.store.upload_part(upload, number, body);
        self.asked("upload a part of", &upload.key, call).await
    }

    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created> {
        let call = self.store.complete_upload(upload, parts);
        self.asked("complete the upload of", &upload.key, call).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        self.asked("abort the upload of", &upload.key, self.store.abort_upload(upload)).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        let call = self.store.unfinished_uploads(prefix);
        self.asked("list the unfinished uploads of", prefix, call).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        self.asked("get", key, self.store.get(key, limit)).await
    }

    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.asked("get", key, self.store.get_range(key, start, end)).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.asked("look at", key, self.store.head(key)).await
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        self.asked("list", prefix, self.store.list_page(prefix, next)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.asked("delete", key, self.store.delete(key)).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        let first = keys.first().map_or("", String::as_str);
        self.asked("delete", first, self.store.delete_many(keys)).await
    }

    async fn server_time(&self) -> Result<DateTime<Utc>> {
        self.asked("ask the time of", "", self.store.server_time()).await
    }

    async fn lifecycle_rules(&self) -> Result<Option<Vec<LifecycleRule>>> {
        self.asked("read the lifecycle rules of", "", self.store.lifecycle_rules()).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::store::{
        LocalStore,
        faults::{Fault, FaultyStore, Plan},
    };

    #[tokio::test]
    async fn a_store_that_does_not_answer_once_is_not_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalStore::open(dir.path()).await.unwrap());
        let hour = Duration::from_hours(1);
        let faulty = Arc::new(FaultyStore::new(local, Plan::Outage(2, Fault::Hangs(hour))));
        let store = Impatient::new(Arc::clone(&faulty) as Arc<dyn Store>);
        store.put("a", "x".into()).await.unwrap();
        let store = Impatient { patience: Duration::from_millis(50), ..store };
        let begun = Instant::now();
        let error = store.get("a", 9).await.unwrap_err();
        assert!(error.to_string().contains("no answer within the deadline ("), "{error}");
        let error = store.list_page("", None).await.unwrap_err();
        assert!(error.to_string().contains("not asked again"), "{error}");
        store.put("b", "x".into()).await.unwrap_err();
        assert!(begun.elapsed() < PATIENCE);
        assert_eq!(faulty.calls().len(), 2);
    }

    #[tokio::test]
    async fn a_store_that_was_away_when_a_restore_began_is_asked_again_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalStore::open(dir.path()).await.unwrap());
        let faulty = Arc::new(FaultyStore::new(local, Plan::Nth(1, Fault::Rejected)));
        let store = Impatient::new(Arc::clone(&faulty) as Arc<dyn Store>);
        store.put("a", "x".into()).await.unwrap_err();
        store.put("a", "x".into()).await.unwrap_err();
        assert_eq!(faulty.calls().len(), 1);
        let store = Impatient { rest: Duration::ZERO, ..store };
        store.put("a", "x".into()).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_refuses_is_not_away() {
        let dir = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalStore::open(dir.path()).await.unwrap());
        let store = Impatient::new(local);
        let error = store.get("a", 9).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        store.put("a", "x".into()).await.unwrap();
    }
}
