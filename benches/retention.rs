//! Listing and planning a very large catalog: time and memory.
//! `cargo bench --bench retention`
//!
//! A hundred thousand backups are eleven years of hours: 300,002 objects, which
//! a store that makes them up hands out in pages of a thousand. "max alloc" is
//! what was held at once.

#![expect(clippy::expect_used, reason = "a benchmark of what fails says nothing")]

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use divan::{AllocProfiler, Bencher, black_box, counter::ItemsCount};
use futures::stream::BoxStream;
use reliquary::{
    archive::manifest::Kind,
    catalog::{self, BackupId, Inventory, Key, Layout},
    retention::{self, Drilled, Policy},
    store::{
        Created, Deletion, ErrorKind, ObjectMeta, Page, PartTag, Result, Store, StoreError,
        UnfinishedUpload, UploadHandle,
    },
};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const BACKUPS: usize = 100_000;
const HOURS: i64 = 100_000;
const PAGE: i64 = 1000;

fn main() {
    divan::main();
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_442_400, 0).expect("a time")
}

/// A store that makes its listing up as it goes.
#[derive(Debug)]
struct Endless(Layout);

impl Endless {
    fn objects(&self, hour: i64) -> [ObjectMeta; 3] {
        let last_modified = now() - TimeDelta::hours(HOURS - hour);
        let id = BackupId::at(last_modified);
        let kind = Kind::Scheduled;
        [Key::Manifest(kind, id), Key::Archive(kind, id), Key::Checksum(kind, id)]
            .map(|key| ObjectMeta { key: self.0.key(key), size: 1 << 20, last_modified })
    }

    fn no<T>() -> Result<T> {
        let (operation, target) = ("use".to_owned(), "the benchmark's store".to_owned());
        Err(StoreError { operation, target, kind: ErrorKind::Other, detail: String::new() })
    }
}

#[async_trait]
impl Store for Endless {
    fn uri(&self, key: &str) -> String {
        key.to_owned()
    }

    fn parts_in_flight(&self) -> usize {
        1
    }

    async fn list_page(&self, _: &str, next: Option<&str>) -> Result<Page> {
        let first: i64 = next.map_or(0, |next| next.parse().expect("its own token"));
        let last = (first + PAGE / 3).min(HOURS);
        let objects = (first..last).flat_map(|hour| self.objects(hour)).collect();
        Ok(Page { objects, next: (last < HOURS).then(|| last.to_string()) })
    }

    async fn put(&self, _: &str, _: Bytes) -> Result<()> {
        Self::no()
    }

    async fn put_if_absent(&self, _: &str, _: Bytes) -> Result<Created> {
        Self::no()
    }

    async fn begin_upload(&self, _: &str) -> Result<UploadHandle> {
        Self::no()
    }

    async fn upload_part(&self, _: &UploadHandle, _: u32, _: Bytes) -> Result<PartTag> {
        Self::no()
    }

    async fn complete_upload(&self, _: &UploadHandle, _: &[PartTag]) -> Result<Created> {
        Self::no()
    }

    async fn abort_upload(&self, _: &UploadHandle) -> Result<()> {
        Self::no()
    }

    async fn unfinished_uploads(&self, _: &str) -> Result<Vec<UnfinishedUpload>> {
        Ok(Vec::new())
    }

    async fn get(&self, _: &str, _: u64) -> Result<Bytes> {
        Self::no()
    }

    async fn get_range(
        &self,
        _: &str,
        _: u64,
        _: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        Self::no()
    }

    async fn head(&self, _: &str) -> Result<Option<ObjectMeta>> {
        Ok(None)
    }

    async fn delete(&self, _: &str) -> Result<()> {
        Self::no()
    }

    async fn delete_many(&self, _: &[String]) -> Result<Deletion> {
        Self::no()
    }

    async fn server_time(&self) -> Result<DateTime<Utc>> {
        Ok(now())
    }
}

fn inventory() -> Inventory {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let layout = Layout::new("database/");
    let store = Endless(layout.clone());
    let inventory = runtime.block_on(catalog::inventory(&store, &layout)).expect("a listing");
    assert_eq!(inventory.catalog.entries.len(), BACKUPS);
    inventory
}

fn policy(tiers: [usize; 5]) -> Policy {
    let (keep_for, grace) = (TimeDelta::days(30), TimeDelta::hours(24));
    Policy { keep_for, keep_last: 24, tiers, grace }
}

/// Listing, the store's own work of making keys up included.
#[divan::bench]
fn list(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(BACKUPS)).bench(inventory);
}

/// The defaults: 30 days, and the last 24.
#[divan::bench]
fn plan(bencher: Bencher<'_, '_>) {
    planned(bencher, &policy([0; 5]), 719);
}

/// With every tier, the hours of a quarter of a year among them.
#[divan::bench]
fn plan_with_tiers(bencher: Bencher<'_, '_>) {
    planned(bencher, &policy([2000, 365, 100, 60, 10]), 2000);
}

fn planned(bencher: Bencher<'_, '_>, policy: &Policy, at_least: usize) {
    let inventory = inventory();
    let entries = &inventory.catalog.entries;
    bencher.counter(ItemsCount::new(BACKUPS)).bench(|| {
        let plan = retention::plan(entries, &Drilled::new(), policy, now());
        assert!(plan.kept().count() >= at_least);
        black_box(plan)
    });
}
