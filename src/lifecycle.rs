//! How the process ends.
//!
//! The first SIGTERM or SIGINT cancels the soft token: no new job begins, a
//! running one may finish. A margin before the grace time is over, or at a
//! second signal, the hard token is cancelled: jobs abort their uploads and
//! release their locks, and have that margin to do so. Then the process ends,
//! whatever still runs; what that leaves behind is debris, never a backup.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// At most this much of the grace time is kept for aborting.
const LONGEST_MARGIN: Duration = Duration::from_secs(10);

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// The exit code of a command that this signal interrupted.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// Where signals come from.
#[derive(Debug)]
pub struct Signals(mpsc::UnboundedReceiver<Signal>);

impl Signals {
    /// From the system. From now on neither signal ends the process by itself.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn install() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, signals) = Self::channel();
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    Some(()) = terminate.recv() => Signal::Terminate,
                    else => return,
                };
                if sender.send(signal).is_err() {
                    return;
                }
            }
        });
        Ok(signals)
    }

    /// From elsewhere in the process.
    #[must_use]
    pub fn channel() -> (mpsc::UnboundedSender<Signal>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(receiver))
    }

    /// Waits for the next one; for ever when none can come any more.
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// The life of the daemon; clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// Cancelled when nothing new may begin.
    pub soft: CancellationToken,
    /// Cancelled when what runs must abort; `soft` is cancelled by then.
    pub hard: CancellationToken,
    tracker: TaskTracker,
    first: Arc<OnceLock<Signal>>,
    grace: Duration,
    margin: Duration,
}

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The signal that asked for it; `None` when the process itself did.
    pub signal: Option<Signal>,
    /// Whether every task ended by itself in time.
    pub clean: bool,
}

impl Lifecycle {
    /// A life that ends at most `grace` after it was asked to.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tracker: TaskTracker::new(),
            first: Arc::default(),
            grace,
            margin: (grace / 3).min(LONGEST_MARGIN),
        }
    }

    /// Runs a task that [`Lifecycle::drain`] waits for.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tracker.spawn(task)
    }

    /// Turns signals, or a cancelled `soft`, into cancellations. Ends when
    /// `hard` is cancelled; run it beside the work.
    pub async fn watch(self, mut signals: Signals) {
        tokio::select! {
            signal = signals.next() => {
                // Only `watch` sets it, so it is not set yet.
                let _ = self.first.set(signal);
                tracing::info!(
                    signal = signal.as_str(),
                    grace_seconds = self.grace.as_secs(),
                    "stopping; a second signal aborts at once"
                );
                self.soft.cancel();
            }
            () = self.soft.cancelled() => {}
            () = self.hard.cancelled() => self.soft.cancel(),
        }
        tokio::select! {
            signal = signals.next() => {
                // The process asked first, or a person is in a hurry.
                let _ = self.first.set(signal);
                tracing::warn!(signal = signal.as_str(), "aborting");
            }
            () = tokio::time::sleep(self.grace.saturating_sub(self.margin)) => {
                if !self.tracker.is_empty() {
                    tracing::warn!("the grace time is nearly over; aborting");
                }
            }
            () = self.hard.cancelled() => {}
        }
        self.hard.cancel();
    }

    /// Waits until the process was asked to end, then until every task has, or
    /// until they have had their time. [`Lifecycle::watch`] must be running.
    pub async fn drain(&self) -> Stop {
        self.soft.cancelled().await;
        self.tracker.close();
        let deadline = async {
            self.hard.cancelled().await;
            tokio::time::sleep(self.margin).await;
        };
        let clean = tokio::select! {
            biased;
            () = self.tracker.wait() => true,
            () = deadline => false,
        };
        if !clean {
            tracing::error!(
                tasks = self.tracker.len(),
                "tasks did not end in time and are dropped"
            );
        }
        Stop { signal: self.first.get().copied(), clean }
    }
}

/// How a one-shot command's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// By itself.
    Finished(T),
    /// A signal came first.
    Interrupted {
        /// The signal.
        signal: Signal,
        /// What the work still returned; `None` when it was dropped half way.
        value: Option<T>,
    },
}

