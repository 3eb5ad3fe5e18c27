//! Whether the store failed while an archive was read from it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    metrics::Observer,
    store::{Metered, Store},
    words::{Direction, StoreOperation},
};

/// Notes every call of a store that fails.
#[derive(Debug, Default)]
pub(super) struct Reads {
    failed: AtomicBool,
}

impl Reads {
    /// The store, watched.
    pub(super) fn watch(store: &Arc<dyn Store>) -> (Arc<dyn Store>, Arc<Self>) {
        let reads = Arc::new(Self::default());
        let observer: Arc<dyn Observer> = reads.clone();
        (Arc::new(Metered::new(Arc::clone(store), observer)), reads)
    }

    /// Whether any call has failed.
    pub(super) fn have_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Observer for Reads {
    fn request(&self, _: StoreOperation, ok: bool, _: f64) {
        self.failed.fetch_or(!ok, Ordering::Relaxed);
    }

    fn bytes(&self, _: Direction, _: u64) {}
}
