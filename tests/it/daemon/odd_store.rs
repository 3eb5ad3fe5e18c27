//! A store with a clock of its own, and one that panics when it is told to.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use reliquary::{
    clock::Clock,
    store::{
        Created, Deletion, ObjectMeta, Page, PartTag, Result, Store, UnfinishedUpload, UploadHandle,
    },
};

/// Passes everything on, but dates objects by a clock of its own.
#[derive(Debug)]
pub(super) struct OddStore {
    store: Arc<dyn Store>,
    clock: Clock,
    written: Mutex<HashMap<String, DateTime<Utc>>>,
    panics: AtomicBool,
}

impl OddStore {
    pub(super) fn new(store: Arc<dyn Store>, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self { store, clock, written: Mutex::default(), panics: AtomicBool::new(false) }
    }

    /// Whether every write of a small object panics from now on.
    pub(super) fn panic_at_puts(&self, panics: bool) {
        self.panics.store(panics, Ordering::Relaxed);
    }

    fn note(&self, key: &str) {
        self.written.lock().unwrap().insert(key.to_owned(), self.clock.now());
    }

    fn date(&self, mut object: ObjectMeta) -> ObjectMeta {
        if let Some(time) = self.written.lock().unwrap().get(&object.key) {
            object.last_modified = *time;
        }
        object
    }
}

#[async_trait]
impl Store for OddStore {
    fn uri(&self, key: &str) -> String {
        self.store.uri(key)
    }

    fn parts_in_flight(&self) -> usize {
        self.store.parts_in_flight()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        assert!(!self.panics.load(Ordering::Relaxed), "a panic that the test asked for");
        self.note(key);
        self.store.put(key, body).await
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
        assert!(!self.panics.load(Ordering::Relaxed), "a panic that the test asked for");
        self.note(key);
        self.store.put_if_absent(key, body).await
    }

    async fn begin_upload(&self, key: &str) -> Result<UploadHandle> {
        self.store.begin_upload(key).await
    }

    async fn upload_part(
        &self,
        upload: &UploadHandle,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag> {
        self.store.upload_part(upload, number, body).await
    }

    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created> {
        self.note(&upload.key);
        self.store.complete_upload(upload, parts).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        self.store.abort_upload(upload).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        self.store.unfinished_uploads(prefix).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        self.store.get(key, limit).await
    }

    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.store.get_range(key, start, end).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(self.store.head(key).await?.map(|object| self.date(object)))
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        let mut page = self.store.list_page(prefix, next).await?;
        page.objects = page.objects.into_iter().map(|object| self.date(object)).collect();
        Ok(page)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        self.store.delete_many(keys).await
    }

    async fn server_time(&self) -> Result<DateTime<Utc>> {
        Ok(self.clock.now())
    }
}
