//! Getting it back.
//!
//! [`prepare()`] reads the archive's definitions and asks the target; it changes
//! nothing, and what stands in the way is in the plan. [`run()`] carries the plan
//! out, stage after stage, each timed: hash, clean, pre-data through `psql`, rows
//! by many sessions, sequence values and large objects through `psql`, indexes
//! at once, foreign keys, the rest in order, ANALYZE, and every table counted.
//!
//! - **The hash comes first.** A whole restore reads the archive once before it
//!   touches anything, and only then loads it: an archive that is not what was
//!   stored must be refused with nothing touched, whatever was found of it
//!   earlier. A part of an archive is not hashed, since that would read all of
//!   it; each of its members is held against its CRC, its length and the
//!   manifest as it is loaded, as those of a whole restore are again.
//! - **No COPY … FREEZE**: it wants the table created in the same transaction,
//!   which would bind each table to one session, and most databases have one
//!   table that is larger than the rest together.
//! - **Tables that were there** are filled by one session in one transaction.
//! - **One at a time in a database**: the session that plans holds a lock of it, from
//!   before it asks what the target holds.
//! - **A part says what is not whole**: what it makes is marked until all is done (see
//!   `marks.rs`), and one that finds such a mark makes it anew.
//! - **No session stays behind**: all are known by one name, which the last one
//!   uses to end the others; a killed process's are noticed by the server.

mod attempts;
mod blame;
mod brings;
mod clean;
mod damage;
mod defer;
mod drop;
mod ending;
mod error;
mod failure;
mod fill;
mod fill_order;
mod framing;
mod grants;
mod guards;
mod guess;
mod homes;
mod identity;
mod judge;
mod kind;
mod legacy;
mod load;
mod locale;
mod makers;
mod marks;
mod members;
mod noted;
mod options;
mod order;
mod plan;
mod planner;
mod platform;
mod post;
mod prepare;
mod progress;
mod proof;
mod queue;
mod regained;
mod report;
mod rest;
mod roles;
mod run;
mod scan;
mod script;
mod script_log;
mod security;
mod select;
mod sequences;
mod settings;
mod stages;
mod statement;
mod stopped;
mod stored;
mod subject;
mod ties;
mod tokens;
mod turn;
mod unmakeable;
mod unset;
mod write;

pub use blame::Blame;
pub use damage::{BadMember, Damage, examine};
pub use error::{OTHERWISE, RestoreError};
pub use guards::holds;
pub use identity::{Asked, Live, surely_not_the_source, who};
pub use judge::Class;
pub use kind::Kind;
pub use legacy::{
    Checked, LegacyRequest, PreparedLegacy, Stream, prepare as prepare_legacy, run as run_legacy,
};
pub use locale::named as locale_named;
pub use marks::Marks;
pub use members::MemberError;
pub use options::{NameError, Options, schema, table};
pub use order::Waves;
pub use plan::{Contents, Expected, Fill, Hold, Plan, Rest, Skipped};
pub use platform::Platform;
pub use prepare::{Prepared, Request, prepare};
pub use progress::{Progress, ProgressReport};
pub use report::{Difference, LeftOut, Report, StageTime};
pub use run::run;
pub use script::ScriptError;
pub use select::NotThere;
pub use sequences::{SequenceValue, sequence_values};
pub use statement::Statement;
pub use stopped::{Loaded, Stopped, again};
pub use stored::Stored;
pub use write::{WriteError, write, write_legacy};
