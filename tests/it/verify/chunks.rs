//! A network cuts the same bytes in other places at each reading; damage is
//! damage all the same.

use std::{
    fs,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use reliquary::{
    catalog::Entry,
    jobs::verify::{self, Options, Verified},
    state::Progress,
    store::{
        Created, Deletion, ObjectMeta, Page, PartTag, Patience, Result, Store, UnfinishedUpload,
        UploadHandle,
    },
};
use tokio_util::sync::CancellationToken;

use super::{Bench, catalog, edit, layout, newest};

/// A store that hands a range out in pieces of another size at each reading.
#[derive(Debug)]
struct Rechunked {
    store: Arc<dyn Store>,
    readings: AtomicUsize,
}

#[async_trait]
impl Store for Rechunked {
    fn uri(&self, key: &str) -> String {
        self.store.uri(key)
    }

    fn parts_in_flight(&self) -> usize {
        self.store.parts_in_flight()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        self.store.put(key, body).await
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
        self.store.put_if_absent(key, body).await
    }

    async fn begin_upload(&self, key: &str) -> Result<UploadHandle> {
        self.store.begin_upload(key).await
    }

    async fn upload_part(
        &self,
        upload: &UploadHandle,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag> {
        self.store.upload_part(upload, number, body).await
    }

    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created> {
        self.store.complete_upload(upload, parts).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        self.store.abort_upload(upload).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        self.store.unfinished_uploads(prefix).await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        self.store.get(key, limit).await
    }

    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let size = [50_021, 8_192, 31_337][self.readings.fetch_add(1, Ordering::Relaxed) % 3];
        let stream = self.store.get_range(key, start, end).await?;
        let cut = move |piece: Bytes| {
            let pieces: Vec<Result<Bytes>> =
                piece.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            stream::iter(pieces)
        };
        Ok(stream.map_ok(cut).try_flatten().boxed())
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.store.head(key).await
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        self.store.list_page(prefix, next).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        self.store.delete_many(keys).await
    }

    async fn server_time(&self) -> Result<DateTime<Utc>> {
        self.store.server_time().await
    }
}

async fn run(bench: &Bench, entry: &Entry) -> Verified {
    let store = Arc::new(Rechunked { store: bench.store().await, readings: AtomicUsize::new(0) });
    let options = Options { threads: 2, at_once: 1, record: true, patience: Patience::default() };
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let environment = bench.environment(store);
    verify::run(&environment, &layout(), entry, options, &progress, &cancel).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_a_legacy_archive_is_found_however_its_bytes_come() {
    let bench = Bench::new();
    let text: String = (0..60_000).map(|row| format!("{row}\t{}\n", row * 7919 % 1009)).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(text.as_bytes()).unwrap();
    let archive = gzip.finish().unwrap();
    let id = "2025-11-23T14-00-00Z";
    let path = bench.product.store_dir().join(format!("database/2025/11/{id}.sql.gz"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for at in [archive.len() / 3, archive.len() / 2, archive.len() - 2000] {
        let mut bytes = archive.clone();
        bytes[at] ^= 8;
        fs::write(&path, bytes).unwrap();
        let catalog = catalog(bench.store().await.as_ref()).await;
        let entry = catalog.entries.iter().find(|entry| entry.id.to_string() == id).unwrap();
        assert!(run(&bench, entry).await.is_damaged(), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_a_member_that_is_read_in_pieces_is_found_however_its_bytes_come() {
    let bench = Bench::with(
        "create table large (id int, text text);
         insert into large select 1, string_agg(md5(i::text), '') from generate_series(1, 600000) i;",
    );
    let tables = &bench.newest.manifest.tables;
    let member = tables.iter().find(|table| table.name == "large").unwrap().members[0];
    assert!(member.uncompressed > 16 << 20);
    for at in [member.length / 3, member.length / 2, member.length - 9000] {
        bench.reset();
        let at = usize::try_from(member.offset + at).unwrap();
        edit(&bench.newest.archive, |bytes| bytes[at] ^= 8);
        let entry = newest(&catalog(bench.store().await.as_ref()).await);
        assert!(run(&bench, &entry).await.is_damaged(), "{at}");
    }
}
