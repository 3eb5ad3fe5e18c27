//! One damaged backup and no other: everything of it that can be read comes back.

use std::{fs, path::PathBuf};

use super::{fails, only, restore, restored, said};
use crate::support::{
    postgres::{Run as _, Server, assert_same_dump},
    product::{Backup, Product, contents},
};

/// A backup with a table of several members, between two others.
struct Bench {
    server: Server,
    product: Product,
    backup: Backup,
    good: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let server = Server::start(15);
        server.create_database("shop");
        server.psql(
            "shop",
            "create table church (id serial primary key, name text);
             create table donor (id int primary key, name text);
             create table donation (id int primary key, donor int references donor, note text);
             create table receipt (id int primary key, donation int references donation);
             insert into church (name) select 'church ' || i from generate_series(1, 50) i;
             insert into donor select i, 'donor ' || i from generate_series(1, 500) i;
             insert into donation select i, 1 + i % 500, md5(i::text) || md5('x' || i)
               from generate_series(1, 20000) i;
             insert into receipt select i, i from generate_series(1, 100) i;",
        );
        let product = Product::of(&server, "shop").set("RELIQUARY__ARCHIVE__MEMBER_SIZE", "64KiB");
        let backup = product.backup(&[]);
        server.create_database("copy");
        let good = fs::read(&backup.archive).unwrap();
        Self { server, product, backup, good }
    }

    /// Changes the archive and lets verify find it.
    fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.good.clone();
        change(&mut bytes);
        fs::write(&self.backup.archive, bytes).unwrap();
        let output = self.product.run(&["verify", &self.backup.id]);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    }

    /// Flips a bit of the third member of donations.
    fn flip(&self) -> u64 {
        let table = self.table("donation");
        assert!(table.members.len() > 4, "{}", table.members.len());
        let member = table.members[2];
        self.damage(|bytes| {
            bytes[usize::try_from(member.offset + member.length / 2).unwrap()] ^= 1;
        });
        member.offset
    }

    fn table(&self, name: &str) -> &reliquary::archive::manifest::Table {
        self.backup.manifest.tables.iter().find(|table| table.name == name).unwrap()
    }

    fn is(&self, sql: &str) -> String {
        self.server.psql("copy", sql).trim().to_owned()
    }

    fn same(&self, table: &str) -> bool {
        let one = only(&self.backup.manifest, self.table(table));
        contents(&self.server, "shop", &one) == contents(&self.server, "copy", &one)
    }

    /// An empty database again.
    fn fresh(&self) {
        self.server.psql("postgres", "drop database copy");
        self.server.create_database("copy");
    }
}

#[test]
fn what_is_damaged_is_refused_with_the_flag_that_takes_it() {
    let bench = Bench::new();
    bench.flip();
    let id = &*bench.backup.id;
    for arguments in [&[][..], &[id], &[id, "--table", "public.donor"]] {
        let text = fails(&bench.product, &bench.server, "copy", arguments);
        assert!(text.contains(&format!("restore {id} --to URL --damaged")), "{text}");
    }
    let output = bench.product.run(&["fetch", id]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("`reliquary fetch {id} --damaged`")), "{text}");
}

