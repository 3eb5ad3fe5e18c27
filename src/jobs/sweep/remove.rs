//! Removes what was decided on, in an order that a crash cannot turn against us.

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use super::{Decided, Left, Removal, Stopped};
use crate::{
    catalog::{Entry, Key, Layout, Parts},
    state::Progress,
    store::{ErrorKind, Store, StoreError},
    words::Stage,
};

/// Backups that are removed together: three requests. A crash leaves at most
/// so many half removed.
const TOGETHER: usize = 250;

/// Objects that are still there and named; more are counted.
const NAMED: usize = 1000;

/// Removes what goes, the oldest first, until it is done, a request fails as a
/// whole, or `cancel` is cancelled.
pub async fn remove(
    store: &dyn Store,
    layout: &Layout,
    decided: &Decided,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Removal {
    progress.enter(Stage::Remove);
    let mut remover = Remover { store, cancel, removal: Removal::default() };
    let entries = &decided.inventory.catalog.entries;
    let doomed = |at: usize| Doomed::new(at, &entries[at], decided.inventory.parts[at], layout);

    let backups: Vec<usize> = decided.plan.removed().map(|decision| decision.at).collect();
    for together in backups.chunks(TOGETHER) {
        let gone = remover.together(together.iter().copied().map(doomed).collect()).await;
        let bytes: u64 = gone.iter().map(|at| entries[*at].archive_bytes).sum();
        progress.add_archive_bytes(bytes);
        remover.removal.bytes += bytes;
        if let (Some(first), Some(last)) = (gone.first(), gone.last()) {
            let (oldest, newest) = (entries[*first].id, entries[*last].id);
            tracing::info!(backups = gone.len(), %oldest, %newest, bytes, "removed");
        }
        remover.removal.gone.extend(gone);
    }
    let debris: Vec<usize> = decided.debris.entries.iter().map(|(at, _)| *at).collect();
    for together in debris.chunks(TOGETHER) {
        let gone = remover.together(together.iter().copied().map(doomed).collect()).await;
        remover.removal.debris += gone.len() as u64;
    }
    remover.uploads(decided).await;
    for left in remover.removal.left.iter().take(10) {
        tracing::warn!(key = left.key, error = left.error, "could not be removed");
    }
    remover.removal
}

/// Something that goes, with its keys.
struct Doomed {
    at: usize,
    /// In the order in which they go: what is behind another waits until that
    /// one is gone.
    keys: [Vec<String>; 3],
    /// Whether a part of it is still there.
    is_left: bool,
}

impl Doomed {
    fn new(at: usize, entry: &Entry, parts: Parts, layout: &Layout) -> Self {
        let mut keys: [Vec<String>; 3] = Default::default();
        for key in parts.keys(entry.kind, entry.id) {
            // What says that an archive is damaged, or ours, outlives it.
            let turn = match key {
                Key::Manifest(..) => 0,
                Key::Archive(..) => 1,
                _ => 2,
            };
            keys[turn].push(layout.key(key));
        }
        Self { at, keys, is_left: false }
    }
}

struct Remover<'a> {
    store: &'a dyn Store,
    cancel: &'a CancellationToken,
    removal: Removal,
}

impl Remover<'_> {
    /// Removes several things; returns those that are gone.
    async fn together(&mut self, mut doomed: Vec<Doomed>) -> Vec<usize> {
        for turn in 0..3 {
            let there = doomed.iter().filter(|one| !one.is_left);
            let keys: Vec<String> = there.flat_map(|one| one.keys[turn].clone()).collect();
            if keys.is_empty() {
                continue;
            }
            let Some(left) = self.delete(&keys).await else { return Vec::new() };
            for one in &mut doomed {
                one.is_left |= one.keys[turn].iter().any(|key| left.contains(key));
            }
        }
        if self.removal.stopped.is_some() {
            return Vec::new();
        }
        doomed.iter().filter(|one| !one.is_left).map(|one| one.at).collect()
    }

    /// Deletes objects; returns those that are still there, and `None` when
    /// the sweep must end here.
    async fn delete(&mut self, keys: &[String]) -> Option<HashSet<String>> {
        match self.unless_cancelled(self.store.delete_many(keys)).await? {
            Ok(deletion) => {
                self.removal.hidden += deletion.hidden;
                let mut left = HashSet::new();
                for (key, error) in deletion.left {
                    self.note(key.clone(), &error);
                    left.insert(key);
                }
                Some(left)
            }
            Err(error) => {
                self.removal.stopped = Some(Stopped::Failed(error));
                None
            }
        }
    }

    /// Throws unfinished uploads away.
    async fn uploads(&mut self, decided: &Decided) {
        for unfinished in &decided.debris.uploads {
            let upload = &unfinished.upload;
            let aborted = self.unless_cancelled(self.store.abort_upload(upload)).await;
            match aborted {
                None => return,
                Some(Ok(())) => self.removal.debris += 1,
                Some(Err(error)) if matches!(error.kind, ErrorKind::Denied(_)) => {
                    self.note(upload.key.clone(), &error);
                }
                Some(Err(error)) => {
                    self.removal.stopped = Some(Stopped::Failed(error));
                    return;
                }
            }
        }
        if let Some(why) = &decided.drills_unknown {
            tracing::warn!("{why}; what it may have been of is kept");
        }
        if let Some(error) = &decided.uploads_unknown {
            tracing::warn!(%error, "unfinished uploads are left alone");
        }
    }

    /// A request, unless the sweep has ended or is told to.
    async fn unless_cancelled<T>(&mut self, request: impl Future<Output = T>) -> Option<T> {
        if self.removal.stopped.is_some() {
            return None;
        }
        let answer = tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            answer = request => Some(answer),
        };
        if answer.is_none() {
            self.removal.stopped = Some(Stopped::Cancelled);
        }
        answer
    }

    fn note(&mut self, key: String, error: &StoreError) {
        self.removal.left_count += 1;
        if self.removal.left.len() < NAMED {
            self.removal.left.push(Left { key, error: error.to_string() });
        }
    }
}
