//! The first reading of a legacy archive, which touches nothing.

use std::collections::BTreeMap;

use super::{
    super::{
        failure::Failure,
        kind::Kind,
        progress::Progress,
        roles::Roles,
        scan::{Scanned, Scanner},
        sequences::SequenceValue,
        statement::Statement,
    },
    LegacyRequest, Text,
};
use crate::archive::TableName;

/// What it found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Everything that the archive creates.
    pub(super) created: Vec<Statement>,
    /// Where it says that sequences stood.
    pub(super) sequences: Vec<SequenceValue>,
    /// The server's version by its own comment.
    pub(super) server: Option<String>,
    /// Roles that it names.
    pub(super) roles: Roles,
    /// Rows of each table.
    pub(super) rows: BTreeMap<TableName, u64>,
    /// Of its bytes.
    pub(super) sha256: String,
    /// Whether it says at its end that it is complete.
    pub(super) complete: bool,
}

impl Found {
    /// Reads an archive once.
    pub(super) async fn read(
        request: &LegacyRequest,
        progress: &Progress,
    ) -> Result<Self, Failure> {
        let uri = request.archive.store.uri(&request.archive.key);
        let mut text = Text::open(&request.archive);
        let (mut found, mut scanner) = (Self::default(), Scanner::default());
        while let Some(piece) = text.piece(progress).await? {
            scanner.push(piece);
            while let Some(scanned) = scanner.next() {
                if let Scanned::Statement { statement, .. } = &scanned {
                    found.roles.note(statement);
                }
                match scanned {
                    Scanned::Statement { statement, .. } if makes(&statement) => {
                        found.created.push(statement);
                    }
                    Scanned::Statement { statement, .. } => {
                        if statement.kind == Kind::SequenceValue {
                            found.sequences.extend(SequenceValue::of(&statement));
                        }
                    }
                    Scanned::Rows { table, rows, .. } => {
                        *found.rows.entry(table).or_default() += rows;
                    }
                }
            }
            scanner.refused()?;
        }
        found.server = scanner.server().map(str::to_owned);
        found.sha256 = text.sha256();
        found.complete = scanner.finish().map_err(|what| Failure::of(uri, what))?;
        Ok(found)
    }

    /// The major version of the server that was dumped.
    pub(super) fn major(&self) -> Option<u32> {
        self.server.as_deref()?.split(['.', ' ']).next()?.parse().ok()
    }
}

fn makes(statement: &Statement) -> bool {
    !matches!(
        statement.kind,
        Kind::Other
            | Kind::Setting
            | Kind::SequenceValue
            | Kind::Transaction
            | Kind::LargeObjectData
            | Kind::Command
    )
}