#[test]
fn every_table_that_can_be_read_comes_back_and_is_proven() {
    let bench = Bench::new();
    let offset = bench.flip();
    let id = &*bench.backup.id;
    let report = restored(
        &bench.product,
        &bench.server,
        "copy",
        &[id, "--damaged", "--table", "public.donor", "--table", "public.church"],
    );
    assert_eq!((&report["proven"], &report["rows_compared"]), (&true.into(), &550.into()));
    assert!(bench.same("donor") && bench.same("church"));
    assert_eq!(bench.is("select nextval('church_id_seq')"), "51");

    // The damaged one is named with its member, and nothing is touched.
    let one = [id, "--damaged", "--table", "public.donation"];
    let text = fails(&bench.product, &bench.server, "copy", &one);
    for part in [
        "nothing was touched".to_owned(),
        "rows of public.donation cannot be restored: member ".to_owned(),
        format!("at byte {offset} of the archive, is damaged"),
        "--to -".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert_eq!(bench.is("select to_regclass('donation') is null"), "t");
}

#[test]
fn a_whole_one_comes_back_but_for_what_is_damaged_and_says_so() {
    let bench = Bench::new();
    bench.flip();
    let id = &*bench.backup.id;
    let lost = [
        "20000 rows of public.donation: member",
        "foreign key receipt_donation_fkey of public.receipt: the rows of public.donation that it \
         points at do not come",
    ];
    let planned = restore(&bench.product, &bench.server, "copy", &[id, "--damaged", "--dry-run"]);
    let text = said(&planned);
    assert_eq!(planned.status.code(), Some(1), "{text}");
    assert!(text.contains("loses      2 things of the source"), "{text}");
    for part in lost {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = fails(&bench.product, &bench.server, "copy", &[id, "--damaged"]);
    for part in lost.into_iter().chain(["NOT whole: 2 things"]) {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("stopped"), "{text}");
    assert!(bench.same("donor") && bench.same("church") && bench.same("receipt"));
    assert_eq!(bench.is("select count(*) from donation"), "0");
    assert_eq!(bench.is("select count(*) from pg_constraint where contype = 'f'"), "1");

    // Nobody's rows go for an archive that cannot bring them back.
    bench.server.psql("copy", "insert into donation values (1, 1, 'precious')");
    let text = fails(&bench.product, &bench.server, "copy", &[id, "--damaged", "--clean", "--yes"]);
    assert!(text.contains("--clean would remove the rows that public.donation has"), "{text}");
    assert_eq!(bench.is("select count(*) from donation"), "1");
}

/// As SQL for a person to look at, all but the damaged member is there.
#[test]
fn sql_has_a_comment_in_the_place_of_what_cannot_be_read() {
    let bench = Bench::new();
    bench.flip();
    let id = &*bench.backup.id;
    for part in [&["--table", "public.donation"][..], &[]] {
        bench.fresh();
        let output =
            bench.product.run(&[&["restore", id, "--to", "-", "--damaged"], part].concat());
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let bad = bench.table("donation").members[2];
        let named = format!("not written: {} rows of public.donation: member", bad.rows);
        assert!(text.contains(&named), "{text}");
        let sql = String::from_utf8(output.stdout).unwrap();
        assert!(sql.contains(&format!("-- left out: {} rows: member", bad.rows)));
        // What points at missing rows cannot hold; the rest does.
        let sql: String =
            sql.split_inclusive(";\n").filter(|s| !s.contains("FOREIGN KEY (donation)")).collect();
        bench.server.psql_command("copy").arg("-f-").bytes_of(sql.as_bytes());
        let rows: u64 = bench.is("select count(*) from donation").parse().unwrap();
        assert_eq!(rows, 20000 - bad.rows);
    }
}

/// Where an archive was cut short, its end is missing, with all indexes and keys.
#[test]
fn an_archive_that_was_cut_short_gives_the_tables_before_its_end() {
    let bench = Bench::new();
    let end = usize::try_from(bench.table("donation").members[1].offset).unwrap();
    bench.damage(|bytes| bytes.truncate(end));
    let id = &*bench.backup.id;
    let text = fails(&bench.product, &bench.server, "copy", &[id, "--damaged"]);
    for part in [
        "definitions of section post-data cannot be read",
        "add --section pre-data --section data",
        &format!("the archive ends before its end, at byte {end}"),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let sections = [id, "--damaged", "--section", "pre-data", "--section", "data"];
    let text = fails(&bench.product, &bench.server, "copy", &sections);
    assert!(
        text.contains("rows of public.donation: member") && text.contains("data loss"),
        "{text}"
    );
    assert!(bench.same("church"));
    assert_eq!(bench.is("select count(*) from donation"), "0");
}

/// A manifest that nobody can read takes nothing along: the archive is a plain
/// stream, and its checksum file proves it.
#[test]
fn without_a_manifest_of_use_the_archive_is_one_stream() {
    let bench = Bench::new();
    let id = &*bench.backup.id;
    let manifest: PathBuf = bench.backup.dir().join(format!("{id}.manifest.json"));
    fs::write(&manifest, "{ \"format\": ").unwrap();
    assert_eq!(bench.product.run(&["verify", id]).status.code(), Some(3));
    let output = restore(&bench.product, &bench.server, "copy", &[id, "--damaged"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("read as one stream"), "{text}");
    assert_same_dump(&bench.server.dump_plain("shop"), &bench.server.dump_plain("copy"));
}

#[test]
fn a_damaged_archive_is_fetched_under_a_name_that_says_so() {
    let bench = Bench::new();
    bench.flip();
    let id = &*bench.backup.id;
    let output = bench.product.run(&["--json", "fetch", id, "--damaged"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("THIS ARCHIVE IS DAMAGED"), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["damaged"], true, "{report}");
    assert_eq!(report["sha256_stored"], bench.backup.manifest.archive.sha256.as_str());
    let file = bench.product.dir().join(format!("{id}.damaged.sql.gz"));
    assert_eq!(fs::read(&file).unwrap(), fs::read(&bench.backup.archive).unwrap());
    let sums = bench.product.dir().join(format!("{id}.damaged.sql.gz.sha256"));
    let sum = fs::read_to_string(sums).unwrap();
    assert_eq!(sum, format!("{}  {id}.damaged.sql.gz\n", report["sha256"].as_str().unwrap()));
    // What is mended meanwhile is what it was.
    fs::write(&bench.backup.archive, &bench.good).unwrap();
    let output = bench.product.run(&["fetch", id, "--damaged", "--force"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