/// Runs a one-shot command's work. The first signal cancels `cancel`, which
/// `work` must heed, and gives it `grace` to clean up; a second one, or the end
/// of the grace, drops it.
pub async fn interruptible<T>(
    mut signals: Signals,
    cancel: CancellationToken,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Ended<T> {
    tokio::pin!(work);
    let signal = tokio::select! {
        biased;
        value = &mut work => return Ended::Finished(value),
        signal = signals.next() => signal,
    };
    cancel.cancel();
    let value = tokio::select! {
        biased;
        value = &mut work => Some(value),
        _ = signals.next() => None,
        () = tokio::time::sleep(grace) => None,
    };
    Ended::Interrupted { signal, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test may take: what waits for it must not.
    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(60);

    fn watched(grace: Duration) -> (Lifecycle, mpsc::UnboundedSender<Signal>) {
        let lifecycle = Lifecycle::new(grace);
        let (sender, signals) = Signals::channel();
        tokio::spawn(lifecycle.clone().watch(signals));
        (lifecycle, sender)
    }

    #[tokio::test]
    async fn a_running_job_may_finish_after_the_first_signal() {
        let (lifecycle, sender) = watched(LONG);
        let soft = lifecycle.soft.clone();
        let job = lifecycle.spawn(async move {
            soft.cancelled().await;
            "finished"
        });
        sender.send(Signal::Terminate).unwrap();
        let stop = lifecycle.drain().await;
        assert_eq!(stop, Stop { signal: Some(Signal::Terminate), clean: true });
        assert_eq!(job.await.unwrap(), "finished");
        assert!(!lifecycle.hard.is_cancelled());
    }

    #[tokio::test]
    async fn a_second_signal_aborts_at_once() {
        let (lifecycle, sender) = watched(LONG);
        let hard = lifecycle.hard.clone();
        lifecycle.spawn(async move { hard.cancelled().await });
        sender.send(Signal::Interrupt).unwrap();
        sender.send(Signal::Terminate).unwrap();
        let stop = lifecycle.drain().await;
        assert_eq!(stop, Stop { signal: Some(Signal::Interrupt), clean: true });
        assert!(lifecycle.hard.is_cancelled());
    }

    #[tokio::test]
    async fn jobs_are_aborted_before_the_grace_is_over() {
        let (lifecycle, sender) = watched(SHORT);
        let hard = lifecycle.hard.clone();
        lifecycle.spawn(async move { hard.cancelled().await });
        sender.send(Signal::Terminate).unwrap();
        assert!(lifecycle.drain().await.clean);
    }

    #[tokio::test]
    async fn a_task_that_never_ends_cannot_hold_the_process() {
        let (lifecycle, sender) = watched(SHORT);
        lifecycle.spawn(std::future::pending::<()>());
        sender.send(Signal::Terminate).unwrap();
        let stop = lifecycle.drain().await;
        assert_eq!(stop, Stop { signal: Some(Signal::Terminate), clean: false });
    }

    #[tokio::test]
    async fn the_process_may_ask_for_its_own_end() {
        let (lifecycle, _sender) = watched(LONG);
        lifecycle.soft.cancel();
        assert_eq!(lifecycle.drain().await, Stop { signal: None, clean: true });

        let (lifecycle, _sender) = watched(SHORT);
        lifecycle.spawn(std::future::pending::<()>());
        lifecycle.soft.cancel();
        assert_eq!(lifecycle.drain().await, Stop { signal: None, clean: false });
    }

    #[tokio::test]
    async fn a_command_that_is_not_interrupted_just_returns() {
        let (_sender, signals) = Signals::channel();
        let ended = interruptible(signals, CancellationToken::new(), LONG, async { 7 }).await;
        assert_eq!(ended, Ended::Finished(7));
    }

    #[tokio::test]
    async fn an_interrupted_command_cleans_up() {
        let (sender, signals) = Signals::channel();
        let cancel = CancellationToken::new();
        let seen = cancel.clone();
        let work = async move {
            seen.cancelled().await;
            "cleaned up"
        };
        sender.send(Signal::Interrupt).unwrap();
        let ended = interruptible(signals, cancel, LONG, work).await;
        let value = Some("cleaned up");
        assert_eq!(ended, Ended::Interrupted { signal: Signal::Interrupt, value });
    }

    #[tokio::test]
    async fn a_command_that_does_not_listen_is_dropped() {
        for (signals_sent, grace) in [(2, LONG), (1, SHORT)] {
            let (sender, signals) = Signals::channel();
            for _ in 0..signals_sent {
                sender.send(Signal::Terminate).unwrap();
            }
            let work = std::future::pending::<()>();
            let ended = interruptible(signals, CancellationToken::new(), grace, work).await;
            assert_eq!(ended, Ended::Interrupted { signal: Signal::Terminate, value: None });
        }
    }

    #[tokio::test]
    async fn a_real_signal_arrives() {
        let mut signals = Signals::install().unwrap();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(signals.next().await, Signal::Terminate);
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGINT).unwrap();
        assert_eq!(signals.next().await, Signal::Interrupt);
        assert_eq!((Signal::Terminate.exit_code(), Signal::Interrupt.exit_code()), (143, 130));
    }
}
