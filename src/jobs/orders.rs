//! How a runner is told what to do: nudged by the schedule, ordered by people.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::{StartResult, Trigger};
use crate::state::State;

/// Orders that may wait for a busy runner.
const ORDERS: usize = 4;

/// What a runner can be told.
#[derive(Debug)]
pub(super) enum Order {
    /// Look whether anything is due. The sender is dropped when that is done.
    Nudge(Option<oneshot::Sender<()>>),
    /// Take a backup now.
    Start,
}

/// Talks to one database's runner.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    state: State,
    name: Arc<str>,
    /// Whether a person's order waits for the runner.
    ordered: Arc<AtomicBool>,
}

/// The runner's end.
#[derive(Debug)]
pub(super) struct Orders {
    receiver: mpsc::Receiver<Order>,
    ordered: Arc<AtomicBool>,
}

/// Connects a database's runner with those who tell it what to do.
pub(super) fn orders(name: &str, state: State) -> (Handle, Orders) {
    let (sender, receiver) = mpsc::channel(ORDERS);
    let ordered = Arc::new(AtomicBool::new(false));
    let handle =
        Handle { orders: sender, state, name: Arc::from(name), ordered: Arc::clone(&ordered) };
    (handle, Orders { receiver, ordered })
}

impl Orders {
    /// The next one; `None` when nobody is left to give one.
    pub(super) async fn next(&mut self) -> Option<Order> {
        self.receiver.recv().await
    }

    /// What was ordered runs now, so that whoever orders next is told of that.
    pub(super) fn begun(&self) {
        self.ordered.store(false, Ordering::Release);
    }
}

impl Handle {
    /// Makes the runner look whether anything is due. Returns at once.
    pub fn nudge(&self) {
        // Nudges that come while the runner is busy say nothing new: one waits,
        // and the other places are left to people.
        if self.orders.capacity() == ORDERS {
            let _ = self.orders.try_send(Order::Nudge(None));
        }
    }

    /// Makes the runner look whether anything is due, and waits until it has
    /// looked and done what was.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        if self.orders.send(Order::Nudge(Some(done))).await.is_ok() {
            // The sender is dropped, not used.
            let _ = settled.await;
        }
    }

    /// Orders a backup, and returns without waiting for the runner, which may
    /// be looking at the store. One order waits at a time.
    fn start(&self) -> StartResult {
        if self.state.stopping() {
            return StartResult::ShuttingDown;
        }
        let runs = self.state.database(&self.name).is_some_and(|known| known.running.is_some());
        if runs || self.ordered.swap(true, Ordering::AcqRel) {
            return StartResult::AlreadyRunning;
        }
        let Err(refused) = self.orders.try_send(Order::Start) else {
            return StartResult::Accepted;
        };
        self.ordered.store(false, Ordering::Release);
        match refused {
            mpsc::error::TrySendError::Full(_) => StartResult::AlreadyRunning,
            mpsc::error::TrySendError::Closed(_) => StartResult::ShuttingDown,
        }
    }
}

/// The runners of all databases, for `POST /backups`.
#[derive(Clone, Debug)]
pub struct Handles(pub Vec<Handle>);

impl Trigger for Handles {
    fn start(&self, database: &str) -> StartResult {
        match self.0.iter().find(|handle| &*handle.name == database) {
            Some(handle) => handle.start(),
            None => StartResult::UnknownDatabase,
        }
    }
}
