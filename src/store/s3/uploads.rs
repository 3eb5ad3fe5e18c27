//! Uploads in parts.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{ChecksumType, CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;

use super::{
    S3Store,
    checksum::{ChecksumMode, multipart_etag},
    errors::{is_conflict, is_not_implemented, is_precondition_failed, is_unreadable_success},
    objects::{self, Found, NOTHING_THERE},
    time,
    wire::Attempts,
};
use crate::store::{Created, ErrorKind, PartTag, Result, UnfinishedUpload, UploadHandle};

pub(super) async fn begin(store: &S3Store, key: &str) -> Result<UploadHandle> {
    let call = store.on_object("begin the upload of", "s3:PutObject", key);
    let (encryption, kms_key) = store.encryption();
    let (algorithm, kind) = store.options().checksum.for_upload();
    let begun = store
        .client()
        .create_multipart_upload()
        .bucket(store.name())
        .key(key)
        .set_server_side_encryption(encryption)
        .set_ssekms_key_id(kms_key)
        .set_checksum_algorithm(algorithm)
        .set_checksum_type(kind)
        .send()
        .await
        .map_err(|error| call.failed(&error))?;
    let id = begun
        .upload_id
        .ok_or_else(|| call.error(ErrorKind::Other, "the store gave the upload no name"))?;
    Ok(UploadHandle { key: key.to_owned(), id })
}

pub(super) async fn send_part(
    store: &S3Store,
    upload: &UploadHandle,
    number: u32,
    body: Bytes,
) -> Result<PartTag> {
    let call = store.on_object(format!("upload part {number} of"), "s3:PutObject", &upload.key);
    let wire_number = i32::try_from(number)
        .map_err(|_| call.error(ErrorKind::Other, "S3 takes parts 1 to 10000"))?;
    let seal = store.options().checksum.seal(&body).await;
    let size = body.len() as u64;
    let sent = store
        .client()
        .upload_part()
        .bucket(store.name())
        .key(&upload.key)
        .upload_id(&upload.id)
        .part_number(wire_number)
        .set_checksum_algorithm(store.options().checksum.for_sdk())
        .set_checksum_crc64_nvme(seal.crc64nvme.clone())
        .set_checksum_crc32_c(seal.crc32c.clone())
        .set_checksum_sha256(seal.sha256.clone())
        .set_content_md5(seal.md5.clone())
        .body(ByteStream::from(body))
        .customize()
        .config_override(store.deadlines_for(size))
        .send()
        .await
        .map_err(|error| call.failed(&error))?;
    if seal.contradicts(sent.checksum_crc64_nvme(), sent.checksum_crc32_c(), sent.checksum_sha256())
    {
        return Err(call.error(ErrorKind::Corrupt, "the store reports another checksum"));
    }
    let etag =
        sent.e_tag.ok_or_else(|| call.error(ErrorKind::Other, "the store gave the part no tag"))?;
    Ok(PartTag { number, etag, size, checksum: seal.value().map(str::to_owned) })
}

pub(super) async fn complete(
    store: &S3Store,
    upload: &UploadHandle,
    parts: &[PartTag],
) -> Result<Created> {
    let call = store.on_object("complete the upload of", "s3:PutObject", &upload.key);
    let attempts = Attempts::default();
    let mut conditional = store.is_conditional();
    loop {
        if !conditional && let Some(found) = objects::head(store, &upload.key).await? {
            return settle(store, upload, parts, &found).await;
        }
        let error = match send_complete(store, upload, parts, conditional, &attempts).await {
            Ok(contradicted) => {
                if !conditional {
                    store.give_up_conditional();
                }
                return if contradicted {
                    Err(call.error(ErrorKind::Corrupt, "the store reports another checksum"))
                } else {
                    Ok(Created::Yes)
                };
            }
            Err(error) => error,
        };
        if conditional && is_not_implemented(&error) {
            conditional = false;
            continue;
        }
        if is_precondition_failed(&error) && !attempts.were_repeated() {
            discard(store, upload).await;
            return Ok(Created::AlreadyThere);
        }
        let conflict = is_conflict(&error);
        let unreadable = is_unreadable_success(&error);
        let precondition = is_precondition_failed(&error);
        let error = call.failed(&error);
        // The answer to an attempt that was accepted may have been lost: what
        // stands there decides.
        let unclear = precondition
            || conflict
            || unreadable
            || matches!(
                error.kind,
                ErrorKind::NoSuchUpload | ErrorKind::TimedOut | ErrorKind::Unavailable
            );
        if unclear && let Ok(Some(found)) = objects::head(store, &upload.key).await {
            if is_ours(parts, &found) {
                return Ok(Created::Yes);
            }
            if precondition || conflict {
                discard(store, upload).await;
                return Ok(Created::AlreadyThere);
            }
        }
        return Err(error);
    }
}

/// Sends the completion; `true` when the store reports another checksum of the
/// whole than that of what was sent.
async fn send_complete(
    store: &S3Store,
    upload: &UploadHandle,
    parts: &[PartTag],
    conditional: bool,
    attempts: &Attempts,
) -> Result<
    bool,
    aws_sdk_s3::error::SdkError<
        aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError,
        aws_sdk_s3::config::http::HttpResponse,
    >,
