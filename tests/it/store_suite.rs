//! The promises of `store::Store`, held against every adapter.

mod directory;

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reliquary::store::{
    ChecksumMode, Created, Encryption, ErrorKind, LocalStore, MIN_PART, ParallelUpload, PartTag,
    S3Options, S3Store, Store, UploadHandle, list_all,
};

use crate::support::s3;

/// What a server that stands in for S3 cannot do.
#[derive(Clone, Copy)]
struct Gaps {
    /// It does not list unfinished uploads.
    no_upload_listing: bool,
    /// Of an upload it does not know it says something else than that.
    stumbles_over_unknown_uploads: bool,
    /// Conditional writes at the same moment may both succeed.
    racy_conditions: bool,
}

const NO_GAPS: Gaps =
    Gaps { no_upload_listing: false, stumbles_over_unknown_uploads: false, racy_conditions: false };
const S3S: Gaps =
    Gaps { no_upload_listing: true, stumbles_over_unknown_uploads: true, racy_conditions: false };
const MOTO: Gaps = Gaps { stumbles_over_unknown_uploads: true, racy_conditions: true, ..NO_GAPS };

async fn keeps_its_promises(store: Arc<dyn Store>, gaps: Gaps) {
    writes_are_read_back(&store).await;
    a_put_if_absent_replaces_nothing(&store).await;
    if !gaps.racy_conditions {
        of_two_writers_one_wins(&store).await;
    }
    uploads_in_parts_become_visible_whole(&store, gaps).await;
    an_aborted_upload_leaves_nothing(&store, gaps).await;
    an_unfinished_upload_shows_until_it_is_swept(&store, gaps).await;
    ranges_are_exact(&store).await;
    deletions_delete_and_no_more(&store).await;
    odd_keys_are_keys(&store).await;
    the_store_knows_the_time(&store).await;
}

async fn writes_are_read_back(store: &Arc<dyn Store>) {
    let body = Bytes::from_static(b"first");
    store.put("w/a", body.clone()).await.unwrap();
    assert_eq!(store.get("w/a", 5).await.unwrap(), body);
    let meta = store.head("w/a").await.unwrap().unwrap();
    assert_eq!((meta.key.as_str(), meta.size), ("w/a", 5));
    assert!((now() - meta.last_modified).num_minutes().abs() < 5);

    store.put("w/a", Bytes::from_static(b"second, longer")).await.unwrap();
    assert_eq!(store.get("w/a", 100).await.unwrap(), "second, longer");
    let error = store.get("w/a", 13).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");

    store.put("w/empty", Bytes::new()).await.unwrap();
    assert_eq!(store.get("w/empty", 0).await.unwrap(), "");

    // Large enough to come in many pieces.
    let large = noise(3 << 20, 1);
    store.put("w/large", large.clone()).await.unwrap();
    assert!(store.get("w/large", 3 << 20).await.unwrap() == large);

    let error = store.get("w/missing", 5).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(&store.uri("w/missing")), "{error}");
    assert_eq!(store.head("w/missing").await.unwrap(), None);
}

