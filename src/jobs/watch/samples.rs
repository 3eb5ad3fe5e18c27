//! The manifests of the last backups, as far as they are compared.

use chrono::{DateTime, Utc};

use crate::{
    alerts::anomaly::{Anomalies, Sample, Thresholds, anomalies, usual},
    archive::manifest::Kind,
    catalog::{self, CatalogError, Layout},
    store::Store,
};

/// What is kept of them, oldest first.
#[derive(Debug)]
pub(super) struct Samples {
    layout: Layout,
    kept: Vec<Sample>,
    /// The newest backup at the last reading.
    newest: Option<DateTime<Utc>>,
}

impl Samples {
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, kept: Vec::new(), newest: None }
    }

    /// What is odd about the newest one; `None` before any was read.
    pub(super) fn anomalies(&self, thresholds: &Thresholds) -> Option<Anomalies> {
        self.newest?;
        Some(anomalies(&self.kept, thresholds))
    }

    /// Reads the manifests that are new, where there is a new backup: one
    /// request for a thousand keys, and one for each manifest.
    pub(super) async fn refresh(
        &mut self,
        store: &dyn Store,
        newest: DateTime<Utc>,
    ) -> Result<(), CatalogError> {
        if self.newest == Some(newest) {
            return Ok(());
        }
        let catalog = catalog::read(store, &self.layout).await?;
        let mut ids: Vec<_> = catalog
            .good()
            .filter(|entry| entry.kind == Kind::Scheduled)
            .map(|entry| (entry.time(), entry.id))
            .filter(|(time, _)| *time <= newest)
            .collect();
        ids.sort_unstable();
        let before: Vec<_> =
            ids.iter().map(|(time, _)| *time).filter(|time| *time < newest).collect();
        let compared = usual(&before, newest) + (ids.len() - before.len());
        ids.drain(..ids.len() - compared);
        self.kept.retain(|sample| ids.iter().any(|(_, id)| id.to_string() == sample.id));
        for (_, id) in ids {
            if self.kept.iter().any(|sample| sample.id == id.to_string()) {
                continue;
            }
            let read =
                catalog::read_manifest(store, &self.layout, &catalog, Kind::Scheduled, id).await;
            match read {
                Ok(manifest) => self.kept.push(Sample::of(&manifest)),
                Err(CatalogError::Store(error)) => return Err(error.into()),
                // The survey tells of it.
                Err(error) => tracing::debug!(backup = %id, %error, "not compared"),
            }
        }
        self.kept.sort_by_key(|sample| sample.time);
        self.newest = Some(newest);
        Ok(())
    }
}
