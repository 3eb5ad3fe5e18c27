//! What cannot be made because only an extension brings what it stands on, and the
//! target's server does not have that, or the target has it in another schema: said
//! before anything is touched.
//!
//! Only what is sure is refused. A name counts that stands in the schema of such an
//! extension, that the archive does not make, that the target does not have, and that
//! no other extension of that schema may bring.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
};

use super::{
    kind::Kind,
    options::Options,
    plan::{Contents, Plan, name},
    statement::{Statement, name_of},
    ties::{CATALOG, Ties},
    tokens::{Cursor, Token, TokenKind, tokens},
};
use crate::{
    archive::TableName,
    postgres::{TargetFacts, quote},
};

/// How many places a refusal names.
const NAMED: usize = 5;

/// An extension that the archive makes, and that the target does not have, or not where
/// the source had it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lack {
    name: String,
    /// The schema where the source had it.
    home: Option<String>,
    /// The schema where the target has it instead; `None` where its server does not have it.
    instead: Option<String>,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.instead {
            Some(schema) => write!(f, " (it has it in schema {})", quote(schema)),
            None => Ok(()),
        }
    }
}

/// Something that is made and wants what only a missing extension brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Want {
    /// One of these extensions brings it.
    extensions: Vec<Lack>,
    /// What it is called.
    pub(super) name: TableName,
    /// Who wants it.
    by: String,
    /// Whether that comes after the rows.
    late: bool,
}

/// Extensions that the archive makes and the target does not have as the source had them.
pub(super) fn lacks(contents: &Contents, facts: &TargetFacts) -> Vec<Lack> {
    let made = contents.pre_data.iter().filter(|statement| {
        statement.kind == Kind::Extension && statement.text.starts_with(b"CREATE ")
    });
    made.filter_map(|statement| {
        let (name, home) = (statement.object.as_ref()?.name.clone(), statement.home_of_extension());
        let instead = match facts.extensions.iter().find(|fact| fact.name == name) {
            None => None,
            Some(fact) => Some(fact.schema.clone().filter(|schema| home.as_ref() != Some(schema))?),
        };
        Some(Lack { name, home, instead })
    })
    .collect()
}

/// What of a plan wants one of the missing extensions, if nothing else of its name is
/// on the target.
pub(super) fn wants(plan: &Plan, contents: &Contents, facts: &TargetFacts) -> Vec<Want> {
    let missing = lacks(contents, facts);
    if missing.is_empty() {
        return Vec::new();
    }
    let homes = missing.iter().filter_map(|lack| lack.home.as_deref());
    let known = Known {
        made: made(contents),
        ties: Ties::new(&contents.manifest.source.extensions, &contents.pre_data),
        schemas: homes.filter(|&schema| schema != CATALOG).collect(),
        missing: &missing,
    };
    let waves = &plan.post_data;
    let late = waves.indexes.iter().chain(&waves.ordered);
    let early = plan.pre_data.iter().map(|statement| (statement, false));
    early
        .chain(late.map(|statement| (statement, true)))
        .flat_map(|(statement, late)| known.wants_of(statement, late))
        .collect()
}

/// Every name that the archive makes, or holds rows of.
fn made(contents: &Contents) -> HashSet<TableName> {
    let statements = contents.pre_data.iter().chain(&contents.post_data);
    let names = statements.flat_map(|statement| {
        let brought = statement.other.as_ref().filter(|_| statement.kind == Kind::Type);
        [statement.object.as_ref(), statement.relation.as_ref(), brought]
    });
    names.flatten().cloned().chain(contents.manifest.tables.iter().map(name)).collect()
}

struct Known<'a> {
    missing: &'a [Lack],
    /// The schemas of those.
    schemas: HashSet<&'a str>,
    made: HashSet<TableName>,
    ties: Ties<'a>,
}

impl Known<'_> {
    fn wants_of(&self, statement: &Statement, late: bool) -> Vec<Want> {
        let names = names(statement).into_iter().filter(|(name, _)| !self.made.contains(name));
        let wants = names.filter(|(name, _)| self.schemas.contains(name.schema.as_str()));
        wants
            .filter_map(|(name, column)| {
                let makers = self.ties.makers(&name).into_iter();
                let missing = makers
                    .map(|maker| self.missing.iter().find(|lack| lack.name == maker).cloned());
                missing.collect::<Option<Vec<_>>>().map(|extensions| Want {
                    extensions,
                    by: column.map_or_else(
                        || statement.to_string(),
                        |column| format!("column {column} of {statement}"),
                    ),
                    name,
                    late,
                })
            })
            .collect()
    }
}

