//! What a run leaves in the log.

use super::backup::{BackupError, Done};
use crate::state::RunReport;

/// One line for each outcome, with its numbers in units.
pub(super) fn log(database: &str, report: &RunReport, result: &Result<Done, BackupError>) {
    let seconds = (report.seconds * 1000.0).round() / 1000.0;
    match result {
        Ok(Done::Backup { manifest, .. }) => tracing::info!(
            database,
            backup = manifest.id,
            outcome = report.outcome.as_str(),
            seconds,
            rows = manifest.rows,
            tables = manifest.tables.len(),
            archive_bytes = manifest.archive.bytes,
            dump_bytes = manifest.archive.uncompressed_bytes,
            warnings = manifest.warnings.len(),
            "backup"
        ),
        Ok(Done::Skipped(skip)) => tracing::info!(
            database,
            outcome = report.outcome.as_str(),
            seconds,
            reason = skip.reason(),
            "backup"
        ),
        Err(error) if error.cancelled => tracing::warn!(
            database,
            outcome = report.outcome.as_str(),
            stage = error.stage.as_str(),
            seconds,
            "backup"
        ),
        Err(error) => tracing::error!(
            database,
            outcome = report.outcome.as_str(),
            stage = error.stage.as_str(),
            seconds,
            transient = error.transient,
            error = error.message,
            "backup"
        ),
    }
}
