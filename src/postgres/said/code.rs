//! Whether a statement that code of the database ran stands in that code, word by
//! word, or may have been put together of a row.
//!
//! What PL/pgSQL runs as a text, the context says itself. But a function that takes a
//! query, such as `query_to_xml`, runs one too, of which only its own words tell.

/// How the context begins where the code itself was being read, and nothing had run.
const COMPILED: &str = "compilation of PL/pgSQL function ";

/// How it ends where a function in SQL was.
const READ: [&str; 2] = [" during startup", " during inlining"];

/// Statements of PL/pgSQL that have a line of their own in the context as soon as what
/// they run runs another.
const WITH_A_LINE: [&str; 2] = ["SQL statement", "PERFORM"];

/// How a statement begins that is whole. An expression of PL/pgSQL never does.
const STATEMENTS: [&str; 55] = [
    "abort",
    "alter",
    "analyse",
    "analyze",
    "begin",
    "call",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "create",
    "deallocate",
    "declare",
    "delete",
    "discard",
    "do",
    "drop",
    "end",
    "execute",
    "explain",
    "fetch",
    "grant",
    "import",
    "insert",
    "listen",
    "load",
    "lock",
    "merge",
    "move",
    "notify",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "repack",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "select",
    "set",
    "show",
    "start",
    "table",
    "truncate",
    "unlisten",
    "update",
    "vacuum",
    "values",
    "wait",
    "with",
];

/// What may stand behind the parentheses that a statement begins with.
const BEHIND: [&str; 9] =
    ["union", "intersect", "except", "order", "limit", "offset", "fetch", "for", "with"];

/// Whether an error's statement stands in the code as it is: by that statement, where
/// there is one, and by the error's context, innermost line first.
pub(super) fn is_static(query: Option<&str>, context: &str) -> bool {
    let first = context.lines().next().unwrap_or_default();
    if first.starts_with(COMPILED) {
        return true;
    }
    let Some(query) = query else { return false };
    if first.starts_with("SQL function ") {
        return READ.iter().any(|read| first.ends_with(read));
    }
    let at = first.strip_prefix("PL/pgSQL function ").and_then(|place| place.rsplit_once(" at "));
    at.is_some_and(|(_, at)| WITH_A_LINE.contains(&at) || is_expression(query))
}

/// Whether it is surely no statement.
fn is_expression(query: &str) -> bool {
    let query = query.trim();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words = || query.split(|c| !is_word(c)).map(str::to_ascii_lowercase);
    if query.starts_with('(') {
        // Without those words and comments, a statement ends with a parenthesis.
        let behind = query.rfind(')').map_or("", |at| query[at + 1..].trim_start());
        return behind.starts_with(['=', '<', '>', '!'])
            && !["--", "/*"].iter().any(|comment| query.contains(comment))
            && !words().any(|word| BEHIND.contains(&word.as_str()));
    }
    query.starts_with(is_word)
        && words().next().is_some_and(|word| !STATEMENTS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_code_is_told_from_what_may_be_made_of_a_row() {
        let at = |at: &str| format!("PL/pgSQL function f(text) line 3 at {at}\nCOPY t, line 1");
        let returned = at("RETURN");
        for query in [
            "EXISTS (SELECT FROM church)",
            "not f(name)",
            "n := (SELECT count(*) FROM church)",
            "(SELECT count(*) FROM church) > 0",
            "with_church(name)",
        ] {
            assert!(is_static(Some(query), &returned), "{query}");
        }
        for query in [
            "SELECT jane",
            " select jane",
            "/* f */ SELECT jane",
            "(SELECT jane)",
            "(SELECT 1) ORDER BY f(jane) > 3",
            "(SELECT jane) -- ) > 0",
            "WITH a AS (SELECT 1) SELECT jane",
            "VALUES (jane)",
            "",
        ] {
            assert!(!is_static(Some(query), &returned), "{query}");
        }
        let query = Some("SELECT jane");
        for context in [at("SQL statement"), at("PERFORM")] {
            assert!(is_static(query, &context), "{context}");
        }
        // With rows of a query, a cursor has no line of its own.
        let nested = format!("SQL statement \"SELECT query_to_xml(x)\"\n{}", at("SQL statement"));
        for context in [at("FOR over SELECT rows"), nested, "COPY t, line 1".to_owned()] {
            assert!(!is_static(query, &context), "{context}");
        }
        for read in ["during startup", "during inlining"] {
            assert!(is_static(query, &format!("SQL function \"f\" {read}\nCOPY t, line 1")));
        }
        assert!(!is_static(query, "SQL function \"f\" statement 1"));
        assert!(is_static(None, "compilation of PL/pgSQL function \"f\" near line 2"));
        assert!(!is_static(None, &returned), "a value that was to name a table");
    }
}
