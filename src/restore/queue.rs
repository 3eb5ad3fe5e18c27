//! Which session loads what: tables in their order, each by as few sessions as
//! keep all of them busy.
//!
//! Two that append to one table wait for each other, and mix its rows, which
//! otherwise stay in the order in which the source held them and are quicker to
//! index. So a table is shared only where sessions would have nothing to do.

use std::collections::VecDeque;

use super::members::runs;
use crate::archive::manifest::{Member, Table};

/// How much of an archive one request to the store asks for, in bytes.
const RUN: u64 = 8 * 1024 * 1024;

/// A table that is not loaded yet.
#[derive(Debug)]
struct Waiting {
    table: usize,
    /// Runs of members that nobody has taken.
    runs: VecDeque<Vec<Member>>,
    /// How many sessions load a run of it.
    sessions: usize,
}

/// The tables that are not loaded yet, in the order in which they are begun.
#[derive(Debug)]
pub(super) struct Queue(Vec<Waiting>);

impl Queue {
    pub(super) fn new(tables: &[Table], order: &[usize]) -> Self {
        let waiting = |&table: &usize| {
            let runs = VecDeque::from(runs(&tables[table].members, RUN));
            Waiting { table, runs, sessions: 0 }
        };
        Self(order.iter().map(waiting).filter(|waiting| !waiting.runs.is_empty()).collect())
    }

    /// The next run of the first of those tables that the fewest sessions load.
    pub(super) fn take(&mut self) -> Option<(usize, Vec<Member>)> {
        let open = self.0.iter_mut().filter(|waiting| !waiting.runs.is_empty());
        let chosen = open.min_by_key(|waiting| waiting.sessions)?;
        chosen.sessions += 1;
        Some((chosen.table, chosen.runs.pop_front()?))
    }

    /// A run of this table is loaded; says whether all of it is.
    pub(super) fn done(&mut self, table: usize) -> bool {
        let Some(at) = self.0.iter().position(|waiting| waiting.table == table) else {
            return false;
        };
        let waiting = &mut self.0[at];
        waiting.sessions -= 1;
        let whole = waiting.sessions == 0 && waiting.runs.is_empty();
        if whole {
            self.0.remove(at);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table whose members are `runs` runs.
    fn table(name: &str, runs: u64) -> Table {
        let members = (0..runs).map(|nth| Member {
            offset: nth * RUN,
            length: RUN,
            uncompressed: 1,
            rows: 1,
        });
        Table {
            schema: "public".to_owned(),
            name: name.to_owned(),
            columns: Vec::new(),
            rows: runs,
            bytes: runs,
            members: members.collect(),
        }
    }

    #[test]
    fn each_session_has_a_table_of_its_own_while_there_are_enough() {
        let tables = [table("small", 1), table("large", 3), table("empty", 0)];
        let mut queue = Queue::new(&tables, &[1, 2, 0]);
        let mut take = |done: Option<usize>| {
            let whole = done.map(|table| queue.done(table));
            (whole, queue.take().map(|(table, members)| (table, members[0].offset / RUN)))
        };
        assert_eq!(take(None), (None, Some((1, 0))));
        assert_eq!(take(None), (None, Some((0, 0))));
        // The small one is whole; what is left is shared.
        assert_eq!(take(Some(0)), (Some(true), Some((1, 1))));
        assert_eq!(take(Some(1)), (Some(false), Some((1, 2))));
        assert_eq!(take(Some(1)), (Some(false), None));
        assert_eq!(take(Some(1)), (Some(true), None));
    }

    #[test]
    fn every_run_is_taken_once_whatever_ends_first() {
        let tables = [table("a", 5), table("b", 2), table("c", 4)];
        let mut queue = Queue::new(&tables, &[0, 2, 1]);
        let (mut loading, mut taken, mut whole) = (VecDeque::new(), Vec::new(), 0);
        loop {
            let next = queue.take();
            if let Some((table, members)) = &next {
                taken.push((*table, members[0].offset));
                loading.push_back(*table);
            }
            if loading.len() > 2 || next.is_none() {
                let Some(table) = loading.pop_front() else { break };
                whole += u8::from(queue.done(table));
            }
        }
        let all = taken.len();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!((all, taken.len(), whole), (11, 11, 3));
    }
}
