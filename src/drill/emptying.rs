//! Empties a database of everything that was not there before.

use serde::{Deserialize, Serialize};

use super::target::{BorrowError, MARK, failed};
use crate::{
    postgres::{Target, TargetError, quote},
    restore::Platform,
};

/// Whatever is in no schema, as DROP names it, the schemas themselves, and what may
/// hang on a table of the platform's.
const OUTER: &str = "
SELECT what || pg_catalog.quote_ident(name) || coalesce(on_table, '') FROM (
  SELECT 'SCHEMA ' AS what, nspname AS name, oid, 'pg_namespace'::regclass AS class,
         NULL::text AS on_table
  FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public', 'reliquary_drill')
  UNION ALL SELECT 'EXTENSION ', extname, oid, 'pg_extension'::regclass, NULL FROM pg_extension
  UNION ALL SELECT 'PUBLICATION ', pubname, oid, 'pg_publication'::regclass, NULL FROM pg_publication
  UNION ALL SELECT 'EVENT TRIGGER ', evtname, oid, 'pg_event_trigger'::regclass, NULL
  FROM pg_event_trigger
  UNION ALL SELECT 'SERVER ', srvname, oid, 'pg_foreign_server'::regclass, NULL FROM pg_foreign_server
  UNION ALL SELECT 'FOREIGN DATA WRAPPER ', fdwname, oid, 'pg_foreign_data_wrapper'::regclass, NULL
  FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'LANGUAGE ', lanname, oid, 'pg_language'::regclass, NULL FROM pg_language
  UNION ALL SELECT 'ACCESS METHOD ', amname, oid, 'pg_am'::regclass, NULL FROM pg_am
  UNION ALL SELECT 'POLICY ', polname, p.oid, 'pg_policy'::regclass,
         pg_catalog.format(' ON %I.%I', n.nspname, c.relname)
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^(pg_|public$)'
  UNION ALL SELECT 'TRIGGER ', tgname, t.oid, 'pg_trigger'::regclass,
         pg_catalog.format(' ON %I.%I', n.nspname, c.relname)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND n.nspname !~ '^(pg_|public$)'
) o
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.deptype = 'e')
ORDER BY what <> 'EVENT TRIGGER ', on_table IS NOT NULL, what DESC, name";

/// What is in a schema, and with `public` casts, as DROP names them. What goes with
/// something else is not listed. The parts of a table come before it.
fn in_schema(ident: &str) -> String {
    format!("{IN_SCHEMA_BEGIN}'{}'{IN_SCHEMA_END}", ident.replace('\'', "''"))
}

const IN_SCHEMA_BEGIN: &str = "
SELECT pg_catalog.format('DROP %s IF EXISTS %s CASCADE',
         CASE WHEN i.type IN ('function', 'procedure', 'aggregate') THEN 'ROUTINE' ELSE i.type END,
         i.identity)
