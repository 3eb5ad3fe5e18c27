//! Restoring a backup for the sake of knowing that it restores.
//!
//! A drill restores into a [`Sandbox`], a throwaway cluster of this machine's
//! own PostgreSQL, or into a [`Borrowed`] database of the settings, compares what
//! came out with what the manifest says ([`compare`]), asks the questions of the
//! settings ([`ask`]), and leaves a [`Record`]. The job that strings these
//! together is in `jobs/drill.rs`.
//!
//! What was not looked at is never *passed*: it is *unproven*, with the reason.

mod amcheck;
mod ask;
mod borrowed;
mod bounded;
mod compare;
mod disk;
mod emptying;
mod expect;
mod good;
mod held;
mod ledger;
mod mark;
mod own_questions;
mod page;
mod record;
mod remains;
mod sandbox;
mod stand_ins;
mod target;
mod tuning;

pub use ask::{Question, ask};
pub use borrowed::{BorrowOptions, Borrowed};
pub use compare::compare;
pub use disk::{DiskError, Filled, NoRoom, enough, needed, watch};
pub use expect::{Expectation, ExpectationError, Found, Judged};
pub use good::{NewestGood, condemned, mark, newest_good};
pub use held::Held;
pub use ledger::{ClaimError, Read, Unknown, claim, read, write};
pub use mark::{Mark, Marks, marks, marks_in_short};
pub use own_questions::questions;
pub use page::page;
pub use record::{
    Answer, BackupFacts, Comparison, FORMAT, Failure, PlaceFacts, Record, passed_before,
};
pub use sandbox::{Sandbox, SandboxError, SandboxOptions};
pub use stand_ins::{PLATFORM_ROLES, StandIn, stand_ins};
pub use target::{BorrowError, MARK};
pub use tuning::is_large;

#[cfg(test)]
pub(crate) use record::tests::record as a_record;
