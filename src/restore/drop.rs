//! Carries `--clean` out: one transaction that drops what the archive creates,
//! and is taken back when anything else would go with it.

use std::collections::BTreeSet;

use super::{error::Failure, progress::Progress, statement::name_of, tokens::qualified};
use crate::{archive::TableName, postgres::Target};

/// Everything that could go along, with what it belongs to.
const EVERYTHING: &str = "
SELECT DISTINCT format('%s|%s|%I.%I', o.what, o.name, o.schema, o.owner) FROM (
  SELECT 'relation' AS what, '' AS name, n.nspname AS schema, c.relname AS owner
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.objsubid = 0
                    AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
  UNION ALL
  SELECT 'function', '', n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                    AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
  UNION ALL
  SELECT 'type', '', n.nspname, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typtype IN ('d', 'e', 'r', 'b') AND t.typelem = 0
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass
                    AND d.objid = t.oid AND d.deptype IN ('e', 'i'))
  UNION ALL
  SELECT 'constraint', k.conname, n.nspname, c.relname
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT 'trigger', g.tgname, n.nspname, c.relname
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT g.tgisinternal
  UNION ALL
  SELECT 'policy', p.polname, n.nspname, c.relname
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT 'column', a.attname, n.nspname, c.relname
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'default of column', a.attname, n.nspname, c.relname
  FROM pg_attrdef f JOIN pg_class c ON c.oid = f.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
) o WHERE o.schema !~ '^pg_' AND o.schema <> 'information_schema'";

/// How many objects a refusal names.
const NAMED: usize = 10;

/// Runs the drops; takes them back when something goes that is not the archive's.
pub(super) async fn clean(
    drops: &[String],
    may_go: &BTreeSet<TableName>,
    control: &mut Target,
    progress: &Progress,
) -> Result<(), Failure> {
    let before = control.names(EVERYTHING).await?;
    control.run("BEGIN").await?;
    for drop in drops {
        // A schema that is not there holds nothing to drop.
        control.run("SAVEPOINT one").await?;
        match control.run(drop).await {
            Ok(()) => control.run("RELEASE SAVEPOINT one").await?,
            Err(error) if error.is_absent() => control.run("ROLLBACK TO SAVEPOINT one").await?,
            Err(error) => {
                // An error here changes nothing: the transaction is over either way.
                let _ = control.run("ROLLBACK").await;
                return Err(Failure::of(format!("{drop:?}"), error));
            }
        }
        progress.add(1);
    }
    let after: BTreeSet<String> = control.names(EVERYTHING).await?.into_iter().collect();
    let gone = before.into_iter().filter(|object| !after.contains(object));
    let foreign = foreign(gone, may_go);
    if foreign.is_empty() {
        control.run("COMMIT").await?;
        return Ok(());
    }
    control.run("ROLLBACK").await?;
    let shown = foreign[..foreign.len().min(NAMED)].join(", ");
    Err(Failure {
        at: None,
        message: format!(
            "what the archive creates cannot be dropped without also dropping {shown}{}, which \
             the archive does not hold; drop that first, or restore into another database",
            if foreign.len() > NAMED { " and more" } else { "" }
        ),
    })
}

/// What went and is not the archive's, in words.
fn foreign(gone: impl Iterator<Item = String>, may_go: &BTreeSet<TableName>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for object in gone {
        let mut parts = object.splitn(2, '|');
        let (what, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        // A name may hold the separator; the owner is what comes last.
        let Some((name, owner)) = rest.rsplit_once('|') else { continue };
        let Some(owner) = qualified(owner) else { continue };
        if !may_go.contains(&owner) {
            let owner = name_of(&owner);
            let words = match name {
                "" => format!("{what} {owner}"),
                name => format!("{what} {name} of {owner}"),
            };
            found.insert(words);
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_archive_s_is_foreign() {
        let may_go = BTreeSet::from([TableName { schema: "a".into(), name: "t".into() }]);
        let gone = ["relation||a.t", "constraint|k|a.t", "relation||b.v", "trigger|x|y|b.\"W w\""];
        assert_eq!(
            foreign(gone.into_iter().map(str::to_owned), &may_go),
            ["relation b.v", "trigger x|y of b.\"W w\""]
        );
    }
}
