//! One binary holds every integration test, so that it links once.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod archive_fidelity;
mod audit;
mod awscli;
mod backup_faults;
mod channels;
mod cli;
mod daemon;
mod deploy;
mod drill;
mod fixtures;
mod http;
mod live_state;
mod manifest_format;
mod metrics;
mod monitoring;
mod postgres_dump;
mod postgres_preflight;
mod postgres_session;
mod postgres_tls;
mod readme;
mod recovery;
mod restore;
mod s3_faults;
mod settings;
mod stock_restore;
mod store_suite;
mod support;
mod sweep;
mod verify;
