//! The ledger of drills: `<prefix>drills/<id>.json`, and the same as a page. Ids
//! are claimed here, and records written and read.

use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    bounded::bounded,
    page::page,
    record::{FORMAT, Record},
};
use crate::{
    catalog::{BackupId, Key, Layout},
    store::{Created, ErrorKind, Store, StoreError},
    words::DrillVerdict,
};

/// The largest one that is written and read, in bytes.
const LIMIT: u64 = 8 * 1024 * 1024;

/// Records read at once.
const AT_ONCE: usize = 8;

/// How many seconds in a row may be taken.
const TRIES: usize = 60;

/// A drill's beginning could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no id for it.
    #[error("other drills have taken every id of the {TRIES} seconds from {0} on")]
    Taken(BackupId),
}

/// Writes down that a drill begins, and never over another one: where its second
/// is taken, it gets the next. Until [`write()`] replaces it this says that the
/// drill proved nothing, which stays true of one that is killed. A claim whose
/// answer was lost is found again.
///
/// # Errors
/// When the store fails, or too many ids in a row are taken. The record then keeps
/// the id that it had.
pub async fn claim(
    store: &dyn Store,
    layout: &Layout,
    record: &mut Record,
) -> Result<(), ClaimError> {
    let began = record.id;
    let claimed = claim_from(began, store, layout, record).await;
    if claimed.is_err() {
        record.id = began;
    }
    claimed
}

async fn claim_from(
    began: BackupId,
    store: &dyn Store,
    layout: &Layout,
    record: &mut Record,
) -> Result<(), ClaimError> {
    for _ in 0..TRIES {
        let key = layout.key(Key::Drill(record.id));
        if store.put_if_absent(&key, record.json()).await? == Created::Yes {
            return Ok(());
        }
        let there = read(store, layout, &[record.id]).await?;
        if there.records.iter().any(|there| there.token == record.token) {
            return Ok(());
        }
        record.id = record.id.next();
    }
    Err(ClaimError::Taken(began))
}

/// Writes a drill down that has its id by [`claim`], as JSON and as a page. One that
/// would be too long to be read again is cut.
///
/// # Errors
/// When the store fails.
pub async fn write(store: &dyn Store, layout: &Layout, record: &Record) -> Result<(), StoreError> {
    let record = bounded(record, LIMIT);
    store.put(&layout.key(Key::Drill(record.id)), record.json()).await?;
    store.put(&layout.key(Key::DrillPage(record.id)), Bytes::from(page(&record))).await
}

/// Drills that were read.
#[derive(Debug, Default)]
pub struct Read {
    /// Those that could be, in their order.
    pub records: Vec<Record>,
    /// Those that are there and say nothing to us.
    pub unknown: Vec<Unknown>,
}

/// A drill of which little but its beginning is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its id.
    pub id: BackupId,
    /// Why it cannot be read.
    pub why: String,
    /// The backup, where its record tells at least that.
    pub backup: Option<BackupId>,
    /// What it came to, where its record tells that.
    pub verdict: Option<DrillVerdict>,
}

/// What may be told by a record that says nothing else to us, one of a later version,
/// say. Each part is read by itself.
#[derive(Default)]
struct Sketch {
    format: Option<String>,
    backup: Option<BackupId>,
    verdict: Option<DrillVerdict>,
}

impl Sketch {
    fn of(bytes: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return Self::default() };
        Self {
            format: value["format"].as_str().map(str::to_owned),
            backup: BackupId::deserialize(&value["backup"]["id"]).ok(),
            verdict: DrillVerdict::deserialize(&value["verdict"]).ok(),
        }
    }
}

impl Read {
    /// What is to be said of those that say nothing.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Unknown { id, why, .. } = self.unknown.first()?;
        let more = match self.unknown.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(format!("the record of the drill {id}{more} cannot be read: {why}"))
    }
}

