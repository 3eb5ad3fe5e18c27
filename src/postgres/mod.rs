//! The source database: finding and running PostgreSQL's own programs, and one
//! session of ours beside them.
//!
//! A backup goes through this floor in this order: [`ConnectionUrl::parse`],
//! [`Session::open`] (refuses what is not a real session), [`Session::preflight`]
//! (says all that would go wrong, at once), [`clients::find`] for a `pg_dump` of
//! the server's own major, [`Session::try_lock`], [`Session::snapshot`] and one
//! [`Dump::spawn`] a section.
//!
//! The URL is the whole truth about a connection. Neither `~/.pgpass` nor
//! `~/.postgresql/` nor the `PG*` variables of our own environment change what
//! it means, for sqlx as for libpq, so that both ends of a backup talk to the
//! same server under the same guard.
//!
//! A restore's target is typed by a person at that moment. For it alone a
//! password may come from `PGPASSWORD` or a password file; see `passfile.rs`.
//! [`Target`] is a session on it, [`Psql`] runs scripts there.

pub mod clients;
pub mod cluster;
pub mod confine;
mod connect;
mod definitions;
pub mod dump;
mod exclude;
mod facts;
mod hardening;
mod libpq;
mod lock_room;
mod passfile;
mod pooler;
mod preflight;
mod psql;
mod redact;
mod relations;
mod said;
pub mod server_bins;
mod session;
mod shares;
mod target;
mod target_facts;
mod tls;
mod unprivileged;
mod url;
mod url_parts;

pub use clients::{Client, ClientError};
pub use connect::SessionError;
pub use dump::{Dump, DumpError, Part, Section};
pub use exclude::{Exclude, ResolvedExclusions};
pub use facts::{Extension, Facts, ServerVersion, TableFact};
pub use hardening::{Guard, RoleFacts};
pub use lock_room::takes_turns;
pub use preflight::{Obstacle, PreflightError, Problem};
pub use psql::{Psql, PsqlError, RunningPsql};
pub(crate) use relations::quote;
pub(crate) use said::QUOTES;
pub use session::{Session, Snapshot};
pub use shares::shares;
pub use target::{CopyIn, Target, TargetError, is_servers_own};
pub use target_facts::{
    ExtensionFact, Identity, Reference, RelationFact, SchemaFact, TargetFacts, UNFINISHED,
};
pub use tls::TlsError;
pub(crate) use unprivileged::sandbox_user;
pub use url::{ConnectionUrl, UrlError};
