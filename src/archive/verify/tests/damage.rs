//! Archives whose bytes are not what they were.

use proptest::prelude::*;

use super::*;

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
