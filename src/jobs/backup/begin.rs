//! Starting `pg_dump` for the three sections, and for rows more than once, at once.
//!
//! A `pg_dump` reads every definition it needs, and locks every table, before
//! it writes its first byte. So when all of them have begun to write, none of
//! them can see a change any more that another did not: a migration that waits
//! for the rows to be copied cannot come between the rows and the indexes.

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    iter,
    time::Duration,
};

use futures::future::try_join_all;
use tokio::task;

use super::BackupError;
use crate::{
    archive::Section,
    postgres::{Dump, Part, dump},
    process::{Child, Exit, TERM_GRACE},
    words::Stage,
};

/// How long `pg_dump` may take to end after its last byte.
pub(super) const END_WITHIN: Duration = Duration::from_mins(1);

/// How long the server is given to notice that a `pg_dump` that was ended has left.
const CONNECTIONS_END_WITHIN: Duration = Duration::from_secs(1);

/// How much is read of a section's beginning, in bytes.
const FIRST: usize = 64 * 1024;

/// A `pg_dump` that has begun to write.
pub(super) struct Begun {
    pub(super) part: Part,
    pub(super) child: Child,
    first: Vec<u8>,
    pipe: File,
}

impl Begun {
    /// Everything that it writes, from the first byte on.
    pub(super) fn into_parts(self) -> (Part, Child, impl Read + Send + 'static) {
        (self.part, self.child, io::Cursor::new(self.first).chain(self.pipe))
    }
}

/// Starts them all, and waits until each has begun to write. In the order of the
/// archive: what is of one section stands together. Where the source has no connection
/// or no room for the locks of so many, they take turns.
pub(super) async fn begin_all(dump: &Dump) -> Result<[Vec<Begun>; 3], BackupError> {
    if dump.in_turn {
        return begin_in_turn(dump).await.map_err(|failed| failed.error);
    }
    match begin_at_once(dump).await {
        Err(Failed { error, is_crowded: true }) => {
            tracing::warn!(
                error = dump.url.mask(&error.message),
                "the source has no room for several pg_dump at once; they take turns"
            );
            tokio::time::sleep(CONNECTIONS_END_WITHIN).await;
            begin_in_turn(dump).await
        }
        begun => begun,
    }
    .map_err(|failed| failed.error)
}

/// A `pg_dump` that did not begin to write.
struct Failed {
    error: BackupError,
    /// Whether there was no connection left for it, or no room for its locks.
    is_crowded: bool,
}

impl From<BackupError> for Failed {
    fn from(error: BackupError) -> Self {
        Self { error, is_crowded: false }
    }
}

async fn begin_at_once(dump: &Dump) -> Result<[Vec<Begun>; 3], Failed> {
    let [pre_data, data, post_data] = Section::ALL.map(Part::Section);
    let rows = iter::once(data).chain((0..dump.shares.len()).map(Part::Share));
    let begun = tokio::try_join!(
        begin(dump, pre_data),
        try_join_all(rows.map(|part| begin(dump, part))),
        begin(dump, post_data),
    )?;
    Ok([vec![begun.0], begun.1, vec![begun.2]])
}

/// One at a time: what the definitions are is put aside before the next begins. The one
/// that copies the rows comes last, and holds its locks when the others have let go.
async fn begin_in_turn(dump: &Dump) -> Result<[Vec<Begun>; 3], Failed> {
    let [pre_data, data, post_data] = Section::ALL.map(Part::Section);
    let alone = Dump { shares: Vec::new(), ..dump.clone() };
    let before = put_aside(begin(&alone, pre_data).await?).await?;
    let after = put_aside(begin(&alone, post_data).await?).await?;
    let rows = begin(&alone, data).await?;
    Ok([vec![before], vec![rows], vec![after]])
}

/// Everything that it writes, in a file without a name.
async fn put_aside(begun: Begun) -> Result<Begun, BackupError> {
    let failed = |error: &dyn std::error::Error| {
        let message = format!("put definitions aside in a temporary file: {error}");
        BackupError::new(Stage::Dump, true, &message)
    };
    let Begun { part, child, first, mut pipe } = begun;
    let reading = task::spawn_blocking(move || {
        let mut aside = tempfile::tempfile()?;
        aside.write_all(&first)?;
        io::copy(&mut pipe, &mut aside)?;
        aside.rewind()?;
        Ok::<_, io::Error>(aside)
    });
    let pipe = reading.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    Ok(Begun { part, child, first: Vec::new(), pipe })
}

async fn begin(dump: &Dump, part: Part) -> Result<Begun, Failed> {
    let failed = |error: &dyn std::error::Error| BackupError::new(Stage::Dump, true, error);
    let mut child =
        dump.spawn(part).map_err(|error| BackupError::new(Stage::Dump, false, &error))?;
    let stdout = child.blocking_stdout().map_err(|error| failed(&error))?;
    let stdout =
        stdout.ok_or_else(|| BackupError::new(Stage::Dump, true, "take the pipe from pg_dump"))?;
    let mut pipe = pipe_of(stdout);
    // A thread of its own: it blocks on the pipe, and the pipe ends when the
    // child does, which dropping this future brings about.
    let reading = task::spawn_blocking(move || {
        let mut first = vec![0; FIRST];
        let length = pipe.read(&mut first)?;
        first.truncate(length);
        Ok::<_, io::Error>((first, pipe))
    });
    let read = reading.await.map_err(|error| failed(&error))?;
    let (first, pipe) = read.map_err(|error| failed(&error))?;
    if first.is_empty() {
        // It has ended, or is about to. One that says it did its work is held
        // against what a section must be when it is read.
        let exit = match tokio::time::timeout(END_WITHIN, child.wait()).await {
            Ok(exit) => exit.map_err(|error| failed(&error))?,
            Err(_) => child.stop(TERM_GRACE).await,
        };
        let stderr = &exit.stderr;
        let is_crowded = dump::lacks_connection(stderr) || dump::lacks_locks(stderr);
        ended_well(dump, part, exit).map_err(|error| Failed { error, is_crowded })?;
    }
    Ok(Begun { part, child, first, pipe })
}

/// What `pg_dump` wrote to stderr, where it succeeded; else why it did not, whose
/// rows it copied, and what mends that.
pub(super) fn ended_well(dump: &Dump, part: Part, exit: Exit) -> Result<String, BackupError> {
    let transient = dump::is_transient_failure(&exit.stderr);
    let advice = dump::advice(&exit.stderr);
    let exit = exit.success().map_err(|error| {
        let message = format!("dump {}: {error}{advice}", dump.what(part));
        BackupError::new(Stage::Dump, transient, &message)
    })?;
    Ok(exit.stderr)
}

/// The pipe with as much room as the kernel gives, so that `pg_dump` and the
/// splitter wait for each other less often.
fn pipe_of(stdout: std::os::fd::OwnedFd) -> File {
    let file = File::from(stdout);
    // A kernel that refuses leaves the pipe as it was, which is fine.
    let _ = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 20));
    file
}
