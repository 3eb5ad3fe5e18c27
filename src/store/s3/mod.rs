//! The store on S3, AWS's or a compatible one, through `aws-sdk-s3`.
//!
//! - **Checksums** are computed here and sent as plain headers, never as
//!   `aws-chunked` trailers; what the store echoes is compared with what was sent.
//! - **Retries** are the SDK's, with the same bytes: a body is a [`Bytes`] that
//!   attempts share. Downloads that break off are taken up where they broke off,
//!   of the same version of the object.
//! - **Deadlines**: one for each attempt, one over all attempts of a call, one
//!   for each wait for more of a download.
//! - **A write that must not replace anything** is one conditional request
//!   (`If-None-Match: *`). Where the store answers that it does not implement
//!   that, it becomes a HEAD and then a plain write, which two writers at the same
//!   moment can both win; this is said once in the log.

mod checksum;
mod connect;
mod errors;
mod lifecycle;
mod objects;
mod read;
mod uploads;
mod wire;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use aws_sdk_s3::{Client, types::ServerSideEncryption};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

pub use self::{
    checksum::ChecksumMode,
    connect::{AccessKey, Encryption, S3Options},
};
use self::{errors::Call, wire::ServerDate};
use super::{
    Created, Deletion, ErrorKind, LifecycleRule, ObjectMeta, Page, PartTag, Result, Store,
    UnfinishedUpload, UploadHandle,
};

/// A bucket. Clones share one client.
#[derive(Clone)]
pub struct S3Store(Arc<Inner>);

struct Inner {
    client: Client,
    options: S3Options,
    /// Turned off by a store that does not implement conditional writes.
    conditional: AtomicBool,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl S3Store {
    /// Makes a client for a bucket, without a request: a wrong bucket or key
    /// shows with the first one.
    ///
    /// # Errors
    /// When the bucket's name or the endpoint cannot be right.
    pub async fn connect(options: S3Options) -> Result<Self> {
        let client = connect::client(&options).await?;
        Ok(Self(Arc::new(Inner { client, options, conditional: AtomicBool::new(true) })))
    }

    fn client(&self) -> &Client {
        &self.0.client
    }

    fn options(&self) -> &S3Options {
        &self.0.options
    }

    /// The settings of a request that carries so many bytes.
    fn deadlines_for(&self, bytes: u64) -> aws_sdk_s3::config::Builder {
        let deadlines = connect::deadlines_for(self.options(), bytes);
        aws_sdk_s3::config::Builder::new().timeout_config(deadlines)
    }

    fn bucket(&self) -> &str {
        &self.0.options.bucket
    }

    /// A call on an object, which needs `right` on it.
    fn on_object(&self, operation: impl Into<String>, right: &str, key: &str) -> Call {
        Call {
            operation: operation.into(),
            target: self.uri(key),
            permission: format!("{right} on arn:aws:s3:::{}/{key}", self.bucket()),
        }
    }

    /// A call on the bucket, about what stands under `prefix`.
    fn on_bucket(&self, operation: &str, right: &str, prefix: &str) -> Call {
        Call {
            operation: operation.to_owned(),
            target: self.uri(prefix),
            permission: format!("{right} on arn:aws:s3:::{}", self.bucket()),
        }
    }

    /// What to ask for at rest: algorithm and key.
    fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match &self.options().encryption {
            Encryption::BucketDefault => (None, None),
            Encryption::SseS3 => (Some(ServerSideEncryption::Aes256), None),
            Encryption::SseKms(key) => (Some(ServerSideEncryption::AwsKms), key.clone()),
        }
    }

    fn is_conditional(&self) -> bool {
        self.0.conditional.load(Ordering::Relaxed)
    }

    /// Remembers that the store cannot write conditionally, and says so once.
    fn give_up_conditional(&self) {
        if self.0.conditional.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                bucket = self.bucket(),
                "the store does not implement conditional writes; whether an object is there is \
                 asked before it is written, so two writers at the same moment may both succeed"
            );
        }
    }
}

#[async_trait]
impl Store for S3Store {
    fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket())
    }

    fn parts_in_flight(&self) -> usize {
        self.options().parts_in_flight.max(1)
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        objects::put(self, key, body).await
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
        objects::put_if_absent(self, key, body).await
    }

    async fn begin_upload(&self, key: &str) -> Result<UploadHandle> {
        uploads::begin(self, key).await
    }

    async fn upload_part(
        &self,
        upload: &UploadHandle,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag> {
        uploads::send_part(self, upload, number, body).await
    }

    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created> {
        uploads::complete(self, upload, parts).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        uploads::abort(self, upload).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        uploads::unfinished(self, prefix).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        read::get(self, key, limit).await
    }

    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        read::get_range(self, key, start, end).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(objects::head(self, key).await?.map(|found| found.meta))
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        objects::list_page(self, prefix, next).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        objects::delete(self, key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        objects::delete_many(self, keys).await
    }

    /// The `Date` of the answer to a HEAD of the bucket, whether or not that
    /// is allowed.
    async fn server_time(&self) -> Result<DateTime<Utc>> {
        let call = self.on_bucket("ask the time of", "s3:ListBucket", "");
        let date = ServerDate::default();
        let answer = self
            .client()
            .head_bucket()
            .bucket(self.bucket())
            .customize()
            .interceptor(date.clone())
            .send()
            .await;
        match (date.get(), answer) {
            (Some(time), _) => Ok(time),
            (None, Ok(_)) => {
                Err(call.error(ErrorKind::Other, "the store's answer has no Date header"))
            }
            (None, Err(error)) => Err(call.failed(&error)),
        }
    }

    async fn lifecycle_rules(&self) -> Result<Option<Vec<LifecycleRule>>> {
        lifecycle::rules(self).await.map(Some)
    }
}

/// The SDK's time as ours.
fn time(call: &Call, time: Option<&aws_sdk_s3::primitives::DateTime>) -> Result<DateTime<Utc>> {
    time.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()))
        .ok_or_else(|| call.error(ErrorKind::Other, "the store's answer lacks a time"))
}

/// The SDK's signed size as ours.
fn size(call: &Call, size: Option<i64>) -> Result<u64> {
    size.and_then(|size| u64::try_from(size).ok())
        .ok_or_else(|| call.error(ErrorKind::Other, "the store's answer lacks a size"))
}
