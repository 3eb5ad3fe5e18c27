//! Where alerts go: one file a channel, none of which decides whether to alert.

mod notice;

pub use notice::{Notice, Pulse, PulseKind};
