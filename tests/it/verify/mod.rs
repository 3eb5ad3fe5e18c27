//! Reading stored backups again: by hand, under faults, and what is made of damage.

mod chunks;
mod damage;
mod faults;
mod fetch;
mod legacy;
mod replaced;
mod several;
mod terminal;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
};

use reliquary::{
    app,
    archive::{Manifest, manifest::Kind},
    catalog::{self, Catalog, Entry, Layout},
    clock::Clock,
    jobs::Environment,
    settings::{Settings, Sources, load},
    store::{LocalStore, Store},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    postgres::Server,
    product::{Backup, Product},
};

/// Two backups in a folder, the older one under `manual/`, so that no second
/// has to pass between them.
pub(super) struct Bench {
    pub(super) product: Product,
    pub(super) older: Backup,
    pub(super) newest: Backup,
    /// The folder as it was.
    whole: TempDir,
}

impl Bench {
    /// With a table of several members.
    pub(super) fn new() -> Self {
        Self::with("")
    }

    /// With what some more SQL makes.
    pub(super) fn with(sql: &str) -> Self {
        let server = Server::start(15);
        server.create_database("app");
        server.psql(
            "app",
            "create table church (id int primary key, name text);
             create table donation (id int primary key, church int references church, cents int);
             create sequence receipts;
             insert into church select i, 'church ' || i from generate_series(1, 50) i;
             insert into donation select i, 1 + i % 50, i * 7919 % 100000
             from generate_series(1, 60000) i;",
        );
        server.psql("app", sql);
        let product = Product::of(&server, "app")
            .set("RELIQUARY__ARCHIVE__MEMBER_SIZE", "64KiB")
            .set("RELIQUARY__ARCHIVE__THREADS", "2")
            .set("RELIQUARY__HTTP__LISTEN", "127.0.0.1:1");
        let older = product.backup(&["--manual"]);
        let newest = product.backup(&[]);
        let whole = tempfile::tempdir().unwrap();
        copy(&product.store_dir(), whole.path());
        Self { product, older, newest, whole }
    }

    /// Puts the folder back as it was.
    pub(super) fn reset(&self) {
        fs::remove_dir_all(self.product.store_dir()).unwrap();
        copy(self.whole.path(), &self.product.store_dir());
    }

    /// One of the newest backup's objects: `sql.gz`, `manifest.json`.
    pub(super) fn file(&self, suffix: &str) -> PathBuf {
        self.newest.dir().join(format!("{}.{suffix}", self.newest.id))
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.product.run(arguments)
    }

    /// What a command says in JSON, and its exit code.
    pub(super) fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let output = self.run(&[&["--json"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        let document = serde_json::from_slice(&output.stdout);
        let document = document.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"));
        (document, output.status.code().unwrap())
    }

    /// The state of a backup as `list` shows it.
    pub(super) fn state(&self, id: &str) -> String {
        let (list, code) = self.json(&["list"]);
        assert_eq!(code, 0);
        let backups = list["backups"].as_array().unwrap();
        let entry = backups.iter().find(|backup| backup["id"] == id).unwrap();
        entry["state"].as_str().unwrap().to_owned()
    }

    pub(super) async fn store(&self) -> Arc<dyn Store> {
        Arc::new(LocalStore::open(self.product.store_dir()).await.unwrap())
    }

    pub(super) fn settings(&self) -> Settings {
        let env = [
            ("DIRECT_URL", "postgres://user@localhost/app".to_owned()),
            ("RELIQUARY__STORE__URL", self.product.store_url()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).into();
        let dir = self.product.dir().to_owned();
        let sources = Sources { env, dir, ..Sources::default() };
        load(&sources).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    pub(super) fn environment(&self, store: Arc<dyn Store>) -> Environment {
        app::environment(&self.settings(), store, Clock::system())
    }
}

/// The prefix where there is one database.
pub(super) fn layout() -> Layout {
    Layout::new("database/")
}

pub(super) async fn catalog(store: &dyn Store) -> Catalog {
    catalog::read(store, &layout()).await.unwrap()
}

/// The newest scheduled entry of a catalog.
pub(super) fn newest(catalog: &Catalog) -> Entry {
    let mut scheduled = catalog.entries.iter().rev().filter(|entry| entry.kind == Kind::Scheduled);
    scheduled.next().unwrap().clone()
}

/// Changes a file's bytes.
pub(super) fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Changes a manifest.
pub(super) fn edit_manifest(path: &Path, change: impl FnOnce(&mut Manifest)) {
    edit(path, |bytes| {
        let mut manifest = Manifest::parse(bytes).unwrap();
        change(&mut manifest);
        *bytes = manifest.to_bytes().unwrap();
    });
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
