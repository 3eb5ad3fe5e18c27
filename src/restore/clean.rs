//! What `--clean` drops: what the archive will create, and nothing else.
//!
//! Schemas and extensions stay and are used as they are. Dropping goes backwards
//! and takes along what stands on what is dropped; before that is final, the
//! target is asked what went along, and whatever is not the archive's own
//! stops it, with nothing dropped.

use std::collections::HashSet;

use super::{
    kind::Kind,
    statement::{Statement, name_of},
    tokens::{Cursor, Token, TokenKind, tokens},
};

/// How removing a large object begins.
pub(super) const UNLINK: &str = "SELECT lo_unlink(";

/// The statements that drop what these create, in the order in which they run.
#[must_use]
pub(super) fn drops<'a>(created: impl DoubleEndedIterator<Item = &'a Statement>) -> Vec<String> {
    let (mut drops, mut known) = (Vec::new(), HashSet::new());
    for statement in created.rev() {
        if let Some(drop) = drop_of(statement)
            && known.insert(drop.clone())
        {
            drops.push(drop);
        }
    }
    drops
}

/// What drops the schemas and extensions that these create, once nothing else is
/// left in them.
pub(super) fn containers(created: &[Statement]) -> Vec<String> {
    let of_kind = |kind: Kind, what: &'static str| {
        created.iter().rev().filter(move |statement| statement.kind == kind).filter_map(
            move |statement| {
                let created = statement.text.starts_with(b"CREATE ");
                let name = name_of(statement.object.as_ref().filter(|_| created)?);
                Some(format!("DROP {what} IF EXISTS {name}"))
            },
        )
    };
    of_kind(Kind::Extension, "EXTENSION").chain(of_kind(Kind::Schema, "SCHEMA")).collect()
}

/// What drops what a statement creates.
pub(super) fn drop_of(statement: &Statement) -> Option<String> {
    let text = std::str::from_utf8(&statement.text).ok()?;
    let tokens = tokens(text.as_bytes());
    let mut sql = Cursor::new(&tokens);
    if statement.kind == Kind::LargeObject {
        let id = &statement.object.as_ref()?.name;
        id.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        return Some(format!("{UNLINK}oid) FROM pg_largeobject_metadata WHERE oid = {id}"));
    }
    sql.words("create").then_some(())?;
    let named = |what: &str| {
        let name = name_of(statement.object.as_ref()?);
        Some(format!("DROP {what} IF EXISTS {name} CASCADE"))
    };
    match statement.kind {
        Kind::Table => named("TABLE"),
        Kind::ForeignTable => named("FOREIGN TABLE"),
        Kind::View => named("VIEW"),
        Kind::MaterializedView => named("MATERIALIZED VIEW"),
        Kind::Sequence => named("SEQUENCE"),
        Kind::Collation => named("COLLATION"),
        Kind::Conversion => named("CONVERSION"),
        Kind::AccessMethod => named("ACCESS METHOD"),
        Kind::ForeignDataWrapper => named("FOREIGN DATA WRAPPER"),
        Kind::Server => named("SERVER"),
        Kind::Language => named("LANGUAGE"),
        Kind::Publication => named("PUBLICATION"),
        Kind::Subscription => named("SUBSCRIPTION"),
        Kind::EventTrigger => named("EVENT TRIGGER"),
        Kind::Type if sql.words("domain") => named("DOMAIN"),
        Kind::Type => named("TYPE"),
        Kind::TextSearch => {
            sql.words("text search").then_some(())?;
            named(&format!("TEXT SEARCH {}", sql.identifier()?.to_ascii_uppercase()))
        }
        Kind::OperatorClass => {
            sql.words("operator").then_some(())?;
            let what = format!("OPERATOR {}", sql.identifier()?.to_ascii_uppercase());
            sql.skip_to("using").then_some(())?;
            let method = name_of(&sql.name()?);
            let name = name_of(statement.object.as_ref()?);
            Some(format!("DROP {what} IF EXISTS {name} USING {method} CASCADE"))
        }
        Kind::Routine => {
            let _ = sql.words("or replace");
            let what = sql.identifier()?.to_ascii_uppercase();
            sql.name()?;
            let arguments = arguments(text, sql.rest())?;
            let name = name_of(statement.object.as_ref()?);
            Some(format!("DROP {what} IF EXISTS {name}{arguments} CASCADE"))
        }
        Kind::Cast => {
            sql.words("cast").then_some(())?;
            let arguments = arguments(text, sql.rest())?;
            Some(format!("DROP CAST IF EXISTS {arguments} CASCADE"))
        }
        Kind::Transform => {
            sql.words("transform for").then_some(())?;
            let start = sql.rest().first()?.range.start;
            sql.skip_to("language").then_some(())?;
            let language = sql.rest().first()?.range.end;
            Some(format!("DROP TRANSFORM IF EXISTS FOR {} CASCADE", &text[start..language]))
        }
        Kind::Operator => operator(text, sql),
        _ => None,
    }
}

/// The first pair of parentheses, without the defaults of arguments.
fn arguments(text: &str, tokens: &[Token]) -> Option<String> {
    let mut kept = String::new();
    let (mut depth, mut copied) = (0_u32, tokens.first()?.range.start);
    let mut cut = None;
    for token in tokens {
        match &token.kind {
            TokenKind::Symbol(b'(' | b'[') => depth += 1,
            TokenKind::Symbol(b']') => depth = depth.saturating_sub(1),
            TokenKind::Symbol(b')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    kept += &text[copied..cut.unwrap_or(token.range.start)];
                    kept.push(')');
                    return Some(kept);
                }
            }
            TokenKind::Symbol(b',') if depth == 1 => {
                kept += &text[copied..cut.take().unwrap_or(token.range.start)];
                copied = token.range.start;
            }
            TokenKind::Word(word) if depth == 1 && word.eq_ignore_ascii_case("default") => {
                cut = Some(token.range.start);
            }
            _ => {}
        }
    }
    None
}

