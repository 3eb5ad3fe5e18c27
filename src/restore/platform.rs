//! What the target is hosted on, and which of its schemas are not ours.
//!
//! A managed schema is one of those that a known platform makes in every
//! database of its own: it keeps their definitions, and a restore brings only
//! rows. A schema that is merely closed to the role is none: nobody else would
//! make what belongs in it.

use std::collections::BTreeSet;

use crate::postgres::TargetFacts;

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

/// Tables in which a platform notes which of its own changes it has made.
const BOOKKEEPING: [&str; 2] = ["schema_migrations", "migrations"];

impl Platform {
    /// Recognises the platform by what the target holds.
    #[must_use]
    pub fn detect(facts: &TargetFacts) -> Self {
        let has_role = |role: &&str| facts.roles.iter().any(|found| found == role);
        let has_schema = |name: &str| facts.schemas.iter().any(|schema| schema.name == name);
        let supabase = SUPABASE_ROLES.iter().all(has_role) && has_schema("auth");
        let managed = facts
            .schemas
            .iter()
            .filter(|schema| supabase && SUPABASE_SCHEMAS.contains(&schema.name.as_str()))
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
