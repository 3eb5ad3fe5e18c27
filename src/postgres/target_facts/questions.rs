//! What a target is asked.

/// Schemas: name, whether the role may make objects in it, owner, whether that is the
/// role.
pub(super) const SCHEMAS: &str = "SELECT n.nspname::text, has_schema_privilege(n.oid, 'CREATE'),
           pg_get_userbyid(n.nspowner)::text,
           n.nspowner = r.oid OR (NOT r.rolsuper AND pg_has_role(n.nspowner, 'USAGE'))
    FROM pg_namespace n JOIN pg_roles r ON r.rolname = current_user
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1";

/// Everything that has columns; read by the fields of [`super::RelationFact`]. It is
/// told the comment of what is unfinished.
pub(super) const RELATIONS: &str = "
SELECT n.nspname::text, c.relname::text, c.relkind::text,
       EXISTS (SELECT FROM pg_depend d
               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                 AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'),
       (SELECT coalesce(e.extcondition[array_position(e.extconfig, c.oid)], '') FROM pg_extension e
        WHERE c.relkind IN ('r', 'p') AND c.oid = ANY (e.extconfig) LIMIT 1),
       pg_has_role(c.relowner, 'USAGE'),
       c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE')
         AND has_table_privilege(c.oid, 'INSERT'),
       c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE')
         AND has_table_privilege(c.oid, 'SELECT'),
       c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'TRUNCATE'),
       c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'DELETE'),
       c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE')
         AND has_any_column_privilege(c.oid, 'REFERENCES'),
       c.relkind IN ('r', 'p', 'v') AND has_table_privilege(c.oid, 'TRIGGER'), c.relhastriggers,
       c.relkind IN ('r', 'p') AND row_security_active(c.oid),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND c.relkind IN ('r', 'p') AND a.attnum > 0
               AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             WHERE a.attrelid = c.oid AND c.relkind IN ('r', 'p') AND a.attnum > 0
               AND NOT a.attisdropped AND (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef
               AND a.attidentity = '' AND t.typdefault IS NULL ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND c.relkind IN ('r', 'p') AND a.attnum > 0
               AND NOT a.attisdropped AND a.attgenerated <> '' ORDER BY a.attnum),
       ARRAY(SELECT format('%I.%I', rn.nspname, r.relname)
             FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid
             JOIN pg_namespace rn ON rn.oid = r.relnamespace
             WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid
               AND r.relkind <> 'p' ORDER BY k.oid),
       ARRAY(SELECT k.conname::text
             FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid
             WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid
               AND r.relkind <> 'p' ORDER BY k.oid),
       ARRAY(SELECT (SELECT bool_and(a.attnotnull) FROM pg_attribute a
                     WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
             FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid
             WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid
               AND r.relkind <> 'p' ORDER BY k.oid),
       ARRAY(SELECT format('%I.%I', sn.nspname, s.relname)
             FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
             JOIN pg_namespace sn ON sn.oid = s.relnamespace
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')),
       ARRAY(SELECT 'index ' || i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
             WHERE x.indrelid = c.oid
             UNION ALL SELECT 'constraint ' || conname FROM pg_constraint WHERE conrelid = c.oid
             UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = c.oid
             UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = c.oid
             UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = c.oid
             UNION ALL SELECT 'row security' WHERE c.relrowsecurity
             UNION ALL SELECT 'forced row security' WHERE c.relforcerowsecurity),
       obj_description(c.oid, 'pg_class') IS NOT DISTINCT FROM $1::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2";

/// Whatever else has a name in a schema.
pub(super) const OTHERS: &str = "
SELECT DISTINCT n.nspname::text, o.name::text FROM (
  SELECT 'pg_proc'::regclass AS class, oid, proname AS name, pronamespace AS namespace FROM pg_proc
  UNION ALL
  SELECT 'pg_type'::regclass, oid, typname, typnamespace FROM pg_type t
  WHERE t.typelem = 0 AND (t.typrelid = 0 OR EXISTS (
    SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
  UNION ALL SELECT 'pg_collation'::regclass, oid, collname, collnamespace FROM pg_collation
  UNION ALL SELECT 'pg_operator'::regclass, oid, oprname, oprnamespace FROM pg_operator
  UNION ALL SELECT 'pg_opclass'::regclass, oid, opcname, opcnamespace FROM pg_opclass
  UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfname, opfnamespace FROM pg_opfamily
  UNION ALL SELECT 'pg_conversion'::regclass, oid, conname, connamespace FROM pg_conversion
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgname, cfgnamespace FROM pg_ts_config
  UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictname, dictnamespace FROM pg_ts_dict
  UNION ALL SELECT 'pg_ts_parser'::regclass, oid, prsname, prsnamespace FROM pg_ts_parser
  UNION ALL SELECT 'pg_ts_template'::regclass, oid, tmplname, tmplnamespace FROM pg_ts_template
) o JOIN pg_namespace n ON n.oid = o.namespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
ORDER BY 1, 2";

/// Extensions: name, whether it is installed, whether the role owns it, version, which
/// others it wants, and the schema that it is installed in.
pub(super) const EXTENSIONS: &str = "
SELECT coalesce(e.extname::text, a.name::text), e.oid IS NOT NULL,
       coalesce(pg_has_role(e.extowner, 'USAGE'), false),
       coalesce(e.extversion, a.default_version, ''), coalesce(v.requires::text[], '{}'),
       (SELECT nspname::text FROM pg_namespace WHERE oid = e.extnamespace)
FROM pg_available_extensions a FULL JOIN pg_extension e ON e.extname = a.name
LEFT JOIN pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version
ORDER BY 1";

/// Which of these names, as schema and name, something has.
pub(super) const NAMED: &str = "
SELECT DISTINCT w.schema, w.name
FROM unnest($1::text[], $2::text[]) AS w (schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
WHERE EXISTS (SELECT FROM pg_proc WHERE pronamespace = n.oid AND proname = w.name)
   OR EXISTS (SELECT FROM pg_type WHERE typnamespace = n.oid AND typname = w.name)
   OR EXISTS (SELECT FROM pg_operator WHERE oprnamespace = n.oid AND oprname = w.name)
   OR EXISTS (SELECT FROM pg_opclass WHERE opcnamespace = n.oid AND opcname = w.name)
   OR EXISTS (SELECT FROM pg_collation WHERE collnamespace = n.oid AND collname = w.name)
   OR EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = w.name)";
