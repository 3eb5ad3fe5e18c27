//! Compresses members on several threads and keeps their order.
//!
//! The splitter's thread feeds pieces to [`Feeder`]; each member becomes a job
//! for one of the compressing threads, and takes its place in a bounded queue
//! that the writer reads in order. The queue's bound is the bound on memory:
//! when the store is slow the queue is full, the feeder waits, the pipe from
//! `pg_dump` fills, and the server waits, holding nothing but its snapshot.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use tokio::sync::mpsc;

use super::{
    copy::CopyHeader,
    gzip::{LONGEST, MemberError, MemberWriter},
    split::{Content, Sink},
};

/// What the writer reads, in the order of the dump.
#[derive(Debug)]
pub enum Queued {
    /// A table's members follow.
    Table(CopyHeader),
    /// A member, as it is being compressed.
    Member {
        /// What it holds.
        content: Content,
        /// Its bytes and its end.
        packed: mpsc::Receiver<Packed>,
    },
}

/// A part of a compressed member.
#[derive(Debug)]
pub enum Packed {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// The member is whole.
    End {
        /// Length of its text, in bytes.
        dump_length: u64,
        /// Rows of its text.
        rows: u64,
    },
    /// The member could not be compressed.
    Failed(MemberError),
}

struct Job {
    comment: Option<String>,
    pieces: Receiver<Piece>,
    packed: mpsc::Sender<Packed>,
}

struct Piece {
    text: Vec<u8>,
    rows_at_end: Option<u64>,
}

/// Takes pieces from a splitter. Dropping it ends the queue.
#[derive(Debug)]
pub struct Feeder {
    queue: mpsc::Sender<Queued>,
    jobs: Sender<Job>,
    open: Option<SyncSender<Piece>>,
    /// Header comment for the very first member.
    comment: Option<String>,
    spare: Receiver<Vec<u8>>,
    member_size: usize,
    closed: bool,
    rows_alone: bool,
}

/// Starts `threads` compressing threads. They end when the feeder is dropped
/// and their work is done or nobody reads the queue any more.
///
/// `comment` goes into the header of the first member; `member_size` is the
/// size of the buffers, in bytes.
#[must_use]
pub fn pack(
    threads: usize,
    member_size: usize,
    comment: Option<String>,
) -> (Feeder, mpsc::Receiver<Queued>) {
    let threads = threads.max(1);
    let (jobs, job_queue) = channel::<Job>();
    let job_queue = Arc::new(Mutex::new(job_queue));
    let (used, spare) = channel();
    for _ in 0..threads {
        let (job_queue, used) = (Arc::clone(&job_queue), used.clone());
        thread::spawn(move || work(&job_queue, &used));
    }
    // One member in each thread's hands, and one more ready: the writer has taken
    // the one that it waits for out of the queue.
    let (queue, members) = mpsc::channel(threads);
    let feeder = Feeder {
        queue,
        jobs,
        open: None,
        comment,
        spare,
        member_size,
        closed: false,
        rows_alone: false,
    };
    (feeder, members)
}

impl Feeder {
    /// Takes no statements, but the rows: of a `pg_dump` that dumps a few tables
    /// beside another one, which says everything else.
    #[must_use]
    pub fn of_rows_alone(self) -> Self {
        Self { rows_alone: true, ..self }
    }

    /// Whether nobody reads the members any more: feeding on is of no use.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// An empty buffer, used before where one is there.
    #[must_use]
    pub fn buffer(&self) -> Vec<u8> {
        self.spare
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(self.member_size + super::READ_SIZE + 64))
    }

    fn enqueue(&mut self, queued: Queued) {
        self.closed |= self.queue.blocking_send(queued).is_err();
    }
}

impl Sink for Feeder {
    fn table(&mut self, header: CopyHeader) {
        self.enqueue(Queued::Table(header));
    }

    fn piece(&mut self, content: &Content, mut text: Vec<u8>, end: Option<u64>) -> Vec<u8> {
        if self.rows_alone && *content != Content::Rows {
            text.clear();
            return text;
        }
        let member = self.open.take().unwrap_or_else(|| {
            let (member, pieces) = sync_channel(1);
            let (packed, receiver) = mpsc::channel(2);
            self.enqueue(Queued::Member { content: content.clone(), packed: receiver });
            let job = Job { comment: self.comment.take(), pieces, packed };
            self.closed |= self.jobs.send(job).is_err();
            member
        });
        self.closed |= member.send(Piece { text, rows_at_end: end }).is_err();
        if end.is_none() {
            self.open = Some(member);
        }
        self.buffer()
    }
}

/// How much the compressing threads give way to whatever else wants to run: the
/// application on this machine, a database beside us, and `pg_dump` itself, for
/// which everything else waits. A nice value of Linux, where it is a thread's own.
const NICE: i32 = 10;

fn work(jobs: &Mutex<Receiver<Job>>, used: &Sender<Vec<u8>>) {
    // One that gives way more already may not be made to give way less.
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut writer = MemberWriter::new();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // An error says that nobody wants the member any more.
        if compress(&mut writer, &job, used).is_err() {
            writer = MemberWriter::new();
        }
    }
}

/// The one who wanted the member has gone.
struct Unwanted;

fn compress(writer: &mut MemberWriter, job: &Job, used: &Sender<Vec<u8>>) -> Result<(), Unwanted> {
    let send = |packed| job.packed.blocking_send(packed).map_err(|_| Unwanted);
    let fail = |error| send(Packed::Failed(error)).and(Err(Unwanted));
    let comment = job.comment.as_deref();
    let mut next = job.pieces.recv().map_err(|_| Unwanted)?;
    if let Some(rows) = next.rows_at_end
        && next.text.len() <= LONGEST
    {
        let dump_length = next.text.len() as u64;
        let member = writer.whole(&next.text, comment);
        next.text.clear();
        // The feeder may be gone: then the buffer is, too.
        let _ = used.send(next.text);
        return match member {
            Ok(bytes) => {
                send(Packed::Bytes(bytes))?;
                send(Packed::End { dump_length, rows })
            }
            Err(error) => fail(error),
        };
    }
    writer.begin(comment);
    loop {
        let Piece { mut text, rows_at_end } = next;
        if let Err(error) = writer.write(&text) {
            return fail(error);
        }
        text.clear();
        let _ = used.send(text);
        let Some(rows) = rows_at_end else {
            match writer.take_piece() {
                Ok(bytes) => send(Packed::Bytes(bytes))?,
                Err(error) => return fail(error),
            }
            next = job.pieces.recv().map_err(|_| Unwanted)?;
            continue;
        };
        return match writer.finish() {
            Ok(dump_length) => {
                send(Packed::Bytes(writer.take()))?;
                send(Packed::End { dump_length, rows })
            }
            Err(error) => fail(error),
        };
    }
}
