//! From the snapshot to the store's parts: `pg_dump`, splitter, compressors,
//! hash, upload, all at once and in bounded memory.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::{sync::mpsc, task};

use super::{
    BackupError,
    begin::{Begun, END_WITHIN, begin_all, ended_well},
    upload::ArchiveUpload,
};
use crate::{
    archive::{
        Feeder, Queued, ReadError, SplitError, WriteError, Written, mark, pack, read_section, write,
    },
    catalog::BackupId,
    jobs::Environment,
    postgres::{Dump, Part, Session, dump},
    process::TERM_GRACE,
    state::Progress,
    store::StoreError,
    words::Stage,
};

/// How often the session that holds the snapshot gives a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// As many changes are named in an error.
const NAMED: usize = 10;

/// An archive whose parts are all handed out.
pub(super) struct Streamed {
    pub(super) written: Written,
    pub(super) warnings: Vec<String>,
}

/// Dumps the three sections into `upload`. Nothing is visible yet when it returns.
pub(super) async fn stream(
    environment: &Environment,
    dump: &Dump,
    session: &mut Session,
    id: BackupId,
    part_size: u64,
    upload: &mut ArchiveUpload,
    progress: &Progress,
) -> Result<Streamed, BackupError> {
    progress.enter(Stage::Dump);
    let begun = begin_all(dump).await?;
    refuse_changes(session).await?;
    let member_size = environment.archive.member_size;
    let mut comment = Some(mark(&id.to_string()));
    let (mut feeding, mut phases) = (Vec::new(), Vec::new());
    for begun in begun {
        // The threads are divided: all of them together hold no more in memory.
        let threads = environment.archive.threads.div_ceil(begun.len());
        let (fed, queues): (Vec<_>, Vec<_>) =
            begun.into_iter().map(|begun| fed(begun, threads, member_size, comment.take())).unzip();
        feeding.push(fed);
        phases.push(queues);
    }
    let part_size = usize::try_from(part_size).unwrap_or(usize::MAX);
    let writer = async {
        let report = |size: u64, rows: u64| progress.set_archive(size, rows);
        write(phases, part_size, upload, report).await.map_err(write_error)
    };
    let dumping = read_sections(dump, feeding, member_size, progress);
    let work = async { tokio::try_join!(writer, dumping) };
    tokio::select! {
        result = work => {
            let (written, warnings) = result?;
            Ok(Streamed { written, warnings })
        }
        error = keep_alive(session) => Err(error),
    }
}

/// Holds the database against the snapshot, now that every `pg_dump` has read it.
async fn refuse_changes(session: &mut Session) -> Result<(), BackupError> {
    let changed = session
        .changed_since()
        .await
        .map_err(|error| BackupError::new(Stage::Snapshot, error.is_transient(), &error))?;
    if changed.is_empty() {
        return Ok(());
    }
    let named = changed.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = changed.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let message = format!(
        "take a consistent snapshot: altered, replaced, truncated or dropped while the backup \
         began: {named}{more}"
    );
    Err(BackupError::new(Stage::Snapshot, true, &message))
}

/// Keeps the snapshot's session alive, and with it the lock. Returns only when
/// it is lost.
async fn keep_alive(session: &mut Session) -> BackupError {
    loop {
        tokio::time::sleep(SIGN_OF_LIFE).await;
        if let Err(error) = session.keep_alive().await {
            return BackupError::new(Stage::Snapshot, true, &error);
        }
    }
}

/// A `pg_dump` and what its text goes into, and the queue that comes out of that.
type Fed = (Begun, Feeder);

fn fed(
    begun: Begun,
    threads: usize,
    member_size: usize,
    comment: Option<String>,
) -> (Fed, mpsc::Receiver<Queued>) {
    let (feeder, queue) = pack(threads, member_size, comment);
    let feeder = match begun.part {
        Part::Section(_) => feeder,
        // The settings and sequences that it says are the other one's as well.
        Part::Share(_) => feeder.of_rows_alone(),
    };
    ((begun, feeder), queue)
}

/// Reads what each `pg_dump` writes, section after section, so that the archive is
/// in the order of a whole dump. Returns what they warned of.
async fn read_sections(
    dump: &Dump,
    sections: Vec<Vec<Fed>>,
    member_size: usize,
    progress: &Progress,
) -> Result<Vec<String>, BackupError> {
    let mut warnings = Vec::new();
    for section in sections {
        let reading = section
            .into_iter()
            .map(|(begun, feeder)| read_to_end(dump, begun, feeder, member_size, progress));
        for stderr in try_join_all(reading).await? {
            for warning in dump::warnings(&stderr) {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
    }
    Ok(warnings)
}

async fn read_to_end(
    dump: &Dump,
    begun: Begun,
    mut feeder: Feeder,
    member_size: usize,
    progress: &Progress,
) -> Result<String, BackupError> {
    let (part, mut child, text) = begun.into_parts();
    let section = part.section();
    let counter = progress.clone();
    // A thread of its own, as for the beginning.
    let reading = task::spawn_blocking(move || {
        let count = |bytes| counter.add_dump_bytes(bytes);
        read_section(text, section, member_size, &mut feeder, count)
    });
    let read = reading.await.map_err(|error| BackupError::new(Stage::Dump, true, &error))?;
    // How the program ended explains what it wrote, so it is asked first, but
    // one that was cut off in the middle has no say.
    let exit = match &read {
        Err(ReadError::Split(error @ SplitError::Nul(_))) => {
            child.stop(TERM_GRACE).await;
            return Err(BackupError::new(Stage::Dump, false, &error));
        }
        Err(ReadError::WriterGone | ReadError::Pipe(_)) => child.stop(TERM_GRACE).await,
        _ => match tokio::time::timeout(END_WITHIN, child.wait()).await {
            Ok(exit) => exit.map_err(|error| BackupError::new(Stage::Dump, true, &error))?,
            Err(_) => child.stop(TERM_GRACE).await,
        },
    };
    if let Err(error @ (ReadError::WriterGone | ReadError::Pipe(_))) = read {
        return Err(BackupError::new(Stage::Dump, true, &error));
    }
    let stderr = ended_well(dump, part, exit)?;
    read.map_err(|error| BackupError::new(Stage::Dump, true, &error))?;
    Ok(stderr)
}

fn write_error(error: WriteError<StoreError>) -> BackupError {
    match error {
        WriteError::Sink(error) => BackupError::store(Stage::Upload)(error),
        WriteError::Member(error) => BackupError::new(Stage::Compress, true, &error),
        WriteError::Lost => {
            BackupError::new(Stage::Compress, true, "compress a member: its thread is gone")
        }
    }
}
