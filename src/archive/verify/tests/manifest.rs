//! Manifests that were changed, and texts that are not what they say.

use super::*;

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
