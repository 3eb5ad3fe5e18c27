//! What was told of a database, kept in the bucket: a new process goes on from
//! there.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{
    alerts::Book,
    catalog::{CatalogError, Key, Layout},
    store::{ErrorKind, Store},
};

/// No book is longer, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// The book, and what of it is in the bucket.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) book: Book,
    layout: Layout,
    /// `None` before it was read.
    stored: Option<Book>,
}

impl Memory {
    pub(super) fn new(layout: Layout) -> Self {
        Self { book: Book::default(), layout, stored: None }
    }

    /// Reads what an earlier process wrote down, once. One that cannot be read
    /// as a book counts as none: an alert too many is better than one too few.
    pub(super) async fn recall(
        &mut self,
        store: &dyn Store,
        now: DateTime<Utc>,
    ) -> Result<(), CatalogError> {
        if self.stored.is_some() {
            return Ok(());
        }
        let key = self.layout.key(Key::Alerts);
        let earlier: Book = match store.get(&key, LIMIT).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(key, %error, "what was told before cannot be read");
                Book::default()
            }),
            Err(error) if error.kind == ErrorKind::NotFound => Book::default(),
            Err(error) => return Err(error.into()),
        };
        self.book.recall(earlier.clone());
        self.book.awake(now);
        self.stored = Some(earlier);
        Ok(())
    }

    /// Writes the book down where it has changed. Never before it was read.
    pub(super) async fn write_down(&mut self, store: &dyn Store) -> Result<(), CatalogError> {
        let worth = self.book.worth_storing();
        if self.stored.as_ref().is_none_or(|stored| *stored == worth) {
            return Ok(());
        }
        // A book is texts, numbers and times: all of it is JSON.
        let Ok(bytes) = serde_json::to_vec_pretty(&worth) else { return Ok(()) };
        store.put(&self.layout.key(Key::Alerts), Bytes::from(bytes)).await?;
        self.stored = Some(worth);
        Ok(())
    }
}
