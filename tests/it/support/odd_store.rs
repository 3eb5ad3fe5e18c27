//! A store that is odd in the ways that a test asks for, and passes everything
//! else on.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use reliquary::{
    clock::Clock,
    store::{
        Created, Deletion, ObjectMeta, Page, PartTag, Result, Store, UnfinishedUpload, UploadHandle,
    },
};

/// The sizes of pieces, of which the next reading takes the next.
const SIZES: [usize; 3] = [50_021, 8_192, 31_337];

/// What is done when an object is read, before its first byte comes.
type Hook = Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Another store, and what is odd about it.
pub(crate) struct OddStore {
    store: Arc<dyn Store>,
    /// Dates objects, and tells the time.
    clock: Option<Clock>,
    written: Mutex<HashMap<String, DateTime<Utc>>>,
    panics: AtomicBool,
    rechunks: bool,
    hook: Option<Hook>,
    readings: AtomicUsize,
    open: Arc<AtomicUsize>,
    most_open: AtomicUsize,
}

impl OddStore {
    /// Nothing is odd yet.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            clock: None,
            written: Mutex::default(),
            panics: AtomicBool::new(false),
            rechunks: false,
            hook: None,
            readings: AtomicUsize::new(0),
            open: Arc::default(),
            most_open: AtomicUsize::new(0),
        }
    }

    /// Dates objects by a clock of its own.
    pub(crate) fn dated_by(self, clock: &Clock) -> Self {
        Self { clock: Some(clock.clone()), ..self }
    }

    /// Hands a range out in pieces of another size at each reading.
    pub(crate) fn in_other_pieces(self) -> Self {
        Self { rechunks: true, ..self }
    }

    /// Does something at each reading of a range, when the object is open and
    /// before its first byte comes.
    pub(crate) fn at_reading<F>(self, hook: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { hook: Some(Box::new(move |key| Box::pin(hook(key)))), ..self }
    }

    /// Whether every write of a small object panics from now on.
    pub(crate) fn panic_at_puts(&self, panics: bool) {
        self.panics.store(panics, Ordering::Relaxed);
    }

    /// How many ranges were ever read at the same time.
    pub(crate) fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    fn note(&self, key: &str) {
        assert!(!self.panics.load(Ordering::Relaxed), "a panic that the test asked for");
        self.note_upload(key);
    }

    fn note_upload(&self, key: &str) {
        if let Some(clock) = &self.clock {
            self.written.lock().unwrap().insert(key.to_owned(), clock.now());
        }
    }

    fn date(&self, mut object: ObjectMeta) -> ObjectMeta {
        if let Some(time) = self.written.lock().unwrap().get(&object.key) {
            object.last_modified = *time;
        }
        object
    }
}

impl fmt::Debug for OddStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OddStore").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A range that is being read.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn cut(piece: &Bytes, size: usize) -> impl stream::Stream<Item = Result<Bytes>> + use<> {
    let pieces: Vec<Result<Bytes>> =
        piece.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(pieces)
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
        self.note(key);
        self.store.put(key, body).await
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
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
        self.note_upload(&upload.key);
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
        let stream = self.store.get_range(key, start, end).await?;
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        let guard = Open(Arc::clone(&self.open));
        self.most_open.fetch_max(open, Ordering::SeqCst);
        if let Some(hook) = &self.hook {
            hook(key.to_owned()).await;
        }
        let nth = self.readings.fetch_add(1, Ordering::Relaxed);
        let size = if self.rechunks { SIZES[nth % SIZES.len()] } else { usize::MAX };
        let stream = stream.map_ok(move |piece| cut(&piece, size)).try_flatten();
        Ok(stream
            .map(move |piece| {
                let _open = &guard;
                piece
            })
            .boxed())
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
        match &self.clock {
            Some(clock) => Ok(clock.now()),
            None => self.store.server_time().await,
        }
    }
}
