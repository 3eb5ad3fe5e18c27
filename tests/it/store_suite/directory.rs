//! What only a directory has: files, paths, and what a killed process leaves.

use std::sync::Arc;

use bytes::Bytes;
use reliquary::store::{Created, ErrorKind, LocalStore, ParallelUpload, Store, list_all};

#[tokio::test]
async fn what_a_killed_process_leaves_in_a_directory_is_found_and_swept() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(LocalStore::open(dir.path()).await.unwrap());
    // A put that was cut short leaves the crate's staging file.
    std::fs::create_dir(dir.path().join("database")).unwrap();
    std::fs::write(dir.path().join("database/a.sql.gz#1"), b"half").unwrap();
    // An upload of a process that is gone.
    let mut upload =
        ParallelUpload::begin(Arc::clone(&store), "database/b.sql.gz", 4).await.unwrap();
    upload.send(Bytes::from_static(b"half")).await.unwrap();
    std::mem::forget(upload);
    let survivor = LocalStore::open(dir.path()).await.unwrap();

    assert!(list_all(&survivor, "").await.unwrap().is_empty());
    let found = survivor.unfinished_uploads("database/").await.unwrap();
    let keys: Vec<&str> = found.iter().map(|left| left.upload.key.as_str()).collect();
    assert_eq!(keys, ["database/a.sql.gz", "database/b.sql.gz"]);
    for left in found {
        survivor.abort_upload(&left.upload).await.unwrap();
    }
    assert_eq!(survivor.unfinished_uploads("").await.unwrap(), []);
    assert!(!dir.path().join("database/a.sql.gz#1").exists());
}

#[tokio::test]
async fn keys_that_reach_out_of_a_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path().join("inner")).await.unwrap();
    for key in ["../a", "a/../../b", "/etc/a", "a//b", "", "a/", ".reliquary/a", "a#1"] {
        let error = store.put(key, Bytes::new()).await.expect_err(key);
        assert_eq!(error.kind, ErrorKind::Other, "{key}: {error}");
        store.get(key, 1).await.expect_err(key);
        store.delete(key).await.expect_err(key);
        store.begin_upload(key).await.expect_err(key);
    }
    assert!(!dir.path().join("a").exists());
}

#[tokio::test]
async fn parts_of_a_directory_s_upload_come_in_order_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).await.unwrap();
    let upload = store.begin_upload("a").await.unwrap();
    let body = Bytes::from_static(b"x");
    store.upload_part(&upload, 2, body.clone()).await.unwrap_err();
    let first = store.upload_part(&upload, 1, body.clone()).await.unwrap();
    store.upload_part(&upload, 1, body.clone()).await.unwrap_err();
    let second = store.upload_part(&upload, 2, body).await.unwrap();
    store.complete_upload(&upload, std::slice::from_ref(&first)).await.unwrap_err();
    let created = store.complete_upload(&upload, &[first, second]).await.unwrap();
    assert_eq!(created, Created::Yes);
    assert_eq!(store.get("a", 2).await.unwrap(), "xx");
}
