//! Puts the compressed members together, in order, hashes them, and hands them
//! out in parts of equal size.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    gzip::MemberError,
    index::Index,
    lanes::{Event, Lanes},
    manifest::Member,
    pack::Queued,
    split::Content,
};

/// Takes the archive's bytes.
#[async_trait]
pub trait PartSink: Send {
    /// Why it could not.
    type Error: Send;

    /// Takes the next part. All parts but the last have the size that
    /// [`fn@write`] was told; the last may be shorter, and is the only one of a
    /// small archive.
    async fn part(&mut self, bytes: Bytes, last: bool) -> Result<(), Self::Error>;
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Size of the archive, in bytes.
    pub bytes: u64,
    /// SHA-256 of the archive, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Where everything is.
    pub index: Index,
}

/// The archive could not be written.
#[derive(Debug)]
pub enum WriteError<E> {
    /// The sink failed.
    Sink(E),
    /// A member could not be compressed.
    Member(MemberError),
    /// A member's end never came: the thread that made it is gone.
    Lost,
}

/// Reads the members until all feeders are gone, and hands out the archive's
/// bytes in parts of `part_size` bytes.
///
/// What `phases` bring is written one after the other; the queues of one phase
/// take turns, and the events of each keep their order.
///
/// `written` is told the size of the archive so far, in bytes, and the rows of
/// the members that it holds whole.
///
/// # Errors
/// When the sink fails or a member cannot be compressed.
pub async fn write<S: PartSink>(
    phases: Vec<Vec<mpsc::Receiver<Queued>>>,
    part_size: usize,
    sink: &mut S,
    mut written: impl FnMut(u64, u64) + Send,
) -> Result<Written, WriteError<S::Error>> {
    let mut parts = Parts { buffer: BytesMut::new(), part_size, hash: Sha256::new(), offset: 0 };
    let mut index = Index::default();
    for queues in phases {
        // Of which table the rows on each lane are.
        let mut tables = vec![None; queues.len()];
        let mut lanes = Lanes::new(queues);
        let mut open = (parts.offset, Content::Rows);
        while let Some((lane, event)) = lanes.next().await {
            match event {
                Event::Table(header) => tables[lane] = Some(index.table(header)),
                Event::Begin(content) => open = (parts.offset, content),
                Event::Bytes(bytes) => {
                    parts.push(&bytes, sink).await.map_err(WriteError::Sink)?;
                    written(parts.offset, index.rows);
                }
                Event::End { dump_length, rows } => {
                    let (offset, content) = &open;
                    let (offset, length) = (*offset, parts.offset - offset);
                    let member = Member { offset, length, uncompressed: dump_length, rows };
                    index.member(content, tables[lane], member);
                    written(parts.offset, index.rows);
                }
                Event::Failed(error) => return Err(WriteError::Member(error)),
                Event::Lost => return Err(WriteError::Lost),
            }
        }
    }
    let bytes = parts.offset;
    let sha256 = parts.finish(sink).await.map_err(WriteError::Sink)?;
    Ok(Written { bytes, sha256, index })
}

struct Parts {
    buffer: BytesMut,
    part_size: usize,
    hash: Sha256,
    /// Bytes of the archive so far.
    offset: u64,
}

