//! Downloads, listings and deletions against a store that misbehaves.

use super::*;

#[tokio::test]
async fn a_download_that_breaks_off_is_taken_up_where_it_broke_off() {
    let headers =
        |length: usize| vec![("etag", ETAG.to_owned()), ("content-length", length.to_string())];
    let server = Scripted::start([
        Step::CutShort(206, headers(14), "the sa".to_owned(), 14),
        Step::Answer(206, headers(8), "me bytes".to_owned()),
    ])
    .await;
    let stream = store(&server).await.get_range("key", 100, 114).await.unwrap();
    let read: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert_eq!(read.concat(), BODY);
    let requests = server.requests();
    assert_eq!(requests[0].header("range"), Some("bytes=100-113"));
    assert_eq!(requests[1].header("range"), Some("bytes=106-113"));
    assert_eq!(requests[1].header("if-match"), Some(ETAG));
}

#[tokio::test]
async fn a_download_that_stays_cut_short_is_an_error() {
    let cut = || Step::CutShort(206, vec![("etag", ETAG.to_owned())], "the".to_owned(), 14);
    let server = Scripted::start([cut(), Step::error(412, "PreconditionFailed")]).await;
    let stream = store(&server).await.get_range("key", 0, 14).await.unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains("replaced while it was read"), "{error}");

    let server = Scripted::start(vec![cut(); 3]).await;
    let error = store(&server).await.get("key", 100).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert_eq!(server.requests().len(), 3);

    // Fewer bytes than the range has are not taken for the range.
    let server = Scripted::start([content("short")]).await;
    store(&server).await.get_range("key", 0, 14).await.err().expect("a short range");
}

#[tokio::test]
async fn bytes_that_were_changed_on_the_way_down_are_caught() {
    let headers =
        vec![("etag", ETAG.to_owned()), ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=".to_owned())];
    let step = Step::Answer(200, headers, "the same bytes".to_owned());
    let server = Scripted::start(vec![step; 3]).await;
    let error = store(&server).await.get("key", 100).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
    assert_eq!(server.requests()[0].header("x-amz-checksum-mode"), Some("ENABLED"));
}

#[tokio::test]
async fn a_listing_that_is_cut_short_is_an_error() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>".to_owned();
    let server = Scripted::start([Step::Answer(200, vec![], page)]).await;
    let error = store(&server).await.list_page("", None).await.unwrap_err();
    assert!(error.to_string().contains("how to go on"), "{error}");

    let page =
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>";
    let server = Scripted::start([Step::Answer(200, vec![], page.to_owned())]).await;
    let error = store(&server).await.unfinished_uploads("").await.unwrap_err();
    assert!(error.to_string().contains("how to go on"), "{error}");
}

#[tokio::test]
async fn unfinished_uploads_are_listed_to_the_last_page() {
    let page = |key: &str, more: &str| {
        let body = format!(
            "<ListMultipartUploadsResult>{more}<Upload><Key>{key}</Key><UploadId>id-{key}</UploadId>\
             <Initiated>2026-11-23T14:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>"
        );
        Step::Answer(200, vec![], body)
    };
    let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>\
                <NextUploadIdMarker>id-a</NextUploadIdMarker>";
    let server = Scripted::start([page("a", more), page("b", "")]).await;
    let found = store(&server).await.unfinished_uploads("").await.unwrap();
    let ids: Vec<&str> = found.iter().map(|left| left.upload.id.as_str()).collect();
    assert_eq!(ids, ["id-a", "id-b"]);
    assert!(server.requests()[1].line.contains("key-marker=a"), "{:?}", server.requests()[1].line);
}

#[tokio::test]
async fn what_could_not_be_deleted_is_named_with_its_reason() {
    let body = "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key>\
                <Code>AccessDenied</Code><Message>no</Message></Error><Error><Key>c</Key>\
                <Code>NoSuchKey</Code></Error></DeleteResult>";
    let server = Scripted::start([Step::Answer(200, vec![], body.to_owned())]).await;
    let keys = ["a", "b", "c"].map(str::to_owned);
    let left = store(&server).await.delete_many(&keys).await.unwrap().left;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0, "b");
    let right = "s3:DeleteObject on arn:aws:s3:::bucket/b".to_owned();
    assert_eq!(left[0].1.kind, ErrorKind::Denied(right));
}

#[tokio::test]
async fn a_key_of_which_the_answer_says_nothing_is_not_taken_for_deleted() {
    let body = "<DeleteResult><Deleted><Key>a</Key><DeleteMarker>true</DeleteMarker>\
                <DeleteMarkerVersionId>v</DeleteMarkerVersionId></Deleted><Deleted><Key>z</Key>\
                <DeleteMarker>true</DeleteMarker></Deleted></DeleteResult>";
    let server = Scripted::start([Step::Answer(200, vec![], body.to_owned())]).await;
    let keys = ["a", "b"].map(str::to_owned);
    let deletion = store(&server).await.delete_many(&keys).await.unwrap();
    assert_eq!(deletion.hidden, 1, "nobody asked for z");
    let left: Vec<_> = deletion.left.iter().map(|(key, error)| (&**key, &error.kind)).collect();
    assert_eq!(left, [("b", &ErrorKind::Other)]);
    let request = &server.requests()[0];
    assert!(!String::from_utf8_lossy(&request.body).contains("<Quiet>true"), "{request:?}");
}

#[tokio::test]
async fn a_refusal_tells_the_time_as_well() {
    let date = ("date", "Mon, 23 Nov 2026 14:00:00 GMT".to_owned());
    let server = Scripted::start([Step::Answer(403, vec![date], String::new())]).await;
    let time = store(&server).await.server_time().await.unwrap();
    assert_eq!(time.to_rfc3339(), "2026-11-23T14:00:00+00:00");
}

#[tokio::test]
async fn what_is_gone_is_aborted_and_deleted_already() {
    let gone = [
        Step::error(404, "NoSuchUpload"),
        Step::error(404, "NoSuchKey"),
        Step::error(404, "NoSuchBucket"),
    ];
    let server = Scripted::start(gone).await;
    let store = store(&server).await;
    store.abort_upload(&upload()).await.unwrap();
    store.delete("key").await.unwrap();
    let error = store.delete("key").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoSuchBucket, "{error}");
}
