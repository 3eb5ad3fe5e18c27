//! Runs post-data: waves of statements by many sessions, and the rest in order.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use futures::future::try_join_all;
use tokio::sync::Notify;

use super::{
    error::Failure,
    order::{Lock, lock},
    progress::Progress,
    statement::Statement,
};
use crate::postgres::{Psql, Target};

/// How often a statement is tried again that waited for another of ours.
const DEADLOCKS: usize = 3;

struct Queue {
    waiting: VecDeque<(Statement, Lock)>,
    running: Vec<(usize, Lock)>,
}

/// Runs the statements of a wave, at once where their locks allow it. They are
/// taken in their order, but one that must wait lets others pass.
pub(super) async fn wave(
    statements: Vec<Statement>,
    sessions: &mut [Target],
    psql: &Psql,
    progress: &Progress,
) -> Result<(), Failure> {
    let waiting = statements
        .into_iter()
        .map(|s| {
            let lock = lock(&s);
            (s, lock)
        })
        .collect();
    let queue = Mutex::new(Queue { waiting, running: Vec::new() });
    let freed = Notify::new();
    let work = sessions.iter_mut().enumerate().map(|(nth, session)| {
        let (queue, freed) = (&queue, &freed);
        async move {
            loop {
                // Registered before looking, so that nothing freed meanwhile is missed.
                let notified = freed.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                match next(queue, nth) {
                    Next::Statement(statement) => {
                        run(&statement, session, psql).await?;
                        progress.add(1);
                        locked(queue).running.retain(|(by, _)| *by != nth);
                        freed.notify_waiters();
                    }
                    Next::Wait => notified.await,
                    Next::Done => return Ok::<(), Failure>(()),
                }
            }
        }
    });
    try_join_all(work).await?;
    Ok(())
}

enum Next {
    Statement(Box<Statement>),
    Wait,
    Done,
}

fn next(queue: &Mutex<Queue>, nth: usize) -> Next {
    let mut queue = locked(queue);
    if queue.waiting.is_empty() {
        return Next::Done;
    }
    let free = queue
        .waiting
        .iter()
        .position(|(_, lock)| queue.running.iter().all(|(_, other)| lock.allows(other)));
    match free.and_then(|at| queue.waiting.remove(at)) {
        Some((statement, lock)) => {
            queue.running.push((nth, lock));
            Next::Statement(Box::new(statement))
        }
        None => Next::Wait,
    }
}

fn locked(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one statement.
pub(super) async fn run(
    statement: &Statement,
    session: &mut Target,
    psql: &Psql,
) -> Result<(), Failure> {
    let Ok(sql) = std::str::from_utf8(&statement.text) else {
        // Only psql sends bytes that are no Unicode.
        let mut script = b"SET client_encoding = 'SQL_ASCII';\nSET search_path = '';\n".to_vec();
        script.extend_from_slice(&statement.text);
        script.push(b'\n');
        return psql.run(&script).await.map_err(|error| Failure::of(statement, error));
    };
    let mut tries = 0;
    loop {
        match session.run(sql).await {
            Err(error) if error.is_deadlock() && tries < DEADLOCKS => tries += 1,
            result => return result.map_err(Failure::at(statement)),
        }
    }
}

/// Lets sessions take items from a list until it is empty.
pub(super) async fn each<T, R>(
    items: &[T],
    sessions: &mut [Target],
    progress: &Progress,
    work: impl AsyncFn(&T, &mut Target) -> Result<R, Failure>,
) -> Result<Vec<(usize, R)>, Failure> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (next, work) = (&next, &work);
    let sessions = sessions.iter_mut().map(|session| async move {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok::<_, Failure>(done) };
            done.push((at, work(item, &mut *session).await?));
            progress.add(1);
        }
    });
    Ok(try_join_all(sessions).await?.into_iter().flatten().collect())
}
