//! Reads one section of a dump from a pipe into the splitter.

use std::{
    io::{self, ErrorKind, Read},
    thread,
    time::Duration,
};

use super::{
    READ_SIZE,
    pack::Feeder,
    split::{SplitError, Splitter},
};
use crate::postgres::Section;

/// `pg_dump` writes a page at a time. A reader that is always there is woken for
/// each, a hundred thousand times a gigabyte, and wakes `pg_dump` in turn. One
/// that comes a little later when there was little finds a lot at once. In
/// bytes: far less than the pipe takes, so that `pg_dump` never waits for it.
const LITTLE: usize = 64 * 1024;

/// How much later: a fraction of the time in which the pipe is filled.
const PAUSE: Duration = Duration::from_millis(1);

/// A section that could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The pipe broke.
    #[error("read the dump: {0}")]
    Pipe(#[from] io::Error),
    /// What came is not a whole section.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Nobody takes the members any more; the writer knows why.
    #[error("read the dump: the archive's writer has stopped")]
    WriterGone,
}

/// Reads a section to its end, on the calling thread, which it blocks.
/// `progress` is told the bytes read since the last call.
///
/// # Errors
/// When the pipe breaks, when the text is not a whole section, or when the
/// writer is gone.
pub fn read_section(
    mut pipe: impl Read,
    section: Section,
    member_size: usize,
    feeder: &mut Feeder,
    progress: impl Fn(u64),
) -> Result<(), ReadError> {
    let mut splitter = Splitter::new(section, member_size, feeder.buffer());
    let mut block = vec![0; READ_SIZE].into_boxed_slice();
    loop {
        let count = match pipe.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        splitter.push(&block[..count], feeder)?;
        if feeder.is_closed() {
            return Err(ReadError::WriterGone);
        }
        progress(count as u64);
        if count < LITTLE {
            thread::sleep(PAUSE);
        }
    }
    splitter.finish(feeder)?;
    if feeder.is_closed() { Err(ReadError::WriterGone) } else { Ok(()) }
}
