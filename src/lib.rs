//! Reliquary keeps a PostgreSQL database recoverable when its provider is gone.

pub mod app;
pub mod archive;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod health;
pub mod http;
pub mod jobs;
pub mod lifecycle;
pub mod metrics;
pub mod postgres;
pub mod process;
pub mod rfc3339;
pub mod schedule;
pub mod settings;
pub mod state;
pub mod status;
pub mod store;
pub mod telemetry;
pub mod words;
