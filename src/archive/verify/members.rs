//! Cuts the archive into the members that its manifest names, and checks each
//! of them on one of several threads.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::{Lost, collect::Collected, finding::Problem, outcome::Outcome, text::TextCheck};
use crate::archive::{
    header,
    manifest::Manifest,
    map::{Map, Place},
    unpack::{PieceReader, UnpackError, Unpacker, WHOLE},
};

/// Pieces of a large member that may wait for its thread.
const WAITING: usize = 2;

/// Feeds members to threads, in the order of the archive.
pub(super) struct Members {
    map: Map,
    /// Index of the member that the next byte belongs to.
    next: usize,
    /// Where in the archive the next byte stands.
    position: u64,
    open: Option<Open>,
    jobs: mpsc::Sender<Job>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    collected: Collected,
    sent: u64,
}

/// A member whose bytes have not all come yet.
enum Open {
    /// It is put together here.
    Whole(Vec<u8>),
    /// It is too large for that, and is with its thread already.
    Pieces(mpsc::Sender<Bytes>),
}

struct Job {
    place: Place,
    body: Body,
}

enum Body {
    Whole(Vec<u8>),
    Pieces(mpsc::Receiver<Bytes>),
}

impl Members {
    /// Starts `threads` threads. They end when this is dropped or finished.
    ///
    /// A member in each thread's hands, one that waits, and the one that is put
    /// together: that is all there is in memory, whatever the archive's size.
    pub(super) fn start(manifest: Arc<Manifest>, map: Map, threads: usize) -> Self {
        let (jobs, waiting) = mpsc::channel::<Job>(1);
        let waiting = Arc::new(Mutex::new(waiting));
        let (done, outcomes) = mpsc::unbounded_channel();
        for _ in 0..threads.max(1) {
            let (manifest, waiting, done) =
                (Arc::clone(&manifest), Arc::clone(&waiting), done.clone());
            thread::spawn(move || work(&manifest, &waiting, &done));
        }
        let collected = Collected::of(manifest);
        Self { map, next: 0, position: 0, open: None, jobs, outcomes, collected, sent: 0 }
    }

    /// Takes the next bytes of the archive; waits while all threads are busy.
    pub(super) async fn push(&mut self, mut bytes: Bytes) -> Result<(), Lost> {
        while bytes.has_remaining() {
            // What is behind the last member is told by the archive's size.
            let Some(&place) = self.map.places().get(self.next) else { return Ok(()) };
            let missing = usize::try_from(place.end() - self.position).unwrap_or(usize::MAX);
            let piece = bytes.split_to(missing.min(bytes.len()));
            self.position += piece.len() as u64;
            self.fill(place, piece).await?;
            if self.position == place.end() {
                self.close(place).await?;
                self.next += 1;
            }
        }
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.collected.add(outcome);
        }
        Ok(())
    }

    async fn fill(&mut self, place: Place, piece: Bytes) -> Result<(), Lost> {
        if self.open.is_none() {
            self.open = Some(self.begin(place).await?);
        }
        match &mut self.open {
            Some(Open::Whole(bytes)) => bytes.extend_from_slice(&piece),
            // A thread that has seen enough of a damaged member takes no more.
            Some(Open::Pieces(pieces)) => drop(pieces.send(piece).await),
            None => {}
        }
        Ok(())
    }

    async fn begin(&mut self, place: Place) -> Result<Open, Lost> {
        let member = place.member;
        if member.length <= WHOLE && member.uncompressed <= WHOLE {
            let length = usize::try_from(member.length).unwrap_or(0);
            return Ok(Open::Whole(Vec::with_capacity(length)));
        }
        let (pieces, waiting) = mpsc::channel(WAITING);
        self.send(Job { place, body: Body::Pieces(waiting) }).await?;
        Ok(Open::Pieces(pieces))
    }

    async fn close(&mut self, place: Place) -> Result<(), Lost> {
        match self.open.take() {
            Some(Open::Whole(bytes)) => {
                if place.number == 1 {
                    self.collected.mark = header::comment(&bytes).map(str::to_owned);
                }
                self.send(Job { place, body: Body::Whole(bytes) }).await
            }
            Some(Open::Pieces(_)) | None => Ok(()),
        }
    }

    async fn send(&mut self, job: Job) -> Result<(), Lost> {
        self.sent += 1;
        self.jobs.send(job).await.map_err(|_| Lost)
    }

    /// The archive is at its end: waits for the threads.
    pub(super) async fn finish(mut self) -> Result<Collected, Lost> {
        if let Some(&place) = self.map.places().get(self.next) {
            let cut = self.open.is_some();
            // A member that is cut is looked at as far as it goes.
            self.close(place).await?;
            if let Some(&first) = self.map.places().get(self.next + usize::from(cut)) {
                self.collected.missing(first, self.map.places().len());
            }
        }
        let Self { jobs, mut outcomes, mut collected, sent, .. } = self;
        drop(jobs);
        while let Some(outcome) = outcomes.recv().await {
            collected.add(outcome);
        }
        if collected.members == sent { Ok(collected) } else { Err(Lost) }
    }
}

