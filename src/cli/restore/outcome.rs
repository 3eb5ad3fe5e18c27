//! How a restore ended, as a machine reads it.

use serde_json::{Value, json};

use super::super::{Misused, told};
use crate::{
    figures::counted,
    lifecycle::Signal,
    restore::{Loaded, ProgressReport, Report, RestoreError, Stopped, again},
    words::RestoreStage,
};

/// A signal ended it.
#[derive(Debug)]
pub(super) struct Interrupted {
    signal: Signal,
    stage: Option<RestoreStage>,
    at: Option<String>,
    /// `None` where nobody can know.
    loaded: Option<Loaded>,
    /// Whether anything was changed, where that is known.
    touched: Option<bool>,
    left_behind: Option<i64>,
    not_whole: Option<Vec<String>>,
    message: String,
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted: {}", self.message)
    }
}

impl std::error::Error for Interrupted {}

impl Interrupted {
    /// Before anything was touched.
    pub(super) fn untouched(signal: Signal) -> Self {
        Self {
            signal,
            stage: None,
            at: None,
            loaded: Some(Loaded::default()),
            touched: Some(false),
            left_behind: None,
            not_whole: None,
            message: "nothing was touched".to_owned(),
        }
    }

    /// While it ran; it may have said what had been done by then. `wants_word` as in
    /// [`Stopped::wants_word`].
    pub(super) fn of(
        signal: Signal,
        error: Option<RestoreError>,
        seen: &ProgressReport,
        partial: bool,
        wants_word: bool,
    ) -> Self {
        // What psql had taken, it has not said.
        let counted = seen.stage != RestoreStage::Legacy;
        let mut interrupted = Self {
            stage: Some(seen.stage),
            loaded: counted.then_some(Loaded { tables: seen.tables, rows: seen.rows }),
            ..Self::untouched(signal)
        };
        match error {
            Some(RestoreError::Stopped(stopped)) => {
                interrupted.message = stopped.to_string();
                let Stopped { stage, at, loaded, touched, left_behind, not_whole, .. } = *stopped;
                interrupted.not_whole = not_whole;
                interrupted.stage = Some(stage);
                (interrupted.at, interrupted.loaded) = (at, loaded);
                (interrupted.touched, interrupted.left_behind) = (Some(touched), left_behind);
            }
            Some(error) => interrupted.message = error.to_string(),
            None if seen.stage == RestoreStage::Check => {}
            None => {
                interrupted.touched = None;
                let again = if partial {
                    "what it made may not be whole: run it again, which says what to do with that"
                } else {
                    again(wants_word)
                };
                interrupted.message = format!(
                    "it did not end in time; sessions of it may still run on the server; {again}"
                );
            }
        }
        interrupted
    }

    /// The command's exit code.
    pub(super) fn exit_code(&self) -> u8 {
        self.signal.exit_code()
    }
}

/// One that came to its end.
pub(super) fn report(report: &Report) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(report)?;
    document["outcome"] = json!(if report.is_whole() { "ok" } else { "failed" });
    document["touched"] = json!(true);
    document["error"] = match (report.different.len(), report.lost().count()) {
        (0, 0) => Value::Null,
        (0, lost) => {
            let lost = counted(lost as u64, "thing");
            json!(format!("not in the target, and in the source: {lost}"))
        }
        (different, _) => json!(format!("other rows in {}", counted(different as u64, "table"))),
    };
    Ok(document)
}

/// One that nobody confirmed.
pub(super) fn declined(backup: Option<&str>) -> Value {
    let mut document = bare(backup, "declined", "it was not confirmed");
    document["touched"] = json!(false);
    document
}

/// One that did not come to its end.
pub(super) fn failed(backup: Option<&str>, error: &anyhow::Error) -> Value {
    let said = told(error);
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        let mut document = bare(backup, "interrupted", &said);
        document["signal"] = json!(interrupted.signal.as_str());
        document["stage"] = json!(interrupted.stage);
        document["at"] = json!(interrupted.at);
        document["loaded"] = json!(interrupted.loaded);
        document["touched"] = json!(interrupted.touched);
        document["left_behind"] = json!(interrupted.left_behind);
        document["not_whole"] = json!(interrupted.not_whole.as_deref().unwrap_or_default());
        return document;
    }
    if error.is::<Misused>() {
        return bare(backup, "misused", &said);
    }
    match error.downcast_ref::<RestoreError>() {
        Some(RestoreError::Refused(refusals)) => {
            let mut document = bare(backup, "refused", &said);
            document["refusals"] = json!(refusals);
            document
        }
        Some(RestoreError::Stopped(stopped)) => {
            let mut document = bare(backup, "failed", &said);
            document["stage"] = json!(stopped.stage);
            document["at"] = json!(stopped.at);
            document["loaded"] = json!(stopped.loaded);
            document["touched"] = json!(stopped.touched);
            document["left_behind"] = json!(stopped.left_behind);
            document["not_whole"] = json!(stopped.not_whole.as_deref().unwrap_or_default());
            document
        }
        _ => bare(backup, "failed", &said),
    }
}

/// What every ending says; nothing was touched.
fn bare(backup: Option<&str>, outcome: &str, error: &str) -> Value {
    json!({
        "outcome": outcome,
        "backup": backup,
        "stage": null,
        "at": null,
        "error": error,
        "refusals": [],
        "loaded": Loaded::default(),
        "touched": false,
        "left_behind": null,
        "not_whole": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is heard of it any more, and its advice is not refused all the same.
    #[test]
    fn what_did_not_end_in_time_is_run_again_with_what_that_takes() {
        let stage = RestoreStage::Clean;
        let seen = ProgressReport { stage, done: 0, total: 1, rows: 0, tables: 0 };
        let said = |partial, wants_word| {
            Interrupted::of(Signal::Terminate, None, &seen, partial, wants_word).to_string()
        };
        assert!(said(false, false).ends_with("; run it again with --clean"));
        let word = said(false, true);
        assert!(
            word.contains("did not end in time") && word.contains("--not-the-source"),
            "{word}"
        );
        // Whether a part wants --clean is known when it looks at what is there.
        assert!(said(true, true).ends_with("says what to do with that"));
    }
}
