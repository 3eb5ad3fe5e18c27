//! Uploads in parts: one hidden file each, linked under its name at the end.

use std::fs::{self, File};

use bytes::Bytes;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use object_store::{
    CopyMode, CopyOptions, MultipartUpload, ObjectStore as _, ObjectStoreExt as _, path::Path,
};

use super::{HIDDEN, LocalStore, created, removal};
use crate::store::{Created, ErrorKind, PartTag, Result, Store as _, StoreError, UploadHandle};

const COMPLETE: &str = "complete the upload of";

/// An upload that this process began.
pub(super) struct Upload {
    parts: Box<dyn MultipartUpload>,
    sent: u32,
}

pub(super) async fn begin(store: &LocalStore, key: &str) -> Result<UploadHandle> {
    store.path("begin the upload of", key)?;
    let upload = UploadHandle { key: key.to_owned(), id: removal::new_id() };
    let staged = staged(store, &upload)?;
    let parts = store.run("begin the upload of", key, store.files.put_multipart(&staged)).await?;
    store.uploads.lock().await.insert(upload.id.clone(), Upload { parts, sent: 0 });
    Ok(upload)
}

pub(super) async fn send_part(
    store: &LocalStore,
    upload: &UploadHandle,
    number: u32,
    body: Bytes,
) -> Result<PartTag> {
    let operation = format!("upload part {number} of");
    let size = body.len() as u64;
    let written = {
        let mut uploads = store.uploads.lock().await;
        let Some(open) = uploads.get_mut(&upload.id) else {
            return Err(no_such_upload(store, &operation, upload));
        };
        if number != open.sent + 1 {
            return Err(StoreError {
                operation,
                target: store.uri(&upload.key),
                kind: ErrorKind::Other,
                detail: format!("part {} comes next", open.sent + 1),
            });
        }
        open.sent = number;
        open.parts.put_part(body.into())
    };
    store.run(&operation, &upload.key, written).await?;
    begin_writing(store, upload);
    Ok(PartTag { number, etag: format!("{size}"), size, checksum: None })
}

pub(super) async fn complete(
    store: &LocalStore,
    upload: &UploadHandle,
    parts: &[PartTag],
) -> Result<Created> {
    let path = store.path(COMPLETE, &upload.key)?;
    let mut open = take_complete(store, upload, parts).await?;
    let staged = staged(store, upload)?;
    let expected: u64 = parts.iter().map(|part| part.size).sum();
    store.run(COMPLETE, &upload.key, open.parts.complete()).await?;
    let written = store.run(COMPLETE, &upload.key, store.files.head(&staged)).await?.size;
    if written != expected {
        return Err(StoreError {
            operation: COMPLETE.to_owned(),
            target: store.uri(&upload.key),
            kind: ErrorKind::Corrupt,
            detail: format!("{written} bytes were written of {expected}"),
        });
    }
    let linked = async {
        let options = CopyOptions::new().with_mode(CopyMode::Create);
        created(store.files.copy_opts(&staged, &path, options).await)
    };
    let outcome = store.run(COMPLETE, &upload.key, linked).await?;
    if let Err(error) = remove_files(store, upload).await {
        tracing::warn!(%error, "the staging folder of an upload was left behind");
    }
    Ok(outcome)
}

pub(super) async fn abort(store: &LocalStore, upload: &UploadHandle) -> Result<()> {
    if let Some(mut open) = store.uploads.lock().await.remove(&upload.id) {
        // Its file may be gone; the folder's removal below decides.
        let _ = open.parts.abort().await;
    }
    remove_files(store, upload).await
}

/// Takes an upload whose parts are these off the table.
async fn take_complete(
    store: &LocalStore,
    upload: &UploadHandle,
    parts: &[PartTag],
) -> Result<Upload> {
    let mut uploads = store.uploads.lock().await;
    let sent = match uploads.get(&upload.id) {
        Some(open) => open.sent,
        None => return Err(no_such_upload(store, COMPLETE, upload)),
    };
    let numbered = parts.iter().zip(1..).all(|(part, number)| part.number == number);
    if !numbered || parts.len() != sent as usize {
        return Err(StoreError {
            operation: COMPLETE.to_owned(),
            target: store.uri(&upload.key),
            kind: ErrorKind::Other,
            detail: format!("{sent} parts were sent, not these {}", parts.len()),
        });
    }
    uploads.remove(&upload.id).ok_or_else(|| no_such_upload(store, COMPLETE, upload))
}

/// Asks the kernel to write to the disk what an upload has so far, and not to
/// keep it in memory, where it would push out the pages of the database beside
/// us. Otherwise the sync at the end would write everything at once, while the
/// backup waits. Only a hint: whatever comes of it, the end is synced.
fn begin_writing(store: &LocalStore, upload: &UploadHandle) {
    let Ok(staged) = staged(store, upload) else { return };
    let Ok(path) = store.files.path_to_filesystem(&staged) else { return };
    // Nobody waits for it, so its end is nobody's concern.
    drop(tokio::task::spawn_blocking(move || {
        let folder = path.parent().map(fs::read_dir).and_then(Result::ok);
        for file in folder.into_iter().flatten().flatten() {
            if let Ok(file) = File::open(file.path()) {
                let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            }
        }
    }));
}

/// Where an upload's file is put together.
fn staged(store: &LocalStore, upload: &UploadHandle) -> Result<Path> {
    let staged = format!("{HIDDEN}/{}/{}/{}", removal::UPLOADS, upload.id, upload.key);
    Path::parse(staged).map_err(|_| no_such_upload(store, "find", upload))
}

/// Takes the files of an upload away.
async fn remove_files(store: &LocalStore, upload: &UploadHandle) -> Result<()> {
    let files = removal::files_of(&store.root, upload);
    store
        .blocking("abort the upload of", &upload.key, move || {
            files.map_or(Ok(()), |files| removal::remove(&files))
        })
        .await
}

fn no_such_upload(store: &LocalStore, operation: &str, upload: &UploadHandle) -> StoreError {
    StoreError {
        operation: operation.to_owned(),
        target: store.uri(&upload.key),
        kind: ErrorKind::NoSuchUpload,
        detail: String::new(),
    }
}