impl Parts {
    async fn push<S: PartSink>(&mut self, mut bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        self.hash.update(bytes);
        self.offset += bytes.len() as u64;
        while !bytes.is_empty() {
            // A part goes out only when a byte follows it, so that the last
            // one is known to be the last.
            if self.buffer.len() == self.part_size {
                sink.part(self.buffer.split().freeze(), false).await?;
            }
            if self.buffer.capacity() == 0 {
                self.buffer.reserve(self.part_size);
            }
            let room = self.part_size - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    async fn finish<S: PartSink>(self, sink: &mut S) -> Result<String, S::Error> {
        sink.part(self.buffer.freeze(), true).await?;
        Ok(super::checksum::hex(&self.hash.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use async_compression::tokio::bufread::GzipDecoder;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::{
        archive::{comment, mark, pack, read_section},
        postgres::Section,
    };

    #[derive(Default)]
    struct Parts(Vec<(Bytes, bool)>);

    #[async_trait]
    impl PartSink for Parts {
        type Error = Infallible;

        async fn part(&mut self, bytes: Bytes, last: bool) -> Result<(), Infallible> {
            self.0.push((bytes, last));
            Ok(())
        }
    }

    const END: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";

    /// Three sections, with tables of one and of many members.
    fn sections() -> [(Section, String); 3] {
        let rows = |count: u32| (0..count).map(|i| format!("{i}\trow {i}\n")).collect::<String>();
        let table = |name: &str, count| {
            format!("COPY public.{name} (id, name) FROM stdin;\n{}\\.\n\n", rows(count))
        };
        let data = table("many", 300_000) + &table("none", 0) + &table("few", 3);
        [
            (Section::PreData, format!("CREATE TABLE many ();\n{END}")),
            (Section::Data, format!("{data}SELECT setval('s', 3);\n{END}")),
            (Section::PostData, format!("CREATE INDEX ON many (id);\n{END}")),
        ]
    }

    async fn archive(threads: usize, part_size: usize) -> (Written, Vec<(Bytes, bool)>) {
        let (mut feeder, members) = pack(threads, 64 * 1024, Some(mark("x")));
        let reading = tokio::task::spawn_blocking(move || {
            for (section, text) in sections() {
                read_section(text.as_bytes(), section, 64 * 1024, &mut feeder, |_| {}).unwrap();
            }
        });
        let mut parts = Parts::default();
        let Ok(written) = write(vec![vec![members]], part_size, &mut parts, |_, _| {}).await else {
            panic!("the sink takes everything");
        };
        reading.await.unwrap();
        (written, parts.0)
    }

    #[tokio::test]
    async fn parts_are_equal_but_for_the_last_and_make_one_archive_that_any_library_reads() {
        let part_size = 100_000;
        let (written, parts) = archive(3, part_size).await;
        let (last, rest) = parts.split_last().unwrap();
        assert!(rest.len() > 3 && rest.iter().all(|(p, end)| p.len() == part_size && !end));
        assert!(last.1 && !last.0.is_empty() && last.0.len() <= part_size);

        let bytes: Vec<u8> = parts.iter().flat_map(|(part, _)| part.to_vec()).collect();
        assert_eq!(bytes.len() as u64, written.bytes);
        assert_eq!(super::super::checksum::hex(&Sha256::digest(&bytes)), written.sha256);
        assert_eq!(comment(&bytes), Some("reliquary/1 x"));

        // A decoder of another family, which must be told that there are members.
        let mut decoder = GzipDecoder::new(&bytes[..]);
        decoder.multiple_members(true);
        let mut text = String::new();
        decoder.read_to_string(&mut text).await.unwrap();
        assert_eq!(text.len() as u64, written.index.uncompressed_bytes);
        let reopened = "\\.\nCOPY public.many (id, name) FROM stdin;\n";
        let whole: String = sections().map(|(_, text)| text).concat();
        assert_eq!(text.replace(reopened, ""), whole);

        // The index says where each member is, and each is whole by itself.
        let index = &written.index;
        let rows: Vec<u64> = index.tables.iter().map(|table| table.rows).collect();
        assert_eq!((rows, index.rows), (vec![300_000, 0, 3], 300_003));
        assert!(index.tables[0].members.len() > 10);
        for table in &index.tables {
            for member in &table.members {
                let [start, end] = [member.offset, member.offset + member.length]
                    .map(|offset| usize::try_from(offset).unwrap());
                let mut text = String::new();
                GzipDecoder::new(&bytes[start..end]).read_to_string(&mut text).await.unwrap();
                assert_eq!(text.len() as u64, member.uncompressed);
                assert!(text.trim_start().starts_with("COPY public.") && text.ends_with("\\.\n"));
            }
        }
    }

    #[tokio::test]
    async fn the_number_of_threads_changes_nothing() {
        let (one, _) = archive(1, 1 << 20).await;
        let (four, _) = archive(4, 1 << 20).await;
        assert_eq!(one, four);
    }

    #[tokio::test]
    async fn a_writer_that_stops_ends_the_reading() {
        let (mut feeder, members) = pack(2, 64 * 1024, Some(mark("x")));
        drop(members);
        let (section, text) = sections()[1].clone();
        let reading = tokio::task::spawn_blocking(move || {
            read_section(text.as_bytes(), section, 64 * 1024, &mut feeder, |_| {})
        });
        let result = reading.await.unwrap();
        assert!(matches!(result, Err(crate::archive::ReadError::WriterGone)), "{result:?}");
    }
}
