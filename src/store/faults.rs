//! A decorator that makes chosen calls fail: a tool for tests, kept in the
//! library so that every test binary, and a person who wants to see what
//! Reliquary does when a store misbehaves, can use it. Nothing else builds it.
//!
//! A fault sweep makes each call of a run fail in turn:
//!
//! ```text
//! for n in 1.. {
//!     let store = FaultyStore::new(inner.clone(), Plan::Nth(n, Fault::Rejected));
//!     run(&store);                        // must fail loudly, or succeed
//!     if store.calls().len() < n { break; }  // the run made fewer calls: swept
//!     run(&inner);                        // must converge
//! }
//! ```

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream::BoxStream};

use super::{
    Created, Deletion, ErrorKind, LifecycleRule, ObjectMeta, Page, PartTag, Result, S3Store, Store,
    StoreError, UnfinishedUpload, UploadHandle,
};

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and an error says so ([`ErrorKind::Unavailable`]).
    Rejected,
    /// It is done, and reported as failed ([`ErrorKind::TimedOut`]).
    AcceptedThenFailed,
    /// It is done, and nothing is said of it until the deadline, which then
    /// passes ([`ErrorKind::TimedOut`]).
    AcceptedThenHangs(Duration),
    /// Nothing is done and nothing is said until the deadline, which then
    /// passes ([`ErrorKind::TimedOut`]).
    Hangs(Duration),
    /// Nothing is done, and the calling task breaks down.
    Panics,
}

impl Fault {
    /// Whether it is worth trying on an operation (the name of the trait's
    /// function): of one that only reads, all that a fault can do is to give no
    /// answer, which [`Fault::Rejected`] shows.
    #[must_use]
    pub fn differs_for(self, operation: &str) -> bool {
        const READS: [&str; 7] = [
            "unfinished_uploads",
            "get",
            "get_range",
            "head",
            "list_page",
            "server_time",
            "lifecycle_rules",
        ];
        self == Self::Rejected || !READS.contains(&operation)
    }
}

/// Which calls fail, counted from 1 over all operations of the decorator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// None: calls are only logged.
    #[default]
    None,
    /// This one.
    Nth(usize, Fault),
    /// This one and all after it.
    Outage(usize, Fault),
    /// This one succeeds, and where it reads, one bit of what it read is
    /// flipped.
    Corrupt(usize),
    /// This one succeeds, and where it reads a range, the stream breaks off
    /// with an error after half of its first piece.
    BreaksOff(usize),
    /// The same for every stream, each after at least one byte.
    AlwaysBreaksOff,
}

/// A store that fails as planned.
#[derive(Debug)]
pub struct FaultyStore {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    /// Calls of which the plan knows; [`FaultyStore::set`] begins anew.
    counted: usize,
    calls: Vec<(String, String)>,
}

/// What becomes of one call.
enum Verdict {
    Pass,
    Corrupt,
    BreakOff,
    Fail(Fault),
}

impl FaultyStore {
    /// Makes the calls of `store` fail as planned.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, plan: Plan) -> Self {
        let state = State { plan, counted: 0, calls: Vec::new() };
        Self { store, state: Mutex::new(state) }
    }

    /// Every call so far, as operation (the name of the trait's function) and key or prefix.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, String)> {
        self.state().calls.clone()
    }

    /// Changes the plan; the next call is the first of the new one.
    pub fn set(&self, plan: Plan) {
        let mut state = self.state();
        state.plan = plan;
        state.counted = 0;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, operation: &str, key: &str) -> Verdict {
        let mut state = self.state();
        state.calls.push((operation.to_owned(), key.to_owned()));
        state.counted += 1;
        match state.plan {
            Plan::Nth(nth, fault) if state.counted == nth => Verdict::Fail(fault),
            Plan::Outage(from, fault) if state.counted >= from => Verdict::Fail(fault),
            Plan::Corrupt(nth) if state.counted == nth => Verdict::Corrupt,
            Plan::BreaksOff(nth) if state.counted == nth => Verdict::BreakOff,
            Plan::AlwaysBreaksOff => Verdict::BreakOff,
            _ => Verdict::Pass,
        }
    }

    fn error(&self, operation: &str, key: &str, kind: ErrorKind) -> StoreError {
        StoreError {
            operation: operation.to_owned(),
            target: self.store.uri(key),
            kind,
            detail: "an injected fault".to_owned(),
        }
    }

    async fn faulty<T>(
        &self,
        operation: &str,
        key: &str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.judge(operation, key) {
            Verdict::Pass | Verdict::Corrupt | Verdict::BreakOff => call.await,
            Verdict::Fail(fault) => Err(self.fail(operation, key, fault, call).await),
        }
    }

    async fn fail<T>(
        &self,
        operation: &str,
        key: &str,
        fault: Fault,
        call: impl Future<Output = Result<T>> + Send,
    ) -> StoreError {
        match fault {
            Fault::Rejected => self.error(operation, key, ErrorKind::Unavailable),
            Fault::AcceptedThenFailed => match call.await {
                Ok(_) => self.error(operation, key, ErrorKind::TimedOut),
                Err(error) => error,
            },
            Fault::AcceptedThenHangs(deadline) => match call.await {
                Ok(_) => self.hang(operation, key, deadline).await,
                Err(error) => error,
            },
            Fault::Hangs(deadline) => self.hang(operation, key, deadline).await,
            Fault::Panics => panic!("an injected fault"),
        }
    }

    async fn hang(&self, operation: &str, key: &str, deadline: Duration) -> StoreError {
        tokio::time::sleep(deadline).await;
        self.error(operation, key, ErrorKind::TimedOut)
    }
}

