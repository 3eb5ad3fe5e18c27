//! Bytes out of the middle of a file.

use std::{fs::File, io::SeekFrom};

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::{DEADLINE, errors};
use crate::store::{ErrorKind, Result, StoreError};

/// Bytes that one read asks for; the crate's own stream reads 8 KiB at a time,
/// each on another thread.
const READ: u64 = 512 * 1024;

struct Reading {
    file: tokio::fs::File,
    position: u64,
    end: u64,
    target: String,
    begun: bool,
}

/// Streams the bytes `start..end` of a file.
pub(super) fn read(
    file: File,
    start: u64,
    end: u64,
    target: String,
) -> BoxStream<'static, Result<Bytes>> {
    let file = tokio::fs::File::from_std(file);
    let reading = Reading { file, position: start, end, target, begun: false };
    futures::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        if reading.position == reading.end {
            return None;
        }
        match tokio::time::timeout(DEADLINE, reading.next()).await {
            Ok(Ok(piece)) => Some((Ok(piece), Some(reading))),
            Ok(Err(error)) => Some((Err(error), None)),
            Err(_) => Some((Err(errors::timed_out("read", reading.target)), None)),
        }
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Bytes> {
        let wanted = READ.min(self.end - self.position);
        let mut piece = BytesMut::with_capacity(usize::try_from(wanted).unwrap_or(0));
        let read = async {
            if !self.begun {
                self.file.set_max_buf_size(piece.capacity());
                self.file.seek(SeekFrom::Start(self.position)).await?;
                self.begun = true;
            }
            (&mut self.file).take(wanted).read_buf(&mut piece).await
        };
        match read.await {
            Ok(0) => Err(self.error(
                ErrorKind::Unavailable,
                format!("the file ended {} bytes early", self.end - self.position),
            )),
            Ok(read) => {
                self.position += read as u64;
                Ok(piece.freeze())
            }
            Err(error) => Err(self.error(ErrorKind::Unavailable, error.to_string())),
        }
    }

    fn error(&self, kind: ErrorKind, detail: String) -> StoreError {
        StoreError { operation: "read".to_owned(), target: self.target.clone(), kind, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_cut_short_while_it_is_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        std::fs::write(&path, vec![7; 1_500_000]).unwrap();
        let mut stream = read(File::open(&path).unwrap(), 0, 1_500_000, "file:///a".to_owned());
        assert!(stream.next().await.unwrap().is_ok());
        File::options().write(true).open(&path).unwrap().set_len(600_000).unwrap();
        let rest: Vec<_> = stream.collect().await;
        let error = rest.last().unwrap().as_ref().unwrap_err();
        assert!(error.to_string().contains("early"), "{error}");
    }
}
