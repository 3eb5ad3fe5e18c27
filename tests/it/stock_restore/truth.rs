//! What a manifest says, against the archive and the source.

use std::{fs, io::Read};

use flate2::bufread::GzDecoder;
use memchr::memchr_iter;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use reliquary::archive::{
    Manifest, comment,
    manifest::{Member, Table},
};
use rstest::rstest;
use sha2::{Digest, Sha256};

use super::nasty;
use crate::support::{
    postgres::{Run, Server},
    product::{Backup, Product, contents, identifier},
    tools::command,
};

#[rstest]
fn the_manifest_tells_the_truth(#[values(15, 16, 18)] major: u32) {
    let server = nasty(major, major == 15);
    let product = Product::of(&server, "nasty");
    let backup = product.backup(&[]);
    let archive = fs::read(&backup.archive).unwrap();
    let texts = the_members_are_the_archive(&backup, &archive);
    the_hash_is_the_same_everywhere(&product, &backup, &archive);
    the_rows_are_those_of_the_source(&server, &backup.manifest);
    data_members_are_complete_statements(&server, &backup.manifest, &texts);
    each_table_can_be_restored_alone(&server, &backup.manifest, &texts);
    nothing_leads_to_the_source(&server, &backup);
}

/// The text of each member, by its place in the archive.
type Texts = Vec<(Member, Vec<u8>)>;

fn text_of(texts: &Texts, member: Member) -> &[u8] {
    &texts.iter().find(|(found, _)| *found == member).unwrap().1
}

fn the_members_are_the_archive(backup: &Backup, archive: &[u8]) -> Texts {
    let manifest = &backup.manifest;
    let mut texts = Texts::new();
    let mut end = 0;
    for member in manifest.members() {
        assert_eq!(member.offset, end, "a gap or an overlap");
        end += member.length;
        let start = usize::try_from(member.offset).unwrap();
        let bytes = &archive[start..usize::try_from(end).unwrap()];
        let mut decoder = GzDecoder::new(bytes);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "bytes after the member at {start}");
        assert_eq!(text.len() as u64, member.uncompressed);
        texts.push((member, text));
    }
    assert_eq!(end, archive.len() as u64);
    assert_eq!(end, manifest.archive.bytes);
    // Pre-data, data, post-data: in this order.
    let sections = &manifest.sections;
    let first_data = manifest.tables.iter().flat_map(|table| &table.members).map(|m| m.offset);
    let (first_data, last_data) = (first_data.clone().min().unwrap(), first_data.max().unwrap());
    assert_eq!(sections.pre_data[0].offset, 0);
    assert!(sections.pre_data.iter().all(|member| member.offset < first_data));
    assert!(sections.post_data.iter().all(|member| member.offset > last_data));
    assert!(!sections.data.is_empty() && !sections.post_data.is_empty());

    // Another program reads the whole as one.
    let whole = command("gunzip").arg("-c").arg(&backup.archive).bytes_of(b"");
    assert_eq!(whole.len() as u64, manifest.archive.uncompressed_bytes);
    let joined = texts.iter().map(|(_, text)| text.as_slice()).collect::<Vec<_>>().concat();
    assert!(whole == joined, "the members are not the archive");
    assert_eq!(comment(archive), Some(format!("reliquary/1 {}", backup.id).as_str()));
    // Only the first member's header has it.
    assert!(texts[1..].iter().all(|(member, _)| {
        let start = usize::try_from(member.offset).unwrap();
        comment(&archive[start..]).is_none()
    }));
    texts
}

fn the_hash_is_the_same_everywhere(product: &Product, backup: &Backup, archive: &[u8]) {
    let sha256: String = Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect();
    let (file, store) = (backup.file(), product.store_dir());
    assert_eq!(backup.manifest.archive.sha256, sha256);
    let line = format!("{sha256}  {file}\n");
    let read = |path| fs::read_to_string(path).unwrap();
    assert_eq!(read(backup.dir().join(format!("{file}.sha256"))), line);
    assert_eq!(read(store.join("database/LATEST.sha256")), line);
    let uri = format!("file://{}", backup.archive.canonicalize().unwrap().display());
    let latest = format!("{}\n{uri}\n{sha256}\n", backup.id);
    assert_eq!(read(store.join("database/LATEST.txt")), latest);
    assert!(backup.archive.ends_with(&backup.manifest.archive.key));
    let (year, month) = (&backup.id[..4], &backup.id[5..7]);
    assert_eq!(backup.manifest.archive.key, format!("database/{year}/{month}/{file}"));
}

fn the_rows_are_those_of_the_source(server: &Server, manifest: &Manifest) {
    let counted = contents(server, "nasty", manifest);
    for (table, counted) in manifest.tables.iter().zip(counted) {
        let rows = counted.split(' ').next().unwrap();
        assert_eq!(rows, table.rows.to_string(), "{:?}", table.name);
    }
    assert_eq!(manifest.rows, manifest.tables.iter().map(|table| table.rows).sum::<u64>());
    assert!(manifest.rows > 200_000);
    // All that the catalog says has rows of its own, and nothing else.
    let tables = server.psql(
        "nasty",
        "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
         where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema'",
    );
    assert_eq!(tables.trim(), manifest.tables.len().to_string());
}

