//! What a backup has in hand while it runs.

use std::{sync::Arc, time::Duration};

use super::upload::ArchiveUpload;
use crate::{archive::Manifest, catalog::Catalog, postgres::Session, store::Store};

/// How long throwing away an unfinished upload may take, or asking after a
/// manifest whose writing was interrupted.
pub(super) const TIDY_WITHIN: Duration = Duration::from_secs(5);

/// What a run has in hand. It outlives the run's own future, which may be
/// dropped at any moment: what must be tidied up, and what must not be
/// forgotten, is here.
pub(super) struct Kept {
    pub(super) session: Option<Session>,
    pub(super) upload: ArchiveUpload,
    /// From the moment at which the manifest is being written.
    pub(super) committing: Option<Box<(Manifest, Catalog)>>,
    pub(super) committed: bool,
}

impl Kept {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let upload = ArchiveUpload::new(store);
        Self { session: None, upload, committing: None, committed: false }
    }

    /// Ends the session, and with it the lock, and throws an unfinished upload away.
    pub(super) async fn tidy(&mut self, failed: bool) {
        let session = self.session.take();
        let upload = &mut self.upload;
        let close = async {
            match session {
                // It may be in the middle of a query.
                Some(session) if failed => session.close().await,
                Some(session) => session.release().await,
                None => {}
            }
        };
        let abort = async {
            if failed && tokio::time::timeout(TIDY_WITHIN, upload.abort()).await.is_err() {
                tracing::warn!("an unfinished upload could not be thrown away in time");
            }
        };
        tokio::join!(close, abort);
    }
}
