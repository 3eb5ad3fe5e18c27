//! Foreign keys that no order of filling satisfies: of tables that point at each other,
//! or at themselves further on.
//!
//! They are looked at when all rows are there, still in the same transaction, and are
//! then what they were.

use super::failure::Failure;
use crate::postgres::Target;

/// Where such keys are, for a message.
const AT: &str = "foreign keys of the tables that are filled";

/// Of the tables in their order, the keys that point at one that comes later, or at
/// their own. A partition is as well what it is a part of, which may have the key. What
/// is to follow stands at the end.
const KEYS: &str = "WITH filled (oid, nth) AS (VALUES {tables}), whole AS (
    SELECT coalesce(part.of, filled.oid::pg_catalog.regclass) AS oid, filled.nth
    FROM filled LEFT JOIN LATERAL pg_catalog.pg_partition_ancestors(filled.oid) AS part (of) ON true)
SELECT pg_catalog.format('ALTER TABLE %I.%I ALTER CONSTRAINT %I %s', n.nspname, r.relname,
                         c.conname, {then})
FROM pg_catalog.pg_constraint c
JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) c.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace
WHERE c.contype OPERATOR(pg_catalog.=) 'f' AND c.conparentid OPERATOR(pg_catalog.=) 0
  AND NOT c.condeferred AND pg_catalog.pg_has_role(r.relowner, 'USAGE')
  AND EXISTS (SELECT FROM whole a, whole b
              WHERE a.oid OPERATOR(pg_catalog.=) c.conrelid
                AND b.oid OPERATOR(pg_catalog.=) c.confrelid
                AND a.nth OPERATOR(pg_catalog.<=) b.nth)
ORDER BY 1";

/// Puts them off, within a transaction; returns what makes them what they were.
pub(super) async fn put_off(
    tables: &[String],
    session: &mut Target,
) -> Result<Vec<String>, Failure> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let at = || Failure::at(AT);
    let were = "CASE WHEN c.condeferrable THEN 'DEFERRABLE INITIALLY IMMEDIATE'
                     ELSE 'NOT DEFERRABLE' END";
    let back = session.names(&keys(tables, were)).await.map_err(at())?;
    for put_off in
        session.names(&keys(tables, "'DEFERRABLE INITIALLY DEFERRED'")).await.map_err(at())?
    {
        session.run(&put_off).await.map_err(at())?;
    }
    Ok(back)
}

/// Has the server look at all of them now.
pub(super) async fn look(session: &mut Target) -> Result<(), Failure> {
    session.run("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(Failure::at(AT))
}

fn keys(tables: &[String], then: &str) -> String {
    let value = |(at, table): (usize, &String)| {
        let literal = table.replace('\\', "\\\\").replace('\'', "''");
        format!("(E'{literal}'::pg_catalog.regclass::pg_catalog.oid, {at})")
    };
    let values: Vec<String> = tables.iter().enumerate().map(value).collect();
    KEYS.replace("{tables}", &values.join(", ")).replace("{then}", then)
}