/// Reads drills, in their order. One that is not there is left out. One that the store
/// keeps from us, or that this version cannot read, stops nobody from reading the
/// others.
///
/// # Errors
/// When the store fails.
pub async fn read(
    store: &dyn Store,
    layout: &Layout,
    ids: &[BackupId],
) -> Result<Read, StoreError> {
    let mut each = futures::stream::iter(ids.to_vec())
        .map(|id| async move { (id, one(store, layout, id).await) })
        .buffered(AT_ONCE);
    let mut read = Read::default();
    while let Some((id, found)) = each.next().await {
        match found? {
            Ok(record) => read.records.extend(record),
            Err((why, Sketch { backup, verdict, .. })) => {
                read.unknown.push(Unknown { id, why, backup, verdict });
            }
        }
    }
    Ok(read)
}

/// One of them, or why it says nothing to us, and what it says all the same.
async fn one(
    store: &dyn Store,
    layout: &Layout,
    id: BackupId,
) -> Result<Result<Option<Record>, (String, Sketch)>, StoreError> {
    let bytes = match store.get(&layout.key(Key::Drill(id)), LIMIT).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Ok(None)),
        Err(error) if matches!(error.kind, ErrorKind::TooLarge | ErrorKind::Denied(_)) => {
            return Ok(Err((error.to_string(), Sketch::default())));
        }
        Err(error) => return Err(error),
    };
    Ok(match serde_json::from_slice::<Record>(&bytes) {
        Ok(record) if record.format == FORMAT && record.id == id => Ok(Some(record)),
        read => {
            let sketch = Sketch::of(&bytes);
            let why = match (read, sketch.format.as_deref()) {
                (_, Some(format)) if format != FORMAT => {
                    format!("it is of the format {format}, and this version reads {FORMAT}")
                }
                (Ok(_), _) => "it is another drill's".to_owned(),
                (Err(error), _) => error.to_string(),
            };
            Err((why, sketch))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drill::record::tests::record, store::LocalStore};

    #[tokio::test]
    async fn a_second_drill_of_the_same_second_does_not_replace_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).await.unwrap();
        let layout = Layout::new("x/");
        let mut first = record("2026-12-01T06-00-00Z", DrillVerdict::Passed);
        let mut second = record("2026-12-01T06-00-00Z", DrillVerdict::Failed);
        for record in [&mut first, &mut second] {
            claim(&store, &layout, record).await.unwrap();
            write(&store, &layout, record).await.unwrap();
        }
        assert_eq!(second.id.to_string(), "2026-12-01T06-00-01Z");
        let gone: BackupId = "2026-12-01T06-00-02Z".parse().unwrap();
        let read = read(&store, &layout, &[first.id, second.id, gone]).await.unwrap();
        assert_eq!(read.records, [first.clone(), second]);
        assert_eq!(read.unknown, []);
    }

    #[tokio::test]
    async fn a_claim_whose_answer_was_lost_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).await.unwrap();
        let layout = Layout::new("x/");
        let begun = record("2026-12-01T06-00-00Z", DrillVerdict::Unproven);
        claim(&store, &layout, &mut begun.clone()).await.unwrap();
        // It knows nothing of that, and has come to its end meanwhile.
        let mut ended = Record { verdict: DrillVerdict::Passed, ..begun.clone() };
        claim(&store, &layout, &mut ended).await.unwrap();
        assert_eq!(ended.id, begun.id);
        let mut other = Record { token: "another".to_owned(), ..begun };
        claim(&store, &layout, &mut other).await.unwrap();
        assert_eq!(other.id, ended.id.next());
    }

    #[tokio::test]
    async fn where_every_id_is_taken_nothing_is_claimed_and_nothing_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).await.unwrap();
        let layout = Layout::new("x/");
        let mut mine = record("2026-12-01T06-00-00Z", DrillVerdict::Passed);
        let mut id = mine.id;
        for _ in 0..TRIES {
            let other = Record { id, token: "another".to_owned(), ..mine.clone() };
            store.put(&layout.key(Key::Drill(id)), other.json()).await.unwrap();
            id = id.next();
        }
        let error = claim(&store, &layout, &mut mine).await.unwrap_err();
        assert!(matches!(error, ClaimError::Taken(began) if began == mine.id), "{error}");
    }
}
