//! Conditional writes, completions and checksums against a store that misbehaves.

use super::*;

const DELETED: &str = "<DeleteResult><Deleted><Key>key</Key></Deleted></DeleteResult>";

#[tokio::test]
async fn each_checksum_mode_sends_its_header_and_no_trailer() {
    let newer = ["x-amz-checksum-crc64nvme", "x-amz-checksum-crc32c", "x-amz-checksum-sha256"];
    for (mode, header) in [
        (ChecksumMode::Crc64Nvme, newer[0]),
        (ChecksumMode::Crc32c, newer[1]),
        (ChecksumMode::Sha256, newer[2]),
        (ChecksumMode::Md5, "content-md5"),
    ] {
        let deleted = Step::Answer(200, vec![], DELETED.to_owned());
        let server = Scripted::start([Step::ok(), Step::ok(), deleted]).await;
        let store = with(S3Options { checksum: mode, ..server.options() }).await;
        store.put("key", BODY).await.unwrap();
        store.upload_part(&upload(), 1, BODY).await.unwrap();
        assert!(store.delete_many(&["key".to_owned()]).await.unwrap().left.is_empty());
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        for request in &requests {
            assert!(request.header(header).is_some(), "{mode:?}: {request:?}");
            let others = newer.iter().filter(|other| **other != header);
            assert!(others.clone().all(|other| request.header(other).is_none()), "{request:?}");
            assert_eq!(request.header("x-amz-trailer"), None, "{request:?}");
            assert_eq!(request.header("content-encoding"), None, "{request:?}");
            if mode == ChecksumMode::Md5 {
                let extra = |(name, _): &&(String, String)| name.contains("checksum");
                assert_eq!(request.headers.iter().find(extra), None);
            }
        }
        // The checksums are those of the bodies: a store would see otherwise.
        assert_eq!(requests[0].header(header), requests[1].header(header));
    }
}

#[tokio::test]
async fn encryption_is_asked_for_with_every_object() {
    let begun =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    for (encryption, algorithm, key) in [
        (Encryption::BucketDefault, None, None),
        (Encryption::SseS3, Some("AES256"), None),
        (Encryption::SseKms(None), Some("aws:kms"), None),
        (
            Encryption::SseKms(Some("alias/backups".to_owned())),
            Some("aws:kms"),
            Some("alias/backups"),
        ),
    ] {
        let answer = Step::Answer(200, vec![], begun.to_owned());
        let server = Scripted::start([Step::ok(), Step::ok(), answer]).await;
        let store = with(S3Options { encryption, ..server.options() }).await;
        store.put("key", BODY).await.unwrap();
        store.put_if_absent("key", BODY).await.unwrap();
        store.begin_upload("key").await.unwrap();
        for request in server.requests() {
            assert_eq!(request.header("x-amz-server-side-encryption"), algorithm);
            assert_eq!(request.header("x-amz-server-side-encryption-aws-kms-key-id"), key);
        }
    }
}

#[tokio::test]
async fn a_conditional_put_whose_answer_was_lost_is_recognised() {
    let taken = || Step::error(412, "PreconditionFailed");
    let lost = || Step::error(500, "InternalError");
    // The first attempt was accepted: what is there is ours.
    let server = Scripted::start([lost(), taken(), content("the same bytes")]).await;
    let created = store(&server).await.put_if_absent("key", BODY).await.unwrap();
    assert_eq!(created, Created::Yes);
    // It was not: somebody else's is there.
    let server = Scripted::start([lost(), taken(), content("other bytes!!!")]).await;
    let created = store(&server).await.put_if_absent("key", BODY).await.unwrap();
    assert_eq!(created, Created::AlreadyThere);
    // Without a second attempt there is nothing to compare.
    let server = Scripted::start([taken()]).await;
    let created = store(&server).await.put_if_absent("key", BODY).await.unwrap();
    assert_eq!(created, Created::AlreadyThere);
    assert_eq!(server.requests()[0].header("if-none-match"), Some("*"));
}

