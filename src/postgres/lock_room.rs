//! How many locks a server has room for, and how many of them a backup may take.
//!
//! Each `pg_dump` locks every table, and all sessions share one table of locks: where a
//! backup takes too much of it, the application gets "out of shared memory".

/// Asks for that room: locks of all sessions and prepared transactions together
/// (PostgreSQL's manual, `max_locks_per_transaction`).
pub(super) const LOCK_ROOM: &str = "SELECT current_setting('max_locks_per_transaction')::int8
    * (current_setting('max_connections')::int8
       + current_setting('max_prepared_transactions')::int8)";

/// How many `pg_dump` lock every table where they run at once: one for each section.
const AT_ONCE: u64 = 3;

/// Of which part of the room a backup leaves the rest to the application: one in so many.
const SHARE: u64 = 3;

/// Whether those that lock so many tables must take turns on a server with so much room
/// for locks.
#[must_use]
pub fn takes_turns(tables: usize, room: u64) -> bool {
    (tables as u64).saturating_mul(AT_ONCE) > room / SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_at_once_take_no_more_than_a_third_of_the_room() {
        // A server as it comes: 64 locks for each of 100 sessions.
        let room = 64 * 100;
        for (tables, in_turn) in [(0, false), (700, false), (712, true), (5_500, true)] {
            assert_eq!(takes_turns(tables, room), in_turn, "{tables}");
        }
        assert!(takes_turns(usize::MAX, u64::MAX));
        assert!(!takes_turns(0, 0));
    }
}
