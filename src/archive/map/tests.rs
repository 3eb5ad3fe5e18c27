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
    let described =
        |offset| map.at(offset).map(|place| (place.number, place.content(&manifest.tables)));
    for (offset, number, what) in [
        (0, 1, "statements of pre-data"),
        (99, 1, "statements of pre-data"),
        (100, 2, "rows of public.church"),
        (350, 4, "rows of public.donation"),
        (400, 5, "statements of data"),
        (599, 6, "statements of post-data"),
    ] {
        assert_eq!(described(offset), Some((number, what.to_owned())), "{offset}");
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
fn members_of_tables_may_take_turns() {
    let mut manifest = manifest();
    let [one, other, ..] = &mut manifest.tables[..] else { panic!("two tables") };
    std::mem::swap(&mut one.members[0].offset, &mut other.members[0].offset);
    let map = Map::of(&manifest).unwrap();
    let rows = map.places().iter().filter_map(|place| match place.holds {
        Holds::Rows { table, nth } => Some((table, nth)),
        Holds::Statements { .. } => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), [(1, 1), (0, 1), (1, 2)]);
}

#[test]
fn numbers_that_are_not_the_sum_of_their_parts_are_all_named() {
    let mut manifest = manifest();
    assert_eq!(wrong_sums(&manifest), []);
    manifest.tables[1].rows = 10;
    manifest.rows = 13;
    manifest.tables[0].bytes = u64::MAX;
    manifest.archive.uncompressed_bytes = 0;
    let wrong = |what: &str, said, parts| WrongSum { what: what.to_owned(), said, parts };
    assert_eq!(
        wrong_sums(&manifest),
        [
            wrong("bytes of text of public.church", u64::MAX, 1000),
            wrong("rows of public.donation", 10, 9),
            wrong("rows", 13, 15),
            wrong("bytes of text", 0, 6000),
        ]
    );
    // They say nothing of where the members are.
    assert!(Map::of(&manifest).is_ok());
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
