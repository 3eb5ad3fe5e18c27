//! Several streams of members made one, so that each goes on while another is
//! written.
//!
//! Each lane brings the members of one `pg_dump`. One lane is written at a time,
//! at least [`TURN`] bytes of it, so that members of a table mostly stand beside
//! each other and a restore reads many with one request. Meanwhile the others are
//! held in memory, as many bytes of them as a turn has, and then wait.

use std::collections::VecDeque;

use futures::future::select_all;
use tokio::sync::mpsc::Receiver;

use super::{
    copy::CopyHeader,
    gzip::MemberError,
    pack::{Packed, Queued},
    split::Content,
};

/// How much of a lane is written before another has its turn, and how much of one
/// is held that has not, in bytes of the archive.
pub(super) const TURN: usize = 3 * 1024 * 1024;

/// What comes out of the lanes.
#[derive(Debug)]
pub(super) enum Event {
    /// The members that follow on this lane with [`Content::Rows`] are of this table.
    Table(CopyHeader),
    /// A member begins.
    Begin(Content),
    /// Its next bytes.
    Bytes(Vec<u8>),
    /// It is whole.
    End {
        /// Length of its text, in bytes.
        dump_length: u64,
        /// Rows of its text.
        rows: u64,
    },
    /// It could not be compressed.
    Failed(MemberError),
    /// The thread that made it is gone.
    Lost,
}

#[derive(Debug)]
struct Lane {
    /// Which it is of all.
    nth: usize,
    queue: Receiver<Queued>,
    /// The bytes of the member that is being read from the queue.
    open: Option<Receiver<Packed>>,
    held: VecDeque<Event>,
    /// Bytes of the archive among them.
    bytes: usize,
    /// Whether the queue has come to its end.
    ended: bool,
}

impl Lane {
    /// What comes next; `None` at its end. Nothing is lost where it is dropped.
    async fn receive(&mut self) -> Option<Event> {
        let Some(packed) = &mut self.open else {
            return Some(match self.queue.recv().await? {
                Queued::Table(header) => Event::Table(header),
                Queued::Member { content, packed } => {
                    self.open = Some(packed);
                    Event::Begin(content)
                }
            });
        };
        let event = match packed.recv().await {
            Some(Packed::Bytes(bytes)) => return Some(Event::Bytes(bytes)),
            Some(Packed::End { dump_length, rows }) => Event::End { dump_length, rows },
            Some(Packed::Failed(error)) => Event::Failed(error),
            None => Event::Lost,
        };
        self.open = None;
        Some(event)
    }

    /// Puts what comes next behind what is held.
    async fn hold(&mut self) {
        match self.receive().await {
            Some(event) => {
                if let Event::Bytes(bytes) = &event {
                    self.bytes += bytes.len();
                }
                self.held.push_back(event);
            }
            None => self.ended = true,
        }
    }

    fn take(&mut self) -> Option<Event> {
        let event = self.held.pop_front()?;
        if let Event::Bytes(bytes) = &event {
            self.bytes -= bytes.len();
        }
        Some(event)
    }
}

/// The lanes that are not at their end, the one whose turn it is first.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: VecDeque<Lane>,
    /// How many of the bytes that it held when its turn began are still to come.
    owed: usize,
}

impl Lanes {
    pub(super) fn new(queues: Vec<Receiver<Queued>>) -> Self {
        let lane = |(nth, queue)| {
            let (held, open) = (VecDeque::new(), None);
            Lane { nth, queue, open, held, bytes: 0, ended: false }
        };
        Self { lanes: queues.into_iter().enumerate().map(lane).collect(), owed: 0 }
    }