async fn a_put_if_absent_replaces_nothing(store: &Arc<dyn Store>) {
    let first = Bytes::from_static(b"first");
    assert_eq!(store.put_if_absent("c/a", first.clone()).await.unwrap(), Created::Yes);
    let second = store.put_if_absent("c/a", Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(second, Created::AlreadyThere);
    // The same bytes again are still somebody else's object.
    assert_eq!(store.put_if_absent("c/a", first.clone()).await.unwrap(), Created::AlreadyThere);
    assert_eq!(store.get("c/a", 10).await.unwrap(), first);
}

async fn of_two_writers_one_wins(store: &Arc<dyn Store>) {
    for round in 0..10 {
        let key = format!("race/{round}");
        let (one, two) = tokio::join!(
            store.put_if_absent(&key, Bytes::from_static(b"one")),
            store.put_if_absent(&key, Bytes::from_static(b"two")),
        );
        let winner = match (one.unwrap(), two.unwrap()) {
            (Created::Yes, Created::AlreadyThere) => "one",
            (Created::AlreadyThere, Created::Yes) => "two",
            other => panic!("round {round}: {other:?}"),
        };
        assert_eq!(store.get(&key, 3).await.unwrap(), winner);
    }
}

async fn uploads_in_parts_become_visible_whole(store: &Arc<dyn Store>, gaps: Gaps) {
    let part = usize::try_from(MIN_PART).unwrap();
    let whole = noise(2 * part + 1, 2);
    let mut upload = ParallelUpload::begin(Arc::clone(store), "m/whole", 4).await.unwrap();
    for piece in [0..part, part..2 * part, 2 * part..2 * part + 1] {
        upload.send(whole.slice(piece)).await.unwrap();
    }
    assert_eq!(store.head("m/whole").await.unwrap(), None);
    assert!(list_all(store.as_ref(), "m/").await.unwrap().is_empty());
    assert_eq!(upload.complete().await.unwrap(), Created::Yes);
    assert!(store.get("m/whole", whole.len() as u64).await.unwrap() == whole);
    let listed = list_all(store.as_ref(), "").await.unwrap();
    assert!(listed.iter().any(|object| object.key == "m/whole" && object.size == 2 * MIN_PART + 1));

    // A second one does not replace it, and leaves nothing behind.
    let mut upload = ParallelUpload::begin(Arc::clone(store), "m/whole", 4).await.unwrap();
    upload.send(Bytes::from_static(b"late")).await.unwrap();
    assert_eq!(upload.complete().await.unwrap(), Created::AlreadyThere);
    assert!(store.get("m/whole", whole.len() as u64).await.unwrap() == whole);

    let mut upload = ParallelUpload::begin(Arc::clone(store), "m/empty", 4).await.unwrap();
    assert_eq!(upload.complete().await.unwrap(), Created::Yes);
    assert_eq!(store.head("m/empty").await.unwrap().unwrap().size, 0);

    // Upload by upload, the store knows nothing of them afterwards.
    if !gaps.no_upload_listing {
        assert_eq!(store.unfinished_uploads("m/").await.unwrap(), []);
    }
    let gone = UploadHandle { key: "m/gone".to_owned(), id: "0".repeat(32) };
    if !gaps.stumbles_over_unknown_uploads {
        let part = PartTag { number: 1, etag: "\"none\"".to_owned(), size: 1, checksum: None };
        let error = store.complete_upload(&gone, &[part]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NoSuchUpload, "{error}");
    }
}

async fn an_aborted_upload_leaves_nothing(store: &Arc<dyn Store>, gaps: Gaps) {
    let mut upload = ParallelUpload::begin(Arc::clone(store), "x/aborted", 4).await.unwrap();
    upload.send(noise(100_000, 3)).await.unwrap();
    let handle = upload.handle().clone();
    upload.abort().await.unwrap();
    assert!(list_all(store.as_ref(), "x/").await.unwrap().is_empty());
    if !gaps.no_upload_listing {
        assert_eq!(store.unfinished_uploads("x/").await.unwrap(), []);
    }
    if !gaps.stumbles_over_unknown_uploads {
        store.abort_upload(&handle).await.unwrap();
    }
}

async fn an_unfinished_upload_shows_until_it_is_swept(store: &Arc<dyn Store>, gaps: Gaps) {
    if gaps.no_upload_listing {
        return;
    }
    let mut upload = ParallelUpload::begin(Arc::clone(store), "u/left behind", 4).await.unwrap();
    upload.send(noise(100_000, 4)).await.unwrap();
    let handle = upload.handle().clone();
    drop(upload);
    assert!(list_all(store.as_ref(), "u/").await.unwrap().is_empty());
    assert_eq!(store.unfinished_uploads("elsewhere/").await.unwrap(), []);
    let found = store.unfinished_uploads("u/").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].upload, handle);
    store.abort_upload(&found[0].upload).await.unwrap();
    assert_eq!(store.unfinished_uploads("u/").await.unwrap(), []);
}

