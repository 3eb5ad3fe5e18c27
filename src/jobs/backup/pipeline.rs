//! From the snapshot to the store's parts: `pg_dump`, splitter, compressors,
//! hash, upload, all at once and in bounded memory.

use std::{cell::Cell, fs::File, sync::Arc, time::Duration};

use tokio::{sync::Notify, task};

use super::{BackupError, upload::ArchiveUpload};
use crate::{
    archive::{Feeder, ReadError, Section, WriteError, Written, mark, pack, read_section, write},
    catalog::BackupId,
    jobs::Environment,
    postgres::{Dump, Session, dump},
    process::{Child, TERM_GRACE},
    state::Progress,
    store::StoreError,
    words::Stage,
};

/// How often the session that holds the snapshot gives a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// How long `pg_dump` may take to end after its last byte.
const END_WITHIN: Duration = Duration::from_mins(1);

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
    let settings = &environment.archive;
    let (feeder, members) = pack(settings.threads, settings.member_size, mark(&id.to_string()));
    let part_size = usize::try_from(part_size).unwrap_or(usize::MAX);
    let look = Arc::new(Look::default());
    let writer = async {
        let report = |size: u64, rows: u64| progress.set_archive(size, rows);
        write(members, part_size, upload, report).await.map_err(write_error)
    };
    let dumping = dump_sections(dump, feeder, settings.member_size, &look, progress);
    let work = async { tokio::try_join!(writer, dumping) };
    tokio::select! {
        result = work => {
            let (written, warnings) = result?;
            Ok(Streamed { written, warnings })
        }
        error = watch(session, &look) => Err(error),
    }
}

/// The look for emptied tables, which falls between two events: the data have
/// begun to arrive, so that `pg_dump` holds its locks; and the data's `pg_dump`
/// has not been followed by the next one, which starts only after the look.
#[derive(Default)]
struct Look {
    data_began: Notify,
    taken: Notify,
}

/// Keeps the snapshot alive, and looks once, when the data begin to arrive, for
/// tables that were truncated between the snapshot and `pg_dump`'s locks.
/// Returns only when there is something wrong.
async fn watch(session: &mut Session, look: &Look) -> BackupError {
    let mut looked = false;
    loop {
        tokio::select! {
            () = look.data_began.notified(), if !looked => {
                looked = true;
                match session.emptied_tables().await {
                    Ok(tables) if tables.is_empty() => look.taken.notify_one(),
                    Ok(tables) => {
                        let message = format!(
                            "take a consistent snapshot: truncated or rewritten while the backup \
                             began, and so seen as empty: {}",
                            tables.join(", ")
                        );
                        return BackupError::new(Stage::Snapshot, true, &message);
                    }
                    Err(error) => {
                        return BackupError::new(Stage::Snapshot, error.is_transient(), &error);
                    }
                }
            }
            () = tokio::time::sleep(SIGN_OF_LIFE) => {
                if let Err(error) = session.keep_alive().await {
                    return BackupError::new(Stage::Snapshot, true, &error);
                }
            }
        }
    }
}

/// Runs `pg_dump` for each section, one after the other, so that the archive is
/// in the order of a whole dump. Returns what it warned of.
async fn dump_sections(
    dump: &Dump,
    mut feeder: Feeder,
    member_size: usize,
    look: &Arc<Look>,
    progress: &Progress,
) -> Result<Vec<String>, BackupError> {
    let mut warnings = Vec::new();
    for section in Section::ALL {
        if section == Section::PostData {
            // A database of a few rows may be read before the look is done.
            look.taken.notified().await;
        }
        let child =
            dump.spawn(section).map_err(|error| BackupError::new(Stage::Dump, false, &error))?;
        let (back, stderr) =
            dump_section(child, section, feeder, member_size, look, progress).await?;
        feeder = back;
        for warning in dump::warnings(&stderr) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(warnings)
}

async fn dump_section(
    mut child: Child,
    section: Section,
    mut feeder: Feeder,
    member_size: usize,
    look: &Arc<Look>,
    progress: &Progress,
) -> Result<(Feeder, String), BackupError> {
    let stdout = child
        .blocking_stdout()
        .ok()
        .flatten()
        .ok_or_else(|| BackupError::new(Stage::Dump, true, "take the pipe from pg_dump"))?;
    let (counter, look) = (progress.clone(), Arc::clone(look));
    // A thread of its own: it blocks on the pipe, and the pipe ends when the
    // child does, which dropping this future brings about.
    let reading = task::spawn_blocking(move || {
        let first = Cell::new(section == Section::Data);
        let count = |bytes| {
            counter.add_dump_bytes(bytes);
            if first.take() {
                look.data_began.notify_one();
            }
        };
        let pipe = pipe_of(stdout);
        let result = read_section(pipe, section, member_size, &mut feeder, count);
        (feeder, result)
    });
    let read = reading.await;
    let (feeder, read) = read.map_err(|error| BackupError::new(Stage::Dump, true, &error))?;
    // How the program ended explains what it wrote, so it is asked first, but
    // one that was cut off in the middle has no say.
    let exit = match &read {
        Err(ReadError::Split(error @ crate::archive::SplitError::Nul(_))) => {
            child.stop(TERM_GRACE).await;
            return Err(BackupError::new(Stage::Dump, false, &error));
        }
        Err(ReadError::WriterGone | ReadError::Pipe(_)) => child.stop(TERM_GRACE).await,
        _ => match tokio::time::timeout(END_WITHIN, child.wait()).await {
            Ok(exit) => exit.map_err(|error| BackupError::new(Stage::Dump, true, &error))?,
            Err(_) => child.stop(TERM_GRACE).await,
        },
    };
    let transient = dump::is_transient_failure(&exit.stderr);
    if let Err(error @ (ReadError::WriterGone | ReadError::Pipe(_))) = read {
        return Err(BackupError::new(Stage::Dump, true, &error));
    }
    let exit = exit.success().map_err(|error| BackupError::new(Stage::Dump, transient, &error))?;
    read.map_err(|error| BackupError::new(Stage::Dump, true, &error))?;
    Ok((feeder, exit.stderr))
}

/// The pipe with as much room as the kernel gives, so that `pg_dump` and the
/// splitter wait for each other less often.
fn pipe_of(stdout: std::os::fd::OwnedFd) -> File {
    let file = File::from(stdout);
    // A kernel that refuses leaves the pipe as it was, which is fine.
    let _ = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 20));
    file
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
