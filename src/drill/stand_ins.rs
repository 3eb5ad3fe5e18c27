//! What a dump of a hosted database stands on and does not bring: roles,
//! schemas and functions of the platform. A drill puts something of the same
//! name there, says so, and never counts it as data.

use std::collections::BTreeSet;

use crate::{
    archive::manifest::Extension,
    postgres::quote,
    restore::{Kind, Statement},
};

/// Roles that a platform's dump may name without its manifest saying so, as a
/// legacy archive has none.
pub const PLATFORM_ROLES: [&str; 7] = [
    "postgres",
    "anon",
    "authenticated",
    "service_role",
    "authenticator",
    "supabase_admin",
    "supabase_auth_admin",
];

/// Schemas that every database has, or that the server keeps.
const ALWAYS_THERE: [&str; 3] = ["public", "pg_catalog", "information_schema"];

/// Functions that Supabase keeps in its schema `auth`, and what stands in.
const AUTH_FUNCTIONS: [(&str, &str); 4] = [
    (
        "auth.uid()",
        "CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid'",
    ),
    (
        "auth.role()",
        "CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text'",
    ),
    (
        "auth.email()",
        "CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text'",
    ),
    (
        "auth.jwt()",
        "CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS 'SELECT NULL::jsonb'",
    ),
];

/// Something that stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// For what.
    pub what: String,
    /// The statement that makes it.
    pub sql: String,
}

/// What must stand in so that these statements can run, where these schemas are
/// there already.
#[must_use]
pub fn stand_ins(
    statements: &[&Statement],
    extensions: &[Extension],
    there: &[String],
) -> Vec<StandIn> {
    let made: BTreeSet<&str> = statements
        .iter()
        .filter(|statement| statement.kind == Kind::Schema)
        .filter_map(|statement| Some(statement.object.as_ref()?.name.as_str()))
        .collect();
    let lacks = |schema: &str| {
        !made.contains(schema)
            && !ALWAYS_THERE.contains(&schema)
            && !there.iter().any(|there| there == schema)
    };
    let schema = |name: &str| StandIn {
        what: format!("schema {name}"),
        sql: format!("CREATE SCHEMA IF NOT EXISTS {}", quote(name)),
    };
    let mut found = Vec::new();
    let schemas: BTreeSet<&str> =
        extensions.iter().map(|e| e.schema.as_str()).filter(|name| lacks(name)).collect();
    found.extend(schemas.into_iter().map(schema));
    if lacks("auth") {
        let named = |name: &str| {
            let call = &name.as_bytes()[..name.len() - 1];
            let mut texts = statements.iter().map(|statement| &statement.text);
            texts.any(|text| memchr::memmem::find(text, call).is_some())
        };
        let functions: Vec<StandIn> = AUTH_FUNCTIONS
            .into_iter()
            .filter(|(name, _)| named(name))
            .map(|(name, sql)| StandIn { what: format!("function {name}"), sql: sql.to_owned() })
            .collect();
        if !functions.is_empty() {
            found.push(schema("auth"));
            found.extend(functions);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(texts: &[&'static str], extensions: &[(&str, &str)]) -> Vec<String> {
        wanted_beside(texts, extensions, &[])
    }

    fn wanted_beside(
        texts: &[&'static str],
        extensions: &[(&str, &str)],
        there: &[&str],
    ) -> Vec<String> {
        let there: Vec<String> = there.iter().map(|&schema| schema.to_owned()).collect();
        let statements: Vec<Statement> = texts
            .iter()
            .map(|text| Statement::read(&bytes::Bytes::from_static(text.as_bytes())))
            .collect();
        let extensions: Vec<Extension> = extensions
            .iter()
            .map(|(name, schema)| Extension {
                name: (*name).to_owned(),
                version: "1".to_owned(),
                schema: (*schema).to_owned(),
            })
            .collect();
        let statements: Vec<&Statement> = statements.iter().collect();
        let wanted = stand_ins(&statements, &extensions, &there);
        wanted.into_iter().map(|stand_in| stand_in.what).collect()
    }

    const POLICY: &str = "CREATE POLICY own ON public.gifts USING ((donor = auth.uid()));";

    #[test]
    fn what_the_dump_makes_itself_needs_no_stand_in() {
        let own = ["CREATE SCHEMA auth;", "CREATE SCHEMA extensions;", POLICY];
        assert_eq!(wanted(&own, &[("pgcrypto", "extensions")]), Vec::<String>::new());
        assert_eq!(
            wanted(&[], &[("plpgsql", "pg_catalog"), ("citext", "public")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_the_dump_leaves_to_the_platform_is_stood_in_for() {
        assert_eq!(
            wanted(&[POLICY], &[("pgcrypto", "extensions")]),
            ["schema extensions", "schema auth", "function auth.uid()"]
        );
        assert_eq!(wanted(&["CREATE POLICY a ON b USING (true);"], &[]), Vec::<String>::new());
        let own = wanted_beside(&[POLICY], &[("pgcrypto", "extensions")], &["auth"]);
        assert_eq!(own, ["schema extensions"], "a platform has its own");
    }
}
