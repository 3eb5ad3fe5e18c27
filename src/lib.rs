//! Reliquary keeps a PostgreSQL database recoverable when its provider is gone.

pub mod archive;
pub mod catalog;
pub mod clock;
pub mod process;
pub mod store;
