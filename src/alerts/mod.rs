//! Decides what is told, to nobody in particular: from what health says of a
//! database, what was told before, and the time. Pure.
//!
//! Each problem gets one alert when it has begun, a reminder at an interval
//! while it lasts, and one all-clear. A problem has begun when it was first
//! seen a while ago ([`Policy::after`]) and has not been away since for longer
//! than [`Policy::calm`]; it is over when it has been away for that long. So
//! what flickers is one problem, that lasts, and what is mended at once is none.
//!
//! All that keeps backups from being made is one problem, `backups`: whether
//! the store, the source or the scheduler is to blame stands in its findings.
//! Every other check of health is a problem of its own, under its own name,
//! whichever checks there are.
//!
//! What is told is decided once, for all channels. A channel in which it does
//! not arrive is told it again by itself, an all-clear too.

mod advice;
pub mod anomaly;
mod book;
mod pending;
mod seen;

pub use book::{Book, Open, Policy};
pub use seen::{Finding, Seen, Sight, seen};

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod week_tests;
