//! A record that can be read again, however much a drill has found.

use std::borrow::Cow;

use serde_json::Value;

use super::record::Record;

/// How long a text and a list may be in the first record that is cut.
const FIRST: usize = 16 * 1024;

/// The record as it is, where its JSON has no more than `limit` bytes; otherwise with
/// its long texts and lists cut until it has, and a warning that says so.
pub(super) fn bounded(record: &Record, limit: u64) -> Cow<'_, Record> {
    let whole = record.json().len();
    let fits = |length: usize| u64::try_from(length).is_ok_and(|length| length <= limit);
    if fits(whole) {
        return Cow::Borrowed(record);
    }
    let mut most = FIRST;
    loop {
        let mut shorter = shortened(record, most);
        shorter.warnings.push(format!(
            "this record would have {whole} bytes: texts of more than {most} characters and lists \
             of more than {most} entries are cut"
        ));
        // Of an entry and a character each there is nothing more to cut.
        if fits(shorter.json().len()) || most <= 1 {
            return Cow::Owned(shorter);
        }
        most /= 2;
    }
}

fn shortened(record: &Record, most: usize) -> Record {
    let cut = serde_json::to_value(record).and_then(|mut value| {
        shorten(&mut value, most);
        serde_json::from_value(value)
    });
    // What has a word of ours where a cut one would stand stays as it is.
    cut.unwrap_or_else(|_| record.clone())
}

fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(most) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(entries) => {
            entries.truncate(most);
            for entry in entries {
                shorten(entry, most);
            }
        }
        Value::Object(fields) => {
            for field in fields.values_mut() {
                shorten(field, most);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::record::{Failure, tests::record},
        *,
    };
    use crate::words::{DrillReason, DrillVerdict};

    const LIMIT: u64 = 256 * 1024;

    #[test]
    fn a_record_that_is_too_long_to_be_read_again_is_cut_and_says_so() {
        let mut long = record("2026-12-01T06-00-00Z", DrillVerdict::Failed);
        let message = "ä\n".repeat(1_000_000);
        long.failure = Some(Failure { reason: DrillReason::CheckFailed, message });
        long.warnings = (0..50_000).map(|at| format!("warning {at}")).collect();
        let cut = bounded(&long, LIMIT);
        assert!(u64::try_from(cut.json().len()).unwrap() <= LIMIT);
        assert_eq!((cut.id, cut.verdict, cut.backup.id), (long.id, long.verdict, long.backup.id));
        let failure = cut.failure.as_ref().unwrap();
        assert_eq!(failure.reason, DrillReason::CheckFailed);
        assert!(failure.message.starts_with("ä\nä") && failure.message.ends_with('…'));
        assert_eq!(cut.warnings[0], "warning 0");
        assert!(cut.warnings.last().unwrap().contains("are cut"));
        assert_eq!(serde_json::from_slice::<Record>(&cut.json()).unwrap(), *cut);
    }

    #[test]
    fn a_record_of_usual_length_stays_as_it_is() {
        let usual = record("2026-12-01T06-00-00Z", DrillVerdict::Passed);
        assert!(matches!(bounded(&usual, LIMIT), Cow::Borrowed(_)));
    }
}
