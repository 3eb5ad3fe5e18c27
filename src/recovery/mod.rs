//! A recovery while it goes on, and what prepares for one.
//!
//! An *incident* is a recovery in progress, with its log. The log is a set of
//! entries that only grows: each is an object of its own under a key that nobody
//! else draws, in the bucket and in a folder of this machine. So two people can
//! write at once and nothing is lost, either place can be away for a while, and
//! bringing both together is taking what the other one lacks. The Markdown that
//! people read is made from the entries, again and again; what somebody writes
//! into it by hand is found and becomes an entry (see [`hand`]).
//!
//! The *runbook* and the *calendar* are made from the settings and from what the
//! bucket says of drills, audits and reviews.

pub mod audited;
pub mod calendar;
pub mod days;
mod entry;
mod folder;
pub mod hand;
mod incident;
mod journal;
mod look;
mod mask;
mod message;
mod page;
mod recovered;
pub mod review;
pub mod runbook;
mod steps;
mod words;

pub use entry::{
    Closed, Condemned, Entry, Expected, FORMAT, Found, Looked, Opened, Proof, Restored, What,
};
pub use folder::{Folder, FolderError};
pub use incident::Incident;
pub use journal::{Drawn, Journal, JournalError, Kept};
pub use look::{expected, look, newest_before};
pub use mask::{command_line, masked};
pub use message::{is_operational, message};
pub use page::page;
pub use steps::{STEPS, Step};

#[cfg(test)]
mod told_tests;
