//! What the target is hosted on, and which of its schemas are not ours.
//!
//! A managed schema is one of those that a known platform makes in every
//! database of its own: it keeps their definitions, and a restore brings only
//! rows. A schema that is merely closed to the role is none: nobody else would
//! make what belongs in it. Nor is one that the role owns, unless the role is one of
//! the platform's: a restore into a plain server has made it, and its keys are to
//! come back with it.

use std::collections::BTreeSet;

use crate::postgres::{SchemaFact, TargetFacts};

/// Where the target lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// Its name, where it is known.
    pub name: Option<&'static str>,
    /// Schemas that take rows and no definitions.
    pub managed: BTreeSet<String>,
}

/// The roles that Supabase grants everything in `public` to.
pub(super) const SUPABASE_ROLES: [&str; 3] = ["anon", "authenticated", "service_role"];

/// Schemas that Supabase makes in every project.
const SUPABASE_SCHEMAS: [&str; 13] = [
    "auth",
    "storage",
    "realtime",
    "_realtime",
    "extensions",
    "graphql",
    "graphql_public",
    "vault",
    "pgbouncer",
    "pgsodium",
    "supabase_functions",
    "_analytics",
    "net",
];

/// How the names of the roles begin that own what Supabase makes.
const SUPABASE_OWNERS: &str = "supabase_";

/// The one of its schemas that Supabase gives to the project's own role.
const GIVEN: &str = "extensions";

/// Tables in which a platform notes which of its own changes it has made.
const BOOKKEEPING: [&str; 2] = ["schema_migrations", "migrations"];

impl Platform {
    /// Recognises the platform by what the target holds.
    #[must_use]
    pub fn detect(facts: &TargetFacts) -> Self {
        let has_role = |role: &&str| facts.roles.iter().any(|found| found == role);
        // Who hosts it himself may restore as the very role that has made it.
        let is_the_platforms = |schema: &SchemaFact| schema.owner.starts_with(SUPABASE_OWNERS);
        let is_auth = |schema: &SchemaFact| schema.name == "auth" && is_the_platforms(schema);
        let supabase = SUPABASE_ROLES.iter().all(has_role) && facts.schemas.iter().any(is_auth);
        let managed = facts
            .schemas
            .iter()
            .filter(|schema| supabase && SUPABASE_SCHEMAS.contains(&schema.name.as_str()))
            .filter(|schema| is_the_platforms(schema) || !schema.owned || schema.name == GIVEN)
            .map(|schema| schema.name.clone())
            .collect();
        Self { name: supabase.then_some("Supabase"), managed }
    }

    /// Whether it is Supabase.
    #[must_use]
    pub fn is_supabase(&self) -> bool {
        self.name.is_some()
    }

    /// Whether the platform itself writes a table of a managed schema.
    #[must_use]
    pub fn keeps(table: &str) -> bool {
        BOOKKEEPING.contains(&table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target with the roles of a project and these schemas: name, owner, and
    /// whether that is our role.
    fn managed(schemas: &[(&str, &str, bool)]) -> Vec<String> {
        let schema = |&(name, owner, owned): &(&str, &str, bool)| SchemaFact {
            name: name.to_owned(),
            creates: owned,
            owner: owner.to_owned(),
            owned,
        };
        let facts = TargetFacts {
            roles: SUPABASE_ROLES.map(str::to_owned).into(),
            schemas: schemas.iter().map(schema).collect(),
            ..crate::restore::planner::tests::facts()
        };
        Platform::detect(&facts).managed.into_iter().collect()
    }

    #[test]
    fn a_schema_is_managed_where_the_platform_owns_it() {
        let project = [
            ("auth", "supabase_admin", false),
            ("extensions", "postgres", true),
            ("net", "postgres", true),
            ("pgbouncer", "pgbouncer", false),
            ("public", "pg_database_owner", false),
        ];
        assert_eq!(managed(&project), ["auth", "extensions", "pgbouncer"]);
    }

    /// As where one hosts it himself, and restores as its superuser.
    #[test]
    fn a_schema_of_the_platform_s_own_role_is_managed_also_where_that_role_is_ours() {
        let project = [
            ("auth", "supabase_admin", true),
            ("extensions", "postgres", false),
            ("net", "postgres", true),
            ("public", "pg_database_owner", true),
            ("storage", "supabase_storage_admin", true),
        ];
        assert_eq!(managed(&project), ["auth", "extensions", "storage"]);
    }

    /// What a restore has made in a plain server, it makes again whole.
    #[test]
    fn what_a_restore_made_in_a_plain_server_is_not_managed() {
        for owned in [true, false] {
            let made = ["auth", "storage", "extensions"].map(|name| (name, "restorer", owned));
            assert_eq!(managed(&made), [""; 0], "{owned}");
        }
    }
}
