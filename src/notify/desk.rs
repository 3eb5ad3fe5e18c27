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

use super::{Channel, Message, Notice, Scrub};
use crate::{
    visible::{visible, visible_lines},
    words::ChannelKind,
};

/// So many messages may wait for a channel; more mean that it is gone.
const QUEUE: usize = 256;

/// When delivery is tried again, and when no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The pause after the first attempt; it doubles from there.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// After this an alert counts as lost, and whoever decided on it is told.
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

/// What became of an alert in one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Which.
    pub channel: ChannelKind,
    /// The alert, as it was sent.
    pub notice: Notice,
    /// Whether it arrived.
    pub arrived: bool,
}

/// Takes messages. Dropping it lets the deliveries end when their queues are empty.
#[derive(Debug)]
pub struct Desk {
    counters: Vec<(Channel, mpsc::Sender<Message>)>,
    scrub: Scrub,
    pending: Arc<AtomicUsize>,
    told: Told,
    delivered: mpsc::UnboundedReceiver<Delivered>,
}

/// Who is told what became of a message.
#[derive(Clone)]
struct Told {
    observer: Observer,
    delivered: mpsc::UnboundedSender<Delivered>,
}

impl Told {
    fn of(&self, channel: ChannelKind, message: &Message, result: Result<(), String>) {
        if let Message::Notice(notice) = message {
            let (notice, arrived) = (notice.clone(), result.is_ok());
            // Whoever would hear it may be gone, with the desk.
            let _ = self.delivered.send(Delivered { channel, notice, arrived });
        }
        (self.observer)(channel, result);
    }
}

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
    told: Told,
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
        let (sender, delivered) = mpsc::unbounded_channel();
        let told = Told { observer, delivered: sender };
        let (mut counters, mut deliveries) = (Vec::new(), Vec::new());
        for channel in channels {
            let (sender, queue) = mpsc::channel(QUEUE);
            counters.push((channel.clone(), sender));
            let (pending, told) = (Arc::clone(&pending), told.clone());
            deliveries.push(Delivery { channel, queue, timing, pending, told });
        }
        (Self { counters, scrub, pending, told, delivered }, deliveries)
    }

    /// An alert as it is sent: without secrets and rows, and so that nothing of
    /// what was found can be taken for another part of it. Doing it again
    /// changes nothing.
    #[must_use]
    pub fn cleaned(&self, notice: Notice) -> Notice {
        let notice = notice.map_texts(|text| self.scrub.clean(text));
        let notice = Notice { title: visible(&notice.title), ..notice };
        notice.map_texts(|text| indented(&visible_lines(text)))
    }

    /// Takes a message for every channel that wants it, and says which those
    /// are. Never waits.
    #[expect(clippy::must_use_candidate, reason = "a sign of life is sent and forgotten")]
    pub fn send(&self, message: Message) -> Vec<ChannelKind> {
        self.hand(message, |_| true)
    }

    /// Takes a message for one channel; whether there is such a one, and it wants
    /// that. Never waits.
    #[must_use]
    pub fn send_to(&self, channel: ChannelKind, message: Message) -> bool {
        !self.hand(message, |kind| kind == channel).is_empty()
    }

    fn hand(&self, message: Message, is_meant: impl Fn(ChannelKind) -> bool) -> Vec<ChannelKind> {
        let message = match message {
            Message::Notice(notice) => Message::Notice(self.cleaned(notice)),
            pulse @ Message::Pulse(_) => pulse,
        };
        let mut handed = Vec::new();
        for (channel, sender) in &self.counters {
            if !is_meant(channel.kind) || !channel.wants(&message) {
                continue;
            }
            handed.push(channel.kind);
            self.pending.fetch_add(1, Ordering::AcqRel);
            if sender.try_send(message.clone()).is_err() {
                let why = "take it: too many messages wait already".to_owned();
                self.told.of(channel.kind, &message, Err(why));
                self.pending.fetch_sub(1, Ordering::AcqRel);
            }
        }
        handed
    }

    /// What became of alerts since this was last asked.
    pub fn delivered(&mut self) -> Vec<Delivered> {
        std::iter::from_fn(|| self.delivered.try_recv().ok()).collect()
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
            self.told.of(self.channel.kind, &message, result);
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

/// Lines behind the first one are set in, as a part of it.
fn indented(text: &str) -> String {
    const SPACE: &str = "    ";
    let lines = text.lines().enumerate().map(|(at, line)| match at {
        0 => line.to_owned(),
        _ => format!("{SPACE}{}", line.strip_prefix(SPACE).unwrap_or(line)),
    });
    lines.collect::<Vec<_>>().join("\n")
}
