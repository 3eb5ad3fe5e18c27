//! The rights that Supabase gives its roles in `public`, for what a restore
//! makes there. What was there already keeps the rights that it has.

use super::{
    clean,
    kind::Kind,
    platform::{Platform, SUPABASE_ROLES},
    statement::{Statement, name_of},
};

/// The schema that the platform opens to its roles.
const SCHEMA: &str = "public";

/// What must be known of them.
pub(super) const WARNING: &str = "a dump holds no GRANT and no REVOKE of the source: what is made \
     in schema public has the platform's usual rights (anon, authenticated and service_role may \
     do everything that no policy forbids); run the source's own REVOKEs again";

/// The grants for what these statements create.
pub(super) fn grants<'a>(
    platform: &Platform,
    created: impl Iterator<Item = &'a Statement>,
) -> Vec<String> {
    if !platform.is_supabase() {
        return Vec::new();
    }
    let roles = SUPABASE_ROLES.join(", ");
    let (mut schema, mut tables, mut sequences, mut routines) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for statement in created {
        let made = match statement.kind {
            Kind::Identity => &statement.other,
            _ => &statement.object,
        };
        let Some(made) = made else { continue };
        if statement.kind == Kind::Schema && made.name == SCHEMA {
            // It was gone, and its rights with it.
            schema.push(format!("GRANT USAGE ON SCHEMA {SCHEMA} TO {roles}"));
            schema.extend(["TABLES", "SEQUENCES", "ROUTINES"].map(|what| {
                format!(
                    "ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT ALL ON {what} TO {roles}"
                )
            }));
        }
        if made.schema != SCHEMA {
            continue;
        }
        match statement.kind {
            Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
                push(&mut tables, name_of(made));
            }
            Kind::Sequence | Kind::Identity => push(&mut sequences, name_of(made)),
            Kind::Routine => {
                if let Some(routine) = routine(statement) {
                    push(&mut routines, routine);
                }
            }
            _ => {}
        }
    }
    for (what, names) in [("TABLE", tables), ("SEQUENCE", sequences), ("ROUTINE", routines)] {
        if !names.is_empty() {
            schema.push(format!("GRANT ALL ON {what} {} TO {roles}", names.join(", ")));
        }
    }
    schema
}

/// A view may be made twice, first without its text.
fn push(names: &mut Vec<String>, name: String) {
    if names.last() != Some(&name) {
        names.push(name);
    }
}

/// A function as `GRANT` names it: as `DROP` does.
fn routine(statement: &Statement) -> Option<String> {
    let drop = clean::drop_of(statement)?;
    let name = drop.split_once(" IF EXISTS ")?.1.strip_suffix(" CASCADE")?;
    // An aggregate of any rows has no arguments, and one of ordered rows cannot be
    // named so; everybody may run it anyway.
    let name = name.strip_suffix("(*)").map_or_else(|| name.to_owned(), |name| format!("{name}()"));
    (!name.contains(" ORDER BY ")).then_some(name)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn granted(sql: &[&'static str]) -> Vec<String> {
        let platform = Platform { name: Some("Supabase"), ..Platform::default() };
        let created: Vec<Statement> =
            sql.iter().map(|sql| Statement::read(&Bytes::from_static(sql.as_bytes()))).collect();
        grants(&platform, created.iter())
    }

    #[test]
    fn only_what_is_made_in_public_is_opened() {
        assert_eq!(
            granted(&[
                "CREATE TABLE public.t (id int);",
                "CREATE TABLE private.t (id int);",
                "ALTER TABLE public.old ADD x int;",
                "CREATE VIEW public.v AS SELECT 1;",
                "CREATE SEQUENCE public.s;",
                "CREATE FUNCTION public.f(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'select 1';",
            ]),
            [
                "GRANT ALL ON TABLE public.t, public.v TO anon, authenticated, service_role",
                "GRANT ALL ON SEQUENCE public.s TO anon, authenticated, service_role",
                "GRANT ALL ON ROUTINE public.f(a int ) TO anon, authenticated, service_role",
            ]
        );
        assert_eq!(granted(&["CREATE SCHEMA public;"]).len(), 4);
        assert_eq!(
            granted(&["ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (id);"]).len(),
            0
        );
    }
}