    /// What is written next, and of which lane; `None` when all are at their end.
    /// The events of a member follow one another.
    pub(super) async fn next(&mut self) -> Option<(usize, Event)> {
        loop {
            let first = self.lanes.front_mut()?;
            if let Some(event) = first.take() {
                let nth = first.nth;
                match &event {
                    Event::Bytes(bytes) => self.owed = self.owed.saturating_sub(bytes.len()),
                    Event::End { .. } if self.owed == 0 => self.pass_on(),
                    _ => {}
                }
                return Some((nth, event));
            }
            if first.ended {
                self.lanes.pop_front();
                self.begin();
                continue;
            }
            let wanted =
                |(at, lane): &(usize, &mut Lane)| *at == 0 || (!lane.ended && lane.bytes < TURN);
            let lanes = self.lanes.iter_mut().enumerate().filter(wanted);
            select_all(lanes.map(|(_, lane)| Box::pin(lane.hold()))).await;
        }
    }

    /// Another's turn, where one has waited for it long enough.
    fn pass_on(&mut self) {
        if let Some(at) = (1..self.lanes.len()).find(|&at| self.lanes[at].bytes >= TURN) {
            self.lanes.rotate_left(at);
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.owed = self.lanes.front().map_or(0, |lane| lane.bytes);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

    use super::*;

    const MIB: usize = 1024 * 1024;

    /// A lane of members of a MiB each, in two pieces, as a thread makes them.
    fn lane(members: u64) -> Receiver<Queued> {
        let (queue, lane) = channel(1);
        tokio::spawn(async move {
            for rows in 0..members {
                let (packed, receiver) = channel(1);
                let content = Content::Rows;
                queue.send(Queued::Member { content, packed: receiver }).await.unwrap();
                for piece in [Packed::Bytes(vec![0; MIB / 2]), Packed::Bytes(vec![1; MIB / 2])] {
                    packed.send(piece).await.unwrap();
                }
                packed.send(Packed::End { dump_length: 0, rows }).await.unwrap();
            }
        });
        lane
    }

    /// Which lane each member came from, and which of its members it was.
    async fn written(lanes: Vec<Receiver<Queued>>) -> Vec<(usize, u64)> {
        let (mut lanes, mut open, mut written) = (Lanes::new(lanes), None, Vec::new());
        while let Some((lane, event)) = lanes.next().await {
            match event {
                Event::Begin(_) => assert_eq!(open.replace(lane), None),
                Event::End { rows, .. } => {
                    assert_eq!(open.take(), Some(lane), "a member in another");
                    written.push((lane, rows));
                }
                Event::Bytes(_) => assert_eq!(open, Some(lane)),
                other => panic!("{other:?}"),
            }
        }
        written
    }

    #[tokio::test]
    async fn lanes_take_turns_that_are_worth_a_request_and_lose_nothing() {
        let lengths = [40, 25, 9];
        let written = written(lengths.map(lane).into()).await;
        for (lane, &length) in lengths.iter().enumerate() {
            let of_it = written.iter().filter(|(at, _)| *at == lane).map(|(_, nth)| *nth);
            assert!(of_it.eq(0..length), "{written:?}");
        }
        let turns: Vec<&[(usize, u64)]> = written.chunk_by(|one, next| one.0 == next.0).collect();
        assert!(turns.len() > 3, "{written:?}");
        // The first may have held nothing, and one that is left alone goes on.
        for turn in &turns[1..turns.len() - 1] {
            let (lane, last) = turn[turn.len() - 1];
            let is_end = last + 1 == lengths[lane];
            assert!(is_end || turn.len() * MIB >= TURN, "{written:?}");
        }
    }

    #[tokio::test]
    async fn a_lane_whose_thread_is_gone_is_said() {
        let (queue, lane) = channel(1);
        let (packed, receiver) = channel(1);
        queue.send(Queued::Member { content: Content::Rows, packed: receiver }).await.unwrap();
        drop((queue, packed));
        let mut lanes = Lanes::new(vec![lane]);
        assert!(matches!(lanes.next().await, Some((0, Event::Begin(Content::Rows)))));
        assert!(matches!(lanes.next().await, Some((0, Event::Lost))));
        assert!(lanes.next().await.is_none());
    }
}
