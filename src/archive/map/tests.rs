use proptest::prelude::*;

use super::*;
use crate::archive::manifest::Sections;

fn member(offset: u64, length: u64, rows: u64) -> Member {
    Member { offset, length, uncompressed: 10 * length, rows }
}

fn table(name: &str, members: Vec<Member>) -> Table {
    let (rows, bytes) = (
        members.iter().map(|member| member.rows).sum(),
        members.iter().map(|member| member.uncompressed).sum(),
    );
    let (schema, columns) = ("public".to_owned(), vec!["id".to_owned()]);
    Table { schema, name: name.to_owned(), columns, rows, bytes, members }
}

/// A manifest of 600 bytes of archive: two tables, one of them of two members.
fn manifest() -> Manifest {
    let text = include_bytes!("../../../tests/fixtures/manifests/0.1.0.json");
    let mut manifest = Manifest::parse(text).unwrap();
    manifest.tables = vec![
        table("church", vec![member(100, 100, 5)]),
        table("donation", vec![member(200, 100, 7), member(300, 100, 2)]),
    ];
    manifest.sections = Sections {
        pre_data: vec![member(0, 100, 0)],
        data: vec![member(400, 100, 0)],
        post_data: vec![member(500, 100, 0)],
    };
    manifest.rows = 14;
    manifest.archive.bytes = 600;
    manifest.archive.uncompressed_bytes = 6000;
    manifest
}

#[test]
fn every_byte_has_its_member() {
    let manifest = manifest();
    let map = Map::of(&manifest).unwrap();
    let numbers: Vec<usize> = map.places().iter().map(|place| place.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    let described = |offset| map.at(offset).map(|place| place.describe(&manifest.tables));
    for (offset, what) in [
        (0, "member 1 (statements of the pre-data section)"),
        (99, "member 1 (statements of the pre-data section)"),
        (100, "member 2 (1 of public.church)"),
        (350, "member 4 (2 of public.donation)"),
        (400, "member 5 (statements of the data section)"),
        (599, "member 6 (statements of the post-data section)"),
    ] {
        assert_eq!(described(offset).as_deref(), Some(what), "{offset}");
    }
    assert_eq!(described(600), None);
}

#[test]
fn the_manifest_of_every_released_version_has_a_map() {
    let text = include_bytes!("../../../tests/fixtures/manifests/0.1.0.json");
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(Map::of(&manifest).unwrap().places().len(), manifest.members().len());
}

#[test]
fn members_that_do_not_make_an_archive_are_refused() {
    let refused = |change: fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        Map::of(&manifest).unwrap_err()
    };
    assert_eq!(
        refused(|manifest| manifest.tables[0].members[0].length -= 1),
        MapError::Gap { from: 199, to: 200 }
    );
    assert_eq!(
        refused(|manifest| manifest.tables[0].members[0].length += 1),
        MapError::Overlap { offset: 200 }
    );
    assert_eq!(
        refused(|manifest| manifest.tables[0].members[0].offset += 1),
        MapError::Gap { from: 100, to: 101 }
    );
    assert_eq!(
        refused(|manifest| manifest.archive.bytes = 700),
        MapError::Gap { from: 600, to: 700 }
    );
    assert_eq!(
        refused(|manifest| manifest.archive.bytes = 550),
        MapError::Beyond { end: 600, archive: 550 }
    );
    assert_eq!(
        refused(|manifest| manifest.sections.pre_data[0].length = u64::MAX),
        MapError::Overlap { offset: 100 }
    );
    assert_eq!(
        refused(|manifest| {
            manifest.sections.data[0].length = 99;
            manifest.sections.data.push(member(499, 1, 0));
        }),
        MapError::TooShort { offset: 499, length: 1 }
    );
    assert_eq!(
        refused(|manifest| {
            let sections = &mut manifest.sections;
            std::mem::swap(&mut sections.pre_data, &mut sections.data);
        }),
        MapError::Order { offset: 400 }
    );
    assert_eq!(
        refused(|manifest| manifest.tables[1].members.swap(0, 1)),
        MapError::Order { offset: 200 }
    );
    assert_eq!(
        refused(|manifest| {
            manifest.tables.clear();
            manifest.sections = Sections::default();
            manifest.archive.bytes = 0;
        }),
        MapError::Empty
    );
}

#[test]
fn numbers_that_are_not_the_sum_of_their_parts_are_refused() {
    let refused = |change: fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        Map::of(&manifest).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|manifest| manifest.tables[1].rows = 10),
        "the manifest says 10 rows of public.donation, and its parts make 9"
    );
    assert_eq!(
        refused(|manifest| manifest.rows = 13),
        "the manifest says 13 rows, and its parts make 14"
    );
    assert_eq!(
        refused(|manifest| manifest.tables[0].bytes = u64::MAX),
        format!(
            "the manifest says {} bytes of text of public.church, and its parts make 1000",
            u64::MAX
        )
    );
    assert_eq!(
        refused(|manifest| manifest.archive.uncompressed_bytes = 0),
        "the manifest says 0 bytes of text, and its parts make 6000"
    );
}

proptest! {
    #[test]
    fn what_has_a_map_has_no_gap_and_no_overlap(
        which in 0_usize..6, offset in -3_i64..4, length in -3_i64..4, archive in -3_i64..4
    ) {
        let mut manifest = manifest();
        {
            let mut all: Vec<&mut Member> = manifest.sections.pre_data.iter_mut()
                .chain(manifest.tables.iter_mut().flat_map(|table| &mut table.members))
                .chain(manifest.sections.data.iter_mut())
                .chain(manifest.sections.post_data.iter_mut())
                .collect();
            all[which].offset = all[which].offset.saturating_add_signed(offset);
            all[which].length = all[which].length.saturating_add_signed(length);
        }
        manifest.archive.bytes = manifest.archive.bytes.saturating_add_signed(archive);
        match Map::of(&manifest) {
            Ok(map) => {
                let mut end = 0;
                for place in map.places() {
                    prop_assert_eq!(place.member.offset, end);
                    end = place.end();
                    for byte in [place.member.offset, end - 1] {
                        prop_assert_eq!(map.at(byte), Some(place));
                    }
                }
                prop_assert_eq!(end, manifest.archive.bytes);
            }
            Err(_) => prop_assert!(offset != 0 || length != 0 || archive != 0),
        }
    }
}