/// `DROP OPERATOR s.<# (left, right)`
fn operator(text: &str, mut sql: Cursor<'_>) -> Option<String> {
    sql.words("operator").then_some(())?;
    let start = sql.rest().first()?.range.start;
    let open = sql.rest().iter().find(|token| token.kind == TokenKind::Symbol(b'('))?.range.start;
    let name = text[start..open].trim();
    let side = |which: &str| {
        let at = sql.rest().windows(2).position(|pair| {
            matches!(&pair[0].kind, TokenKind::Word(w) if w.eq_ignore_ascii_case(which))
                && pair[1].kind == TokenKind::Symbol(b'=')
        })?;
        let from = sql.rest()[at + 1].range.end;
        // The type ends where the next property or the statement does.
        let mut depth = 0_u32;
        let end = sql.rest()[at + 2..].iter().find(|token| match token.kind {
            TokenKind::Symbol(b'(') => {
                depth += 1;
                false
            }
            TokenKind::Symbol(b')') if depth > 0 => {
                depth -= 1;
                false
            }
            TokenKind::Symbol(b',' | b')') => depth == 0,
            _ => false,
        })?;
        Some(text[from..end.range.start].trim().to_owned())
    };
    let left = side("leftarg").unwrap_or_else(|| "NONE".to_owned());
    let right = side("rightarg").unwrap_or_else(|| "NONE".to_owned());
    Some(format!("DROP OPERATOR IF EXISTS {name} ({left}, {right}) CASCADE"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn dropped(sql: &'static str) -> Option<String> {
        drop_of(&Statement::read(&Bytes::from_static(sql.as_bytes())))
    }

    #[test]
    fn each_object_is_dropped_by_its_own_name() {
        for (sql, expected) in [
            ("CREATE UNLOGGED TABLE a.\"T t\" (x int);", "DROP TABLE IF EXISTS a.\"T t\" CASCADE"),
            ("CREATE DOMAIN a.d AS int;", "DROP DOMAIN IF EXISTS a.d CASCADE"),
            (
                "CREATE FUNCTION a.f(x int DEFAULT 'a,(b', VARIADIC r text[] DEFAULT '{}'::text[]) RETURNS int;",
                "DROP FUNCTION IF EXISTS a.f(x int , VARIADIC r text[] ) CASCADE",
            ),
            (
                "CREATE FUNCTION a.g() RETURNS TABLE(b int);",
                "DROP FUNCTION IF EXISTS a.g() CASCADE",
            ),
            (
                "CREATE AGGREGATE a.s(*) (SFUNC = int8inc);",
                "DROP AGGREGATE IF EXISTS a.s(*) CASCADE",
            ),
            (
                "CREATE AGGREGATE a.m(double precision ORDER BY anyelement) (SFUNC = x);",
                "DROP AGGREGATE IF EXISTS a.m(double precision ORDER BY anyelement) CASCADE",
            ),
            (
                "CREATE CAST (a.pair AS text) WITH FUNCTION a.f(a.pair) AS ASSIGNMENT;",
                "DROP CAST IF EXISTS (a.pair AS text) CASCADE",
            ),
            (
                "CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION x(internal));",
                "DROP TRANSFORM IF EXISTS FOR integer LANGUAGE sql CASCADE",
            ),
            (
                "CREATE OPERATOR a.<# (\n    FUNCTION = a.lt,\n    LEFTARG = numeric(1,2),\n    RIGHTARG = integer,\n    COMMUTATOR = OPERATOR(a.>#)\n);",
                "DROP OPERATOR IF EXISTS a.<# (numeric(1,2), integer) CASCADE",
            ),
            (
                "CREATE OPERATOR a.!@#%^&|`? (\n    FUNCTION = x,\n    RIGHTARG = integer\n);",
                "DROP OPERATOR IF EXISTS a.!@#%^&|`? (NONE, integer) CASCADE",
            ),
            (
                "CREATE OPERATOR CLASS a.c\n    FOR TYPE integer USING btree FAMILY a.r AS\n    OPERATOR 1 x;",
                "DROP OPERATOR CLASS IF EXISTS a.c USING btree CASCADE",
            ),
            (
                "CREATE TEXT SEARCH DICTIONARY a.d (TEMPLATE = simple);",
                "DROP TEXT SEARCH DICTIONARY IF EXISTS a.d CASCADE",
            ),
            (
                "SELECT pg_catalog.lo_create('42');",
                "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid = 42",
            ),
        ] {
            assert_eq!(dropped(sql).as_deref(), Some(expected));
        }
        for sql in
            ["CREATE SCHEMA a;", "CREATE EXTENSION IF NOT EXISTS x;", "ALTER TABLE a.t ADD x int;"]
        {
            assert_eq!(dropped(sql), None, "{sql}");
        }
    }

    #[test]
    fn dropping_goes_backwards_and_names_nothing_twice() {
        let created = ["CREATE TYPE a.t;", "CREATE TABLE a.x ();", "CREATE TYPE a.t (INPUT = f);"]
            .map(|sql| Statement::read(&Bytes::from_static(sql.as_bytes())));
        assert_eq!(
            drops(created.iter()),
            ["DROP TYPE IF EXISTS a.t CASCADE", "DROP TABLE IF EXISTS a.x CASCADE"]
        );
    }
}
