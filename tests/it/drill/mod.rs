//! Restore drills: a backup is restored into a throwaway cluster, compared, and
//! the cluster is gone.

mod failures;
mod faults;
mod hostile;
mod killed;
mod passes;
mod rows;
mod stages;
mod target;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Output,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{postgres::Server, product::Product};

/// A folder for sandboxes that their account can walk into.
fn room() -> TempDir {
    let room = TempDir::new().unwrap();
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o711)).unwrap();
    room
}

impl Product {
    /// Puts sandboxes into a folder.
    fn drills_in(self, room: &TempDir) -> Self {
        self.set("RELIQUARY__DRILL__DIR", room.path().display().to_string())
    }

    /// Writes a settings file.
    fn configured(self, text: &str) -> Self {
        fs::create_dir_all(self.dir().join("config")).unwrap();
        fs::write(self.dir().join("config/reliquary.toml"), text).unwrap();
        self
    }

    /// Drills, with this exit code; returns the record.
    fn drill(&self, exit: i32, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json", "drill"], arguments].concat());
        assert_eq!(output.status.code(), Some(exit), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Puts a legacy archive into the store; returns its path.
    fn legacy(&self, id: &str, sql: &str) -> PathBuf {
        let path =
            self.store_dir().join(format!("database/{}/{}/{id}.sql.gz", &id[..4], &id[5..7]));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(sql.as_bytes()).unwrap();
        fs::write(&path, packed.finish().unwrap()).unwrap();
        path
    }
}

/// A dump as `pg_dump` frames it.
fn dump(sql: &str) -> String {
    format!(
        "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.4\n\n\
         SET client_encoding = 'UTF8';\n\n{sql}\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    )
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A small database with what usually hangs on one.
fn shop(server: &Server) {
    server.create_database("shop");
    server.psql(
        "shop",
        "create table church (id serial primary key, name text unique);
         create table gift (id bigint generated always as identity primary key,
                            church int not null references church, cents int check (cents > 0),
                            given timestamptz not null default now());
         create index on gift (church);
         insert into church (name) select 'church ' || i from generate_series(1, 50) i;
         insert into gift (church, cents) select 1 + i % 50, i from generate_series(1, 5000) i;",
    );
}

/// An installation that drills in a folder of its own, with one backup of the shop.
fn backed_up() -> (Server, TempDir, Product, crate::support::product::Backup) {
    let server = Server::start(15);
    shop(&server);
    let room = room();
    let product = Product::of(&server, "shop").drills_in(&room);
    let backup = product.backup(&[]);
    (server, room, product, backup)
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}
