//! Failures and refusals: what is tried again, and what is said in the end.

use super::*;

#[tokio::test]
async fn a_failed_attempt_is_repeated_with_the_same_bytes() {
    for failure in [
        Step::error(500, "InternalError"),
        Step::error(503, "SlowDown"),
        Step::Answer(502, vec![], "<html>bad gateway</html>".to_owned()),
        Step::error(400, "RequestTimeout"),
        Step::error(400, "BadDigest"),
        Step::Reset(0),
        Step::Silence,
    ] {
        let server = Scripted::start([failure.clone(), Step::ok()]).await;
        // Only the silence has to be waited for.
        let short = matches!(failure, Step::Silence);
        let attempt_timeout = Duration::from_secs(if short { 1 } else { 20 });
        let options = S3Options { attempt_timeout, ..server.options() };
        with(options).await.put("key", BODY).await.unwrap_or_else(|e| panic!("{failure:?}: {e}"));
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{failure:?}");
        assert_eq!(requests[1].body, BODY, "{failure:?}");
    }
}

#[tokio::test]
async fn a_connection_reset_in_the_middle_of_a_part_repeats_the_part() {
    let part = Bytes::from(vec![7; 5 << 20]);
    let server = Scripted::start([Step::Reset(1 << 20), Step::ok()]).await;
    let tag = store(&server).await.upload_part(&upload(), 1, part.clone()).await.unwrap();
    assert_eq!((tag.number, tag.size), (1, 5 << 20));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].body == part);
}

#[tokio::test]
async fn attempts_come_to_an_end() {
    let server = Scripted::start(vec![Step::error(503, "SlowDown"); 9]).await;
    let error = store(&server).await.put("key", BODY).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.is_transient());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_store_that_says_nothing_is_given_up() {
    let server = Scripted::start(vec![Step::Silence; 3]).await;
    let options = S3Options { attempt_timeout: Duration::from_millis(100), ..server.options() };
    let begun = std::time::Instant::now();
    let error = with(options).await.put("key", BODY).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_store_that_is_not_there_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = crate::support::s3::options(&endpoint, "bucket", "key", "secret");
    let error = with(options).await.put("key", BODY).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let error = put_against(Step::error(403, "AccessDenied")).await;
    let text = error.to_string();
    assert!(text.contains("put s3://bucket/key: "), "{text}");
    assert!(text.contains("s3:PutObject on arn:aws:s3:::bucket/key"), "{text}");

    for code in ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"] {
        let error = put_against(Step::error(403, code)).await;
        assert_eq!(error.kind, ErrorKind::Credentials, "{error}");
        assert!(!error.to_string().contains("a-test-secret"), "{error}");
    }

    let error = put_against(Step::error(404, "NoSuchBucket")).await;
    assert_eq!(error.kind, ErrorKind::NoSuchBucket, "{error}");

    let error = put_against(Step::error(403, "RequestTimeTooSkewed")).await;
    assert_eq!(error.kind, ErrorKind::ClockSkewed, "{error}");
}

#[tokio::test]
async fn every_operation_names_the_right_it_lacks() {
    let server = Scripted::start(vec![Step::error(403, "AccessDenied"); 20]).await;
    let store = store(&server).await;
    let on_key = "on arn:aws:s3:::bucket/key";
    let on_bucket = "on arn:aws:s3:::bucket";
    let expect = |error: StoreError, right: &str, on: &str| {
        assert_eq!(error.kind, ErrorKind::Denied(format!("{right} {on}")), "{error}");
    };
    expect(store.put_if_absent("key", BODY).await.unwrap_err(), "s3:PutObject", on_key);
    expect(store.begin_upload("key").await.unwrap_err(), "s3:PutObject", on_key);
    let part = store.upload_part(&upload(), 1, BODY).await;
    expect(part.unwrap_err(), "s3:PutObject", on_key);
    let complete = store.complete_upload(&upload(), &parts().0).await;
    expect(complete.unwrap_err(), "s3:PutObject", on_key);
    let abort = store.abort_upload(&upload()).await;
    expect(abort.unwrap_err(), "s3:AbortMultipartUpload", on_key);
    let uploads = store.unfinished_uploads("").await;
    expect(uploads.unwrap_err(), "s3:ListBucketMultipartUploads", on_bucket);
    expect(store.get("key", 9).await.unwrap_err(), "s3:GetObject", on_key);
    expect(store.get_range("key", 0, 9).await.err().unwrap(), "s3:GetObject", on_key);
    expect(store.head("key").await.unwrap_err(), "s3:GetObject", on_key);
    expect(store.list_page("", None).await.unwrap_err(), "s3:ListBucket", on_bucket);
    expect(store.delete("key").await.unwrap_err(), "s3:DeleteObject", on_key);
}

#[tokio::test]
async fn a_bucket_in_another_region_is_named_with_its_region() {
    let region = ("x-amz-bucket-region", "eu-central-1".to_owned());
    let expected = ErrorKind::WrongRegion(Some("eu-central-1".to_owned()));
    let body = "<Error><Code>PermanentRedirect</Code></Error>".to_owned();
    let error = put_against(Step::Answer(301, vec![region.clone()], body)).await;
    assert_eq!(error.kind, expected, "{error}");
    assert!(error.to_string().contains("set store.region = \"eu-central-1\""), "{error}");

    let body =
        "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>";
    let error = put_against(Step::Answer(400, vec![], body.to_owned())).await;
    assert_eq!(error.kind, expected, "{error}");

    // The answer to a HEAD has no body that would say so.
    let server = Scripted::start([Step::Answer(301, vec![region], String::new())]).await;
    let error = store(&server).await.head("key").await.unwrap_err();
    assert_eq!(error.kind, expected, "{error}");
}

#[tokio::test]
async fn another_checksum_than_was_sent_is_caught() {
    let wrong =
        vec![("etag", ETAG.to_owned()), ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=".to_owned())];
    let step = Step::Answer(200, wrong, String::new());
    let server = Scripted::start(vec![step; 2]).await;
    let store = store(&server).await;
    let error = store.put("key", BODY).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
    let error = store.upload_part(&upload(), 1, BODY).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");

    let error = put_against(Step::error(400, "BadDigest")).await;
    assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
}
