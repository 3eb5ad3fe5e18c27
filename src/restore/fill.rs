//! Rows into tables that were there: all of them in one transaction, so that a
//! failure leaves them as they were.

use super::{
    defer,
    failure::Failure,
    load,
    members::{Archive, runs},
    plan::{Fill, Hold, name},
    progress::Progress,
    statement::{name_of, oid_of},
};
use crate::{archive::manifest::Table, postgres::Target};

/// How much of an archive one request to the store asks for, in bytes.
const RUN: u64 = 8 * 1024 * 1024;

/// The bit of a trigger's type that says that it fires on TRUNCATE.
const ON_TRUNCATE: u8 = 32;

/// Fills the tables in their order.
pub(super) async fn fill(
    archive: &Archive,
    tables: &[Table],
    order: &[Fill],
    session: &mut Target,
    progress: &Progress,
) -> Result<(), Failure> {
    session.run("BEGIN").await?;
    empty(tables, order, session).await?;
    let names: Vec<String> = order.iter().map(|fill| name_of(&name(&tables[fill.table]))).collect();
    let keys = defer::put_off(&names, session).await?;
    let (mut rows, mut disabled) = (0, Vec::new());
    for (fill, quoted) in order.iter().zip(&names) {
        let table = &tables[fill.table];
        let held = hold(fill.hold, quoted, session).await?;
        for members in runs(&table.members, RUN) {
            load::copy(archive, table, members, session, progress, |taken| rows += taken).await?;
        }
        // No table can be altered of which keys are still to be looked at.
        if fill.hold == Hold::Disable {
            disabled.extend(held);
            continue;
        }
        for release in held {
            session.run(&release).await.map_err(Failure::at(format!("table {quoted}")))?;
        }
    }
    if !keys.is_empty() || !disabled.is_empty() {
        defer::look(session).await?;
    }
    for release in disabled.iter().chain(&keys) {
        session.run(release).await.map_err(Failure::at("triggers and foreign keys"))?;
    }
    session.run("COMMIT").await?;
    // Not before: a failure would have taken all of them back.
    progress.add_rows(rows);
    progress.add_tables(order.len() as u64);
    Ok(())
}

/// Removes the rows that are there, the last tables first.
async fn empty(tables: &[Table], order: &[Fill], session: &mut Target) -> Result<(), Failure> {
    let emptied: Vec<&Fill> = order.iter().filter(|fill| fill.empty_first).collect();
    if emptied.is_empty() {
        return Ok(());
    }
    let quoted = |fill: &Fill| name_of(&name(&tables[fill.table]));
    let names: Vec<String> = emptied.iter().map(|fill| quoted(fill)).collect();
    session.run("SAVEPOINT empty").await?;
    if emptied.iter().all(|fill| fill.config.is_none()) && truncate(&names, session).await {
        return Ok(());
    }
    // Other tables point at them, the role may only delete, or some rows stay.
    session.run("ROLLBACK TO SAVEPOINT empty").await?;
    for fill in emptied.iter().rev() {
        let at = format!("table {}", quoted(fill));
        let held = hold(fill.hold, &quoted(fill), session).await?;
        let which = fill.config.as_deref().unwrap_or_default();
        let delete = format!("DELETE FROM ONLY {} {which}", quoted(fill));
        session.run(&delete).await.map_err(Failure::at(&at))?;
        for release in held {
            session.run(&release).await.map_err(Failure::at(&at))?;
        }
    }
    Ok(())
}

/// Truncates all at once, so that tables may point at each other; returns whether that
/// was done, and nothing else with it. Where not, the transaction must go back.
async fn truncate(tables: &[String], session: &mut Target) -> bool {
    let whole = whole(tables);
    let Ok(parents) = session.names(&whole).await else { return false };
    let only = tables.iter().map(|table| format!("ONLY {table}"));
    let all: Vec<String> = only.chain(parents.iter().cloned()).collect();
    // A partition that came before the lock did must lose no row.
    session.run(&format!("TRUNCATE {}", all.join(", "))).await.is_ok()
        && session.names(&whole).await.is_ok_and(|now| now == parents)
}

/// Asks for the partitioned tables that have no rows but those of these tables: where
/// one has a foreign key, the server empties none that the key points at without it.
/// One whose own triggers would fire, or that the role may not empty, is not among them.
fn whole(tables: &[String]) -> String {
    let values: Vec<String> = tables.iter().map(|table| format!("({})", oid_of(table))).collect();
    let values = values.join(", ");
    format!(
        "WITH emptied (oid) AS (VALUES {values})
         SELECT DISTINCT format('%I.%I', n.nspname, c.relname)
         FROM emptied CROSS JOIN LATERAL pg_partition_ancestors(emptied.oid) AS a (oid)
         JOIN pg_class c ON c.oid = a.oid AND c.relkind = 'p'
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE has_table_privilege(c.oid, 'TRUNCATE') AND NOT EXISTS (
           SELECT FROM pg_partition_tree(c.oid) AS part
           WHERE CASE WHEN part.isleaf THEN part.relid::oid NOT IN (SELECT oid FROM emptied)
                 ELSE EXISTS (SELECT FROM pg_trigger t
                              WHERE t.tgrelid = part.relid AND NOT t.tgisinternal
                                AND t.tgenabled <> 'D' AND t.tgtype & {ON_TRUNCATE} <> 0) END)
         ORDER BY 1"
    )
}

/// Holds a table's triggers off; returns what lets them go again.
async fn hold(hold: Hold, table: &str, session: &mut Target) -> Result<Vec<String>, Failure> {
    let at = || Failure::at(format!("triggers of table {table}"));
    match hold {
        Hold::No => Ok(Vec::new()),
        Hold::Replica => {
            session.run("SET LOCAL session_replication_role = replica").await.map_err(at())?;
            Ok(vec!["SET LOCAL session_replication_role = origin".to_owned()])
        }
        Hold::Disable => {
            let enabled = format!(
                "SELECT format('ALTER TABLE {format} ENABLE %s TRIGGER %I',
                               CASE tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA'
                                              ELSE '' END, tgname)
                 FROM pg_trigger WHERE tgrelid = {oid} AND NOT tgisinternal
                   AND tgenabled <> 'D'",
                oid = oid_of(table),
                format = table.replace('%', "%%").replace('\'', "''"),
            );
            let release = session.names(&enabled).await.map_err(at())?;
            if !release.is_empty() {
                let disable = format!("ALTER TABLE {table} DISABLE TRIGGER USER");
                session.run(&disable).await.map_err(at())?;
            }
            Ok(release)
        }
    }
}
