//! Runs post-data: waves of statements by many sessions, and the rest in order.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use futures::future::try_join_all;
use tokio::sync::Notify;

use super::{
    failure::Failure,
    noted::Noted,
    order::{Lock, lock},
    progress::Progress,
    statement::{Statement, name_of},
};
use crate::{
    archive::TableName,
    postgres::{Psql, Target},
};

/// How often a statement is tried again that waited for another of ours.
const DEADLOCKS: usize = 3;

struct Queue {
    waiting: VecDeque<(Statement, Lock)>,
    running: Vec<(usize, Lock)>,
}

/// What is done about a foreign key of which some rows point at nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orphans {
    /// It stops the restore: everything was to come back.
    Stop,
    /// It is made for new rows alone, and said to be left out for the others:
    /// who wanted a part has it, and the rest may come later.
    Bear,
}

/// What was left out, and why.
pub(super) type LeftOut = (String, String);

/// Runs the statements of a wave, at once where their locks allow it. They are
/// taken in their order, but one that must wait lets others pass.
pub(super) async fn wave(
    statements: Vec<Statement>,
    sessions: &mut [Target],
    psql: &Psql,
    orphans: Orphans,
    progress: &Progress,
) -> Result<Vec<LeftOut>, Failure> {
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
            let mut left_out = Vec::new();
            loop {
                // Registered before looking, so that nothing freed meanwhile is missed.
                let notified = freed.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                match next(queue, nth) {
                    Next::Statement(statement) => {
                        left_out.extend(run(&statement, session, psql, orphans).await?);
                        progress.add(1);
                        locked(queue).running.retain(|(by, _)| *by != nth);
                        freed.notify_waiters();
                    }
                    Next::Wait => notified.await,
                    Next::Done => return Ok::<_, Failure>(left_out),
                }
            }
        }
    });
    Ok(try_join_all(work).await?.into_iter().flatten().collect())
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

/// Runs one statement; returns it where it is left out.
pub(super) async fn run(
    statement: &Statement,
    session: &mut Target,
    psql: &Psql,
    orphans: Orphans,
) -> Result<Option<LeftOut>, Failure> {
    let Ok(sql) = std::str::from_utf8(&statement.text) else {
        // Only psql sends bytes that are no Unicode.
        let mut script = b"SET client_encoding = 'SQL_ASCII';\nSET search_path = '';\n".to_vec();
        script.extend_from_slice(&statement.text);
        script.push(b'\n');
        let sent = psql.run(&script).await;
        let noted = Noted::from(statement);
        return sent.map(|()| None).map_err(|error| Failure::of_psql(Some(&noted), &error));
    };
    let mut tries = 0;
    loop {
        match session.run(sql).await {
            Err(error) if error.is_deadlock() && tries < DEADLOCKS => tries += 1,
            Err(error) if error.points_at_nothing() && orphans == Orphans::Bear => {
                return Ok(Some(bear(statement, sql, session).await));
            }
            result => return result.map(|()| None).map_err(Failure::in_statement(statement)),
        }
    }
}

/// Makes a foreign key that holds for new rows alone.
pub(super) async fn bear(statement: &Statement, sql: &str, session: &mut Target) -> LeftOut {
    let name = |name: &Option<TableName>| name.as_ref().map(name_of).unwrap_or_default();
    let (own, other) = (name(&statement.relation), name(&statement.other));
    let weaker = format!("{} NOT VALID", sql.trim_end().trim_end_matches(';'));
    let what = match session.run(&weaker).await {
        Ok(()) => format!(
            "it is made NOT VALID, so that it holds for new rows alone; restore --table {other}, \
             then ALTER TABLE {own} VALIDATE CONSTRAINT {}",
            name(&statement.object)
        ),
        Err(_) => format!("it is not made; restore --table {other}, then make it by hand"),
    };
    (statement.to_string(), format!("rows of {own} point at rows that {other} lacks: {what}"))
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
