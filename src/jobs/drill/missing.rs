//! Which extensions the place of a drill does not have as the source has them.

use crate::{
    archive::manifest::Extension,
    postgres::ExtensionFact,
    restore::{Kind, Statement},
};

/// Extensions that the archive makes and the place does not have as it should.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lacks {
    /// Those that it does not have, or not in the schema where the source had them.
    pub(super) missing: Vec<String>,
    /// Those that it has in an older version than the source, which may lack what the
    /// newer one brings; with both versions.
    pub(super) older: Vec<String>,
}

/// Which they are, by the versions of the source, where they are known.
pub(super) fn extensions(
    statements: &[Statement],
    there: &[ExtensionFact],
    of_source: &[Extension],
) -> Lacks {
    let mut lacks = Lacks::default();
    let made = statements.iter().filter(|statement| statement.kind == Kind::Extension);
    for statement in made {
        let Some(name) = statement.object.as_ref().map(|object| &object.name) else { continue };
        let home = statement.home_of_extension();
        let here = there.iter().find(|extension| extension.name == *name);
        let wanted = of_source.iter().find(|extension| extension.name == *name);
        match (here, wanted) {
            (None, _) => lacks.missing.push(name.clone()),
            // What looks for it by its schema does not find it there.
            (Some(ExtensionFact { schema: Some(here), .. }), _)
                if home.as_ref().is_some_and(|home| home != here) =>
            {
                lacks.missing.push(format!("{name} (it has it in schema {here})"));
            }
            (Some(here), Some(wanted)) if is_older(&here.version, &wanted.version) => {
                lacks.older.push(format!("{name} {} (it has {})", wanted.version, here.version));
            }
            _ => {}
        }
    }
    lacks
}

/// Whether a version comes before another, number by number. Of versions that are no
/// numbers nobody knows their order.
fn is_older(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Option<Vec<u64>> {
        let mut numbers: Vec<u64> =
            version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        while numbers.pop_if(|last| *last == 0).is_some() {}
        Some(numbers)
    };
    match (numbers(version), numbers(than)) {
        (Some(version), Some(than)) => version < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_extension_that_is_not_there_or_older_is_missing() {
        let made = ["citext", "postgis", "vector", "pg_cron", "hstore"].map(|name| {
            let sql = format!("CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA public;");
            Statement::read(&Bytes::from(sql))
        });
        let there =
            [("citext", "1.6"), ("vector", "0.5.1"), ("pg_cron", "1.10"), ("hstore", "1.8")].map(
                |(name, version)| ExtensionFact {
                    name: name.to_owned(),
                    installed: false,
                    schema: None,
                    owned: false,
                    version: version.to_owned(),
                    requires: Vec::new(),
                },
            );
        let of_source =
            [("citext", "1.6"), ("postgis", "3.4.0"), ("vector", "0.8"), ("pg_cron", "1.9")].map(
                |(name, version)| Extension {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    schema: "public".to_owned(),
                },
            );
        let Lacks { missing, older } = extensions(&made, &there, &of_source);
        assert_eq!(
            (missing, older),
            (vec!["postgis".into()], vec!["vector 0.8 (it has 0.5.1)".into()])
        );
        // A legacy archive does not say of which version it is.
        let missing = vec!["postgis".to_owned()];
        assert_eq!(extensions(&made, &there, &[]), Lacks { missing, older: Vec::new() });
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        for (version, than, older) in [
            ("1.9", "1.10", true),
            ("1.10", "1.9", false),
            ("2", "2.0", false),
            ("3.4.0", "3.4.0", false),
            ("unpackaged", "1.0", false),
            ("3.5.0dev", "3.5.1", false),
        ] {
            assert_eq!(is_older(version, than), older, "{version} {than}");
        }
    }
}
