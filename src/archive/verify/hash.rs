//! SHA-256 on a thread of its own.

use std::thread;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::Lost;

/// Pieces that may wait for the thread.
const WAITING: usize = 4;

/// Hashes what it is given, in order.
pub(super) struct HashThread {
    pieces: mpsc::Sender<Bytes>,
    digest: oneshot::Receiver<String>,
}

impl HashThread {
    /// Starts the thread. It ends when this is dropped or finished.
    pub(super) fn start() -> Self {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let (done, digest) = oneshot::channel();
        thread::spawn(move || {
            let mut hash = Sha256::new();
            while let Some(piece) = waiting.blocking_recv() {
                hash.update(&piece);
            }
            // Nobody waits for the digest of a pass that was given up.
            let _ = done.send(crate::archive::checksum::hex(&hash.finalize()));
        });
        Self { pieces, digest }
    }

    /// Hashes the next bytes; waits while the thread is behind.
    pub(super) async fn push(&self, piece: Bytes) -> Result<(), Lost> {
        self.pieces.send(piece).await.map_err(|_| Lost)
    }

    /// The digest, in lower-case hexadecimal digits.
    pub(super) async fn finish(self) -> Result<String, Lost> {
        drop(self.pieces);
        self.digest.await.map_err(|_| Lost)
    }
}
