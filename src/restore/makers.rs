//! Which extension makes a table that the archive fills and does not make.
//!
//! Archives do not say so: of an extension they know its name and its schema, and
//! an extension may make tables in other schemas than its own.

use crate::archive::manifest::Extension;

/// In every database, and without a table.
const EVERYWHERE: &str = "plpgsql";

/// Extensions of the source that may make the tables of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Makers<'a> {
    /// Those whose schema it is.
    Of(Vec<&'a str>),
    /// It is nobody's schema: one of these, for all that is known.
    AnyOf(Vec<&'a str>),
}

/// Which may make the tables of a schema.
pub(super) fn of<'a>(schema: &str, extensions: &'a [Extension]) -> Makers<'a> {
    let others = || extensions.iter().filter(|extension| extension.name != EVERYWHERE);
    let within = |schema: &str| -> Vec<&'a str> {
        others().filter(|e| e.schema == schema).map(|e| e.name.as_str()).collect()
    };
    let own = within(schema);
    if !own.is_empty() {
        return Makers::Of(own);
    }
    // Nobody makes tables in pg_catalog: those of its extensions are elsewhere.
    let elsewhere = within("pg_catalog");
    if elsewhere.is_empty() {
        Makers::AnyOf(others().map(|extension| extension.name.as_str()).collect())
    } else {
        Makers::AnyOf(elsewhere)
    }
}

impl<'a> Makers<'a> {
    /// Those that are worth creating for the sake of one table.
    pub(super) fn chosen(&self) -> &[&'a str] {
        match self {
            Self::Of(names) => names,
            Self::AnyOf(names) if names.len() == 1 => names,
            Self::AnyOf(_) => &[],
        }
    }

    /// What is to be done first where none of them is there.
    pub(super) fn advice(&self) -> Option<String> {
        let (Self::Of(names) | Self::AnyOf(names)) = self;
        match names.as_slice() {
            [] => None,
            [name] => Some(format!("create {name} first")),
            names => Some(format!("create first which of {} makes it", names.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extensions(all: &[(&str, &str)]) -> Vec<Extension> {
        let extension = |(name, schema): &(&str, &str)| Extension {
            name: (*name).to_owned(),
            version: "1".to_owned(),
            schema: (*schema).to_owned(),
        };
        all.iter().map(extension).collect()
    }

    #[test]
    fn an_extension_makes_the_tables_of_its_schema_and_others_may_make_those_of_nobody_s() {
        let all = extensions(&[("plpgsql", "pg_catalog"), ("a", "one"), ("b", "two")]);
        assert_eq!(of("one", &all), Makers::Of(vec!["a"]));
        assert_eq!(of("three", &all), Makers::AnyOf(vec!["a", "b"]));
        let all = [all, extensions(&[("pg_cron", "pg_catalog")])].concat();
        assert_eq!(of("cron", &all), Makers::AnyOf(vec!["pg_cron"]));
    }

    #[test]
    fn only_who_is_known_is_created_and_the_others_are_named() {
        for (makers, chosen, advice) in [
            (Makers::Of(vec!["a"]), &["a"][..], Some("create a first")),
            (Makers::Of(vec!["a", "b"]), &["a", "b"], Some("create first which of a, b makes it")),
            (Makers::AnyOf(vec!["a"]), &["a"], Some("create a first")),
            (Makers::AnyOf(vec!["a", "b"]), &[], Some("create first which of a, b makes it")),
            (Makers::AnyOf(vec![]), &[], None),
        ] {
            assert_eq!(makers.chosen(), chosen);
            assert_eq!(makers.advice().as_deref(), advice);
        }
    }
}
