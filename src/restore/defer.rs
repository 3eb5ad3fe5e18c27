//! Foreign keys that no order of filling satisfies: of tables that point at each other,
//! or at themselves further on.
//!
//! They are looked at when all rows are there, still in the same transaction, and are
//! then what they were.

use super::{failure::Failure, load::ORPHANS, statement::oid_of};
use crate::postgres::{Target, TargetError};

/// Where such keys are, for a message.
const AT: &str = "foreign keys of the tables that are filled";

/// Puts them off, within a transaction; returns what makes them what they were.
pub(super) async fn put_off(
    tables: &[String],
    session: &mut Target,
) -> Result<Vec<String>, Failure> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let were = "CASE WHEN c.condeferrable THEN 'DEFERRABLE INITIALLY IMMEDIATE'
                     ELSE 'NOT DEFERRABLE' END";
    let back = session.names(&keys(tables, were)).await.map_err(refused)?;
    for put_off in
        session.names(&keys(tables, "'DEFERRABLE INITIALLY DEFERRED'")).await.map_err(refused)?
    {
        session.run(&put_off).await.map_err(refused)?;
    }
    Ok(back)
}

/// Has the server look at all of them now.
pub(super) async fn look(session: &mut Target) -> Result<(), Failure> {
    session.run("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(refused)
}

/// Of the tables in their order, asks for the keys that point at one that comes later,
/// or at their own, each as what makes it be what `then` says. A partition is as well
/// what it is a part of, which may have the key.
fn keys(tables: &[String], then: &str) -> String {
    let value = |(at, table): (usize, &String)| format!("({}, {at})", oid_of(table));
    let values: Vec<String> = tables.iter().enumerate().map(value).collect();
    let values = values.join(", ");
    format!(
        "WITH filled (oid, nth) AS (VALUES {values}), whole AS (
            SELECT coalesce(part.of, filled.oid::pg_catalog.regclass) AS oid, filled.nth
            FROM filled
            LEFT JOIN LATERAL pg_catalog.pg_partition_ancestors(filled.oid) AS part (of) ON true)
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
         ORDER BY 1"
    )
}

/// What is said of rows that point at nothing, or of keys that cannot be put off.
fn refused(error: TargetError) -> Failure {
    let advice = if error.points_at_nothing() { ORPHANS } else { "" };
    let mut failure = Failure::at(AT)(error);
    failure.message += advice;
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_be_called_whatever_a_template_would_replace() {
        let tables = ["s.\"{then}\"", "s.\"{tables}\"", "s.\"it's\\\""].map(str::to_owned);
        let sql = keys(&tables, "'NOT DEFERRABLE'");
        for part in [
            "(E's.\"{then}\"'::pg_catalog.regclass::pg_catalog.oid, 0), \
             (E's.\"{tables}\"'::pg_catalog.regclass::pg_catalog.oid, 1), \
             (E's.\"it''s\\\\\"'::pg_catalog.regclass::pg_catalog.oid, 2))",
            "c.conname, 'NOT DEFERRABLE')",
        ] {
            assert!(sql.contains(part), "{part}: {sql}");
        }
    }

    #[test]
    fn rows_that_point_at_nothing_are_said_with_what_brings_the_others() {
        let error = |code: &str| TargetError {
            message: "no".to_owned(),
            named: None,
            code: code.to_owned(),
            of_code: false,
        };
        let said = |code| {
            let failure = refused(error(code));
            assert_eq!(failure.at.as_deref(), Some(AT));
            failure.message
        };
        assert_eq!(said("42501"), "no (SQLSTATE 42501)");
        assert_eq!(said("23503"), format!("no (SQLSTATE 23503){ORPHANS}"));
        assert!(ORPHANS.ends_with("with another --table"));
    }
}
