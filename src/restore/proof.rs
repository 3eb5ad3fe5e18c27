//! The end of a restore: statistics for the planner, and every table's rows
//! counted and compared.

use super::{
    error::Failure, plan::Expected, post::each, progress::Progress, report::Difference,
    statement::name_of,
};
use crate::{archive::TableName, postgres::Target};

/// Analyses tables, the largest first.
pub(super) async fn analyze(
    tables: &[TableName],
    sessions: &mut [Target],
    progress: &Progress,
) -> Result<(), Failure> {
    each(tables, sessions, progress, async |table: &TableName, session: &mut Target| {
        let table = name_of(table);
        session
            .run(&format!("ANALYZE {table}"))
            .await
            .map_err(Failure::at(format!("table {table}")))
    })
    .await?;
    Ok(())
}

/// Counts the tables' rows; returns how many there are in all, and which tables
/// have others than expected.
pub(super) async fn compare(
    tables: &[Expected],
    sessions: &mut [Target],
    progress: &Progress,
) -> Result<(u64, Vec<Difference>), Failure> {
    let counted =
        each(tables, sessions, progress, async |expected: &Expected, session: &mut Target| {
            let table = name_of(&expected.table);
            let count = format!("SELECT count(*) FROM ONLY {table}");
            session.number(&count).await.map_err(Failure::at(format!("table {table}")))
        })
        .await?;
    let (mut rows, mut different) = (0, Vec::new());
    for (at, found) in counted {
        let expected = &tables[at];
        let found = u64::try_from(found).unwrap_or_default();
        rows += found;
        let same = if expected.at_least { found >= expected.rows } else { found == expected.rows };
        if !same {
            let table = name_of(&expected.table);
            different.push(Difference { table, expected: expected.rows, found });
        }
    }
    different.sort_by(|a, b| a.table.cmp(&b.table));
    Ok((rows, different))
}
