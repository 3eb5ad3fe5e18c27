//! Reads an archive of which nobody says where its members are: a legacy one,
//! or one whose manifest is of no use. On a thread of its own.

use std::thread;

use bytes::Bytes;
use memchr::memmem;
use tokio::sync::{mpsc, oneshot};

use super::{FINDINGS, Lost, finding::Finding, remark::Remark, text::keep_tail};
use crate::archive::unpack::{PieceReader, UnpackError};

/// Pieces that may wait for the thread.
const WAITING: usize = 4;

/// What `pg_dump` and `pg_dumpall` write at a dump's end.
const CLOSING: [&[u8]; 2] =
    [b"-- PostgreSQL database dump complete\n", b"-- PostgreSQL database cluster dump complete\n"];

/// Reads gzip members one after another.
pub(super) struct PlainThread {
    pieces: mpsc::Sender<Bytes>,
    found: oneshot::Receiver<Plain>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Plain {
    /// Whole members.
    pub(super) members: u64,
    /// Length of their text, in bytes.
    pub(super) dump_bytes: u64,
    pub(super) findings: Vec<Finding>,
    pub(super) remarks: Vec<Remark>,
}

impl PlainThread {
    /// Starts the thread. It ends when this is dropped or finished.
    pub(super) fn start() -> Self {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let (done, found) = oneshot::channel();
        thread::spawn(move || {
            let mut reading = Reading::default();
            while let Some(piece) = waiting.blocking_recv() {
                reading.push(&piece);
            }
            // Nobody waits for the outcome of a pass that was given up.
            let _ = done.send(reading.finish());
        });
        Self { pieces, found }
    }

    /// Reads the next bytes; waits while the thread is behind.
    pub(super) async fn push(&self, piece: Bytes) -> Result<(), Lost> {
        self.pieces.send(piece).await.map_err(|_| Lost)
    }

    /// The archive is at its end.
    pub(super) async fn finish(self) -> Result<Plain, Lost> {
        drop(self.pieces);
        self.found.await.map_err(|_| Lost)
    }
}

#[derive(Default)]
struct Reading {
    plain: Plain,
    member: Option<PieceReader>,
    /// Where in the archive the member begins.
    offset: u64,
    /// Bytes of the archive so far.
    position: u64,
    tail: Vec<u8>,
    /// Where it stopped being gzip: nothing is read from there on.
    stopped: bool,
}

impl Reading {
    fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !self.stopped && !rest.is_empty() {
            let member = self.member.get_or_insert_default();
            let (tail, length) = (&mut self.tail, &mut self.plain.dump_bytes);
            let taken = member.push(rest, |text| {
                *length += text.len() as u64;
                keep_tail(tail, text);
            });
            match taken {
                Ok(taken) => {
                    self.position += taken as u64;
                    rest = &rest[taken..];
                    if member.ended() {
                        self.plain.members += 1;
                        self.member = None;
                        self.offset = self.position;
                    }
                }
                Err(error) => self.stop(&error),
            }
        }
        if self.stopped {
            self.position += rest.len() as u64;
        }
    }

    fn stop(&mut self, error: &UnpackError) {
        self.stopped = true;
        // What does not begin as a member does, after one that was whole, is
        // told by its length, which is not known yet.
        if !(matches!(error, UnpackError::Header) && self.plain.members > 0) {
            self.note(error);
            self.offset = u64::MAX;
        }
    }

    fn note(&mut self, error: &UnpackError) {
        if self.plain.findings.len() < FINDINGS {
            let (number, offset) = (self.plain.members + 1, self.offset);
            let detail = error.to_string();
            self.plain.findings.push(Finding::Gzip { number, offset, detail });
        }
    }

    fn finish(mut self) -> Plain {
        match self.member.take() {
            _ if self.stopped && self.offset != u64::MAX => {
                let (offset, bytes) = (self.offset, self.position - self.offset);
                self.plain.findings.push(Finding::Trailing { offset, bytes });
            }
            Some(member) if !self.stopped => {
                if let Err(error) = member.finish() {
                    self.note(&error);
                }
            }
            None if !self.stopped && self.plain.members == 0 => {
                self.note(&UnpackError::Truncated(0));
            }
            _ => {}
        }
        let closed = CLOSING.iter().any(|line| memmem::find(&self.tail, line).is_some());
        // A member that is damaged or cut has said so itself. And a sound dump
        // need not end so: some tools strip comments, others append statements.
        let whole = !self.plain.findings.iter().any(|f| matches!(f, Finding::Gzip { .. }));
        if whole && !closed {
            self.plain.remarks.push(Remark::DumpEnd);
        }
        self.plain
    }
}

#[cfg(test)]
mod tests;
