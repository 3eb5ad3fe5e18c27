//! Whether what a dump says of the database was still so when `pg_dump` asked.
//!
//! `pg_dump` reads its own snapshot, but not everything that the server tells
//! it does: `pg_get_indexdef` and its kin answer from the catalog as it is now,
//! COPY opens the table that has the name now, and a table that was truncated
//! or rewritten since the snapshot looks empty. Any of them would make a dump
//! that does not restore, or that lacks rows, and says nothing. So the catalog
//! is read twice: in the snapshot, and again, by a session that sees the
//! present, when every `pg_dump` has read all definitions and holds its locks.
//! What is the same then cannot have been different in between, as far as the
//! dump is concerned: a catalog row that changes gets another `xmin`.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::connect::{SessionError, failed};

/// Each object's kind and oid, with its name and what changes when it does.
pub(super) struct Definitions(HashMap<(String, i64), Definition>);

struct Definition {
    name: String,
    version: String,
}

/// Statistics, rights and the files of materialized views change without
/// changing a dump, so relations are compared by what a dump says of them. A
/// table has another file after TRUNCATE and after a rewrite.
const READ: &str = "
WITH space AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
relation AS (
    SELECT c.*, format('%I.%I', s.nspname, c.relname) AS name
    FROM pg_class c JOIN space s ON s.oid = c.relnamespace)
SELECT 'schema'::text, oid::int8, quote_ident(nspname), nspname::text FROM space
UNION ALL
SELECT CASE WHEN relkind = 'S' THEN 'sequence' WHEN relkind IN ('v', 'm') THEN 'view'
            WHEN relkind IN ('i', 'I') THEN 'index' ELSE 'table' END, oid::int8, name,
       concat_ws('/', name, relkind, relpersistence, relispartition, relreplident, relrowsecurity,
                 relforcerowsecurity, relam, reloptions::text,
                 CASE relkind WHEN 'r' THEN relfilenode END)
FROM relation
UNION ALL
SELECT 'columns of', r.oid::int8, r.name, string_agg(a.attnum || '=' || a.xmin, ',' ORDER BY attnum)
FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
WHERE a.attnum > 0 GROUP BY r.oid, r.name
UNION ALL
SELECT 'definition of index', i.indexrelid::int8, r.name, i.xmin::text
FROM pg_index i JOIN relation r ON r.oid = i.indexrelid
UNION ALL
SELECT 'range of sequence', q.seqrelid::int8, r.name, q.xmin::text
FROM pg_sequence q JOIN relation r ON r.oid = q.seqrelid
UNION ALL
SELECT 'constraint', c.oid::int8, format('%I.%I', s.nspname, c.conname), c.xmin::text
FROM pg_constraint c JOIN space s ON s.oid = c.connamespace
UNION ALL
SELECT 'trigger', t.oid::int8, format('%I on %s', t.tgname, r.name), t.xmin::text
FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'rule', w.oid::int8, format('%I on %s', w.rulename, r.name), w.xmin::text
FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class
UNION ALL
SELECT 'default of a column of', d.oid::int8, r.name, d.xmin::text
FROM pg_attrdef d JOIN relation r ON r.oid = d.adrelid
UNION ALL
SELECT 'policy', p.oid::int8, format('%I on %s', p.polname, r.name), p.xmin::text
FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
UNION ALL
SELECT 'function', p.oid::int8, format('%I.%I', s.nspname, p.proname), p.xmin::text
FROM pg_proc p JOIN space s ON s.oid = p.pronamespace
UNION ALL
SELECT 'type', t.oid::int8, format('%I.%I', s.nspname, t.typname), t.xmin::text
FROM pg_type t JOIN space s ON s.oid = t.typnamespace WHERE t.typrelid = 0
UNION ALL
SELECT 'value of type', e.oid::int8, format('%I.%I', s.nspname, t.typname), e.xmin::text
FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN space s ON s.oid = t.typnamespace
UNION ALL
SELECT 'statistics', e.oid::int8, format('%I.%I', s.nspname, e.stxname), e.xmin::text
FROM pg_statistic_ext e JOIN space s ON s.oid = e.stxnamespace";

/// Reads them all, as the connection sees them.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Definitions, SessionError> {
    let rows: Vec<(String, i64, String, String)> =
        sqlx::query_as(READ).fetch_all(connection).await.map_err(failed("read the definitions"))?;
    let definition = |(what, oid, name, version)| ((what, oid), Definition { name, version });
    Ok(Definitions(rows.into_iter().map(definition).collect()))
}

impl Definitions {
    /// What is not the same any more, or gone. What has come since does no harm:
    /// the dump does not see it.
    pub(super) fn changed(&self, now: &Self) -> Vec<String> {
        let same = |key, before: &Definition| {
            now.0.get(key).is_some_and(|now| now.version == before.version)
        };
        let changed = self.0.iter().filter(|(key, before)| !same(key, before));
        let mut names: Vec<String> =
            changed.map(|((what, _), before)| format!("{what} {}", before.name)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl std::fmt::Debug for Definitions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Definitions({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions(all: &[(&str, i64, &str)]) -> Definitions {
        let definition = |&(what, oid, version): &(&str, i64, &str)| {
            let (name, version) = (format!("public.n{oid}"), version.to_owned());
            ((what.to_owned(), oid), Definition { name, version })
        };
        Definitions(all.iter().map(definition).collect())
    }

    #[test]
    fn what_changed_or_went_is_named_and_what_came_is_not() {
        let before = definitions(&[("table", 1, "a"), ("table", 2, "a"), ("index", 3, "a")]);
        let now = definitions(&[("table", 1, "a"), ("table", 2, "b"), ("table", 4, "a")]);
        assert_eq!(before.changed(&now), ["index public.n3", "table public.n2"]);
        assert!(before.changed(&before).is_empty());
    }
}