#[tokio::test]
async fn a_conflicting_conditional_put_is_decided_by_another_attempt() {
    let conflict = || Step::error(409, "ConditionalRequestConflict");
    let server = Scripted::start([conflict(), conflict(), Step::ok()]).await;
    let created = store(&server).await.put_if_absent("key", BODY).await.unwrap();
    assert_eq!(created, Created::Yes);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_store_without_conditional_writes_is_asked_before_it_is_written_to() {
    let server = Scripted::start([
        Step::error(501, "NotImplemented"),
        Step::error(404, "NotFound"),
        Step::ok(),
        // From here on it is known.
        object(3, ETAG),
    ])
    .await;
    let store = store(&server).await;
    assert_eq!(store.put_if_absent("key", BODY).await.unwrap(), Created::Yes);
    assert_eq!(store.put_if_absent("key", BODY).await.unwrap(), Created::AlreadyThere);
    let requests = server.requests();
    assert_eq!(verbs(&requests), ["PUT", "HEAD", "PUT", "HEAD"]);
    assert_eq!(requests[2].header("if-none-match"), None);
}

#[tokio::test]
async fn a_success_with_an_error_in_it_is_an_error() {
    let body = "<Error><Code>InternalError</Code><Message>scripted</Message></Error>".to_owned();
    let hidden = Step::Answer(200, vec![], body);
    let server =
        Scripted::start([hidden.clone(), hidden.clone(), hidden, Step::error(404, "NotFound")])
            .await;
    let error = store(&server).await.complete_upload(&upload(), &parts().0).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_decided_by_what_is_there() {
    let (tags, etag) = parts();
    let lost = || Step::error(500, "InternalError");
    let forgotten = || Step::error(404, "NoSuchUpload");
    let taken = || Step::error(412, "PreconditionFailed");
    for answer in [forgotten(), taken()] {
        // Ours by size and entity tag.
        let server = Scripted::start([lost(), answer.clone(), object(14, &etag)]).await;
        let created = store(&server).await.complete_upload(&upload(), &tags).await.unwrap();
        assert_eq!(created, Created::Yes, "{answer:?}");
    }
    // All attempts timed out, and the last of them was accepted.
    let server =
        Scripted::start([Step::Silence, Step::Silence, Step::Silence, object(14, &etag)]).await;
    let options = S3Options { attempt_timeout: Duration::from_millis(200), ..server.options() };
    let created = with(options).await.complete_upload(&upload(), &tags).await.unwrap();
    assert_eq!(created, Created::Yes);

    // Somebody else's: the same size, another tag.
    let aborted = Step::Answer(204, vec![], String::new());
    let server = Scripted::start([lost(), taken(), object(14, "\"other-1\""), aborted]).await;
    let created = store(&server).await.complete_upload(&upload(), &tags).await.unwrap();
    assert_eq!(created, Created::AlreadyThere);
    assert_eq!(verbs(&server.requests()), ["POST", "POST", "HEAD", "DELETE"]);

    // Nothing is there: the upload is gone.
    let server = Scripted::start([forgotten(), Step::error(404, "NotFound")]).await;
    let error = store(&server).await.complete_upload(&upload(), &tags).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoSuchUpload, "{error}");
}

#[tokio::test]
async fn a_completion_works_without_conditional_writes() {
    let server = Scripted::start([
        Step::error(501, "NotImplemented"),
        Step::error(404, "NotFound"),
        completed(),
    ])
    .await;
    let created = store(&server).await.complete_upload(&upload(), &parts().0).await.unwrap();
    assert_eq!(created, Created::Yes);
    let requests = server.requests();
    assert_eq!(verbs(&requests), ["POST", "HEAD", "POST"]);
    assert_eq!(requests[2].header("if-none-match"), None);
}

#[tokio::test]
async fn a_whole_object_s_checksum_goes_with_the_completion() {
    let server = Scripted::start([Step::ok(), Step::ok(), completed()]).await;
    let store = store(&server).await;
    let first = store.upload_part(&upload(), 1, BODY.slice(..6)).await.unwrap();
    let second = store.upload_part(&upload(), 2, BODY.slice(6..)).await.unwrap();
    store.complete_upload(&upload(), &[first, second]).await.unwrap();
    let whole = Scripted::start([Step::ok()]).await;
    with(whole.options()).await.put("key", BODY).await.unwrap();
    let requests = server.requests();
    let header = "x-amz-checksum-crc64nvme";
    assert_eq!(requests[2].header(header), whole.requests()[0].header(header));
    assert_eq!(requests[2].header("x-amz-checksum-type"), Some("FULL_OBJECT"));
}

#[tokio::test]
async fn a_failed_part_fails_the_upload_and_no_part_stays() {
    let begun =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let server = Scripted::start([
        Step::Answer(200, vec![], begun.to_owned()),
        Step::error(403, "AccessDenied"),
        Step::Answer(204, vec![], String::new()),
    ])
    .await;
    let store: Arc<dyn Store> = Arc::new(store(&server).await);
    let mut upload = ParallelUpload::begin(store, "key", 4).await.unwrap();
    upload.send(BODY).await.unwrap();
    let error = upload.complete().await.unwrap_err();
    upload.abort().await.unwrap();
    assert!(matches!(error.kind, ErrorKind::Denied(_)), "{error}");
    assert_eq!(verbs(&server.requests()), ["POST", "PUT", "DELETE"]);
}

#[tokio::test]
async fn no_more_parts_are_in_flight_than_there_may_be() {
    let begun =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let server = Scripted::start([
        Step::Answer(200, vec![], begun.to_owned()),
        Step::Silence,
        Step::Silence,
        Step::ok(),
    ])
    .await;
    let options = S3Options { parts_in_flight: 2, ..server.options() };
    let store: Arc<dyn Store> = Arc::new(with(options).await);
    let mut upload = ParallelUpload::begin(store, "key", 4).await.unwrap();
    upload.send(BODY).await.unwrap();
    upload.send(BODY).await.unwrap();
    let mut third = Box::pin(upload.send(BODY));
    let both_arrived = async {
        while server.requests().len() < 3 {
            assert!(futures::poll!(&mut third).is_pending());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), both_arrived).await.unwrap();
    assert!(futures::poll!(&mut third).is_pending());
    assert_eq!(verbs(&server.requests()), ["POST", "PUT", "PUT"]);
}