> {
    let mode = store.options().checksum;
    let whole = mode.combine(parts);
    let completed = CompletedMultipartUpload::builder()
        .set_parts(Some(parts.iter().map(|part| completed(mode, part)).collect()))
        .build();
    let sealed = whole.clone().unwrap_or_default();
    let answer = store
        .client()
        .complete_multipart_upload()
        .bucket(store.name())
        .key(&upload.key)
        .upload_id(&upload.id)
        .multipart_upload(completed)
        .set_checksum_type(whole.is_some().then_some(ChecksumType::FullObject))
        .set_checksum_crc64_nvme(sealed.crc64nvme)
        .set_checksum_crc32_c(sealed.crc32c)
        .set_if_none_match(conditional.then(|| NOTHING_THERE.to_owned()))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await?;
    // A store that knows no checksum of the whole object echoes one of the
    // parts' checksums, with their number behind a dash: another thing.
    let of_whole =
        |echo: Option<&'_ str>| echo.filter(|echo| !echo.contains('-')).map(str::to_owned);
    let (crc64, crc32c) =
        (of_whole(answer.checksum_crc64_nvme()), of_whole(answer.checksum_crc32_c()));
    Ok(whole.is_some_and(|seal| seal.contradicts(crc64.as_deref(), crc32c.as_deref(), None)))
}

fn completed(mode: ChecksumMode, part: &PartTag) -> CompletedPart {
    let builder = CompletedPart::builder()
        .e_tag(&part.etag)
        .part_number(i32::try_from(part.number).unwrap_or(i32::MAX));
    let checksum = part.checksum.clone();
    match mode {
        ChecksumMode::Crc64Nvme => builder.set_checksum_crc64_nvme(checksum),
        ChecksumMode::Crc32c => builder.set_checksum_crc32_c(checksum),
        ChecksumMode::Sha256 => builder.set_checksum_sha256(checksum),
        ChecksumMode::Md5 => builder,
    }
    .build()
}

/// Something stands where an unconditional completion would have written.
async fn settle(
    store: &S3Store,
    upload: &UploadHandle,
    parts: &[PartTag],
    found: &Found,
) -> Result<Created> {
    if is_ours(parts, found) {
        return Ok(Created::Yes);
    }
    discard(store, upload).await;
    Ok(Created::AlreadyThere)
}

/// Whether what stands there is what these parts make: the size, and the
/// entity tag where one can be told from the parts'. Under a KMS key tags are
/// no MD5s, so there only the number of parts is compared.
fn is_ours(parts: &[PartTag], found: &Found) -> bool {
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if found.meta.size != size {
        return false;
    }
    let kms = found.kms;
    let etag = found.etag.as_deref().unwrap_or_default().trim_matches('"');
    match multipart_etag(parts).filter(|_| !kms) {
        Some(expected) => etag == expected,
        None => etag.rsplit_once('-').is_none_or(|(_, number)| number == parts.len().to_string()),
    }
}

/// Parts that nobody will want again. What fails here the sweep finds.
async fn discard(store: &S3Store, upload: &UploadHandle) {
    if let Err(error) = abort(store, upload).await {
        tracing::warn!(%error, "parts of a superseded upload were left behind");
    }
}

pub(super) async fn abort(store: &S3Store, upload: &UploadHandle) -> Result<()> {
    let call = store.on_object("abort the upload of", "s3:AbortMultipartUpload", &upload.key);
    let aborted = store
        .client()
        .abort_multipart_upload()
        .bucket(store.name())
        .key(&upload.key)
        .upload_id(&upload.id)
        .send()
        .await;
    match aborted.map_err(|error| call.failed(&error)) {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind, ErrorKind::NoSuchUpload | ErrorKind::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) async fn unfinished(store: &S3Store, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
    let call =
        store.on_bucket("list the unfinished uploads of", "s3:ListBucketMultipartUploads", prefix);
    let mut uploads = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let page = store
            .client()
            .list_multipart_uploads()
            .bucket(store.name())
            .prefix(prefix)
            .set_key_marker(key_marker.take())
            .set_upload_id_marker(id_marker.take())
            .send()
            .await
            .map_err(|error| call.failed(&error))?;
        for upload in page.uploads.unwrap_or_default() {
            let started = time(&call, upload.initiated.as_ref())?;
            let (Some(key), Some(id)) = (upload.key, upload.upload_id) else {
                return Err(call.error(ErrorKind::Other, "an upload without a key or a name"));
            };
            uploads.push(UnfinishedUpload { upload: UploadHandle { key, id }, started });
        }
        if page.is_truncated != Some(true) {
            return Ok(uploads);
        }
        key_marker = page.next_key_marker.filter(|marker| !marker.is_empty());
        id_marker = page.next_upload_id_marker.filter(|marker| !marker.is_empty());
        if key_marker.is_none() {
            return Err(call.error(
                ErrorKind::Other,
                "the store says that the listing goes on, but not how to go on",
            ));
        }
    }
}
