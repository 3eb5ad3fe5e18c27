//! Downloads, which are taken up again where they break off.

use std::time::Duration;

use aws_sdk_s3::{
    operation::get_object::GetObjectOutput, primitives::ByteStream, types::ChecksumMode as Echo,
};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};

use super::{
    S3Store,
    checksum::ChecksumMode,
    errors::{Call, chain},
    size,
};
use crate::store::{ErrorKind, Result, StoreError};

pub(super) async fn get(store: &S3Store, key: &str, limit: u64) -> Result<Bytes> {
    let mut broken_off = 0;
    loop {
        match get_once(store, key, limit).await {
            // The SDK repeats requests, not bodies that break off.
            Err(error) if error.is_transient() && broken_off + 1 < store.options().attempts => {
                broken_off += 1;
                pause(store, broken_off).await;
            }
            done => return done,
        }
    }
}

async fn get_once(store: &S3Store, key: &str, limit: u64) -> Result<Bytes> {
    let call = store.on_object("get", "s3:GetObject", key);
    // With this the store sends the object's checksum, and the SDK checks it.
    let echo = (store.options().checksum != ChecksumMode::Md5).then_some(Echo::Enabled);
    let answer = store
        .client()
        .get_object()
        .bucket(store.name())
        .key(key)
        .set_checksum_mode(echo)
        .send()
        .await
        .map_err(|error| call.failed(&error))?;
    let expected = size(&call, answer.content_length())?;
    if expected > limit {
        return Err(call.error(
            ErrorKind::TooLarge,
            format!("it has {expected} bytes, at most {limit} were expected"),
        ));
    }
    let mut body = answer.body;
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(chunk) = next_chunk(&call, &mut body, store.options().attempt_timeout).await? {
        let held = rest.as_ref().map_or(first.len(), BytesMut::len);
        if (held + chunk.len()) as u64 > expected {
            return Err(call.error(ErrorKind::Corrupt, "the store sent more than it announced"));
        }
        if first.is_empty() && rest.is_none() {
            first = chunk;
        } else {
            rest.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&chunk);
        }
    }
    let whole = rest.map_or(first, BytesMut::freeze);
    if whole.len() as u64 != expected {
        return Err(call.error(
            ErrorKind::Unavailable,
            format!("the download ended after {} of {expected} bytes", whole.len()),
        ));
    }
    Ok(whole)
}

pub(super) async fn get_range(
    store: &S3Store,
    key: &str,
    start: u64,
    end: u64,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    if start >= end {
        return Ok(futures::stream::empty().boxed());
    }
    let mut download = Download {
        store: store.clone(),
        call: store.on_object("read", "s3:GetObject", key),
        key: key.to_owned(),
        position: start,
        end,
        etag: None,
        body: None,
        broken_off: 0,
    };
    download.open().await?;
    Ok(futures::stream::unfold(Some(download), |download| async {
        let mut download = download?;
        match download.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(download))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed())
}

/// A range on its way.
struct Download {
    store: S3Store,
    call: Call,
    key: String,
    position: u64,
    end: u64,
    /// Of the version that was begun with: the rest must be of the same.
    etag: Option<String>,
    body: Option<ByteStream>,
    /// How often it broke off since the last byte that came.
    broken_off: u32,
}

impl Download {
    async fn open(&mut self) -> Result<()> {
        let answer = self
            .store
            .client()
            .get_object()
            .bucket(self.store.name())
            .key(&self.key)
            .range(format!("bytes={}-{}", self.position, self.end - 1))
            .set_if_match(self.etag.clone())
            .send()
            .await
            .map_err(|error| {
                let error = self.call.failed(&error);
                match self.etag {
                    // Not a fault of the line: what was being read is gone.
                    Some(_) if error.detail.contains("PreconditionFailed") => self
                        .call
                        .error(ErrorKind::Other, "the object was replaced while it was read"),
                    _ => error,
                }
            })?;
        self.check_length(&answer)?;
        self.etag = answer.e_tag;
        self.body = Some(answer.body);
        Ok(())
    }

    /// An object that is shorter than asked for is answered with what there is.
    fn check_length(&self, answer: &GetObjectOutput) -> Result<()> {
        let wanted = self.end - self.position;
        let announced = size(&self.call, answer.content_length())?;
        if announced == wanted {
            return Ok(());
        }
        Err(self.call.error(
            ErrorKind::Other,
            format!(
                "the object does not hold bytes {}..{}: {announced} bytes came of {wanted}",
                self.position, self.end
            ),
        ))
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.position == self.end {
                return Ok(None);
            }
            match self.chunk().await {
                Ok(chunk) => {
                    self.position += chunk.len() as u64;
                    if self.position > self.end {
                        return Err(self
                            .call
                            .error(ErrorKind::Corrupt, "the store sent more than was asked for"));
                    }
                    // A long download may break off many times and still get on.
                    if !chunk.is_empty() {
                        self.broken_off = 0;
                    }
                    return Ok(Some(chunk));
                }
                Err(error)
                    if error.is_transient()
                        && self.broken_off + 1 < self.store.options().attempts =>
                {
                    self.body = None;
                    self.broken_off += 1;
                    pause(&self.store, self.broken_off).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn chunk(&mut self) -> Result<Bytes> {
        if self.body.is_none() {
            self.open().await?;
        }
        let ended = || {
            self.call.error(
                ErrorKind::Unavailable,
                format!("the download ended {} bytes early", self.end - self.position),
            )
        };
        let Some(body) = &mut self.body else { return Err(ended()) };
        let deadline = self.store.options().attempt_timeout;
        next_chunk(&self.call, body, deadline).await?.ok_or_else(ended)
    }
}

async fn next_chunk(
    call: &Call,
    body: &mut ByteStream,
    deadline: Duration,
) -> Result<Option<Bytes>> {
    match tokio::time::timeout(deadline, body.next()).await {
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(error))) => Err(broken(call, &error)),
        Ok(None) => Ok(None),
        Err(_) => Err(call.error(
            ErrorKind::TimedOut,
            format!("no more of the download came within {deadline:?}"),
        )),
    }
}

fn broken(call: &Call, error: &(dyn std::error::Error + 'static)) -> StoreError {
    let said = chain(error);
    let kind = if said.contains("checksum") { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
    call.error(kind, said)
}

async fn pause(store: &S3Store, broken_off: u32) {
    tokio::time::sleep(store.options().backoff.saturating_mul(broken_off)).await;
}
