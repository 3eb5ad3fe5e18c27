//! Single objects and listings: write, look, list, delete.

use std::collections::HashSet;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::SdkError,
    operation::{
        delete_objects::DeleteObjectsOutput,
        put_object::{PutObjectError, PutObjectOutput},
    },
    primitives::ByteStream,
    types::{Delete, ObjectIdentifier, ServerSideEncryption},
};
use bytes::Bytes;

use super::{
    S3Store,
    checksum::{ChecksumMode, Seal},
    connect::KEYS_A_REQUEST,
    errors::{is_conflict, is_not_implemented, is_precondition_failed},
    read, size, time,
    wire::{Attempts, ContentMd5},
};
use crate::store::{Created, Deletion, ErrorKind, ObjectMeta, Page, Result, StoreError};

/// What S3 wants in `If-None-Match` for "only where nothing is".
pub(super) const NOTHING_THERE: &str = "*";

/// What a HEAD tells.
pub(super) struct Found {
    pub(super) meta: ObjectMeta,
    pub(super) etag: Option<String>,
    /// Encrypted with a key of KMS's, so that its entity tag is no MD5.
    pub(super) kms: bool,
}

pub(super) async fn put(store: &S3Store, key: &str, body: Bytes) -> Result<()> {
    let call = store.on_object("put", "s3:PutObject", key);
    let seal = store.options().checksum.seal(&body).await;
    let written = send(store, key, body, &seal, false, &Attempts::default()).await;
    check_echo(store, key, &seal, &written.map_err(|error| call.failed(&error))?)
}

pub(super) async fn put_if_absent(store: &S3Store, key: &str, body: Bytes) -> Result<Created> {
    let call = store.on_object("put", "s3:PutObject", key);
    let seal = store.options().checksum.seal(&body).await;
    let attempts = Attempts::default();
    let mut conflicts = 0;
    while store.is_conditional() {
        match send(store, key, body.clone(), &seal, true, &attempts).await {
            Ok(written) => {
                check_echo(store, key, &seal, &written)?;
                return Ok(Created::Yes);
            }
            Err(error) if is_precondition_failed(&error) => {
                // An attempt whose answer was lost may have written it.
                let ours = attempts.were_repeated() && holds(store, key, &body).await?;
                return Ok(if ours { Created::Yes } else { Created::AlreadyThere });
            }
            Err(error) if is_not_implemented(&error) => break,
            // Another writer of the same key is under way: who has won shows
            // with the next attempt.
            Err(error) if is_conflict(&error) && conflicts < store.options().attempts => {
                conflicts += 1;
                tokio::time::sleep(store.options().backoff / 2 * conflicts).await;
            }
            Err(error) => return Err(call.failed(&error)),
        }
    }
    if head(store, key).await?.is_some() {
        return Ok(Created::AlreadyThere);
    }
    let written = send(store, key, body, &seal, false, &attempts).await;
    check_echo(store, key, &seal, &written.map_err(|error| call.failed(&error))?)?;
    // Only now is it certain that the condition was what the store could not do.
    store.give_up_conditional();
    Ok(Created::Yes)
}

async fn send(
    store: &S3Store,
    key: &str,
    body: Bytes,
    seal: &Seal,
    only_where_nothing_is: bool,
    attempts: &Attempts,
) -> Result<PutObjectOutput, SdkError<PutObjectError, HttpResponse>> {
    let (encryption, kms_key) = store.encryption();
    store
        .client()
        .put_object()
        .bucket(store.bucket())
        .key(key)
        .set_server_side_encryption(encryption)
        .set_ssekms_key_id(kms_key)
        .set_checksum_crc64_nvme(seal.crc64nvme.clone())
        .set_checksum_crc32_c(seal.crc32c.clone())
        .set_checksum_sha256(seal.sha256.clone())
        .set_content_md5(seal.md5.clone())
        .set_if_none_match(only_where_nothing_is.then(|| NOTHING_THERE.to_owned()))
        .body(ByteStream::from(body))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
}

fn check_echo(store: &S3Store, key: &str, seal: &Seal, written: &PutObjectOutput) -> Result<()> {
    if seal.contradicts(
        written.checksum_crc64_nvme(),
        written.checksum_crc32_c(),
        written.checksum_sha256(),
    ) {
        let call = store.on_object("put", "s3:PutObject", key);
        return Err(call.error(ErrorKind::Corrupt, "the store reports another checksum"));
    }
    Ok(())
}