/// The qualified names that a statement needs as it is made, each with the column of a
/// table that it belongs to. Only where no name of a table or a column looks the same:
/// not in queries, and not in bodies.
fn names(statement: &Statement) -> Vec<(TableName, Option<String>)> {
    let is_table = matches!(statement.kind, Kind::Table | Kind::ForeignTable);
    let end = match statement.kind {
        Kind::Table | Kind::ForeignTable => Some("inherits"),
        Kind::Routine => Some("language"),
        Kind::Type | Kind::Default | Kind::Constraint | Kind::Index | Kind::Key => None,
        Kind::Trigger => {
            return statement.other.iter().map(|function| (function.clone(), None)).collect();
        }
        _ => return Vec::new(),
    };
    let all = tokens(&statement.text);
    let mut rest = Cursor::new(&all);
    let found = end.is_some_and(|end| rest.skip_to(end));
    let all = &all[..all.len() - if found { rest.rest().len() } else { 0 }];
    let (mut names, mut column, mut depth) = (Vec::new(), None, 0_u32);
    for (at, token) in all.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &all[before].kind);
        match &token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            TokenKind::Word(word) | TokenKind::Quoted(word) => {
                let begins = matches!(before, Some(TokenKind::Symbol(b'(' | b',')));
                if is_table && depth == 1 && begins {
                    column = column_of(token, word);
                }
                if before != Some(&TokenKind::Symbol(b'.')) {
                    names.extend(name_at(&all[at..]).map(|name| (name, column.clone())));
                }
            }
            TokenKind::Symbol(_) | TokenKind::Text(_) => {}
        }
    }
    names
}

/// The column that a definition within a table begins with; a constraint has none.
fn column_of(token: &Token, word: &str) -> Option<String> {
    let is_constraint = matches!(token.kind, TokenKind::Word(_))
        && ["constraint", "check", "exclude"].contains(&word.to_ascii_lowercase().as_str());
    (!is_constraint).then(|| word.to_owned())
}

fn name_at(tokens: &[Token]) -> Option<TableName> {
    let mut sql = Cursor::new(tokens);
    sql.operator().or_else(|| sql.name().filter(|name| !name.schema.is_empty()))
}

/// Why a plan is refused, where the target has none of these names but `there`.
pub(super) fn refusals(
    wants: Vec<Want>,
    there: &HashSet<TableName>,
    options: &Options,
) -> Vec<String> {
    let mut by_extension: BTreeMap<Vec<Lack>, Vec<Want>> = BTreeMap::new();
    for want in wants.into_iter().filter(|want| !there.contains(&want.name)) {
        by_extension.entry(want.extensions.clone()).or_default().push(want);
    }
    by_extension.iter().map(|(extensions, wants)| refusal(extensions, wants, options)).collect()
}

fn refusal(extensions: &[Lack], wants: &[Want], options: &Options) -> String {
    let places: BTreeSet<String> =
        wants.iter().map(|want| format!("{} in {}", name_of(&want.name), want.by)).collect();
    let shown: Vec<&str> = places.iter().take(NAMED).map(String::as_str).collect();
    let more = places.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let otherwise = if wants.iter().all(|want| want.late) {
        "or leave out what comes after the rows, with --section pre-data --section data"
    } else if options.is_partial() {
        "or ask for other tables"
    } else {
        "or leave these out, naming with --table or --schema what you want"
    };
    let shown = format!("{}{more}", shown.join(", "));
    let what = match extensions {
        [Lack { name, home: Some(home), instead: Some(instead) }] => {
            let (name, home, instead) = (quote(name), quote(home), quote(instead));
            return format!(
                "the target has the extension {name} in schema {instead}, and not in {home}, where \
                 the source had it: {shown}: drop it, so that the restore creates it, or move it \
                 (CREATE SCHEMA IF NOT EXISTS {home}; ALTER EXTENSION {name} SET SCHEMA {home}), \
                 {otherwise}"
            );
        }
        [extension] => format!("the extension {extension}, which brings"),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("the extensions {}, one of which brings", names.join(", "))
        }
    };
    format!(
        "the target's server does not have {what} {shown}: {INSTALL}, restore into a server that \
         has it, {otherwise}"
    )
}

/// How an extension comes to a server.
pub(super) const INSTALL: &str =
    "install it there (where a provider runs it, turn it on in its dashboard)";

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        archive::manifest::Extension,
        postgres::ExtensionFact,
        restore::{planner::tests as planner, script},
    };

    const PRE_DATA: &str = "CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS obscure WITH SCHEMA odd;
CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA pg_catalog;
CREATE TYPE public.mood AS ENUM ('public.geometry');
CREATE TYPE odd.span AS RANGE (subtype = integer, multirange_type_name = odd.\"many Spans\");
CREATE TABLE public.spans (all_of_them odd.\"many Spans\");
CREATE DOMAIN public.spot AS public.geometry(Point,4326);
CREATE TABLE public.place (id integer NOT NULL, note text DEFAULT 'odd.thing'::text, \"Geom\" public.geometry(Point,4326), m public.mood, CONSTRAINT c CHECK (odd.is_good(id)));
CREATE TABLE public.child (x integer) INHERITS (odd.parent);
ALTER TABLE ONLY public.place ALTER COLUMN id SET DEFAULT odd.next();
CREATE FUNCTION public.f(a public.geometry) RETURNS integer LANGUAGE sql AS $$ SELECT odd.g() $$;
CREATE VIEW public.v AS SELECT odd.x FROM public.odd;";

    const POST_DATA: &str = "CREATE INDEX i ON public.place USING gist (\"Geom\" odd.ops);
CREATE TRIGGER g BEFORE UPDATE ON public.place FOR EACH ROW EXECUTE FUNCTION public.own();
CREATE TRIGGER h BEFORE UPDATE ON public.place FOR EACH ROW EXECUTE FUNCTION odd.fire();";

    fn contents() -> Contents {
        let cut = |text: &'static str| script::cut(&Bytes::from_static(text.as_bytes())).unwrap();
        let mut contents = planner::contents();
        contents.manifest.source.extensions = [
            ("postgis", "public"),
            ("citext", "public"),
            ("obscure", "odd"),
            ("pg_cron", "pg_catalog"),
        ]
        .map(|(name, schema)| Extension {
            name: name.into(),
            version: "1".into(),
            schema: schema.into(),
        })
        .to_vec();
        (contents.pre_data, contents.post_data) = (cut(PRE_DATA), cut(POST_DATA));
        contents
    }

    /// An extension that the server has, and the database in this schema.
    fn extension(name: &str, schema: Option<&str>) -> ExtensionFact {
        ExtensionFact {
            name: name.into(),
            installed: schema.is_some(),
            schema: schema.map(str::to_owned),
            owned: false,
            version: "1".into(),
            requires: Vec::new(),
        }
    }

    /// What is refused where the server has these extensions and the target these names.
    fn refused(has: &[&str], there: &[(&str, &str)]) -> Vec<String> {
        refused_of(has.iter().map(|name| extension(name, None)).collect(), there)
    }

    fn refused_of(extensions: Vec<ExtensionFact>, there: &[(&str, &str)]) -> Vec<String> {
        let contents = contents();
        let facts = TargetFacts { extensions, ..planner::facts() };
        let plan = Plan {
            pre_data: contents.pre_data.clone(),
            post_data: super::super::order::waves(contents.post_data.clone()),
            ..Plan::default()
        };
        let there = there
            .iter()
            .map(|&(schema, name)| TableName { schema: schema.into(), name: name.into() });
        refusals(wants(&plan, &contents, &facts), &there.collect(), &Options::default())
    }

    #[test]
    fn a_missing_extension_is_named_with_what_needs_it_before_anything_is_touched() {
        assert_eq!(refused(&["postgis", "citext", "obscure"], &[]), [""; 0]);
        let said = refused(&["citext", "obscure"], &[]).join("\n");
        for part in [
            "does not have the extension postgis, which brings",
            "public.geometry in column Geom of table public.place",
            "public.geometry in type public.spot",
            "public.geometry in function public.f",
            "turn it on in its dashboard",
            "leave these out, naming with --table",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // Neither text nor what an archive makes itself, nor what a body calls.
        for part in ["mood", "own", "odd"] {
            assert!(!said.contains(part), "{part}: {said}");
        }
        let said = refused(&["postgis", "citext"], &[]).join("\n");
        for part in [
            "the extension obscure, which brings",
            "odd.is_good in table public.place",
            "odd.next in default of a column",
            "odd.ops in index",
            "odd.fire in trigger",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        for part in ["odd.thing", "odd.parent", "odd.g ", "odd.x", "pan"] {
            assert!(!said.contains(part), "{part}: {said}");
        }
    }

    /// Another of the same schema may bring it, or it is there already.
    #[test]
    fn what_is_not_sure_is_not_refused() {
        assert_eq!(refused(&["postgis", "obscure"], &[]), [""; 0], "nothing wants citext");
        let all = ["is_good", "next", "ops", "fire"].map(|name| ("odd", name));
        assert_eq!(refused(&["postgis", "citext"], &all), [""; 0]);
        let late = refused(&["postgis", "citext"], &all[..3]).join("\n");
        assert!(late.ends_with("with --section pre-data --section data"), "{late}");
        let mut contents = contents();
        contents.manifest.source.extensions[2].schema = "public".into();
        let known = ["citext", "postgis"];
        let ties = Ties::new(&contents.manifest.source.extensions, &[]);
        let of =
            |name: &str| ties.makers(&TableName { schema: "public".into(), name: name.into() });
        assert_eq!(of("geometry"), ["postgis"]);
        assert!(known.iter().all(|name| of("strange").contains(name)));
    }

    /// Whoever looks for it by its schema does not find it.
    #[test]
    fn an_extension_in_another_schema_is_named_with_what_moves_it() {
        let with = |schema| {
            let postgis = extension("postgis", Some(schema));
            let others = ["citext", "obscure", "pg_cron"].map(|name| extension(name, None));
            [vec![postgis], others.to_vec()].concat()
        };
        assert_eq!(refused_of(with("public"), &[]), [""; 0]);
        let said = refused_of(with("gis"), &[]).join("\n");
        for part in [
            "the target has the extension postgis in schema gis, and not in public, where",
            "public.geometry in column Geom of table public.place",
            "drop it, so that the restore creates it, or move it",
            "ALTER EXTENSION postgis SET SCHEMA public)",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // The target has something of that name all the same.
        assert_eq!(refused_of(with("gis"), &[("public", "geometry")]), [""; 0]);
    }
}