fn work(
    manifest: &Manifest,
    jobs: &Mutex<mpsc::Receiver<Job>>,
    done: &mpsc::UnboundedSender<Outcome>,
) {
    let mut unpacker = Unpacker::new();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Job { place, body }) = job else { return };
        let mut check = TextCheck::of(place.holds, manifest);
        let (dump_bytes, ours, result) = match body {
            Body::Whole(bytes) => check_whole(&mut unpacker, &bytes, place, &mut check),
            Body::Pieces(pieces) => check_pieces(pieces, &mut check),
        };
        let expected = place.member;
        let held = result.and_then(|()| {
            if dump_bytes != expected.uncompressed {
                let expected = expected.uncompressed;
                return Err(Problem::TextLength { expected, found: dump_bytes });
            }
            let held = check.finish()?;
            if held.rows == expected.rows {
                Ok(held)
            } else {
                Err(Problem::Rows { expected: expected.rows, found: held.rows })
            }
        });
        if done.send(Outcome { place, dump_bytes, ours, held }).is_err() {
            return;
        }
    }
}

/// Reads a member that is in memory whole. Returns the length of its text, and
/// whether its header is one of ours.
fn check_whole(
    unpacker: &mut Unpacker,
    bytes: &[u8],
    place: Place,
    check: &mut TextCheck<'_>,
) -> (u64, bool, Result<(), Problem>) {
    let ours = header::is_ours(bytes);
    match unpacker.whole(bytes, place.member.uncompressed) {
        Ok(text) => (text.len() as u64, ours, check.push(text)),
        // The text is longer than the manifest says, and than fits.
        Err(UnpackError::TooLarge(length)) => (length, ours, Ok(())),
        Err(error) => (0, ours, Err(gzip(&error))),
    }
}

/// Reads a member as it comes.
fn check_pieces(
    mut pieces: mpsc::Receiver<Bytes>,
    check: &mut TextCheck<'_>,
) -> (u64, bool, Result<(), Problem>) {
    let (mut reader, mut length, mut ours) = (PieceReader::new(), 0, None);
    let mut result = Ok(());
    // All that follows the end is counted, not only what came along with it.
    let mut trailing = 0;
    while let Some(piece) = pieces.blocking_recv() {
        ours.get_or_insert_with(|| header::is_ours(&piece));
        let taken = reader.push(&piece, |text| {
            length += text.len() as u64;
            if result.is_ok() {
                result = check.push(text);
            }
        });
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => return (length, ours == Some(true), Err(gzip(&error))),
        };
        trailing += (piece.len() - taken) as u64;
    }
    let result = match reader.finish() {
        Ok(_) if trailing > 0 => Err(gzip(&UnpackError::Trailing(trailing))),
        Ok(_) => result,
        Err(error) => Err(gzip(&error)),
    };
    (length, ours == Some(true), result)
}

fn gzip(error: &UnpackError) -> Problem {
    Problem::Gzip { detail: error.to_string() }
}
