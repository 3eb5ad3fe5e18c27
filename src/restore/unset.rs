//! Values that could not be given to sequences which the archive does not make:
//! a platform or an extension was to make them.

use std::collections::BTreeSet;

use super::{
    failure::Failure, judge::Class, plan::Skipped, sequences::SequenceValue, statement::Statement,
};
use crate::{archive::TableName, postgres::TargetError};

/// A sequence that has not the value of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unset {
    /// The sequence.
    pub(super) name: TableName,
    /// What is said of it.
    pub(super) skipped: Skipped,
}

/// Why it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The target has no such sequence.
    Absent,
    /// The role may not set it.
    Denied,
}

impl Why {
    /// What an error says; `None` where it says another thing.
    pub(super) fn of(error: &TargetError) -> Option<Self> {
        match error {
            error if error.is_absent() => Some(Self::Absent),
            error if error.is_denied() => Some(Self::Denied),
            _ => None,
        }
    }
}

impl Unset {
    /// One of a managed schema, whatever the platform says.
    pub(super) fn of_platform(name: TableName, statement: &Statement, error: TargetError) -> Self {
        let reason = match Why::of(&error) {
            Some(Why::Absent) => "the target has no such sequence",
            _ => "the role may not set it",
        };
        let Failure { message, .. } = Failure::in_statement(statement)(error);
        let skipped = Skipped {
            what: format!("{statement}: {message}"),
            reason: reason.to_owned(),
            class: Class::PlatformDifference,
        };
        Self { name, skipped }
    }

    /// One that an extension makes. Which table's it is nobody knows, but the schema
    /// of both: where rows of that are lost, the value is lost with them.
    pub(super) fn of_extension(
        name: TableName,
        statement: &Statement,
        why: Why,
        rowless: &BTreeSet<TableName>,
    ) -> Self {
        let with_rows = rowless.iter().any(|table| table.schema == name.schema);
        // It is behind the rows that did come, unless it stands at its beginning.
        let behind = why == Why::Denied
            && SequenceValue::of(statement).is_none_or(|sequence| sequence.called);
        let reason = match why {
            Why::Absent => "the extension that makes the sequence has not made it",
            Why::Denied => "the role may not set it",
        };
        let lost = with_rows || behind;
        let skipped = Skipped {
            what: statement.to_string(),
            reason: reason.to_owned(),
            class: if lost { Class::DataLoss } else { Class::PlatformDifference },
        };
        Self { name, skipped }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_value_is_lost_with_rows_of_its_schema_or_behind_those_that_came() {
        let lost = BTreeSet::from([TableName { schema: "cfg".into(), name: "job".into() }]);
        let none = BTreeSet::new();
        let other = BTreeSet::from([TableName { schema: "app".into(), name: "job".into() }]);
        for (value, why, rowless, class) in [
            ("5, true", Why::Absent, &lost, Class::DataLoss),
            ("5, true", Why::Absent, &none, Class::PlatformDifference),
            ("5, true", Why::Absent, &other, Class::PlatformDifference),
            ("5, true", Why::Denied, &none, Class::DataLoss),
            ("1, false", Why::Denied, &none, Class::PlatformDifference),
        ] {
            let sql = format!("SELECT pg_catalog.setval('cfg.job_id_seq', {value});");
            let statement = Statement::read(&Bytes::from(sql));
            let name = statement.object.clone().unwrap();
            let Unset { skipped, .. } = Unset::of_extension(name, &statement, why, rowless);
            assert_eq!(skipped.what, "value of sequence cfg.job_id_seq");
            assert_eq!(skipped.class, class, "{value} {why:?} {rowless:?}");
        }
    }
}
