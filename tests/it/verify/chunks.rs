//! A network cuts the same bytes in other places at each reading; damage is
//! damage all the same.

use std::{fs, io::Write as _, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use reliquary::{
    catalog::Entry,
    jobs::verify::{self, Options, Verified},
    state::Progress,
    store::Patience,
};
use tokio_util::sync::CancellationToken;

use super::{Bench, catalog, edit, layout, newest};
use crate::support::odd_store::OddStore;

async fn run(bench: &Bench, entry: &Entry) -> Verified {
    let store = Arc::new(OddStore::new(bench.store().await).in_other_pieces());
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
