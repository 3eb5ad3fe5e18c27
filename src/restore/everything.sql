-- Every object of the database that could go along when others are dropped, by
-- its identity, with what it belongs to. Not listed: the system's own, what goes
-- with what it is a part of (an array's type, a key's index, a partition's share of its
-- table's constraint), and what an extension made, with the indexes, defaults and constraints of its tables, which are not
-- marked as the extension's. Large objects stand on nothing.
SELECT json_build_array(
  concat_ws(':', o.class::oid, o.oid, o.sub), o.what, o.name::text, o.schema::text, o.owner::text
)::text FROM (
  SELECT 'pg_class'::regclass AS class, c.oid, 0 AS sub, 'relation' AS what, ''::name AS name,
         n.nspname AS schema, c.relname AS owner
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    -- A column's own sequence goes with it.
    AND NOT (c.relkind = 'S' AND EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.objsubid = 0 AND d.deptype = 'a' AND d.refclassid = 'pg_class'::regclass))
  UNION ALL SELECT 'pg_class'::regclass, x.oid, 0, 'index', x.relname, n.nspname, c.relname
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.objsubid = 0 AND d.deptype = 'e')
  UNION ALL SELECT 'pg_class'::regclass, c.oid, a.attnum, 'column', a.attname, n.nspname, c.relname
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL SELECT 'pg_attrdef'::regclass, f.oid, 0, 'default of column', a.attname, n.nspname, c.relname
  FROM pg_attrdef f JOIN pg_class c ON c.oid = f.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.objsubid = 0 AND d.deptype = 'e')
  UNION ALL SELECT 'pg_constraint'::regclass, o.oid, 0, 'constraint', o.conname, n.nspname, c.relname
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE o.conparentid = 0 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.objsubid = 0 AND d.deptype = 'e')
  UNION ALL SELECT 'pg_trigger'::regclass, o.oid, 0, 'trigger', o.tgname, n.nspname, c.relname
  FROM pg_trigger o JOIN pg_class c ON c.oid = o.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT o.tgisinternal
  UNION ALL SELECT 'pg_rewrite'::regclass, o.oid, 0, 'rule', o.rulename, n.nspname, c.relname
  FROM pg_rewrite o JOIN pg_class c ON c.oid = o.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 'pg_policy'::regclass, o.oid, 0, 'policy', o.polname, n.nspname, c.relname
  FROM pg_policy o JOIN pg_class c ON c.oid = o.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 'pg_statistic_ext'::regclass, o.oid, 0, 'statistics', o.stxname, n.nspname, c.relname
  FROM pg_statistic_ext o JOIN pg_class c ON c.oid = o.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 'pg_constraint'::regclass, o.oid, 0, 'constraint', o.conname, n.nspname, t.typname
  FROM pg_constraint o JOIN pg_type t ON t.oid = o.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
  UNION ALL SELECT 'pg_publication_rel'::regclass, o.oid, 0, 'member of publication', p.pubname,
         n.nspname, c.relname
  FROM pg_publication_rel o JOIN pg_publication p ON p.oid = o.prpubid
  JOIN pg_class c ON c.oid = o.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT 'pg_user_mapping'::regclass, umid, 0, 'user mapping', coalesce(usename, ''), '', srvname
  FROM pg_user_mappings
  UNION ALL SELECT 'pg_proc'::regclass, o.oid, 0, 'function', '', n.nspname, o.proname
  FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace
  UNION ALL SELECT 'pg_type'::regclass, o.oid, 0, 'type', '', n.nspname, o.typname
  FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace
  UNION ALL SELECT 'pg_collation'::regclass, o.oid, 0, 'collation', '', n.nspname, o.collname
  FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
  UNION ALL SELECT 'pg_conversion'::regclass, o.oid, 0, 'conversion', '', n.nspname, o.conname
  FROM pg_conversion o JOIN pg_namespace n ON n.oid = o.connamespace
  UNION ALL SELECT 'pg_operator'::regclass, o.oid, 0, 'operator', '', n.nspname, o.oprname
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
  UNION ALL SELECT 'pg_opclass'::regclass, o.oid, 0, 'operator class', '', n.nspname, o.opcname
  FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
  UNION ALL SELECT 'pg_opfamily'::regclass, o.oid, 0, 'operator family', '', n.nspname, o.opfname
  FROM pg_opfamily o JOIN pg_namespace n ON n.oid = o.opfnamespace
  UNION ALL SELECT 'pg_ts_config'::regclass, o.oid, 0, 'text search configuration', '', n.nspname, o.cfgname
  FROM pg_ts_config o JOIN pg_namespace n ON n.oid = o.cfgnamespace
  UNION ALL SELECT 'pg_ts_dict'::regclass, o.oid, 0, 'text search dictionary', '', n.nspname, o.dictname
  FROM pg_ts_dict o JOIN pg_namespace n ON n.oid = o.dictnamespace
  UNION ALL SELECT 'pg_ts_parser'::regclass, o.oid, 0, 'text search parser', '', n.nspname, o.prsname
  FROM pg_ts_parser o JOIN pg_namespace n ON n.oid = o.prsnamespace
  UNION ALL SELECT 'pg_ts_template'::regclass, o.oid, 0, 'text search template', '', n.nspname, o.tmplname
  FROM pg_ts_template o JOIN pg_namespace n ON n.oid = o.tmplnamespace
  UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0, 'event trigger', '', '', evtname FROM pg_event_trigger
  UNION ALL SELECT 'pg_language'::regclass, oid, 0, 'language', '', '', lanname FROM pg_language
  UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, 'foreign data wrapper', '', '', fdwname FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0, 'server', '', '', srvname FROM pg_foreign_server
  UNION ALL SELECT 'pg_extension'::regclass, oid, 0, 'extension', '', '', extname FROM pg_extension
  UNION ALL SELECT 'pg_publication'::regclass, oid, 0, 'publication', '', '', pubname FROM pg_publication
  UNION ALL SELECT 'pg_am'::regclass, oid, 0, 'access method', '', '', amname FROM pg_am
  UNION ALL SELECT 'pg_cast'::regclass, o.oid, 0, 'cast',
    format_type(o.castsource, NULL) || ' to ' || format_type(o.casttarget, NULL), n.nspname, p.typname
  FROM pg_cast o JOIN pg_type p ON p.oid = o.castsource JOIN pg_namespace n ON n.oid = p.typnamespace
  UNION ALL SELECT 'pg_cast'::regclass, o.oid, 0, 'cast',
    format_type(o.castsource, NULL) || ' to ' || format_type(o.casttarget, NULL), n.nspname, p.typname
  FROM pg_cast o JOIN pg_type p ON p.oid = o.casttarget JOIN pg_namespace n ON n.oid = p.typnamespace
  UNION ALL SELECT 'pg_cast'::regclass, o.oid, 0, 'cast',
    format_type(o.castsource, NULL) || ' to ' || format_type(o.casttarget, NULL), n.nspname, p.proname
  FROM pg_cast o JOIN pg_proc p ON p.oid = o.castfunc JOIN pg_namespace n ON n.oid = p.pronamespace
) o
WHERE o.oid >= 16384 AND o.schema !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.objsubid = 0 AND d.deptype IN ('i', 'e'))
