//! Takes messages and has them delivered, without ever keeping anybody waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Channel, Message, Scrub};
use crate::words::ChannelKind;

/// So many messages may wait for a channel; more mean that it is gone.
const QUEUE: usize = 256;

/// When delivery is tried again, and when no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The pause after the first attempt; it doubles from there.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// After this an alert counts as lost; the next reminder tells the same.
    pub deadline: Duration,
    /// After this a sign of life does: a late one is none.
    pub pulse_deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            deadline: Duration::from_mins(15),
            pulse_deadline: Duration::from_mins(2),
        }
    }
}

/// Who is told of every message that arrived, or did not, with the reason.
pub type Observer = Arc<dyn Fn(ChannelKind, Result<(), String>) + Send + Sync>;

/// Takes messages. Dropping it lets the deliveries end when their queues are empty.
#[derive(Debug)]
pub struct Desk {
    counters: Vec<(Channel, mpsc::Sender<Message>)>,
    scrub: Scrub,
    pending: Arc<AtomicUsize>,
    observer: Told,
}

/// An observer that can be debugged.
#[derive(Clone)]
struct Told(Observer);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

/// Delivers one channel's messages, in order, until there can be no more.
#[derive(Debug)]
pub struct Delivery {
    channel: Channel,
    queue: mpsc::Receiver<Message>,
    timing: Timing,
    pending: Arc<AtomicUsize>,
    observer: Told,
}

impl Desk {
    /// A desk for these channels, and the deliveries, each to be run as a task.
    #[must_use]
    pub fn new(
        channels: Vec<Channel>,
        scrub: Scrub,
        timing: Timing,
        observer: Observer,
    ) -> (Self, Vec<Delivery>) {
        let pending = Arc::new(AtomicUsize::new(0));
        let observer = Told(observer);
        let (mut counters, mut deliveries) = (Vec::new(), Vec::new());
        for channel in channels {
            let (sender, queue) = mpsc::channel(QUEUE);
            counters.push((channel.clone(), sender));
            let (pending, observer) = (Arc::clone(&pending), observer.clone());
            deliveries.push(Delivery { channel, queue, timing, pending, observer });
        }
        (Self { counters, scrub, pending, observer }, deliveries)
    }

    /// Takes a message for every channel that wants it. Never waits.
    pub fn send(&self, message: Message) {
        let message = match message {
            Message::Notice(notice) => {
                Message::Notice(notice.map_texts(|text| self.scrub.clean(text)))
            }
            pulse @ Message::Pulse(_) => pulse,
        };
        for (channel, sender) in &self.counters {
            if !channel.wants(&message) {
                continue;
            }
            self.pending.fetch_add(1, Ordering::AcqRel);
            if sender.try_send(message.clone()).is_err() {
                self.pending.fetch_sub(1, Ordering::AcqRel);
                let why = "take it: too many messages wait already".to_owned();
                self.observer.0(channel.kind, Err(why));
            }
        }
    }

    /// Whether every message that was taken has arrived or is given up.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }
}

impl Delivery {
    /// Delivers until the desk is gone and everything is delivered, or until
    /// `cancel` is.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            let message = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                message = self.queue.recv() => message,
            };
            let Some(message) = message else { return };
            let result = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                result = self.persist(&message) => result,
            };
            self.observer.0(self.channel.kind, result);
            self.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    async fn persist(&self, message: &Message) -> Result<(), String> {
        let begun = Instant::now();
        let deadline = match message {
            Message::Notice(_) => self.timing.deadline,
            Message::Pulse(_) => self.timing.pulse_deadline,
        };
        let mut pause = self.timing.first_pause;
        loop {
            let left = deadline.saturating_sub(begun.elapsed());
            let attempt = tokio::time::timeout(left, self.channel.deliver.deliver(message)).await;
            let Ok(attempt) = attempt else {
                return Err(format!("deliver within {} s", deadline.as_secs()));
            };
            let Err(error) = attempt else { return Ok(()) };
            let wait = error.retry_after().unwrap_or(pause).max(pause);
            if !error.is_transient() || begun.elapsed() + wait >= deadline {
                return Err(error.to_string());
            }
            tracing::debug!(channel = self.channel.kind.as_str(), %error, "trying again");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(self.timing.longest_pause);
        }
    }
}
