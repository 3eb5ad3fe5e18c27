//! Reliquary keeps a PostgreSQL database recoverable when its provider is gone:
//! hourly logical backups to S3 that stock tools can restore, and that shout
//! when they stop.
//!
//! # Words
//!
//! A *dump* is the SQL that `pg_dump` writes; an *archive* is the `.sql.gz`
//! object, the dump cut into *members*; the *manifest* is the JSON beside it,
//! written last, whose presence is the commit; a *backup* is an archive with its
//! manifest and checksum file. A *legacy archive* has no manifest. The *pointer*
//! is `LATEST.txt` and `LATEST.sha256`; the *catalog* is what the bucket holds;
//! *debris* is what was never committed. The *source* is backed up, the
//! *target* is restored into. To *verify* is to read a stored archive again and
//! check every byte. To *sweep* is to delete what retention no longer keeps, and
//! debris. To *drill* is to restore into a throwaway cluster, the *sandbox*,
//! compare, and throw it away. An *incident* is a recovery in progress, with its
//! log.
//!
//! # Floors
//!
//! ```text
//! cli/  http/                        what people and machines call
//! app  lifecycle  schedule  jobs/    composition, signals, when, and the verbs
//! alerts/  catalog/  archive/  retention/
//! audit/  restore/  drill/  recovery/
//!                                    the domain
//! postgres/  store/  notify/         the outside world, behind narrow types
//! settings/  state/  health  metrics  clock  process  telemetry  figures  visible
//! anonymous  words
//! ```
//!
//! Imports only go down.
//!
//! # Invariants
//!
//! - Only [`clock`] reads the time; everything else takes `now` or a `Clock`.
//! - The manifest is written last and the pointer after it; removal goes the
//!   other way.
//! - A failed or partial listing decides nothing.
//! - A child process has its own group, a bounded memory of stderr, and a deadline.
//! - Memory is bounded by settings, never by the database.
//! - One [`metrics::Metrics`], one [`health::evaluate`]: command line, HTTP and
//!   Prometheus all read the same ones.
//! - No password, and on no page a host or user.

pub mod alerts;
pub mod anonymous;
pub mod app;
pub mod archive;
pub mod audit;
pub mod catalog;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod drill;
pub mod figures;
pub mod health;
pub mod http;
pub mod jobs;
pub mod lifecycle;
pub mod markdown;
pub mod metrics;
pub mod notify;
pub mod postgres;
pub mod process;
pub mod recovery;
pub mod restore;
pub mod retention;
pub mod rfc3339;
pub mod schedule;
pub mod settings;
pub mod state;
pub mod status;
pub mod store;
pub mod telemetry;
pub mod visible;
pub mod words;