fn data_members_are_complete_statements(server: &Server, manifest: &Manifest, texts: &Texts) {
    for (table, header) in manifest.tables.iter().zip(headers(server, manifest)) {
        assert!(!table.members.is_empty());
        let (mut rows, mut bytes) = (0, 0);
        for &member in &table.members {
            let text = std::str::from_utf8(text_of(texts, member)).unwrap();
            let (before, rest) = text.split_once(&header).unwrap_or_else(|| {
                panic!("no {header:?} in {:?}", text.chars().take(300).collect::<String>())
            });
            assert!(is_comment(before), "{before:?}");
            let data = rest.strip_suffix("\\.\n").expect("an end of data");
            assert!(data.is_empty() || data.ends_with('\n'), "a row is cut");
            assert!(!data.starts_with("\\.\n") && !data.contains("\n\\.\n"));
            let found = memchr_iter(b'\n', data.as_bytes()).count() as u64;
            assert_eq!(found, member.rows);
            // As many tabs as all rows together must have.
            let tabs = memchr_iter(b'\t', data.as_bytes()).count() as u64;
            let columns = table.columns.len() as u64;
            assert_eq!(tabs, found * columns.saturating_sub(1), "{:?}", table.name);
            (rows, bytes) = (rows + found, bytes + member.uncompressed);
        }
        assert_eq!((rows, bytes), (table.rows, table.bytes), "{:?}", table.name);
    }
    let many = manifest.tables.iter().find(|table| table.name == "many_rows").unwrap();
    assert!(many.members.len() > 2, "{many:?}");
    let large = manifest.tables.iter().find(|table| table.name == "one_large_row").unwrap();
    assert!(large.members.iter().any(|member| member.uncompressed > 40_000_000), "{large:?}");
}

/// `COPY schema.table (columns) FROM stdin;`, as the server quotes names.
fn headers(server: &Server, manifest: &Manifest) -> Vec<String> {
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let queries: Vec<String> = manifest
        .tables
        .iter()
        .map(|table| {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| format!("quote_ident({})", literal(column)))
                .collect();
            let columns = if columns.is_empty() {
                "''".to_owned()
            } else {
                format!("'(' || {} || ')'", columns.join(" || ', ' || "))
            };
            format!(
                "select encode(convert_to(format('COPY %I.%I %s FROM stdin;', {}, {}, {columns}), \
                 'UTF8'), 'hex');\n",
                literal(&table.schema),
                literal(&table.name)
            )
        })
        .collect();
    // Hexadecimal, since some of them have several lines.
    let answers = server.psql("nasty", &queries.concat());
    answers.lines().map(|line| from_hex(line) + "\n").collect()
}

fn from_hex(line: &str) -> String {
    let bytes = (0..line.len()).step_by(2);
    let bytes = bytes.map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

fn is_comment(text: &str) -> bool {
    text.lines().all(|line| line.is_empty() || line.starts_with("--"))
}

/// Only a table's own members, in any order, on top of the definitions.
fn each_table_can_be_restored_alone(server: &Server, manifest: &Manifest, texts: &Texts) {
    server.create_database("alone");
    let run = |sql: &[u8]| {
        server.psql_command("alone").arg("-f-").bytes_of(sql);
    };
    let pre_data = &manifest.sections.pre_data;
    run(&joined(texts, pre_data));
    // The same order each time, so that a failure can be repeated.
    let mut random = StdRng::seed_from_u64(2);
    let mut tables: Vec<&Table> = manifest.tables.iter().collect();
    tables.shuffle(&mut random);
    for table in tables {
        let mut members = table.members.clone();
        members.shuffle(&mut random);
        run(&joined(texts, &members));
    }
    let (source, alone) =
        (contents(server, "nasty", manifest), contents(server, "alone", manifest));
    for ((table, source), alone) in manifest.tables.iter().zip(source).zip(alone) {
        assert_eq!(source, alone, "{}", identifier(&table.name));
    }
}

fn joined(texts: &Texts, members: &[Member]) -> Vec<u8> {
    members.iter().map(|member| text_of(texts, *member)).collect::<Vec<_>>().concat()
}

fn nothing_leads_to_the_source(server: &Server, backup: &Backup) {
    let text = &backup.manifest_text;
    let url = server.url("nasty");
    let socket = url.split("host=").nth(1).and_then(|rest| rest.split('&').next()).unwrap();
    let socket = socket.replace("%2F", "/");
    assert!(socket.starts_with('/'), "{url}");
    assert!(!text.contains(&socket), "the source's place");
    for word in ["\"host\"", "\"user\"", "\"password\"", "postgres://", "postgresql://"] {
        // A column may be called user, but no key is.
        assert!(!text.contains(&format!("{word}:")), "{word}");
    }
    assert_eq!(backup.manifest.source.database, "nasty");
}