async fn ranges_are_exact(store: &Arc<dyn Store>) {
    let body = noise(2_000_000, 5);
    store.put("r/a", body.clone()).await.unwrap();
    for (start, end) in [(0, 1), (0, 2_000_000), (1_999_999, 2_000_000), (123, 1_654_321), (7, 7)] {
        let read: Vec<Bytes> =
            store.get_range("r/a", start, end).await.unwrap().try_collect().await.unwrap();
        let wanted = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        assert!(read.concat() == body[wanted], "{start}..{end}");
    }
    for (start, end) in [(1_999_999, 2_000_001), (2_000_000, 2_000_001)] {
        let outcome = match store.get_range("r/a", start, end).await {
            Ok(stream) => stream.try_collect::<Vec<_>>().await.map(drop),
            Err(error) => Err(error),
        };
        outcome.expect_err("a range past the end must not end cleanly");
    }
    let error = store.get_range("r/missing", 0, 1).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

/// Keys for a listing of several pages, in order.
fn many_keys(number: usize) -> BTreeSet<String> {
    (0..number).map(|n| format!("l/{:02}/key-{n:05}", n % 7)).collect()
}

/// Puts small objects straight into the folder behind a store, which is
/// faster than through it.
fn fill(dir: &std::path::Path, keys: &BTreeSet<String>) {
    for key in keys {
        let file = dir.join(key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"x").unwrap();
    }
}

async fn listings_are_complete_and_in_order(store: &Arc<dyn Store>, keys: BTreeSet<String>) {
    let mut pages = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = store.list_page("l/", next.as_deref()).await.unwrap();
        pages.push(page.objects.len());
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(pages.iter().sum::<usize>(), keys.len());
    assert_eq!(pages.len(), keys.len().div_ceil(1000), "{pages:?}");
    assert!(pages.iter().all(|page| *page <= 1000), "{pages:?}");
    let listed = list_all(store.as_ref(), "l/").await.unwrap();
    assert!(listed.iter().map(|object| &object.key).eq(&keys));

    // A prefix is a prefix of text, not a folder.
    let below = keys.iter().filter(|key| key.starts_with("l/03/key-000")).count();
    assert_eq!(list_all(store.as_ref(), "l/03/key-000").await.unwrap().len(), below);
    assert!(list_all(store.as_ref(), "l/none/").await.unwrap().is_empty());

    let all: Vec<String> = keys.into_iter().collect();
    assert!(store.delete_many(&all).await.unwrap().left.is_empty());
    assert!(list_all(store.as_ref(), "l/").await.unwrap().is_empty());
}

async fn deletions_delete_and_no_more(store: &Arc<dyn Store>) {
    for key in ["d/a", "d/b", "d/c & <d>", "d/keep"] {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    store.delete("d/a").await.unwrap();
    store.delete("d/a").await.unwrap();
    let keys = ["d/b", "d/c & <d>", "d/missing"].map(str::to_owned);
    assert!(store.delete_many(&keys).await.unwrap().left.is_empty());
    let left = list_all(store.as_ref(), "d/").await.unwrap();
    assert_eq!(left.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["d/keep"]);
    assert!(store.delete_many(&[]).await.unwrap().left.is_empty());
}

async fn odd_keys_are_keys(store: &Arc<dyn Store>) {
    let keys = ["o/with space", "o/a+b", "o/äöü-日本語", "o/per cent 100%", "o/x=1&y=2", "o/~'()!"];
    for key in keys {
        store.put(key, Bytes::copy_from_slice(key.as_bytes())).await.unwrap();
    }
    for key in keys {
        assert_eq!(store.get(key, 100).await.unwrap(), key.as_bytes());
        assert!(store.head(key).await.unwrap().is_some(), "{key}");
    }
    let listed: BTreeSet<String> = list_all(store.as_ref(), "o/")
        .await
        .unwrap()
        .into_iter()
        .map(|object| object.key)
        .collect();
    assert_eq!(listed, keys.map(str::to_owned).into());
    assert!(store.delete_many(&keys.map(str::to_owned)).await.unwrap().left.is_empty());
    assert!(list_all(store.as_ref(), "o/").await.unwrap().is_empty());
}

async fn the_store_knows_the_time(store: &Arc<dyn Store>) {
    let skew = store.server_time().await.unwrap() - now();
    assert!(skew.num_seconds().abs() < 60, "{skew}");
}

/// Bytes without a pattern, the same for the same seed.
fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// This machine's time, which is that of the servers here too.
fn now() -> DateTime<Utc> {
    reliquary::clock::Clock::system().now()
}

async fn s3(options: S3Options) -> Arc<dyn Store> {
    Arc::new(S3Store::connect(options).await.unwrap())
}

#[tokio::test]
async fn a_directory_keeps_its_promises() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path().join("made/for/it")).await.unwrap();
    keeps_its_promises(Arc::new(store), NO_GAPS).await;
}

#[tokio::test]
async fn a_directory_is_listed_completely_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(LocalStore::open(dir.path()).await.unwrap());
    let keys = many_keys(2_500);
    fill(dir.path(), &keys);
    listings_are_complete_and_in_order(&store, keys).await;
}

#[tokio::test]
async fn s3_is_listed_completely_and_in_order() {
    let server = s3::s3s_server().await;
    let keys = many_keys(2_500);
    fill(&server.dir.join(&server.bucket), &keys);
    listings_are_complete_and_in_order(&s3(server.options()).await, keys).await;
}

#[rstest::rstest]
#[case(ChecksumMode::Crc64Nvme)]
#[case(ChecksumMode::Crc32c)]
#[case(ChecksumMode::Sha256)]
#[case(ChecksumMode::Md5)]
#[tokio::test]
async fn s3_keeps_its_promises(#[case] checksum: ChecksumMode) {
    let server = s3::s3s_server().await;
    let options = S3Options { checksum, ..server.options() };
    keeps_its_promises(s3(options).await, S3S).await;
}

/// moto's CRCs of objects in parts are none, so the other modes are held here.
#[tokio::test]
async fn moto_keeps_the_promises() {
    let moto = s3::moto_server().await;
    let sha256 = S3Options {
        checksum: ChecksumMode::Sha256,
        encryption: Encryption::SseS3,
        ..moto.bucket("first").await
    };
    keeps_its_promises(s3(sha256).await, MOTO).await;
    let md5 = S3Options {
        checksum: ChecksumMode::Md5,
        encryption: Encryption::SseKms(None),
        ..moto.bucket("second").await
    };
    let store = s3(md5).await;
    keeps_its_promises(Arc::clone(&store), MOTO).await;

    let keys = many_keys(1_050);
    stream::iter(&keys)
        .map(|key| store.put(key, Bytes::from_static(b"x")))
        .buffer_unordered(8)
        .try_collect::<Vec<()>>()
        .await
        .unwrap();
    listings_are_complete_and_in_order(&store, keys).await;
}
