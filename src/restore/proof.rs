//! The end of a restore: statistics for the planner, and every table's rows
//! counted and compared.

use super::{
    failure::Failure, plan::Expected, post::each, progress::Progress, report::Difference,
    statement::name_of,
};
use crate::{archive::TableName, postgres::Target};

/// How many tables a warning names.
const NAMED: usize = 5;

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

/// What counting came to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Tables that were counted.
    pub(super) tables: u64,
    /// Rows that they hold.
    pub(super) rows: u64,
    /// Those of them with other rows than expected.
    pub(super) different: Vec<Difference>,
    /// Tables whose rows the role may not see, or not all of them.
    pub(super) uncounted: Vec<String>,
}

impl Compared {
    /// What must be known of tables that could not be counted.
    pub(super) fn warning(&self) -> Option<String> {
        let names = &self.uncounted;
        let shown = names[..names.len().min(NAMED)].join(", ");
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| {
            format!(
                "the rows of {shown}{more} could not be counted: the role may not read them all; \
                 the server took every row that was sent"
            )
        })
    }
}

/// Counts the tables' rows and compares them.
pub(super) async fn compare(
    tables: &[Expected],
    sessions: &mut [Target],
    progress: &Progress,
) -> Result<Compared, Failure> {
    for session in sessions.iter_mut() {
        // Rows that are hidden shall be an error, whatever the archive has set.
        session.run("SET row_security = off").await?;
    }
    let counted =
        each(tables, sessions, progress, async |expected: &Expected, session: &mut Target| {
            count(&name_of(&expected.table), session).await
        })
        .await?;
    let mut compared = Compared::default();
    for (at, found) in counted {
        let expected = &tables[at];
        let table = name_of(&expected.table);
        let Some(found) = found else {
            compared.uncounted.push(table);
            continue;
        };
        compared.tables += 1;
        compared.rows += found;
        let same = if expected.at_least { found >= expected.rows } else { found == expected.rows };
        if !same {
            compared.different.push(Difference { table, expected: expected.rows, found });
        }
    }
    compared.different.sort_by(|a, b| a.table.cmp(&b.table));
    compared.uncounted.sort_unstable();
    Ok(compared)
}

/// A table's rows; `None` where the role may not see all of them.
async fn count(table: &str, session: &mut Target) -> Result<Option<u64>, Failure> {
    let sql = format!("SELECT count(*) FROM ONLY {table}");
    let counted = match session.number(&sql).await {
        Err(error) if error.is_denied() => unforced(table, &sql, session).await?,
        counted => Some(counted.map_err(Failure::at(format!("table {table}")))?),
    };
    Ok(counted.map(|rows| u64::try_from(rows).unwrap_or_default()))
}

/// Counts what policies hide from the table's owner too: they are lifted in a
/// transaction that is taken back, during which nobody else reads the table.
async fn unforced(table: &str, sql: &str, session: &mut Target) -> Result<Option<i64>, Failure> {
    session.run("BEGIN; SET LOCAL lock_timeout = '60s'").await?;
    let lift = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
    let counted = match session.run(&lift).await {
        Ok(()) => session.number(sql).await.ok(),
        Err(_) => None,
    };
    // Where the connection was lost, this says so.
    session.run("ROLLBACK").await.map_err(Failure::at(format!("table {table}")))?;
    Ok(counted)
}
