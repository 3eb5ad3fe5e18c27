//! A crash between any two deletions, in whatever order a store carries out
//! those of one request.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use reliquary::store::{
    Created, Deletion, ErrorKind, ObjectMeta, Page, PartTag, Result, StoreError, UnfinishedUpload,
    UploadHandle,
};

use super::*;

/// Deletes one object after the other, until it is cut off.
#[derive(Debug)]
pub(super) struct Scissors {
    store: Arc<dyn Store>,
    /// Deletions that are still carried out.
    budget: AtomicUsize,
    backwards: bool,
    refused: Vec<String>,
    hides_uploads: bool,
}

impl Scissors {
    fn new(store: Arc<dyn Store>, budget: usize, backwards: bool) -> Self {
        let budget = AtomicUsize::new(budget);
        Self { store, budget, backwards, refused: Vec::new(), hides_uploads: false }
    }

    /// Never cut, but without the right to delete these.
    pub(super) fn refusing(store: Arc<dyn Store>, keys: &[&str]) -> Self {
        let refused = keys.iter().map(|key| (*key).to_owned()).collect();
        Self { refused, ..Self::new(store, usize::MAX, false) }
    }

    /// Never cut, but it does not know how to list uploads.
    pub(super) fn without_uploads(store: Arc<dyn Store>) -> Self {
        Self { hides_uploads: true, ..Self::new(store, usize::MAX, false) }
    }

    fn error(&self, key: &str, kind: ErrorKind) -> StoreError {
        let (operation, target) = ("delete".to_owned(), self.store.uri(key));
        StoreError { operation, target, kind, detail: "scissors".to_owned() }
    }

    async fn cut(&self, key: &str) -> Result<()> {
        let left = self.budget.load(Ordering::Relaxed);
        if left == 0 {
            return Err(self.error(key, ErrorKind::Unavailable));
        }
        self.budget.store(left - 1, Ordering::Relaxed);
        self.store.delete(key).await
    }
}

#[async_trait]
impl Store for Scissors {
    fn uri(&self, key: &str) -> String {
        self.store.uri(key)
    }

    fn parts_in_flight(&self) -> usize {
        1
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.store.put(key, body).await
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
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
        self.store.complete_upload(upload, parts).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        if self.budget.load(Ordering::Relaxed) == 0 {
            return Err(self.error(&upload.key, ErrorKind::Unavailable));
        }
        self.store.abort_upload(upload).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        if self.hides_uploads {
            return Err(self.error(prefix, ErrorKind::Other));
        }
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
        self.store.head(key).await
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        self.store.list_page(prefix, next).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.cut(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        let mut keys: Vec<&String> = keys.iter().collect();
        if self.backwards {
            keys.reverse();
        }
        let mut deletion = Deletion::default();
        for key in keys {
            if self.refused.contains(key) {
                let right = "s3:DeleteObject".to_owned();
                deletion.left.push((key.clone(), self.error(key, ErrorKind::Denied(right))));
            } else {
                self.cut(key).await?;
            }
        }
        Ok(deletion)
    }

    async fn server_time(&self) -> Result<DateTime<Utc>> {
        self.store.server_time().await
    }
}

#[tokio::test]
async fn a_crash_between_any_two_deletions_leaves_nothing_that_is_half_good() {
    let template = motley().await;
    let mut crashes = 0;
    for backwards in [false, true] {
        for budget in 0.. {
            let bench = template.copy();
            let stays = must_stay(&bench).await;
            let store = Scissors::new(bench.store().await, budget, backwards);
            let whole = bench.sweep(Arc::new(store)).await.unwrap().is_whole();
            // What is listed as good is whole, and what is kept is there.
            let good = bench.good().await;
            for hours in KEPT {
                assert!(good.contains(&hours), "{hours} after {budget}: {good:?}");
            }
            assert!(bench.keys().await.is_superset(&stays), "after {budget}");
            // Nothing of ours passes for a legacy archive, and nothing that is
            // damaged for anything better.
            let catalog = bench.catalog().await;
            let legacy: Vec<BackupId> = catalog
                .entries
                .iter()
                .filter(|entry| entry.state == State::Legacy)
                .map(|entry| entry.id)
                .collect();
            assert!(legacy.iter().all(|id| [bench.id(55), bench.id(6)].contains(id)), "{legacy:?}");
            // A decision that is made now finishes it.
            assert!(bench.sweep(bench.store().await).await.unwrap().is_whole());
            assert_eq!(bench.keys().await, stays, "after {budget}");
            if whole {
                break;
            }
            crashes += 1;
        }
    }
    // Every object of the four, and of the debris, in both orders.
    assert!(crashes >= 2 * 18, "{crashes}");
    println!("{crashes} crashes");
}