FROM (
  SELECT 'pg_class'::regclass AS class, oid, relnamespace AS namespace, relispartition AS is_part
  FROM pg_class
  WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace, false FROM pg_proc
  UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, false FROM pg_type t
  WHERE t.typelem = 0 AND (t.typrelid = 0 OR EXISTS (
    SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
  UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace, false FROM pg_collation
  UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace, false FROM pg_operator
  UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace, false FROM pg_opclass
  UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace, false FROM pg_opfamily
  UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace, false FROM pg_conversion
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace, false FROM pg_ts_config
  UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace, false FROM pg_ts_dict
  UNION ALL SELECT 'pg_ts_parser'::regclass, oid, prsnamespace, false FROM pg_ts_parser
  UNION ALL SELECT 'pg_ts_template'::regclass, oid, tmplnamespace, false FROM pg_ts_template
  UNION ALL SELECT 'pg_cast'::regclass, oid, to_regnamespace('public'), false FROM pg_cast WHERE oid >= 16384
) o CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.class, o.oid, 0) i
WHERE o.namespace = to_regnamespace(";

const IN_SCHEMA_END: &str = ")
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
ORDER BY o.class, o.is_part DESC, o.oid DESC";

/// Schemas in which extensions are.
const OF_EXTENSIONS: &str = "SELECT DISTINCT pg_catalog.quote_ident(n.nspname)
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace";

/// Each takes a lock until the end of its transaction, and a server has room for so
/// many only.
const LARGE_OBJECTS: &str = "SELECT pg_catalog.count(pg_catalog.lo_unlink(oid)) FROM
    (SELECT oid FROM pg_catalog.pg_largeobject_metadata LIMIT 1000) AS batch";

/// So many things are dropped in one transaction.
const AT_ONCE: usize = 25;

/// What the mark says: what is kept, which was there before the first drill, and what
/// drills have made that is in no database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    there: Vec<String>,
    /// Schemas of people that stay, as SQL writes them, and are emptied: an extension that
    /// was there is in them, or nothing.
    #[serde(default)]
    schemas: Vec<String>,
    /// Roles, which a killed drill cannot drop.
    pub(super) roles: Vec<String>,
    /// Whether the database was emptied, and the mark stands for its roles only: what
    /// is in it since is somebody else's.
    #[serde(default)]
    pub(super) emptied: bool,
}

impl Kept {
    /// What is there before a first drill, without schemas of people with what they hold,
    /// which may be dropped if the database may be used at all.
    pub(super) async fn at_first(
        platform: &Platform,
        control: &mut Target,
    ) -> Result<Self, BorrowError> {
        let there = control.names(OUTER).await.map_err(failed("look what it holds"))?;
        let managed: Vec<String> =
            platform.managed.iter().map(|name| format!("SCHEMA {}", quote(name))).collect();
        let (there, of_people): (Vec<String>, Vec<String>) = there
            .into_iter()
            .partition(|what| !what.starts_with("SCHEMA ") || managed.contains(what));
        let mut schemas =
            control.names(OF_EXTENSIONS).await.map_err(failed("look what it holds"))?;
        for schema in of_people.iter().filter_map(|what| what.strip_prefix("SCHEMA ")) {
            let holds = control.names(&in_schema(schema)).await;
            if holds.map_err(failed("look what it holds"))?.is_empty() {
                schemas.push(schema.to_owned());
            }
        }
        Ok(Self { there, schemas, roles: Vec::new(), emptied: false })
    }

    /// What the mark holds.
    pub(super) async fn read(control: &mut Target) -> Result<Self, BorrowError> {
        let sql = format!(
            "SELECT coalesce(pg_catalog.obj_description('{MARK}'::regnamespace, 'pg_namespace'), '')"
        );
        let text = control.names(&sql).await.map_err(failed("read its mark"))?.concat();
        serde_json::from_str(&text).map_err(|_| {
            BorrowError::Refused(format!(
                "its schema {MARK} is not one that a drill has made; drop it where all is well"
            ))
        })
    }

    fn contains(&self, what: &String) -> bool {
        self.there.contains(what)
    }

    /// Makes the mark.
    pub(super) async fn write(&self, control: &mut Target) -> Result<(), BorrowError> {
        let sql =
            format!("BEGIN; CREATE SCHEMA IF NOT EXISTS {MARK}; {}; COMMIT", self.statement());
        control.run(&sql).await.map_err(failed("mark it"))
    }

    /// The statement that puts it into a mark that is there.
    pub(super) fn statement(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default().replace('\'', "''");
        format!("COMMENT ON SCHEMA {MARK} IS '{text}'")
    }
}

/// Drops everything but what is kept; `filled` are tables of the platform that are
/// emptied.
pub(super) async fn empty(
    kept: &Kept,
    filled: &[String],
    control: &mut Target,
) -> Result<(), BorrowError> {
    let doing = failed("empty it");
    while control.number(LARGE_OBJECTS).await.map_err(&doing)? > 0 {}
    let asked: Vec<(String, String)> =
        filled.iter().map(|table| (table.clone(), String::new())).collect();
    let occupied = control.occupied(&asked).await?;
    delete(occupied, control).await.map_err(&doing)?;
    for what in control.names(OUTER).await.map_err(&doing)? {
        if !kept.contains(&what) {
            if let Some(schema) = what.strip_prefix("SCHEMA ") {
                hollow(schema, control).await.map_err(&doing)?;
                if kept.schemas.iter().any(|kept| kept == schema) {
                    strictly(schema, control).await.map_err(&doing)?;
                    continue;
                }
            }
            control.run(&format!("DROP {what} CASCADE")).await.or_else(gone).map_err(&doing)?;
        }
    }
    strictly("public", control).await.map_err(&doing)
}

/// Drops what is in a schema that stays.
async fn strictly(schema: &str, control: &mut Target) -> Result<(), TargetError> {
    for drop in control.names(&in_schema(schema)).await? {
        control.run(&drop).await.or_else(gone)?;
    }
    Ok(())
}

/// Drops what is in a schema, a few things at a time: all of them at once
/// are too many for a server's locks where they are many. What does not go here is tried
/// once more, alone or with the schema, and then it is said why not.
async fn hollow(schema: &str, control: &mut Target) -> Result<(), TargetError> {
    for drops in control.names(&in_schema(schema)).await?.chunks(AT_ONCE) {
        match control.run(&drops.join("; ")).await {
            Err(error) if error.is_lost() => return Err(error),
            Ok(()) => continue,
            Err(_) => {}
        }
        for drop in drops {
            control.run(drop).await.or_else(
                |error| {
                    if error.is_lost() { Err(error) } else { Ok(()) }
                },
            )?;
        }
    }
    Ok(())
}

/// Removes the rows of tables that may point at each other. A platform lets its
/// tables be deleted from, and not truncated.
async fn delete(mut tables: Vec<String>, control: &mut Target) -> Result<(), TargetError> {
    while !tables.is_empty() {
        let (mut left, mut why) = (Vec::new(), None);
        let before = tables.len();
        for table in tables {
            match control.run(&format!("DELETE FROM {table}")).await {
                Ok(()) => {}
                Err(error) => {
                    left.push(table);
                    why = Some(error);
                }
            }
        }
        match why {
            // Others point at it: they are empty at the next try, where one was emptied.
            Some(error) if left.len() == before => return Err(error),
            _ => tables = left,
        }
    }
    Ok(())
}

/// What went along with something else is gone.
fn gone(error: TargetError) -> Result<(), TargetError> {
    if error.is_absent() { Ok(()) } else { Err(error) }
}
