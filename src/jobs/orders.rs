//! How a runner is told what to do: nudged by the schedule, ordered by people.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::{StartResult, Trigger};
use crate::{state::State, words::JobKind};

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
        let running = self.state.database(&self.name).and_then(|known| known.running);
        // A verify gives way.
        let runs = running.is_some_and(|running| running.job == JobKind::Backup);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::{
        clock::Clock,
        schedule::{self, Line},
    };

    /// Far less than it takes a cron line to fire again after a clock went back.
    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn nudges_go_on_whatever_becomes_of_the_clock_and_end_with_the_schedule() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH + TimeDelta::days(20_458));
        let state = State::new(clock.clone(), clock.now(), "1.0.0");
        let (handle, mut orders) = orders("main", state.clone());
        // One that does not fire by itself while this test runs.
        let line = Line { cron: "0 0 0 29 2 MON".to_owned(), runners: vec![handle] };
        let period = Duration::from_millis(5);
        let schedule = schedule::start(vec![line], &state, period).await.unwrap();
        for days in [0, 400, -400, -2, 2] {
            clock.advance(TimeDelta::days(days));
            // Each is taken, so that the next one is another.
            let nudge = tokio::time::timeout(PATIENCE, orders.next()).await;
            assert!(matches!(nudge, Ok(Some(Order::Nudge(None)))), "{days}: {nudge:?}");
        }
        assert!(state.liveness().scheduler);
        schedule.shutdown().await.unwrap();
        // One may have come before the end, and none comes after it.
        let _ = orders.receiver.try_recv();
        tokio::task::yield_now().await;
        assert!(orders.receiver.try_recv().is_err());
    }
}
