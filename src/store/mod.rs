//! Where backups live, behind one narrow trait.
//!
//! The trait's documentation is a list of promises; one behavioural suite
//! (`tests/it/store_suite.rs`) holds every adapter to them. Calls are cancelled
//! by dropping their futures. Everything above this floor sees keys, bytes and
//! [`StoreError`]s, never S3.

mod error;
pub mod faults;
mod impatient;
mod lifecycle;
mod local;
mod metered;
mod multipart;
mod observed;
mod resume;
mod s3;

use std::{fmt::Debug, path::Path};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

pub use error::{ErrorKind, StoreError};
pub use impatient::Impatient;
pub use lifecycle::{LifecycleRule, Narrowed};
pub use local::LocalStore;
pub use metered::Metered;
pub use multipart::{MIN_PART, ParallelUpload, part_size_for, parts_in_flight};
pub use observed::Observed;
pub use resume::{Patience, read_on};
pub use s3::{
    AccessKey, Address, ChecksumMode, Condition, Damage, DefaultEncryption, Encryption, Grant,
    Identity, LockDefault, LogTarget, ObjectLock, PolicyChange, PublicAccess, Removal, S3Options,
    S3Store, Versioning,
};

/// What every call of this module returns.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An object as a listing or a HEAD shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The whole key, without the bucket.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// When the store says it was last written.
    pub last_modified: DateTime<Utc>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// At most a thousand objects, in key order.
    pub objects: Vec<ObjectMeta>,
    /// Ask for the next page with this; `None` says that the listing is complete.
    pub next: Option<String>,
}

/// What became of a write that must not replace anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object is there now, whole, and it is ours.
    Yes,
    /// Something stood under that key already; it was left as it is.
    AlreadyThere,
}

/// What became of the objects that were to be deleted.
#[derive(Debug, Default)]
pub struct Deletion {
    /// Those that are still there, with the reason. What is not named here is gone.
    pub left: Vec<(String, StoreError)>,
    /// Of those that are gone, how many are only hidden behind a delete marker:
    /// the bucket keeps versions, and their bytes are still stored.
    pub hidden: u64,
}

/// An upload in parts that was begun and neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadHandle {
    /// The key that the object will have.
    pub key: String,
    /// The store's name for the upload.
    pub id: String,
}

/// An unfinished upload as the store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// What to abort.
    pub upload: UploadHandle,
    /// When it was begun.
    pub started: DateTime<Utc>,
}

/// What the store gave back for one part; it wants it again at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartTag {
    /// From 1 upwards.
    pub number: u32,
    /// The store's tag of the part.
    pub etag: String,
    /// Size of the part, in bytes.
    pub size: u64,
    /// The part's checksum as sent, in the store's encoding, where one was.
    pub checksum: Option<String>,
}

/// A place that keeps objects.
///
/// Promises that every adapter keeps:
/// - **A write is atomic.** A reader sees the whole object or none; a failed or
///   abandoned write leaves nothing that a listing shows.
/// - **A write that returned is durable** and visible to the next read and listing.
/// - **Transient errors were retried** with the same bytes, within a deadline;
///   what comes back as an error is final for this call. An error does *not*
///   say that nothing happened: the store may have done it and failed to say so.
/// - **No call hangs**: each ends within its deadline.
/// - Errors name the operation, the object and, where rights are missing, the
///   permission; never a credential.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// The address a person or a stock tool would use, `s3://bucket/key` or `file:///dir/key`.
    fn uri(&self, key: &str) -> String;

    /// The bucket behind it, to ask about its configuration; `None` where there is none.
    fn bucket(&self) -> Option<&S3Store> {
        None
    }

    /// The folder behind it; `None` where there is none.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// How many parts of one upload may be in flight at once (at least 1).
    fn parts_in_flight(&self) -> usize;

    /// Writes a small object, replacing what was there.
    async fn put(&self, key: &str, body: Bytes) -> Result<()>;

    /// Writes a small object unless one is there. Where the store cannot do
    /// this in one step the adapter says so at its own documentation.
    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created>;

    /// Begins an upload in parts. Nothing is visible until it is completed.
    async fn begin_upload(&self, key: &str) -> Result<UploadHandle>;

    /// Sends one part. Parts are numbered from 1; all but the last have the
    /// same size, of at least 5 MiB. May be called for several parts at once,
    /// up to [`Store::parts_in_flight`].
    async fn upload_part(&self, upload: &UploadHandle, number: u32, body: Bytes)
    -> Result<PartTag>;

    /// Makes the object visible, whole, unless an object is there already, in
    /// which case the parts are thrown away.
    /// `parts` are in order and without gaps.
    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created>;

    /// Throws the parts away. Aborting what is gone is not an error.
    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()>;

    /// Every unfinished upload under a prefix.
    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>>;

    /// Reads a whole object of at most `limit` bytes; a larger one is an error.
    async fn get(&self, key: &str, limit: u64) -> Result<Bytes>;

    /// Streams the bytes `start..end` of an object, in order. A stream that
    /// ends early yields an error, never a clean end.
    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>>;

    /// What the store knows of an object, `None` where there is none.
    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>>;

    /// One page of the objects whose keys begin with `prefix`, in key order.
    /// Start with `None`, go on with [`Page::next`].
    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page>;

    /// Deletes an object. Deleting what is not there is not an error.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Deletes many objects. An error says that a request as a whole failed, and
    /// nothing of what became of the keys.
    async fn delete_many(&self, keys: &[String]) -> Result<Deletion>;

    /// The store's own idea of the time, to hold our clock against.
    async fn server_time(&self) -> Result<DateTime<Utc>>;

    /// What the store does by itself with objects as they age; `None` where it
    /// is of a kind that does nothing.
    async fn lifecycle_rules(&self) -> Result<Option<Vec<LifecycleRule>>> {
        Ok(None)
    }
}

/// Lists everything under `prefix`, page after page.
///
/// # Errors
/// When any page fails: a partial listing is never returned, since deciding
/// from one would delete or count wrongly.
pub async fn list_all(store: &dyn Store, prefix: &str) -> Result<Vec<ObjectMeta>> {
    let mut objects = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = store.list_page(prefix, next.as_deref()).await?;
        objects.extend(page.objects);
        match page.next {
            Some(token) => next = Some(token),
            None => return Ok(objects),
        }
    }
}