#[async_trait]
impl Store for FaultyStore {
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
        self.faulty("put", key, self.store.put(key, body)).await
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
        self.faulty("put_if_absent", key, self.store.put_if_absent(key, body)).await
    }

    async fn begin_upload(&self, key: &str) -> Result<UploadHandle> {
        self.faulty("begin_upload", key, self.store.begin_upload(key)).await
    }

    async fn upload_part(
        &self,
        upload: &UploadHandle,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag> {
        let call = self.store.upload_part(upload, number, body);
        self.faulty("upload_part", &upload.key, call).await
    }

    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created> {
        let call = self.store.complete_upload(upload, parts);
        self.faulty("complete_upload", &upload.key, call).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        self.faulty("abort_upload", &upload.key, self.store.abort_upload(upload)).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        self.faulty("unfinished_uploads", prefix, self.store.unfinished_uploads(prefix)).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        match self.judge("get", key) {
            Verdict::Pass | Verdict::BreakOff => self.store.get(key, limit).await,
            Verdict::Corrupt => self.store.get(key, limit).await.map(flip_a_bit),
            Verdict::Fail(fault) => {
                Err(self.fail("get", key, fault, self.store.get(key, limit)).await)
            }
        }
    }

    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let call = self.store.get_range(key, start, end);
        match self.judge("get_range", key) {
            Verdict::Pass => call.await,
            Verdict::Corrupt => {
                // Only the first piece, so that there is exactly one wrong bit.
                let stream = call.await?.enumerate();
                Ok(stream
                    .map(|(index, piece)| if index == 0 { piece.map(flip_a_bit) } else { piece })
                    .boxed())
            }
            Verdict::BreakOff => {
                let error = self.error("get_range", key, ErrorKind::Unavailable);
                let mut stream = call.await?;
                let half = stream
                    .next()
                    .await
                    .map(|first| first.map(|mut bytes| bytes.split_to(bytes.len().div_ceil(2))));
                Ok(futures::stream::iter(half)
                    .chain(futures::stream::once(async { Err(error) }))
                    .boxed())
            }
            Verdict::Fail(fault) => Err(self.fail("get_range", key, fault, call).await),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.faulty("head", key, self.store.head(key)).await
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        self.faulty("list_page", prefix, self.store.list_page(prefix, next)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.faulty("delete", key, self.store.delete(key)).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        self.faulty("delete_many", &keys.join(" "), self.store.delete_many(keys)).await
    }

    async fn server_time(&self) -> Result<DateTime<Utc>> {
        self.faulty("server_time", "", self.store.server_time()).await
    }

    async fn lifecycle_rules(&self) -> Result<Option<Vec<LifecycleRule>>> {
        self.faulty("lifecycle_rules", "", self.store.lifecycle_rules()).await
    }
}

/// Flips a bit in the middle; of nothing, nothing.
fn flip_a_bit(bytes: Bytes) -> Bytes {
    let mut bytes = Vec::from(bytes);
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;

    const BODY: Bytes = Bytes::from_static(b"body");

    async fn faulty(plan: Plan) -> (tempfile::TempDir, FaultyStore) {
        let dir = tempfile::tempdir().unwrap();
        let local = LocalStore::open(dir.path()).await.unwrap();
        (dir, FaultyStore::new(Arc::new(local), plan))
    }

    #[tokio::test]
    async fn a_rejected_call_is_not_done_and_the_next_is() {
        let (_dir, store) = faulty(Plan::Nth(1, Fault::Rejected)).await;
        let error = store.put("a", BODY).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(store.head("a").await.unwrap().is_none());
        store.put("a", BODY).await.unwrap();
        let calls: Vec<String> =
            store.calls().into_iter().map(|(operation, _)| operation).collect();
        assert_eq!(calls, ["put", "head", "put"]);
    }

    #[tokio::test]
    async fn an_accepted_call_is_done_and_reported_as_failed() {
        let (_dir, store) = faulty(Plan::Nth(1, Fault::AcceptedThenFailed)).await;
        let error = store.put("a", BODY).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TimedOut);
        assert_eq!(store.get("a", 10).await.unwrap(), BODY);
    }

    #[tokio::test]
    async fn a_hanging_call_ends_with_its_deadline() {
        let deadline = Duration::from_millis(30);
        let (_dir, store) = faulty(Plan::Nth(1, Fault::Hangs(deadline))).await;
        let begun = tokio::time::Instant::now();
        let error = store.put("a", BODY).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TimedOut);
        assert!(begun.elapsed() >= deadline);
        assert!(store.head("a").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_outage_lasts_until_the_plan_changes() {
        let (_dir, store) = faulty(Plan::Outage(2, Fault::Rejected)).await;
        store.put("a", BODY).await.unwrap();
        store.put("b", BODY).await.unwrap_err();
        store.list_page("", None).await.unwrap_err();
        store.set(Plan::None);
        assert_eq!(store.list_page("", None).await.unwrap().objects.len(), 1);
    }

    #[tokio::test]
    async fn reads_can_be_damaged_and_broken_off() {
        let (_dir, store) = faulty(Plan::Corrupt(2)).await;
        store.put("a", BODY).await.unwrap();
        assert_ne!(store.get("a", 10).await.unwrap(), BODY);
        assert_eq!(store.get("a", 10).await.unwrap(), BODY);

        store.set(Plan::BreaksOff(1));
        let pieces: Vec<_> = store.get_range("a", 0, 4).await.unwrap().collect().await;
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0].as_ref().unwrap(), "bo");
        assert!(pieces[1].is_err());
    }
}
