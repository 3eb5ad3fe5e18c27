//! Reliquary keeps a PostgreSQL database recoverable when its provider is gone.

pub mod clock;
pub mod process;
