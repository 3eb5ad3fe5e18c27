//! Rows into new tables: many sessions at once, each member one COPY.
//!
//! What each session holds in memory is one member, compressed and not.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::{
    blame::Blame,
    failure::Failure,
    framing::{Begun, Framing, FramingError},
    members::{Archive, Run},
    progress::Progress,
    queue::Queue,
    statement::name_of,
};
use crate::{
    archive::{
        TableName,
        manifest::{Member, Table},
    },
    postgres::{CopyIn, Target},
};

/// How many bytes of rows go into one message to the server.
const MESSAGE: usize = 128 * 1024;

/// What helps where rows point at rows that are not there.
pub(super) const ORPHANS: &str =
    "; restore the table that it points at along with it, with another --table";

/// What the sessions share.
struct Shared {
    archive: Archive,
    tables: Vec<Table>,
    queue: Mutex<Queue>,
    progress: Progress,
}

/// Loads the tables at these places of the manifest; the sessions come back.
pub(super) async fn load(
    archive: &Archive,
    tables: &[Table],
    order: &[usize],
    sessions: Vec<Target>,
    progress: &Progress,
) -> Result<Vec<Target>, Failure> {
    let shared = Arc::new(Shared {
        archive: archive.clone(),
        tables: tables.to_vec(),
        queue: Mutex::new(Queue::new(tables, order)),
        progress: progress.clone(),
    });
    // Dropping the set, when this future is dropped, ends them all.
    let mut work = JoinSet::new();
    for session in sessions {
        work.spawn(take(Arc::clone(&shared), session));
    }
    let mut back = Vec::new();
    while let Some(ended) = work.join_next().await {
        let session = ended.map_err(|error| Failure {
            at: None,
            message: format!("a session's task broke down: {error}"),
            blame: Blame::Unknown,
        })?;
        back.push(session?);
    }
    Ok(back)
}

async fn take(shared: Arc<Shared>, mut session: Target) -> Result<Target, Failure> {
    loop {
        let taken = lock(&shared.queue).take();
        let Some((table, members)) = taken else { return Ok(session) };
        let (archive, progress) = (&shared.archive, &shared.progress);
        // Each COPY is a transaction of its own.
        let taken = |rows| progress.add_rows(rows);
        copy(archive, &shared.tables[table], members, &mut session, progress, taken).await?;
        if lock(&shared.queue).done(table) {
            progress.add_tables(1);
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies members of one table that follow one another; `taken` is told of the rows
/// of each that the server has taken.
pub(super) async fn copy(
    archive: &Archive,
    table: &Table,
    members: Vec<Member>,
    session: &mut Target,
    progress: &Progress,
    mut taken: impl FnMut(u64),
) -> Result<(), Failure> {
    let name = TableName { schema: table.schema.clone(), name: table.name.clone() };
    let at = format!("rows of table {}", name_of(&name));
    let mut run = archive.run(members);
    while let Some(member) = run.next() {
        let rows = copy_member(&mut run, member, &name, session)
            .await
            .map_err(|failure| failure.located(&at))?;
        if rows != member.rows {
            let message = format!(
                "the member at byte {} of the archive has {rows} rows instead of {}",
                member.offset, member.rows
            );
            return Err(Failure::of(&at, message));
        }
        progress.add(member.length);
        taken(rows);
    }
    Ok(())
}

/// One member, one COPY; returns how many rows the server took.
async fn copy_member(
    run: &mut Run,
    member: Member,
    name: &TableName,
    session: &mut Target,
) -> Result<u64, Failure> {
    let mut framing = Framing::default();
    let (begun, first) = loop {
        let Some(piece) = run.piece().await? else {
            return Err(wrong(member, FramingError::Begin));
        };
        if let Some(begun) = framing.begin(piece).map_err(|error| wrong(member, error))? {
            break begun;
        }
    };
    belongs(&begun, name).map_err(unserved)?;
    let mut copy = session.copy(&begun.statement).await?;
    let first = send(framing.rows(first), &mut copy).await;
    let sending = async {
        first?;
        while let Some(piece) = run.piece().await? {
            send(framing.rows(piece), &mut copy).await?;
        }
        framing.finish().map_err(|error| wrong(member, error))
    };
    if let Err(failure) = sending.await {
        copy.abort().await;
        return Err(failure);
    }
    copy.finish().await.map_err(|error| {
        let orphans = error.points_at_nothing();
        let mut failure = Failure::from(error);
        failure.message += if orphans { ORPHANS } else { "" };
        failure
    })
}

async fn send((held, now): (Vec<u8>, &[u8]), copy: &mut CopyIn<'_>) -> Result<(), Failure> {
    for message in std::iter::once(&held[..]).chain(now.chunks(MESSAGE)) {
        if !message.is_empty() {
            copy.send(message).await?;
        }
    }
    Ok(())
}

/// What is wrong with the archive, which no server has said.
fn unserved(message: String) -> Failure {
    Failure { at: None, message, blame: Blame::Unknown }
}

fn wrong(member: Member, error: FramingError) -> Failure {
    unserved(format!("the member at byte {} of the archive {error}", member.offset))
}

pub(super) fn belongs(begun: &Begun, name: &TableName) -> Result<(), String> {
    let header = &begun.header;
    if header.schema == name.schema && header.table == name.name {
        return Ok(());
    }
    let found = TableName { schema: header.schema.clone(), name: header.table.clone() };
    Err(format!("the archive holds rows of {} where the manifest says otherwise", name_of(&found)))
}
