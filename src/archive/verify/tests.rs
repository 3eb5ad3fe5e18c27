use std::convert::Infallible;

use async_trait::async_trait;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    archive::{
        PartSink,
        checksum::hex,
        gzip::MemberWriter,
        manifest::{Member, Sections, Table},
        pack, read_section, write,
    },
    postgres::Section,
};

const MEMBER: usize = 64 * 1024;
const END: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";

/// An archive and its manifest.
#[derive(Clone)]
struct Backup {
    manifest: Manifest,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Sink(Vec<u8>);

#[async_trait]
impl PartSink for Sink {
    type Error = Infallible;

    async fn part(&mut self, bytes: Bytes, _: bool) -> Result<(), Infallible> {
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

/// What the pipeline of a backup makes of three sections.
async fn made_of(sections: [String; 3]) -> Backup {
    let text = include_bytes!("../../../tests/fixtures/manifests/0.1.0.json");
    let mut manifest = Manifest::parse(text).unwrap();
    let (mut feeder, members) = pack(2, MEMBER, mark(&manifest.id));
    let reading = tokio::task::spawn_blocking(move || {
        for (section, text) in Section::ALL.into_iter().zip(sections) {
            read_section(text.as_bytes(), section, MEMBER, &mut feeder, |_| {}).unwrap();
        }
    });
    let mut sink = Sink::default();
    let Ok(written) = write(members, 5 << 20, &mut sink, |_, _| {}).await else {
        panic!("the sink takes everything");
    };
    reading.await.unwrap();
    manifest.archive.bytes = written.bytes;
    manifest.archive.sha256 = written.sha256;
    manifest.archive.uncompressed_bytes = written.index.uncompressed_bytes;
    manifest.rows = written.index.rows;
    manifest.tables = written.index.tables;
    manifest.sections = written.index.sections;
    Backup { manifest, bytes: sink.0 }
}

fn table(name: &str, rows: u64) -> String {
    let rows: String = (0..rows).map(|i| format!("{i}\tdonor {}\n", i * 7919 % 1000)).collect();
    format!("COPY public.{name} (id, name) FROM stdin;\n{rows}\\.\n\n")
}

fn sections() -> [String; 3] {
    let data = table("church", 50) + &table("donation", 80_000) + &table("none", 0);
    [
        format!("CREATE TABLE church ();\n{END}"),
        format!("{data}SELECT pg_catalog.setval('s', 3);\n{END}"),
        format!("CREATE INDEX ON donation (id);\n{END}"),
    ]
}

async fn backup() -> Backup {
    made_of(sections()).await
}

/// The same for tests that are not asynchronous.
fn backup_now() -> Backup {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(backup())
}

async fn pass(backup: &Backup, threads: usize, piece: usize) -> Report {
    let mut verifier = Verifier::of_backup(Arc::new(backup.manifest.clone()), threads);
    for piece in backup.bytes.chunks(piece) {
        verifier.push(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    verifier.finish().await.unwrap()
}

/// What is found, whoever reads and however the bytes come.
async fn findings(backup: &Backup) -> Vec<Finding> {
    let found = pass(backup, 2, usize::MAX).await.findings;
    assert_eq!(pass(backup, 1, 1013).await.findings, found);
    found
}

impl Backup {
    fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    /// The archive's own hash and what the manifest says of it.
    fn differs(&self) -> Finding {
        Finding::Sha256 { expected: self.manifest.archive.sha256.clone(), found: self.sha256() }
    }

    fn resized(&self) -> Finding {
        Finding::Size { expected: self.manifest.archive.bytes, found: self.bytes.len() as u64 }
    }

    /// The member of a number, and what it holds.
    fn place(&self, number: usize) -> (Member, String) {
        let map = Map::of(&self.manifest).unwrap();
        let place = map.places()[number - 1];
        (place.member, place.content(&self.manifest.tables))
    }

    fn member(&self, number: usize, problem: Problem) -> Finding {
        let (Member { offset, length, .. }, holds) = self.place(number);
        Finding::Member { number, holds, offset, length, problem }
    }

    fn flipped(&self, byte: u64) -> Self {
        let mut damaged = self.clone();
        damaged.bytes[usize::try_from(byte).unwrap()] ^= 1;
        damaged
    }

    fn cut(&self, length: u64) -> Self {
        let mut damaged = self.clone();
        damaged.bytes.truncate(usize::try_from(length).unwrap());
        damaged
    }

    /// Makes the manifest one of these bytes, whatever they are.
    fn committed(mut self) -> Self {
        self.manifest.archive.sha256 = self.sha256();
        self.manifest.archive.bytes = self.bytes.len() as u64;
        self
    }
}

fn gzip(detail: &str) -> Problem {
    Problem::Gzip { detail: detail.to_owned() }
}

#[tokio::test]
async fn a_whole_archive_has_nothing_wrong_with_it() {
    let backup = backup().await;
    let manifest = &backup.manifest;
    let members = manifest.members().len() as u64;
    assert!(members > 8, "{members}");
    let expected = Report {
        archive_bytes: backup.bytes.len() as u64,
        sha256: manifest.archive.sha256.clone(),
        dump_bytes: manifest.archive.uncompressed_bytes,
        members,
        rows: Some(80_050),
        findings: vec![],
        remarks: vec![],
    };
    for (threads, piece) in [(1, 1000), (1, usize::MAX), (3, 100), (4, 70_000)] {
        assert_eq!(pass(&backup, threads, piece).await, expected);
    }
}

#[tokio::test]
async fn one_flipped_bit_names_its_member_wherever_it_is() {
    let backup = backup().await;
    let (Member { offset, length, .. }, holds) = backup.place(5);
    assert_eq!(holds, "rows of public.donation");
    let end = offset + length;
    // The header's magic: no member. Its time: nothing but the hash knows.
    let damaged = backup.flipped(offset);
    let header = damaged.member(5, gzip("it does not begin with a gzip header"));
    assert_eq!(findings(&damaged).await, [damaged.differs(), header]);
    let damaged = backup.flipped(offset + 5);
    let expected = [damaged.differs(), damaged.member(5, Problem::Header)];
    assert_eq!(findings(&damaged).await, expected);
    // Compressed text.
    let damaged = backup.flipped(offset + length / 2);
    let found = findings(&damaged).await;
    assert_eq!((found.len(), &found[0]), (2, &damaged.differs()));
    assert!(matches!(&found[1], Finding::Member { number: 5, problem: Problem::Gzip { .. }, .. }));
    // CRC and length at the member's end.
    for (byte, what) in [(end - 8, "the CRC-32"), (end - 4, "bytes, and its end says")] {
        let damaged = backup.flipped(byte);
        let found = findings(&damaged).await;
        assert_eq!((found.len(), &found[0]), (2, &damaged.differs()));
        let Finding::Member { number: 5, problem: Problem::Gzip { detail }, .. } = &found[1] else {
            panic!("{found:?}");
        };
        assert!(detail.contains(what), "{detail}");
    }
}

#[tokio::test]
async fn damage_in_several_places_is_all_named() {
    let backup = backup().await;
    let last = backup.manifest.members().len();
    let mut damaged = backup.clone();
    for number in [2, 4, last] {
        damaged = damaged.flipped(damaged.place(number).0.offset);
    }
    let header = |number| damaged.member(number, gzip("it does not begin with a gzip header"));
    assert_eq!(findings(&damaged).await, [damaged.differs(), header(2), header(4), header(last)]);
}

#[tokio::test]
async fn an_archive_cut_at_a_members_edge_or_inside_one_says_what_is_gone() {
    let backup = backup().await;
    let last = backup.manifest.members().len();
    let (member, holds) = backup.place(5);
    let missing = |first, holds, offset| Finding::MembersMissing { first, last, holds, offset };

    let edge = backup.cut(member.offset);
    let gone = missing(5, holds, member.offset);
    assert_eq!(findings(&edge).await, [edge.resized(), edge.differs(), gone]);

    let inside = backup.cut(member.offset + 100);
    let cut = inside.member(5, gzip("it is cut short, after 100 bytes"));
    let (next, holds) = backup.place(6);
    let gone = missing(6, holds, next.offset);
    assert_eq!(findings(&inside).await, [inside.resized(), inside.differs(), cut, gone]);

    let nothing = backup.cut(0);
    let mark = Finding::Mark { expected: mark(&backup.manifest.id), found: None };
    let gone = missing(1, "statements of pre-data".to_owned(), 0);
    assert_eq!(findings(&nothing).await, [nothing.resized(), nothing.differs(), mark, gone]);
}

#[tokio::test]
async fn bytes_after_the_end_are_counted() {
    let mut damaged = backup().await;
    damaged.bytes.extend_from_slice(b"garbage");
    assert_eq!(findings(&damaged).await, [damaged.resized(), damaged.differs()]);
}

#[tokio::test]
async fn another_archive_in_its_place_gives_its_name() {
    let backup = backup().await;
    let mut other = backup.clone();
    other.manifest.id = "2026-11-23T15-00-00Z".to_owned();
    let found = findings(&other).await;
    let expected = "reliquary/1 2026-11-23T15-00-00Z".to_owned();
    let name = Some(mark(&backup.manifest.id));
    assert_eq!(found, [Finding::Mark { expected, found: name }]);

    let mut foreign = backup.clone();
    foreign.bytes = b"<html>access denied</html>".to_vec();
    let mark = Finding::Mark { expected: mark(&backup.manifest.id), found: None };
    let found = findings(&foreign).await;
    assert_eq!(found[..3], [foreign.resized(), foreign.differs(), mark]);
}

#[tokio::test]
async fn an_edited_manifest_is_told_from_a_damaged_archive() {
    let backup = backup().await;
    let edited = async |change: fn(&mut Manifest)| {
        let mut edited = backup.clone();
        change(&mut edited.manifest);
        findings(&edited).await
    };
    let rows = edited(|manifest| manifest.tables[1].rows += 1).await;
    let what = "rows of public.donation".to_owned();
    let of_table = Finding::ManifestSum { what, expected: 80_000, found: 80_001 };
    let of_all = Finding::ManifestSum { what: "rows".into(), expected: 80_051, found: 80_050 };
    assert_eq!(rows, [of_table, of_all]);

    let everywhere = edited(|manifest| {
        manifest.rows += 1;
        manifest.tables[1].rows += 1;
        manifest.tables[1].members[0].rows += 1;
    });
    let counted = backup.manifest.tables[1].members[0].rows;
    let problem = Problem::Rows { expected: counted + 1, found: counted };
    let number = 1 + backup.manifest.tables[0].members.len() + 1;
    assert_eq!(everywhere.await, [backup.member(number, problem)]);

    let sha256 = edited(|manifest| manifest.archive.sha256 = "0".repeat(64)).await;
    let found = backup.sha256();
    assert_eq!(sha256[0], Finding::Sha256 { expected: "0".repeat(64), found });
    assert_eq!(sha256.len(), 1);

    let size = edited(|manifest| manifest.archive.bytes += 5).await;
    let (found, expected) = (backup.bytes.len() as u64, backup.bytes.len() as u64 + 5);
    let detail = format!(
        "by the manifest, the bytes {found} to {expected} of the archive belong to no member"
    );
    assert_eq!(size, [Finding::ManifestMembers { detail }, Finding::Size { expected, found }]);

    let columns = edited(|manifest| manifest.tables[0].columns.swap(0, 1)).await;
    let problem = Problem::Copy {
        expected: "rows of public.church (name, id)".to_owned(),
        found: "rows of public.church (id, name)".to_owned(),
    };
    assert_eq!(columns, [backup.member(2, problem)]);

    let length = edited(|manifest| {
        manifest.tables[0].members[0].uncompressed += 1;
        manifest.tables[0].bytes += 1;
        manifest.archive.uncompressed_bytes += 1;
    });
    let expected = backup.manifest.tables[0].bytes + 1;
    let problem = Problem::TextLength { expected, found: expected - 1 };
    assert_eq!(length.await, [backup.member(2, problem)]);
}

#[tokio::test]
async fn a_member_offset_that_was_edited_is_named_on_both_sides() {
    let backup = backup().await;
    let mut edited = backup.clone();
    let members = &mut edited.manifest.tables[1].members;
    members[0].length += 1;
    members[1].offset += 1;
    members[1].length -= 1;
    let number = 3;
    let long = edited.member(number, gzip("1 bytes follow its end"));
    let short = edited.member(number + 1, gzip("it does not begin with a gzip header"));
    assert_eq!(findings(&edited).await, [long, short]);
}

/// Every layer of gzip is as it should be; what is wrong is the text.
#[tokio::test]
async fn a_section_without_its_end_is_named() {
    let mut backup = backup().await;
    let mut writer = MemberWriter::new();
    writer.begin(None);
    let text = b"CREATE INDEX ON donation (id);\n";
    writer.write(text).unwrap();
    writer.finish().unwrap();
    let (last, member) = (backup.manifest.members().len(), writer.take());
    let offset = backup.place(last).0.offset;
    let was = &mut backup.manifest.sections.post_data[0];
    backup.manifest.archive.uncompressed_bytes -= was.uncompressed - text.len() as u64;
    (was.length, was.uncompressed) = (member.len() as u64, text.len() as u64);
    backup.bytes.truncate(usize::try_from(offset).unwrap());
    backup.bytes.extend_from_slice(&member);
    let backup = backup.committed();
    let section = "post-data".to_owned();
    assert_eq!(findings(&backup).await, [Finding::SectionEnd { section }]);
}

/// Whatever the size at which members are cut, the closing line is found.
#[tokio::test]
async fn a_section_may_be_cut_anywhere_near_its_end() {
    let end = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abcdef\n\n";
    for around in (MEMBER - 120..MEMBER + 40).step_by(7) {
        let padding = "x".repeat(around);
        let [_, data, post_data] = sections();
        let backup = made_of([format!("SELECT '{padding}';\n{end}"), data, post_data]).await;
        assert_eq!(pass(&backup, 2, 10_000).await.findings, [], "{around}");
    }
}

#[tokio::test]
async fn a_row_larger_than_anybody_holds_in_memory_is_read_in_pieces() {
    let large = usize::try_from(crate::archive::unpack::WHOLE).unwrap() + 1000;
    let data = format!(
        "COPY public.blob (id, bytes) FROM stdin;\n1\ta\n2\t{}\n3\tb\n\\.\n\n{END}",
        "0123456789abcdef".repeat(large / 16)
    );
    let [pre_data, _, post_data] = sections();
    let backup = made_of([pre_data, data, post_data]).await;
    let report = pass(&backup, 2, 300_000).await;
    assert_eq!((report.rows, report.findings), (Some(3), vec![]));
    let (number, member) = (1..=backup.manifest.members().len())
        .map(|number| (number, backup.place(number).0))
        .find(|(_, member)| member.uncompressed > large as u64 / 2)
        .unwrap();
    for byte in
        [member.offset, member.offset + member.length / 2, member.offset + member.length - 6]
    {
        let damaged = backup.flipped(byte);
        let found = findings(&damaged).await;
        assert_eq!((found.len(), &found[0]), (2, &damaged.differs()));
        assert!(matches!(&found[1], Finding::Member { number: n, .. } if *n == number));
    }
    let cut = backup.cut(member.offset + 500);
    let detail = "it is cut short, after 500 bytes";
    assert!(findings(&cut).await.contains(&cut.member(number, gzip(detail))));
}

#[tokio::test]
async fn more_damage_than_is_listed_is_counted() {
    let mut backup = backup().await;
    // Two hundred tables, each a member, all of them cut off from their text.
    let mut manifest = backup.manifest.clone();
    let text = b"COPY public.t (id) FROM stdin;\n1\n\\.\n";
    let mut writer = MemberWriter::new();
    writer.begin(None);
    writer.write(text).unwrap();
    writer.finish().unwrap();
    let member = writer.take();
    let mut offset = 0;
    let mut next = |rows| {
        let length = member.len() as u64;
        let place = Member { offset, length, uncompressed: text.len() as u64, rows };
        offset += length;
        place
    };
    manifest.tables = (0..200)
        .map(|number| Table {
            schema: "public".to_owned(),
            name: format!("t{number}"),
            columns: vec!["id".to_owned()],
            rows: 1,
            bytes: text.len() as u64,
            members: vec![next(1)],
        })
        .collect();
    manifest.sections = Sections::default();
    manifest.rows = 200;
    manifest.archive.uncompressed_bytes = 200 * text.len() as u64;
    (backup.manifest, backup.bytes) = (manifest, member.repeat(200));
    let mut backup = backup.committed();
    let found = findings(&backup).await;
    assert_eq!(found.len(), FINDINGS + 1);
    assert!(matches!(found[0], Finding::Member { number: 1, problem: Problem::Copy { .. }, .. }));
    assert_eq!(found[FINDINGS], Finding::More { count: 100 });

    // What is written down of them stays small, whatever a manifest holds.
    backup.manifest.archive.sha256 = "\u{1}".repeat(1 << 20);
    for table in &mut backup.manifest.tables {
        table.name = "\u{1}".repeat(10_000);
        table.rows += 1;
    }
    let found = pass(&backup, 1, usize::MAX).await.findings;
    assert_eq!(found[FINDINGS], Finding::More { count: 101 });
    assert_eq!(found.len(), 2 * FINDINGS + 4);
    let written = serde_json::to_vec(&found).unwrap().len();
    assert!(written < 1_500_000, "{written}");
}

#[tokio::test]
async fn a_legacy_archive_is_held_against_the_hash_that_is_known() {
    let backup = backup().await;
    for (known, differs) in
        [(None, false), (Some(backup.sha256()), false), (Some("0".repeat(64)), true)]
    {
        let mut verifier = Verifier::of_legacy(known.clone());
        verifier.push(Bytes::from(backup.bytes.clone())).await.unwrap();
        let report = verifier.finish().await.unwrap();
        assert_eq!((report.rows, &report.sha256), (None, &backup.sha256()));
        let expected = known.unwrap_or_default();
        let wrong = Finding::Sha256 { expected, found: backup.sha256() };
        assert_eq!(report.findings, if differs { vec![wrong] } else { vec![] });
    }
}

#[tokio::test]
async fn a_pass_that_is_given_up_ends_its_threads() {
    let backup = backup().await;
    let manifest = Arc::new(backup.manifest);
    let mut verifier = Verifier::of_backup(Arc::clone(&manifest), 2);
    verifier.push(Bytes::from(backup.bytes)).await.unwrap();
    drop(verifier);
    // Each thread holds the manifest.
    let ended = async {
        while Arc::strong_count(&manifest) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), ended).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_single_flipped_bit_is_found(at in any::<prop::sample::Index>()) {
        static BACKUP: std::sync::LazyLock<Backup> = std::sync::LazyLock::new(backup_now);
        let mut damaged = BACKUP.clone();
        let bit = at.index(damaged.bytes.len() * 8);
        damaged.bytes[bit / 8] ^= 1 << (bit % 8);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(pass(&damaged, 2, 4096)).findings;
        prop_assert_eq!(&found[0], &damaged.differs());
        let map = Map::of(&damaged.manifest).unwrap();
        let number = map.at(bit as u64 / 8).unwrap().number;
        // A bit that carries nothing, in the last byte of a stream, has no member to blame.
        let named = found[1..].iter().filter_map(|finding| match finding {
            Finding::Member { number, .. } => Some(*number),
            _ => None,
        });
        prop_assert!(named.eq(found.get(1).map(|_| number)), "{:?}", found);
    }
}
