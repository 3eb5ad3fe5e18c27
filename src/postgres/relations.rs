//! The database's tables and sequences, with what decides whether `pg_dump`
//! dumps them: the same rules as its own.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::connect::{SessionError, failed};

/// A relation outside of the system's schemas.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact of the catalog")]
pub(super) struct Relation {
    pub(super) oid: i64,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) unlogged: bool,
    /// Belongs to an extension, which creates it.
    pub(super) member: bool,
    /// Belongs to an extension that wants its rows dumped.
    pub(super) config: bool,
    /// Whether our role may name it: USAGE on its schema.
    pub(super) reachable: bool,
    /// Whether our role may SELECT all of it.
    pub(super) readable: bool,
    /// Whether policies would hide rows from our role.
    pub(super) row_security: bool,
    /// Tables it inherits from or is a partition of.
    pub(super) parents: Vec<i64>,
    pub(super) partition: bool,
    /// The table whose identity column this sequence is.
    pub(super) identity_of: Option<i64>,
    /// Estimated rows; zero where the server has no estimate.
    pub(super) rows: u64,
}

/// `pg_class.relkind`, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    Partitioned,
    Sequence,
    /// Views, materialized views, foreign tables: no rows in a dump.
    Other,
}

impl Relation {
    /// `schema.table` as SQL writes it.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// An identifier as SQL writes it, quoted where it must be.
pub(crate) fn quote(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `convert_to` an encoding from itself is the identity, and so yields the
/// bytes as they are stored. Oids below 16384 are the server's own.
const READ: &str = "
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
       c.relkind::text AS kind, c.relpersistence = 'u' AS unlogged, c.relispartition AS partition,
       EXISTS (SELECT FROM pg_depend d
               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                 AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e') AS member,
       EXISTS (SELECT FROM pg_extension e
               WHERE c.oid = ANY (e.extconfig) AND e.oid >= 16384) AS config,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), true) AS reachable,
       coalesce(CASE c.relkind WHEN 'r' THEN has_table_privilege(c.oid, 'SELECT')
                               WHEN 'p' THEN has_table_privilege(c.oid, 'SELECT')
                               WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') END,
                true) AS readable,
       c.relkind = 'r' AND row_security_active(c.oid) AS row_security,
       ARRAY(SELECT i.inhparent::int8 FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents,
       (SELECT d.refobjid::int8 FROM pg_depend d
        WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
          AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' LIMIT 1) AS identity_of,
       greatest(c.reltuples, 0)::float8 AS rows
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname";

/// Reads them all, in the order of their names.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Vec<Relation>, SessionError> {
    let doing = failed("read the list of tables");
    sqlx::query(READ)
        .fetch_all(connection)
        .await
        .map_err(&doing)?
        .iter()
        .map(|row| relation(row).map_err(&doing))
        .collect()
}

fn relation(row: &PgRow) -> Result<Relation, sqlx::Error> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, and the query keeps it from being negative"
    )]
    let rows = row.try_get::<f64, _>("rows")? as u64;
    Ok(Relation {
        oid: row.try_get("oid")?,
        schema: row.try_get("schema")?,
        name: row.try_get("name")?,
        kind: match row.try_get::<String, _>("kind")?.as_str() {
            "r" => Kind::Table,
            "p" => Kind::Partitioned,
            "S" => Kind::Sequence,
            _ => Kind::Other,
        },
        unlogged: row.try_get("unlogged")?,
        member: row.try_get("member")?,
        config: row.try_get("config")?,
        reachable: row.try_get("reachable")?,
        readable: row.try_get("readable")?,
        row_security: row.try_get("row_security")?,
        parents: row.try_get("parents")?,
        partition: row.try_get("partition")?,
        identity_of: row.try_get("identity_of")?,
        rows,
    })
}

/// Tables that nobody can read just now, and whose doing that is.
pub(super) async fn lock_holders(
    connection: &mut PgConnection,
) -> Result<Vec<String>, SessionError> {
    sqlx::query_scalar(
        "SELECT format('%I.%I by process %s%s', n.nspname, c.relname, l.pid,
                       CASE WHEN a.application_name <> '' THEN format(' (%s)', a.application_name) END)
         FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock'
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'
         ORDER BY 1 LIMIT 10",
    )
    .fetch_all(connection)
    .await
    .map_err(failed("look for locks"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(quote("plain_1"), "plain_1");
        assert_eq!(quote("1st"), "\"1st\"");
        assert_eq!(quote("A \"b\""), "\"A \"\"b\"\"\"");
    }
}
