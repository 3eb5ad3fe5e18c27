//! Which `pg_dump` copies the rows of which table, where several do at once.
//!
//! One server process formats rows at the speed of one processor; two, each with
//! tables of its own from the same snapshot, at that of two.

use super::facts::TableFact;

/// Tables that take less than this on disk are not worth a name on a command line,
/// in bytes.
const LEAST: u64 = 8 * 1024 * 1024;

/// What another `pg_dump` must have to do for starting it to be worth it, in bytes.
const WORTH_IT: u64 = 32 * 1024 * 1024;

/// The most tables that are named for one; of a database with more large tables
/// the first `pg_dump` has the rest.
const NAMED: usize = 100;

/// The tables of every `pg_dump` but the first, which has all others, and all that
/// is no row. So that all are done at about the same time, each table goes, the
/// largest first, to the one that has the least so far.
#[must_use]
pub fn shares(tables: &[TableFact], streams: usize) -> Vec<Vec<(String, String)>> {
    let mut large: Vec<&TableFact> = tables
        .iter()
        .filter(|table| !table.of_extension && table.bytes_estimate >= LEAST)
        .collect();
    large.sort_by_key(|table| std::cmp::Reverse(table.bytes_estimate));
    let size = |tables: &[&TableFact]| tables.iter().map(|table| table.bytes_estimate).sum::<u64>();
    let all: u64 = tables.iter().map(|table| table.bytes_estimate).sum();
    let mut loads = vec![0; streams.max(1)];
    loads[0] = all - size(&large);
    let mut shares: Vec<Vec<&TableFact>> = vec![Vec::new(); loads.len()];
    for table in large {
        let open = (0..loads.len()).filter(|&at| at == 0 || shares[at].len() < NAMED);
        let lightest = open.min_by_key(|&at| loads[at]).unwrap_or(0);
        loads[lightest] += table.bytes_estimate;
        shares[lightest].push(table);
    }
    shares
        .into_iter()
        .skip(1)
        .filter(|share| size(share) >= WORTH_IT)
        .map(|share| share.iter().map(|table| (table.schema.clone(), table.name.clone())).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn table(name: &str, mib: u64) -> TableFact {
        TableFact {
            schema: "public".to_owned(),
            name: name.to_owned(),
            bytes_estimate: mib * MIB,
            rows_estimate: 0,
            unlogged: false,
            of_extension: false,
        }
    }

    fn named(tables: &[TableFact], streams: usize) -> Vec<Vec<String>> {
        let names =
            |share: Vec<(String, String)>| share.into_iter().map(|(_, name)| name).collect();
        shares(tables, streams).into_iter().map(names).collect()
    }

    #[test]
    fn the_rows_are_divided_where_that_is_worth_it() {
        let tables = [table("donors", 200), table("donations", 900), table("audit", 500)];
        assert_eq!(named(&tables, 2), [["audit", "donors"]]);
        assert_eq!(named(&tables, 3), [["audit"], ["donors"]]);
        assert_eq!(named(&tables, 1), Vec::<Vec<String>>::new());
        // A small database is dumped by one, and so is one of a single table.
        assert_eq!(named(&[table("a", 30), table("b", 30)], 2), Vec::<Vec<String>>::new());
        assert_eq!(named(&[table("a", 9_000)], 2), Vec::<Vec<String>>::new());
        // What an extension owns, pg_dump dumps only along with everything.
        let owned = TableFact { of_extension: true, ..table("spatial", 500) };
        assert_eq!(named(&[table("a", 300), owned, table("b", 90)], 2), [["a", "b"]]);
    }

    proptest! {
        #[test]
        fn no_table_is_in_two_shares_and_few_are_named(
            sizes in prop::collection::vec(0_u64..2_000, 0..300), streams in 1_usize..5
        ) {
            let tables: Vec<TableFact> =
                sizes.iter().enumerate().map(|(at, &mib)| table(&at.to_string(), mib)).collect();
            let shares = shares(&tables, streams);
            prop_assert!(shares.len() < streams && shares.iter().all(|share| share.len() <= NAMED));
            let mut names: Vec<_> = shares.concat();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(names.len(), all);
        }
    }
}
