//! How many sessions load at once, and how far they are.

use std::sync::Arc;

use reliquary::{
    archive::Manifest,
    postgres::ConnectionUrl,
    restore::{self, Options, Progress, Request, Stored},
    store::LocalStore,
    words::RestoreStage,
};
use tokio_util::sync::CancellationToken;

use super::process::{self, Lock};
use crate::support::{
    postgres::Server,
    product::{Backup, Product},
};

/// Five tables whose rows wait for the lock, each of several members, and one
/// whose rows don't.
fn many(server: &Server) -> (Product, Backup) {
    process::waits(server, "app", true);
    let tables: Vec<String> = (1..5)
        .map(|nth| {
            format!(
                "create table waiting_{nth} (like waiting including all);
                 insert into waiting_{nth} select * from waiting;"
            )
        })
        .collect();
    server.psql("app", &tables.concat());
    let product = Product::of(server, "app").set("RELIQUARY__ARCHIVE__MEMBER_SIZE", "256KiB");
    let backup = product.backup(&[]);
    (product, backup)
}

/// Sessions that load, and all of the restore's.
fn sessions(server: &Server) -> (usize, usize) {
    let text = server.psql(
        "copy",
        "select count(*) filter (where query like 'COPY %' and state = 'active'), count(*)
         from pg_stat_activity where application_name like 'reliquary restore%'",
    );
    let (loading, all) = text.trim().split_once('|').unwrap();
    (loading.parse().unwrap(), all.parse().unwrap())
}

#[test]
fn no_more_sessions_load_at_once_than_there_are_jobs() {
    let server = Server::start(15);
    let (product, backup) = many(&server);
    assert!(backup.manifest.tables.iter().filter(|table| table.members.len() > 2).count() >= 5);
    server.create_database("copy");
    for jobs in [1, 2, 4] {
        let lock = Lock::hold(&server, "copy");
        let jobs_text = jobs.to_string();
        let all = ["--clean", "--yes", "--jobs", &jobs_text];
        let mut child = process::stuck(&product, &server, "copy", &all);
        // Each holds a table that waits, and there are more of those than jobs.
        process::until("all of them load", || sessions(&server).0 == jobs);
        let (loading, all) = sessions(&server);
        assert_eq!(loading, jobs);
        // One more looks after them.
        assert!(all <= jobs + 1, "{all} sessions with {jobs} jobs");
        lock.release(&server, "copy");
        // While they run on, there are never more.
        while child.try_wait().unwrap().is_none() {
            let (loading, all) = sessions(&server);
            assert!(loading <= jobs && all <= jobs + 2, "{loading} of {all} with {jobs} jobs");
        }
        let ended = child.wait().unwrap();
        assert!(ended.success(), "{}", process::rest(&mut child));
    }
}

#[test]
fn progress_moves_from_the_first_byte_to_the_last_row() {
    let server = Server::start(15);
    let (product, backup) = many(&server);
    server.create_database("copy");
    let lock = Lock::hold(&server, "copy");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let running = {
        let (progress, manifest) = (progress.clone(), backup.manifest.clone());
        let target = ConnectionUrl::parse(&server.url("copy").into()).unwrap();
        let client_dirs = vec![server.bin_dir().to_owned()];
        let folder = product.store_dir();
        runtime.spawn(async move {
            let store = Arc::new(LocalStore::open(&folder).await.unwrap());
            let options = Options { jobs: 2, ..Options::default() };
            let (source, newest) = (restore::Live::Unnamed, None);
            let request = Request {
                stored: Stored::new(store, manifest),
                damage: None,
                target,
                source,
                others: Vec::new(),
                newest,
                client_dirs,
                options,
                alone: true,
            };
            let prepared = restore::prepare(request).await.unwrap();
            Box::pin(restore::run(prepared, &progress, &cancel)).await.unwrap()
        })
    };
    process::until("both load", || sessions(&server).0 == 2);
    let stuck = progress.report();
    let Manifest { tables, rows, .. } = &backup.manifest;
    let bytes: u64 = tables.iter().flat_map(|table| &table.members).map(|m| m.length).sum();
    assert_eq!((stuck.stage, stuck.total), (RestoreStage::Data, bytes));
    assert!(stuck.done < bytes && stuck.rows < *rows, "{stuck:?}");
    lock.release(&server, "copy");
    // It never goes back, and no stage does more than there is to do.
    let mut before = stuck;
    while !running.is_finished() {
        let now = progress.report();
        assert!(now.stage as u8 >= before.stage as u8 && now.rows >= before.rows, "{now:?}");
        assert!(now.stage != before.stage || now.done >= before.done, "{before:?} {now:?}");
        before = now;
        std::thread::yield_now();
    }
    let report = runtime.block_on(running).unwrap();
    let end = progress.report();
    assert!(report.is_whole() && report.proven, "{report:?}");
    assert_eq!((end.rows, end.tables), (*rows, tables.len() as u64));
    assert_eq!((end.stage, end.done, end.total), (RestoreStage::Proof, 6, 6));
}

/// What cannot be loaded anyway is not dropped for it.
#[test]
fn a_target_without_room_for_the_sessions_loses_nothing() {
    let options = crate::support::postgres::ServerOptions { tcp: true, ..Default::default() };
    let server = Server::start_with(15, options);
    super::shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    server.psql(
        "copy",
        "create role keeper login password 'hunter2'; grant create on database copy to keeper;
         grant all on schema public to keeper",
    );
    let product = product.set("TARGET", server.tcp_url("copy", "keeper", "hunter2"));
    let to = ["restore", "--to", "env:TARGET"];
    let output = product.run(&[&to[..], &["--jobs", "2"]].concat());
    assert!(output.status.success(), "{}", super::said(&output));
    server.psql("copy", "alter role keeper connection limit 3");
    let before = server.dump_plain("copy");
    let output = product.run(&[&to[..], &["--jobs", "6", "--clean", "--yes"]].concat());
    let said = super::said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("too many connections") && said.contains("nothing was touched"),
        "{said}"
    );
    crate::support::postgres::assert_same_dump(&before, &server.dump_plain("copy"));
}
