//! What the S3 adapter makes of a store that misbehaves.

mod reads;
mod refusals;
mod writes;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt as _;
use reliquary::store::{
    ChecksumMode, Created, Encryption, ErrorKind, ParallelUpload, PartTag, S3Options, S3Store,
    Store, StoreError, UploadHandle,
};

use crate::support::s3::{Request, Scripted, Step};

const BODY: Bytes = Bytes::from_static(b"the same bytes");
const ETAG: &str = "\"0123456789abcdef0123456789abcdef\"";

async fn store(server: &Scripted) -> S3Store {
    with(server.options()).await
}

async fn with(options: S3Options) -> S3Store {
    S3Store::connect(options).await.unwrap()
}

/// What a put comes to when every attempt is answered like this.
async fn put_against(step: Step) -> StoreError {
    let server = Scripted::start(vec![step; 5]).await;
    store(&server).await.put("key", BODY).await.unwrap_err()
}

fn upload() -> UploadHandle {
    UploadHandle { key: "key".to_owned(), id: "upload".to_owned() }
}

/// One part of 14 bytes, and the entity tag that S3 gives the whole.
fn parts() -> (Vec<PartTag>, String) {
    let part = PartTag { number: 1, etag: ETAG.to_owned(), size: 14, checksum: None };
    // printf 0123456789abcdef0123456789abcdef | xxd -r -p | md5sum
    (vec![part], "\"4662bdea8654776d486072ff7074945e-1\"".to_owned())
}

/// The answer to a HEAD of an object.
fn object(size: usize, etag: &str) -> Step {
    let headers = vec![
        ("content-length", size.to_string()),
        ("etag", etag.to_owned()),
        ("last-modified", "Mon, 23 Nov 2026 14:00:00 GMT".to_owned()),
    ];
    Step::Answer(200, headers, String::new())
}

/// The answer to a GET.
fn content(body: &str) -> Step {
    Step::Answer(200, vec![("etag", ETAG.to_owned())], body.to_owned())
}

fn completed() -> Step {
    let body =
        "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>";
    Step::Answer(200, vec![], body.to_owned())
}

fn verbs(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.line.split(' ').next().unwrap()).collect()
}