/// Whether the object's bytes are these.
async fn holds(store: &S3Store, key: &str, body: &Bytes) -> Result<bool> {
    match read::get(store, key, body.len() as u64).await {
        Ok(stored) => Ok(stored == *body),
        Err(StoreError { kind: ErrorKind::TooLarge | ErrorKind::NotFound, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn head(store: &S3Store, key: &str) -> Result<Option<Found>> {
    let call = store.on_object("look at", "s3:GetObject", key);
    let found = match store.client().head_object().bucket(store.bucket()).key(key).send().await {
        Ok(found) => found,
        Err(error) => {
            let error = call.failed(&error);
            return if error.kind == ErrorKind::NotFound { Ok(None) } else { Err(error) };
        }
    };
    Ok(Some(Found {
        meta: ObjectMeta {
            key: key.to_owned(),
            size: size(&call, found.content_length())?,
            last_modified: time(&call, found.last_modified())?,
        },
        kms: matches!(
            found.server_side_encryption,
            Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse)
        ),
        etag: found.e_tag,
    }))
}

pub(super) async fn list_page(store: &S3Store, prefix: &str, next: Option<&str>) -> Result<Page> {
    let call = store.on_bucket("list", "s3:ListBucket", prefix);
    let page = store
        .client()
        .list_objects_v2()
        .bucket(store.bucket())
        .prefix(prefix)
        .max_keys(1000)
        .set_continuation_token(next.map(str::to_owned))
        .send()
        .await
        .map_err(|error| call.failed(&error))?;
    let next = page.next_continuation_token.filter(|token| !token.is_empty());
    if page.is_truncated == Some(true) && next.is_none() {
        return Err(call.error(
            ErrorKind::Other,
            "the store says that the listing goes on, but not how to go on",
        ));
    }
    let objects = page
        .contents
        .unwrap_or_default()
        .into_iter()
        .map(|object| {
            Ok(ObjectMeta {
                size: size(&call, object.size)?,
                last_modified: time(&call, object.last_modified.as_ref())?,
                key: object
                    .key
                    .ok_or_else(|| call.error(ErrorKind::Other, "an object without a key"))?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    // A token without the flag is no promise of more.
    Ok(Page { objects, next: next.filter(|_| page.is_truncated == Some(true)) })
}

pub(super) async fn delete(store: &S3Store, key: &str) -> Result<()> {
    let call = store.on_object("delete", "s3:DeleteObject", key);
    match store.client().delete_object().bucket(store.bucket()).key(key).send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = call.failed(&error);
            if error.kind == ErrorKind::NotFound { Ok(()) } else { Err(error) }
        }
    }
}

/// The store is asked for an answer about each key: one that it says nothing
/// of is not taken for deleted, and only so it tells of delete markers.
pub(super) async fn delete_many(store: &S3Store, keys: &[String]) -> Result<Deletion> {
    let call = store.on_bucket("delete objects of", "s3:DeleteObject", "");
    let mut deletion = Deletion::default();
    for batch in keys.chunks(KEYS_A_REQUEST) {
        let objects = batch
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build())
            .collect::<Result<Vec<_>, _>>()
            .and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(false).build())
            .map_err(|error| call.error(ErrorKind::Other, error.to_string()))?;
        let request = store
            .client()
            .delete_objects()
            .bucket(store.bucket())
            .delete(objects)
            .set_checksum_algorithm(store.options().checksum.for_sdk())
            .customize();
        let request = if store.options().checksum == ChecksumMode::Md5 {
            request.interceptor(ContentMd5)
        } else {
            request
        };
        let answer = request.send().await.map_err(|error| call.failed(&error))?;
        sort_out(store, batch, answer, &mut deletion);
    }
    Ok(deletion)
}

fn sort_out(store: &S3Store, batch: &[String], answer: DeleteObjectsOutput, to: &mut Deletion) {
    let mut open: HashSet<&str> = batch.iter().map(String::as_str).collect();
    for deleted in answer.deleted.unwrap_or_default() {
        let asked = deleted.key().is_some_and(|key| open.remove(key));
        to.hidden += u64::from(asked && deleted.delete_marker == Some(true));
    }
    for refused in answer.errors.unwrap_or_default() {
        let key = refused.key.unwrap_or_default();
        let call = store.on_object("delete", "s3:DeleteObject", &key);
        let error = call.refused(refused.code.as_deref(), refused.message.as_deref());
        let asked = open.remove(key.as_str());
        if asked && error.kind != ErrorKind::NotFound {
            to.left.push((key, error));
        }
    }
    for key in batch.iter().filter(|key| open.contains(key.as_str())) {
        let call = store.on_object("delete", "s3:DeleteObject", key);
        let error = call.error(ErrorKind::Other, "the store's answer does not mention it");
        to.left.push((key.clone(), error));
    }
}
