//! What the bucket holds, and the rules of its names.
//!
//! The bucket is the only state there is. This floor is the only place that
//! builds or parses a key; it does I/O only through [`crate::store`].

mod entry_id;
mod find;
mod id;
mod key;
mod known;
mod listing;
mod origin;
mod others;
mod pointer;
mod read;
mod remains;
mod sort;
mod source;
mod verdict;

pub use entry_id::EntryId;
pub use find::{FindError, Query};
pub use id::{BackupId, IdError};
pub use key::{Key, Layout};
pub use known::{UnusableChecksum, checksum_file, legacy_sha256};
pub use listing::{Catalog, Entry, State, Totals};
pub use origin::Origin;
pub use others::{Others, TwoSources};
pub use pointer::{Pointer, PointerError, Stored, next as next_pointer};
pub use read::{CatalogError, advance_pointer, inventory, read, read_manifest};
pub use remains::{Remains, Unusable, remains};
pub use sort::{Inventory, Parts};
pub use source::{NewestSource, newest_source};
pub use verdict::{FORMAT as VERDICT_FORMAT, Judgement, judgement, record, withdraw};
