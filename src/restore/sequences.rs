//! Where an archive says that sequences stood.

use std::collections::BTreeSet;

use super::{
    kind::Kind, prepare::Prepared, progress::Progress, rest::Reader, statement::Statement,
};
use crate::archive::TableName;

/// A sequence as the source left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceValue {
    /// The sequence.
    pub name: TableName,
    /// Its last value.
    pub value: i64,
    /// Whether that was given out already.
    pub called: bool,
}

/// Reads the values of all sequences of a backup.
///
/// # Errors
/// When its members cannot be read; in words.
pub async fn sequence_values(prepared: &Prepared) -> Result<Vec<SequenceValue>, String> {
    let members = &prepared.contents.manifest.sections.data;
    let (mut reader, progress) = (Reader::new(&prepared.archive, members), Progress::default());
    let mut values = Vec::new();
    while let Some(statement) = reader.next(&progress).await.map_err(|failure| failure.message)? {
        match statement.kind {
            Kind::SequenceValue => values.extend(SequenceValue::of(&statement)),
            // Large objects come last, may be long, and no sequence follows them.
            Kind::Transaction | Kind::LargeObjectData => break,
            _ => {}
        }
    }
    Ok(values)
}

/// The sequences that definitions make.
pub(super) fn made(pre_data: &[Statement]) -> BTreeSet<TableName> {
    let made = pre_data.iter().filter_map(|statement| match statement.kind {
        Kind::Sequence => statement.object.clone(),
        Kind::Identity => statement.other.clone(),
        _ => None,
    });
    made.collect()
}

impl SequenceValue {
    /// Reads `SELECT pg_catalog.setval('public.a_seq', 50, true);`
    pub(super) fn of(statement: &Statement) -> Option<Self> {
        let name = statement.object.clone()?;
        let text = std::str::from_utf8(&statement.text).ok()?;
        let text = text.trim_end().strip_suffix(';')?.trim_end().strip_suffix(')')?;
        let (rest, called) = text.rsplit_once(',')?;
        let (_, value) = rest.rsplit_once(',')?;
        let called = called.trim().parse().ok()?;
        Some(Self { name, value: value.trim().parse().ok()?, called })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_whatever_the_sequence_is_called() {
        for (text, name, value, called) in [
            ("SELECT pg_catalog.setval('public.a_seq', 50, true);\n", "a_seq", 50, true),
            (
                "SELECT pg_catalog.setval('public.\"b, 7, (x)\"', -1, false);",
                "b, 7, (x)",
                -1,
                false,
            ),
        ] {
            let statement = Statement::read(&bytes::Bytes::from_static(text.as_bytes()));
            let read = SequenceValue::of(&statement).unwrap();
            assert_eq!((read.name.name.as_str(), read.value, read.called), (name, value, called));
        }
    }
}
